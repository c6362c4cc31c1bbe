/* SPDX-License-Identifier: Apache-2.0 */
/* The server's TLS: its key in the token, and a certificate that the authority gives it. */
#ifndef HF_CA_SERVER_TLS_H
#define HF_CA_SERVER_TLS_H

#include "ca/authority.h"

#include <openssl/ssl.h>

IDENTITY_CLEANUP(SSL_CTX, server_ctx_free, SSL_CTX_free)

/*
 * TLS 1.2 and later; a client's certificate is asked for, and none is refused here: whom it names, and what is wrong with it,
 * is for whoever answers. server.pem in ca.path is the certificate; where it is missing, for other names or another key, of
 * another authority, or a third of its life is left, a new one is issued, recorded and written first. *ret_renew_at: when it
 * will be.
 */
hf_err server_tls_new(const struct config *config, const struct authority *authority, SSL_CTX **ret_ctx,
                      int64_t *ret_renew_at);

#endif
