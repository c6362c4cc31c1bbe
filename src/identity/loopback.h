/* SPDX-License-Identifier: Apache-2.0 */
/* A TLS handshake of a key and its certificate with themselves, in memory: what a TLS connection asks of the token, without a network. */
#ifndef HF_IDENTITY_LOOPBACK_H
#define HF_IDENTITY_LOOPBACK_H

#include "identity/openssl.h"

/*
 * Both ends show the chain and prove its key; each checks that the other showed that very certificate, not who issued it or
 * when. version: TLS1_2_VERSION or TLS1_3_VERSION. where: for texts. Fails with TLS, CERT_FILE, KEY_MISMATCH, and what the key in the HSM
 * fails with.
 */
hf_err loopback_handshake(const STACK_OF(X509) * chain, EVP_PKEY *key, const char *where, int version);

#endif
