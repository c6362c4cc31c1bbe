/* SPDX-License-Identifier: Apache-2.0 */
/* TLS with the key in the HSM, over a socket that does not block; what goes wrong in it, in words. */
#ifndef HF_GATEWAY_TLS_H
#define HF_GATEWAY_TLS_H

#include "base/cleanup.h"
#include "identity/tls_error.h"

#include <openssl/evp.h>

#include <stdbool.h>
#include <stdint.h>

/* Who we are and whom we trust. Borrowed. */
struct tls_identity {
  const char *cert_path; /* its chain behind it; NULL: we show no certificate */
  EVP_PKEY *key;         /* see identity_key_load; NULL with cert_path */
  const char *root_path; /* a file, or a directory as c_rehash leaves it */
};

struct tls_server {
  const char *host;     /* the name that its certificate must bear; an IPv6 address without brackets */
  const char *alpn;     /* the protocol to ask for (RFC 7301); NULL: none */
  struct tls_peer peer; /* all but its address are constants */
};

enum { TLS_RESULT_MAX = 512 };

struct tls;

/*
 * Hands fd (non-blocking, connected, the caller's) through a handshake. Fails with TLS, whose text tells who refuses whom and
 * why; TIMEOUT; what the identity's files fail with; what signing in the HSM fails with. In TLS 1.3 a server refuses our
 * certificate only afterwards: then the first tls_read fails so.
 */
hf_err tls_open(int fd, const struct tls_identity *identity, const struct tls_server *server, int64_t deadline_ms,
                struct tls **ret_tls);

/* Says good-bye where that does not block. */
struct tls *tls_free(struct tls *tls);
HF_DEFINE_CLEANUP(struct tls, tls_free)

/* Whatever is there now, at most size bytes; *ret_len is 0 where there is nothing. Fails with LOST at the end, with TLS. */
hf_err tls_read(struct tls *tls, void *data, size_t size, size_t *ret_len);

/* Whatever the socket takes now. */
hf_err tls_write(struct tls *tls, const void *data, size_t len, size_t *ret_len);

/* Whether the last call of each kind waits for the socket to become writable. */
bool tls_wants_write(const struct tls *tls);

/* Bytes are here that poll does not tell of. */
bool tls_pending(const struct tls *tls);

/* Bytes that were given to the socket so far. */
uint64_t tls_sent(const struct tls *tls);

/* "TLSv1.3, server 'CN'". */
void tls_describe(const struct tls *tls, char result[TLS_RESULT_MAX]);

/*
 * A handshake for its own sake: waits until the server has seen our certificate, then says good-bye; the caller closes fd.
 * Fails as tls_open.
 */
hf_err tls_handshake(int fd, const struct tls_identity *identity, const struct tls_server *server, int64_t deadline_ms,
                     char result[TLS_RESULT_MAX]);

#endif
