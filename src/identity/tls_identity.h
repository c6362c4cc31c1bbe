/* SPDX-License-Identifier: Apache-2.0 */
/* The device's certificate and key, put to use in TLS. */
#ifndef HF_IDENTITY_TLS_IDENTITY_H
#define HF_IDENTITY_TLS_IDENTITY_H

#include "identity/openssl.h"

#include <openssl/ssl.h>

/*
 * What we show of ourselves: the chain (chain_read) and its key (identity_key_load). Takes references of its own. where: for the
 * text. Fails with CERT_FILE, KEY_MISMATCH.
 */
hf_err tls_identity_use(SSL_CTX *ctx, const STACK_OF(X509) * chain, EVP_PKEY *key, const char *where);

#endif
