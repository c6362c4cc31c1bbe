/* SPDX-License-Identifier: Apache-2.0 */
/* TLS with the key in the HSM: one handshake, and what went wrong in it, in words. */
#ifndef HF_GATEWAY_TLS_H
#define HF_GATEWAY_TLS_H

#include "identity/tls_error.h"

#include <openssl/evp.h>

#include <stdint.h>

/* Who we are and whom we trust. Borrowed. */
struct tls_identity {
  const char *cert_path;
  EVP_PKEY *key;         /* see identity_key_load */
  const char *key_path;  /* a PEM file that stands for it, for those who know only key files */
  const char *root_path; /* a file, or a directory as c_rehash leaves it */
};

struct tls_server {
  const char *host; /* the name that its certificate must bear; an IPv6 address without brackets */
  const char *port;
  struct tls_peer peer;
};

enum { TLS_RESULT_MAX = 512 };

/*
 * Hands fd (non-blocking, connected) through a handshake and waits until the server has seen our certificate: in TLS 1.3 it
 * refuses only after the handshake. Then says good-bye; the caller closes fd. result: "TLSv1.3, server's CN".
 * Fails with TLS, whose text tells who refuses whom and why; TIMEOUT; and what the identity's files fail with.
 */
hf_err tls_handshake(int fd, const struct tls_identity *identity, const struct tls_server *server, int64_t deadline_ms,
                     char result[TLS_RESULT_MAX]);

#endif
