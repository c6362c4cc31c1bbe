/* SPDX-License-Identifier: Apache-2.0 */
#include "provider/key.h"

#include <openssl/core_names.h>
#include <openssl/core_object.h>
#include <openssl/x509.h>
#include <stdatomic.h>

struct provider_key {
  atomic_size_t refs;
  struct provider_ctx *ctx;
  struct p11_key *key;
  EVP_PKEY *public;
};

hf_err provider_key_new(struct provider_ctx *ctx, struct p11_key *key, EVP_PKEY *public, struct provider_key **ret_key)
{
  struct provider_key *made = calloc(1, sizeof(*made));
  if (!made) {
    p11_key_unref(key);
    EVP_PKEY_free(public);
    return hf_fail(HF_ERR_NO_MEMORY, "a key");
  }
  atomic_init(&made->refs, 1);
  made->ctx = ctx;
  made->key = key;
  made->public = public;
  *ret_key = made;
  return HF_OK;
}

struct provider_key *provider_key_ref(struct provider_key *key)
{
  atomic_fetch_add(&key->refs, 1);
  return key;
}

struct provider_key *provider_key_unref(struct provider_key *key)
{
  if (key && atomic_fetch_sub(&key->refs, 1) == 1) {
    p11_key_unref(key->key);
    EVP_PKEY_free(key->public);
    free(key);
  }
  return NULL;
}

struct provider_ctx *provider_key_ctx(const struct provider_key *key)
{
  return key->ctx;
}

struct p11_key *provider_key_token(const struct provider_key *key)
{
  return key->key;
}

EVP_PKEY *provider_key_public(const struct provider_key *key)
{
  return key->public;
}

void provider_key_set_public(struct provider_key *key, EVP_PKEY *public)
{
  EVP_PKEY_free(key->public);
  key->public = public;
}

const char *provider_key_type(const struct provider_key *key)
{
  return EVP_PKEY_get0_type_name(key->public);
}

hf_err provider_public_new(struct provider_ctx *ctx, const struct p11_public *public, EVP_PKEY **ret_key)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf der = HF_BUF(P11_ATTRIBUTE_MAX);
  HF_TRY(p11_public_to_spki(public, &der));
  const unsigned char *at = der.data;
  EVP_PKEY *key = d2i_PUBKEY_ex(NULL, &at, (long)der.len, ctx->libctx, NULL);
  if (!key)
    return hf_fail(HF_ERR_ATTRIBUTE_VALUE_INVALID, "the public half of the key in the token");
  *ret_key = key;
  return HF_OK;
}

int provider_key_hand_over(struct provider_key **key, OSSL_CALLBACK *callback, void *arg)
{
  int type = OSSL_OBJECT_PKEY;
  char name[16];
  snprintf(name, sizeof(name), "%s", provider_key_type(*key));
  OSSL_PARAM params[] = {
    OSSL_PARAM_int(OSSL_OBJECT_PARAM_TYPE, &type),
    OSSL_PARAM_utf8_string(OSSL_OBJECT_PARAM_DATA_TYPE, name, strlen(name)),
    /* The value is the pointer itself: keymgmt's load takes it and leaves NULL. */
    OSSL_PARAM_octet_string(OSSL_OBJECT_PARAM_REFERENCE, key, sizeof(*key)),
    OSSL_PARAM_END,
  };
  return callback(params, arg);
}
