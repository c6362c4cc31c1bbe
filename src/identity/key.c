/* SPDX-License-Identifier: Apache-2.0 */
#include "identity/key.h"

hf_err identity_key_load(const char *uri, EVP_PKEY **ret_key)
{
  HF_CLEANUP(openssl_store_info_freep) OSSL_STORE_INFO *info = NULL;
  HF_TRY(openssl_store_load(uri, OSSL_STORE_INFO_PKEY, "the device's key", &info));
  EVP_PKEY *key = OSSL_STORE_INFO_get1_PKEY(info);
  if (!key)
    return openssl_fail(HF_ERR_NO_MEMORY, "the device's key", "");
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
