/* SPDX-License-Identifier: Apache-2.0 */
/* Reaching a host by TCP, within a time. */
#ifndef HF_GATEWAY_NET_H
#define HF_GATEWAY_NET_H

#include "base/error.h"
#include "config/address.h"

#include <netdb.h>
#include <stdbool.h>
#include <stdint.h>

/* Milliseconds of a clock that is never set. */
int64_t net_now_ms(void);

/* Fails with UNREACHABLE. End with freeaddrinfo. */
hf_err net_resolve(const struct config_address *address, struct addrinfo **ret_found);

/* "192.0.2.1" or "2001:db8::1"; several are separated by ", ". */
void net_format_addresses(const struct addrinfo *found, char *out, size_t size);

/*
 * Connects to the first of them that answers; the socket does not block. Fails with UNREACHABLE, TIMEOUT; the error
 * names the last one that was tried.
 */
hf_err net_connect(const struct addrinfo *found, int64_t deadline_ms, int *ret_fd);

/* Waits for poll's events. Fails with TIMEOUT and names what was waited for. */
hf_err net_wait(int fd, short events, int64_t deadline_ms, const char *what);

static inline void net_addrinfo_freep(struct addrinfo **found)
{
  if (*found)
    freeaddrinfo(*found);
}

#endif
