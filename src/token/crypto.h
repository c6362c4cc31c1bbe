/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libcrypto, kept apart from the program's: a library context of our own that never reads openssl.cnf (a PKCS #11 provider
 * named there would call us back), algorithms fetched once, the caller's error queue left as it was.
 */
#ifndef HF_TOKEN_CRYPTO_H
#define HF_TOKEN_CRYPTO_H

#include "base/buf.h"
#include "base/secret.h"

#include <openssl/evp.h>

enum { CRYPTO_KEY_BYTES = 32, CRYPTO_SEAL_OVERHEAD = 12 + 16, CRYPTO_SALT_BYTES = 16 };

/* Argon2id's cost (RFC 9106). */
struct crypto_cost {
  uint32_t memory; /* KiB */
  uint32_t passes;
};

/*
 * Once a process, for good: a thread that used a library context keeps a state in it, which libcrypto frees as the thread ends, and the
 * program's threads may outlive C_Finalize (OPENSSL_thread_stop_ex(3)). After a fork the child starts anew and what the parent
 * had is left alone.
 */
hf_err crypto_start(void);

/* True from the start of OPENSSL_cleanup on: then nothing may call libcrypto, not even to free. */
bool crypto_gone(void);

OSSL_LIB_CTX *crypto_ctx(void);

/* By libcrypto's name ("SHA256", "AES-128-GCM", "HMAC"), out of those fetched at the start; NULL for others, and where it has none. */
const EVP_MD *crypto_md(const char *name);
const EVP_CIPHER *crypto_cipher(const char *name);
EVP_MAC *crypto_mac_alg(const char *name);

hf_err crypto_random(void *ret_data, size_t len);

/* AES-256-GCM: appends nonce, ciphertext and tag. crypto_open fails with TOKEN_STORE where key, aad or a bit differ. */
hf_err crypto_seal(const uint8_t *key, struct hf_slice aad, struct hf_slice plain, struct hf_buf *out);
hf_err crypto_open(const uint8_t *key, struct hf_slice aad, struct hf_slice sealed, struct hf_buf *out);

/* out = HMAC-SHA256(key, data) or, where key is NULL, SHA-256(data). */
hf_err crypto_mac(const uint8_t *key, struct hf_slice data, uint8_t ret_mac[32]);

/* Argon2id of the PIN. */
hf_err crypto_stretch(struct hf_slice pin, const uint8_t salt[CRYPTO_SALT_BYTES], struct crypto_cost cost,
                      struct hf_secret **ret_key);

/* An error of libcrypto's: its first reason goes into the context. */
hf_err crypto_fail(enum hf_code code, const char *doing);

/* Around a look whether libcrypto has something, which may be missing. The end yields false where memory ran out instead, as far as that
 * can be seen beside the program's own errors. */
bool crypto_probe_begin(void);
bool crypto_probe_end(bool begun, bool found);

/* Whether memory ran out is among libcrypto's reasons since the queue was empty; empties it. */
bool crypto_out_of_memory(void);

#endif
