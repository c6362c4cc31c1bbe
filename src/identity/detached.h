/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Digest and detached signature of a file: as 'openssl dgst -sign' makes one by RSA (PKCS #1 v1.5 or PSS) or ECDSA, and 'openssl
 * pkeyutl -sign -rawin' by Ed25519. No SHA-1, no RSA key below 2048 bits.
 */
#ifndef HF_IDENTITY_DETACHED_H
#define HF_IDENTITY_DETACHED_H

#include "base/buf.h"
#include "identity/openssl.h"

enum { DETACHED_SIGNATURE_MAX = 4096, DETACHED_DIGEST_LEN = 32 /* SHA-256 */ };

/* A public key in PEM, or the one in a certificate. Fails with KEY_FILE, also for a private key; NOT_FOUND, ... */
hf_err detached_key_read(const char *path, EVP_PKEY **ret_key);

/* SHA-256 of the file that fd is open on. path is for texts. */
hf_err detached_digest(int fd, const char *path, uint8_t out[DETACHED_DIGEST_LEN]);

/* Fails with SIGNATURE_INVALID; KEY_TYPE_INCONSISTENT, KEY_SIZE_RANGE for a key that none of this is done with. */
hf_err detached_verify(int fd, const char *path, EVP_PKEY *key, struct hf_slice signature);

#endif
