/* SPDX-License-Identifier: Apache-2.0 */
#include "token/pkcs8.h"

#include "token/crypto.h"

#include <limits.h>
#include <openssl/x509.h>

enum { BLOCK_BYTES = 16 };

hf_err pkcs8_encode(const EVP_PKEY *key, struct hf_buf *out)
{
  uint8_t *der = NULL;
  PKCS8_PRIV_KEY_INFO *info = EVP_PKEY2PKCS8(key);
  int len = info ? i2d_PKCS8_PRIV_KEY_INFO(info, &der) : -1;
  PKCS8_PRIV_KEY_INFO_free(info);
  if (len <= 0)
    return crypto_fail(HF_ERR_KEY_NOT_WRAPPABLE, "a key as PKCS #8");
  hf_err e = hf_buf_add(out, der, (size_t)len);
  OPENSSL_clear_free(der, (size_t)len);
  return e;
}

static bool is_padding(const uint8_t *data, size_t len)
{
  uint8_t all = 0;
  for (size_t i = 0; i < len; i++)
    all |= data[i];
  return len < BLOCK_BYTES && all == 0;
}

hf_err pkcs8_decode(struct hf_slice der, EVP_PKEY **ret_key)
{
  const uint8_t *at = der.data;
  PKCS8_PRIV_KEY_INFO *info = der.len <= INT_MAX ? d2i_PKCS8_PRIV_KEY_INFO(NULL, &at, (long)der.len) : NULL;
  EVP_PKEY *key = NULL;
  if (info && is_padding(at, der.len - (size_t)(at - der.data)))
    key = EVP_PKCS82PKEY_ex(info, crypto_ctx(), NULL);
  PKCS8_PRIV_KEY_INFO_free(info);
  if (!key)
    return hf_fail(HF_ERR_WRAPPED_KEY_INVALID, "what was unwrapped is no private key");
  *ret_key = key;
  return HF_OK;
}
