/* SPDX-License-Identifier: Apache-2.0 */
/* From an address to a stream of bytes: name, TCP, proxy, TLS. */
#ifndef HF_GATEWAY_DIAL_H
#define HF_GATEWAY_DIAL_H

#include "gateway/proxy.h"
#include "gateway/stream.h"

struct addrinfo;

/* Borrowed. */
struct dial_options {
  struct config_address address;
  const char *url_key, *root_key; /* the configuration's keys that say so, for hints: see tls_peer */
  const struct proxy *proxy;      /* NULL: none */
  bool tls;                       /* what follows is for TLS alone */
  struct tls_identity identity;
  const char *key_uri; /* where identity has no key: loaded by it at each dial, so that a recreated key is found */
  const char *alpn;    /* NULL: none */
};

/* Blocks until the deadline at most, apart from the name server and the HSM. Fails as each of its steps does. */
hf_err dial(const struct dial_options *options, int64_t deadline_ms, struct stream **ret_stream);

/* Its steps one by one, for who tells of each. The first hop is the proxy, or the server itself. */
const struct config_address *dial_first_hop(const struct dial_options *options);

/* To where TLS begins, by one of the first hop's addresses (net_resolve): TCP, and the proxy's tunnel. The socket does not block. */
hf_err dial_reach(const struct dial_options *options, const struct addrinfo *found, int64_t deadline_ms, int *ret_fd);

/* A handshake for its own sake, with this key: see tls_handshake. address is for texts. */
hf_err dial_handshake(const struct dial_options *options, const struct addrinfo *found, EVP_PKEY *key,
                      const char *address, int64_t deadline_ms, char result[TLS_RESULT_MAX]);

#endif
