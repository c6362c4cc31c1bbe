/* SPDX-License-Identifier: Apache-2.0 */
#include "token/mech/prf.h"

#include "token/crypto.h"
#include "token/mech/kdf.h"

#include <openssl/core_names.h>

/* clang-format off */
static const struct {
  CK_MECHANISM_TYPE type;
  const char *digest; /* NULL: CMAC */
  struct {
    size_t key_len;
    const char *name;
  } ciphers[3];
} rows[] = {
  { CKM_SHA_1_HMAC, "SHA1", { { 0 } } },
  { CKM_SHA224_HMAC, "SHA224", { { 0 } } },
  { CKM_SHA256_HMAC, "SHA256", { { 0 } } },
  { CKM_SHA384_HMAC, "SHA384", { { 0 } } },
  { CKM_SHA512_HMAC, "SHA512", { { 0 } } },
  { CKM_SHA3_224_HMAC, "SHA3-224", { { 0 } } },
  { CKM_SHA3_256_HMAC, "SHA3-256", { { 0 } } },
  { CKM_SHA3_384_HMAC, "SHA3-384", { { 0 } } },
  { CKM_SHA3_512_HMAC, "SHA3-512", { { 0 } } },
  { CKM_AES_CMAC, NULL, { { 16, "AES-128-CBC" }, { 24, "AES-192-CBC" }, { 32, "AES-256-CBC" } } },
  { CKM_DES3_CMAC, NULL, { { 24, "DES-EDE3-CBC" } } },
};
/* clang-format on */

static hf_err find_cipher(size_t row, size_t key_len, const char **ret_name)
{
  for (size_t i = 0; i < HF_ARRAY_LEN(rows[row].ciphers); i++) {
    if (rows[row].ciphers[i].name && rows[row].ciphers[i].key_len == key_len) {
      *ret_name = rows[row].ciphers[i].name;
      return HF_OK;
    }
  }
  return hf_fail(HF_ERR_KEY_SIZE_RANGE, "CMAC with a key of %zu bytes", key_len);
}

static hf_err start(size_t row, struct hf_slice key, struct prf *prf)
{
  const char *name = rows[row].digest;
  if (!name)
    HF_TRY(find_cipher(row, key.len, &name));
  OSSL_PARAM params[] = { kdf_text(rows[row].digest ? OSSL_MAC_PARAM_DIGEST : OSSL_MAC_PARAM_CIPHER, name),
                          OSSL_PARAM_END };
  EVP_MAC *mac = crypto_mac_alg(rows[row].digest ? "HMAC" : "CMAC");
  prf->ctx = mac ? EVP_MAC_CTX_new(mac) : NULL;
  if (!prf->ctx || EVP_MAC_init(prf->ctx, key.data, key.len, params) != 1)
    return crypto_fail(HF_ERR_FUNCTION_FAILED, "a pseudorandom function");
  prf->size = EVP_MAC_CTX_get_mac_size(prf->ctx);
  return prf->size && prf->size <= PRF_MAX ? HF_OK : hf_fail(HF_ERR_INTERNAL, "a MAC of %zu bytes", prf->size);
}

hf_err prf_new(CK_MECHANISM_TYPE type, struct hf_slice key, struct prf *ret_prf)
{
  for (size_t i = 0; i < HF_ARRAY_LEN(rows); i++)
    if (rows[i].type == type)
      return start(i, key, ret_prf);
  return hf_fail(HF_ERR_MECHANISM_PARAM_INVALID, "mechanism 0x%lx is no pseudorandom function", type);
}

void prf_free(struct prf *prf)
{
  if (!crypto_gone())
    EVP_MAC_CTX_free(prf->ctx);
  prf->ctx = NULL;
}

static hf_err failed(int rc)
{
  return rc == 1 ? HF_OK : crypto_fail(HF_ERR_FUNCTION_FAILED, "a pseudorandom function");
}

hf_err prf_start(struct prf *prf)
{
  return failed(EVP_MAC_init(prf->ctx, NULL, 0, NULL));
}

hf_err prf_add(struct prf *prf, struct hf_slice part)
{
  return part.len ? failed(EVP_MAC_update(prf->ctx, part.data, part.len)) : HF_OK;
}

hf_err prf_end(struct prf *prf, uint8_t ret_out[PRF_MAX])
{
  size_t len;
  return failed(EVP_MAC_final(prf->ctx, ret_out, &len, PRF_MAX));
}
