/* SPDX-License-Identifier: Apache-2.0 */
/* The key objects that OpenSSL holds: a key in a token, or just a public key that was brought to us to be compared. */
#ifndef HF_PROVIDER_KEY_H
#define HF_PROVIDER_KEY_H

#include "p11/key.h"
#include "provider/context.h"

#include <openssl/evp.h>

struct provider_key;

/*
 * key: a reference; NULL for a public key alone. public: in ctx's library context; NULL where provider_key_set_public
 * is to follow. Both go over, on failure too.
 */
hf_err provider_key_new(struct provider_ctx *ctx, struct p11_key *key, EVP_PKEY *public, struct provider_key **ret_key);
struct provider_key *provider_key_ref(struct provider_key *key);
struct provider_key *provider_key_unref(struct provider_key *key);
HF_DEFINE_CLEANUP(struct provider_key, provider_key_unref)

struct provider_ctx *provider_key_ctx(const struct provider_key *key);
struct p11_key *provider_key_token(const struct provider_key *key); /* NULL for a public key alone */
EVP_PKEY *provider_key_public(const struct provider_key *key);
void provider_key_set_public(struct provider_key *key, EVP_PKEY *public);
const char *provider_key_type(const struct provider_key *key); /* "EC", "ED25519" or "RSA" */

/* An EVP_PKEY in ctx's library context. Fails with ATTRIBUTE_VALUE_INVALID where the numbers are no key. */
hf_err provider_public_new(struct provider_ctx *ctx, const struct p11_public *public, EVP_PKEY **ret_key);

/* Calls OpenSSL back with a reference to the key; on success OpenSSL has taken it over and *key is NULL. */
int provider_key_hand_over(struct provider_key **key, OSSL_CALLBACK *callback, void *arg);

#endif
