/* SPDX-License-Identifier: Apache-2.0 */
/* Which properties of a message a bridge passes on from one MQTT 5 connection to another, and how. */
#ifndef HF_GATEWAY_PASS_H
#define HF_GATEWAY_PASS_H

#include "mqtt/property.h"

/*
 * Appends those that belong to the message, in their order: payload format, expiry, content type, response topic, correlation
 * data, user properties. What belongs to the connection that it came by (topic alias, subscription identifiers) stays behind.
 */
hf_err pass_properties(struct hf_slice properties, struct hf_buf *out);

/* The same for sending, the expiry less the seconds that the message has waited. *ret_expired: it is not to be sent any more. */
hf_err pass_expiry(struct hf_slice properties, int64_t waited_s, struct hf_buf *out, bool *ret_expired);

#endif
