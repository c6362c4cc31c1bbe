/* SPDX-License-Identifier: Apache-2.0 */
/* PBKDF2 (RFC 8018; PKCS #11 v3.2, section 6.34): a secret key out of a password. */
#include "token/mech/kdf.h"

#include "token/crypto.h"
#include "token/secret_key.h"

#include <openssl/core_names.h>

enum { PASSWORD_MAX = 8192, SALT_MAX = 4096, ITERATIONS_MAX = 10 * 1000 * 1000, BYTES_MAX = 8192 };

static const struct {
  CK_ULONG prf;
  const char *hash;
} prfs[] = {
  { CKP_PKCS5_PBKD2_HMAC_SHA1, "SHA1" },
  { CKP_PKCS5_PBKD2_HMAC_SHA224, "SHA224" },
  { CKP_PKCS5_PBKD2_HMAC_SHA256, "SHA256" },
  { CKP_PKCS5_PBKD2_HMAC_SHA384, "SHA384" },
  { CKP_PKCS5_PBKD2_HMAC_SHA512, "SHA512" },
  { CKP_PKCS5_PBKD2_HMAC_SHA512_224, "SHA512-224" },
  { CKP_PKCS5_PBKD2_HMAC_SHA512_256, "SHA512-256" },
};

static bool available(const struct mech *mech)
{
  (void)mech;
  return kdf_there("PBKDF2");
}

static hf_err find_hash(const struct mech *mech, CK_ULONG prf, const char **ret_hash)
{
  for (size_t i = 0; i < HF_ARRAY_LEN(prfs); i++) {
    if (prfs[i].prf == prf && crypto_md(prfs[i].hash)) {
      *ret_hash = prfs[i].hash;
      return HF_OK;
    }
  }
  return hf_fail(HF_ERR_MECHANISM_PARAM_INVALID, "%s: PRF 0x%lx", mech->name, prf);
}

/* Of the older structure the last member points at the length: no password is as long as an address is high. */
static hf_err take_password(const struct mech *mech, const struct hf_ck_pbkd2_params2 *params,
                            struct hf_slice *ret_bytes)
{
  CK_ULONG len = params->ulPasswordLen;
  const void *old = (const void *)(uintptr_t)len;
  if (len > UINT16_MAX && len % sizeof(CK_ULONG) == 0)
    memcpy(&len, old, sizeof(len));
  return kdf_bytes(mech, params->pPassword, len, PASSWORD_MAX, ret_bytes);
}

static hf_err check(const struct mech *mech, const struct hf_ck_pbkd2_params2 *params)
{
  if (params->saltSource != CKZ_SALT_SPECIFIED)
    return kdf_bad_param(mech, "where the salt comes from");
  if (params->pPrfData || params->ulPrfDataLen)
    return kdf_bad_param(mech, "the PRF takes no data");
  if (params->iterations == 0 || params->iterations > ITERATIONS_MAX)
    return kdf_bad_param(mech, "the number of iterations");
  return HF_OK;
}

static hf_err find_len(const struct mech *mech, const struct attrs *open, size_t *ret_len)
{
  CK_KEY_TYPE type = policy_kind_of(open).key_type;
  size_t len = attrs_ulong(open, CKA_VALUE_LEN, secret_key_length(type));
  if (len == 0)
    return hf_fail(HF_ERR_TEMPLATE_INCOMPLETE, "CKA_VALUE_LEN is missing");
  if (len > BYTES_MAX || !secret_key_fits(type, len))
    return hf_fail(HF_ERR_KEY_SIZE_RANGE, "%s: %zu bytes for a key of type 0x%lx", mech->name, len, type);
  *ret_len = len;
  return HF_OK;
}

static hf_err run(const struct mech *mech, const struct hf_ck_pbkd2_params2 *params, const char *hash, size_t len,
                  struct hf_buf *out)
{
  struct hf_slice password, salt;
  uint64_t iterations = params->iterations;
  int any = 1; /* what SP 800-132 asks for is the caller's business: RFC 6070's own examples have less */
  HF_TRY(take_password(mech, params, &password));
  HF_TRY(kdf_bytes(mech, params->pSaltSourceData, params->ulSaltSourceDataLen, SALT_MAX, &salt));
  OSSL_PARAM rows[] = {
    kdf_text(OSSL_KDF_PARAM_DIGEST, hash),
    kdf_octets(OSSL_KDF_PARAM_PASSWORD, password),
    kdf_octets(OSSL_KDF_PARAM_SALT, salt),
    OSSL_PARAM_construct_uint64(OSSL_KDF_PARAM_ITER, &iterations),
    OSSL_PARAM_construct_int(OSSL_KDF_PARAM_PKCS5, &any),
    OSSL_PARAM_END,
  };
  return kdf_run(mech, "PBKDF2", rows, len, out);
}

static hf_err generate(const struct mech *mech, const CK_MECHANISM *mechanism, struct attr_halves *secret)
{
  struct hf_ck_pbkd2_params2 params;
  HF_CLEANUP(hf_buf_free) struct hf_buf value = HF_BUF(BYTES_MAX);
  const char *hash = NULL;
  size_t len = 0;
  if (!mechanism->pParameter || mechanism->ulParameterLen != sizeof(params))
    return kdf_bad_param(mech, "its parameter's size");
  memcpy(&params, mechanism->pParameter, sizeof(params));
  HF_TRY(check(mech, &params));
  HF_TRY(find_hash(mech, params.prf, &hash));
  HF_TRY(find_len(mech, &secret->open, &len));
  HF_TRY(run(mech, &params, hash, len, &value));
  HF_TRY(attrs_set(&secret->secret, CKA_VALUE, hf_slice(value.data, value.len)));
  return secret_key_set_parity(policy_kind_of(&secret->open).key_type, &secret->secret);
}

const struct mech_ops mech_pbkdf2 = { .available = available, .generate_secret = generate, .generate_param = true };
