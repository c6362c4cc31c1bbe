/* SPDX-License-Identifier: Apache-2.0 */
/* The device's private key as OpenSSL's programs and libraries take it. */
#ifndef HF_IDENTITY_KEY_H
#define HF_IDENTITY_KEY_H

#include "identity/openssl.h"

/*
 * An EVP_PKEY that signs in the HSM, through our provider (program_start first); its private half never leaves the token. It
 * stays usable when the token was away for a while. Free it with EVP_PKEY_free. Fails as p11_key_open does: URI_NO_MATCH,
 * URI_AMBIGUOUS, TOKEN_NOT_FOUND, PIN_INCORRECT, ...; never gives a key that lies in a file.
 */
hf_err identity_key_load(const char *uri, EVP_PKEY **ret_key);

/*
 * The same for a key that may lie in a file by the user's own choice (where starts with '/'), as the local server's: PEM, without a
 * passphrase. A URI never leads to a file. what: for the text. Fails also with NOT_FOUND, PERMISSION, KEY_FILE.
 */
hf_err identity_key_load_any(const char *where, const char *what, EVP_PKEY **ret_key);

/* The digest that this key signs with: SHA-256; SHA-384 and SHA-512 for P-384 and P-521; NULL for Ed25519, which has its own. */
const EVP_MD *identity_key_digest(const EVP_PKEY *key);

enum { IDENTITY_KEY_TEXT_MAX = 64 };

/* "RSA 2048", "EC P-256", "Ed25519": for people. */
void identity_key_describe(const EVP_PKEY *key, char *out, size_t size);

#endif
