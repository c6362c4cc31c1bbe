/* SPDX-License-Identifier: Apache-2.0 */
/* Where a broker is: "HOST", "HOST:PORT", "[IPv6]:PORT", each also after "mqtts://". */
#ifndef HF_CONFIG_ADDRESS_H
#define HF_CONFIG_ADDRESS_H

#include "base/error.h"

#include <stdbool.h>

enum { CONFIG_HOST_MAX = 253 }; /* RFC 1035, section 2.3.4 */

struct config_address {
  char host[CONFIG_HOST_MAX + 1]; /* without brackets */
  char port[6];                   /* 1 to 65535 */
};

/* Where the text names no port, it is default_port. False: not an address; then *ret_address is untouched. */
bool config_address_parse(const char *text, const char *default_port, struct config_address *ret_address);

/* "host:port", an IPv6 address in brackets. */
void config_address_format(const struct config_address *address, char *out, size_t size);

#endif
