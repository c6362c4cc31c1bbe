/* SPDX-License-Identifier: Apache-2.0 */
/* Through an HTTP proxy, by CONNECT (RFC 9110, section 9.3.6). */
#ifndef HF_GATEWAY_PROXY_H
#define HF_GATEWAY_PROXY_H

#include "base/error.h"
#include "config/address.h"

#include <stdint.h>

/* Borrowed. */
struct proxy {
  struct config_address address;
  const char *user, *password; /* Basic (RFC 7617); user NULL: none. A password may be NULL */
};

/*
 * Asks the proxy, to which fd is connected (non-blocking), for a tunnel to target; afterwards fd is that tunnel. Fails with
 * PROXY where it refuses, TIMEOUT, LOST.
 */
hf_err proxy_tunnel(int fd, const struct proxy *proxy, const struct config_address *target, int64_t deadline_ms);

#endif
