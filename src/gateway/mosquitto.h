/* SPDX-License-Identifier: Apache-2.0 */
/* The mosquitto that is installed. */
#ifndef HF_GATEWAY_MOSQUITTO_H
#define HF_GATEWAY_MOSQUITTO_H

#include "base/error.h"

/* "2.0.21", as it says of itself. Fails with NOT_FOUND, PARSE, TIMEOUT. */
hf_err mosquitto_version(char *out, size_t size);

#endif
