/* SPDX-License-Identifier: Apache-2.0 */
#include "identity/key.h"

#include "uri/uri.h"

#include <openssl/err.h>

static void store_closep(OSSL_STORE_CTX **store)
{
  OSSL_STORE_close(*store);
}

static void info_freep(OSSL_STORE_INFO **info)
{
  OSSL_STORE_INFO_free(*info);
}

hf_err identity_key_load(const char *uri, EVP_PKEY **ret_key)
{
  if (!uri_is_pkcs11(uri))
    return hf_fail(HF_ERR_URI_INVALID, "%s", uri);
  ERR_clear_error();
  HF_CLEANUP(store_closep)
  OSSL_STORE_CTX *store = OSSL_STORE_open_ex(uri, NULL, "provider=holdfast", NULL, NULL, NULL, NULL, NULL);
  if (!store || OSSL_STORE_expect(store, OSSL_STORE_INFO_PKEY) != 1)
    return openssl_fail(HF_ERR_INTERNAL, "opening the device's key", "");
  HF_CLEANUP(info_freep) OSSL_STORE_INFO *info = OSSL_STORE_load(store);
  EVP_PKEY *key = info ? OSSL_STORE_INFO_get1_PKEY(info) : NULL;
  if (!key)
    return openssl_fail(HF_ERR_URI_NO_MATCH, "the device's key", "");
  *ret_key = key;
  return HF_OK;
}

const EVP_MD *identity_key_digest(const EVP_PKEY *key)
{
  if (EVP_PKEY_is_a(key, "ED25519") || EVP_PKEY_is_a(key, "ED448"))
    return NULL;
  if (!EVP_PKEY_is_a(key, "EC") || EVP_PKEY_get_bits(key) <= 256)
    return EVP_sha256();
  return EVP_PKEY_get_bits(key) <= 384 ? EVP_sha384() : EVP_sha512();
}

void identity_key_describe(const EVP_PKEY *key, char *out, size_t size)
{
  int bits = EVP_PKEY_get_bits(key);
  if (EVP_PKEY_is_a(key, "EC"))
    snprintf(out, size, "EC P-%d", bits);
  else if (EVP_PKEY_is_a(key, "RSA"))
    snprintf(out, size, "RSA %d", bits);
  else
    snprintf(out, size, "%s", EVP_PKEY_is_a(key, "ED25519") ? "Ed25519" : EVP_PKEY_get0_type_name(key));
}
