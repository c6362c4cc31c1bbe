/* SPDX-License-Identifier: Apache-2.0 */
/* Topic names and topic filters (section 4.7). */
#ifndef HF_MQTT_TOPIC_H
#define HF_MQTT_TOPIC_H

#include "mqtt/packet.h"

/* At least a character, no wildcard; well-formed text. */
bool mqtt_topic_is_name(struct hf_slice topic);

/* '+' fills a level, '#' the last one. */
bool mqtt_topic_is_filter(struct hf_slice filter);

/* Whether a valid filter matches a valid name. What begins with '$' is not matched by a wildcard there (section 4.7.2). */
bool mqtt_topic_matches(struct hf_slice filter, struct hf_slice topic);

#endif
