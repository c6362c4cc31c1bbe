/* SPDX-License-Identifier: Apache-2.0 */
/* HKDF (RFC 5869; PKCS #11 v3.2, section 6.62), both steps or one of them. */
#include "token/mech/kdf.h"

#include "token/crypto.h"

#include <openssl/core_names.h>
#include <openssl/kdf.h>

enum { BLOCKS_MAX = 255 };

static bool available(const struct mech *mech)
{
  (void)mech;
  return kdf_there("HKDF");
}

/* Into kdf->other. */
static hf_err take_salt(struct op *op, const struct op_key *key, const struct hf_ck_hkdf_params *params)
{
  struct hf_slice salt;
  switch (params->ulSaltType) {
  case CKF_HKDF_SALT_NULL:
    return HF_OK;
  case CKF_HKDF_SALT_DATA:
    HF_TRY(kdf_bytes(op->mech, params->pSalt, params->ulSaltLen, KDF_DATA_MAX, &salt));
    return hf_buf_add(&kdf_of(op)->other, salt.data, salt.len);
  case CKF_HKDF_SALT_KEY:
    return op_other_key(op, key, params->hSaltKey, &kdf_of(op)->other);
  default:
    return kdf_bad_param(op->mech, "the salt's type");
  }
}

static hf_err prepare(struct op *op, const struct op_key *key, const CK_MECHANISM *m)
{
  (void)m;
  struct hf_ck_hkdf_params params;
  struct hf_slice info;
  HF_TRY(kdf_keep(op, key, sizeof(params)));
  memcpy(&params, op->param, sizeof(params));
  const char *hash = mech_hash_name(params.prfHashMechanism);
  op->md = hash ? crypto_md(hash) : NULL;
  if (!op->md)
    return kdf_bad_param(op->mech, "the hash");
  if (!params.bExtract && !params.bExpand)
    return kdf_bad_param(op->mech, "neither extract nor expand");
  HF_TRY(kdf_bytes(op->mech, params.pInfo, params.ulInfoLen, KDF_DATA_MAX, &info));
  op->out_len = (size_t)EVP_MD_get_size(op->md);
  return params.bExtract ? take_salt(op, key, &params) : HF_OK;
}

static hf_err derive(struct op *op, size_t len, struct hf_buf *out)
{
  struct hf_ck_hkdf_params params;
  struct kdf *kdf = kdf_of(op);
  memcpy(&params, op->param, sizeof(params));
  int mode = !params.bExpand    ? EVP_KDF_HKDF_MODE_EXTRACT_ONLY
             : !params.bExtract ? EVP_KDF_HKDF_MODE_EXPAND_ONLY
                                : EVP_KDF_HKDF_MODE_EXTRACT_AND_EXPAND;
  if (len == 0 && (mode == EVP_KDF_HKDF_MODE_EXTRACT_ONLY || op->mech->makes_data))
    len = op->out_len;
  HF_TRY(kdf_need_len(op, len));
  if (len > BLOCKS_MAX * op->out_len || (!params.bExpand && len != op->out_len))
    return hf_fail(HF_ERR_TEMPLATE_INCONSISTENT, "%s: %zu bytes", op->mech->name, len);
  OSSL_PARAM rows[] = {
    OSSL_PARAM_construct_int(OSSL_KDF_PARAM_MODE, &mode),
    kdf_text(OSSL_KDF_PARAM_DIGEST, EVP_MD_get0_name(op->md)),
    kdf_octets(OSSL_KDF_PARAM_KEY, hf_slice(kdf->base.data, kdf->base.len)),
    kdf_octets(OSSL_KDF_PARAM_SALT, hf_slice(kdf->other.data, kdf->other.len)),
    kdf_octets(OSSL_KDF_PARAM_INFO, hf_slice(params.pInfo, params.bExpand ? params.ulInfoLen : 0)),
    OSSL_PARAM_END,
  };
  return kdf_run(op->mech, "HKDF", rows, len, out);
}

const struct mech_ops mech_hkdf = { .available = available, .prepare = prepare, .derive = derive };
