/* SPDX-License-Identifier: Apache-2.0 */
/* ECDH without cofactor (PKCS #11 v3.0, section 2.3.17): the bare secret, or the KDF of ANSI X9.63 over it. */
#include "token/mech/op.h"

#include "token/crypto.h"
#include "token/key.h"

#include <openssl/ec.h>

enum { SECRET_MAX = 66, SHARED_DATA_MAX = 4096, POINT_MAX = 256, DERIVED_MAX = 1024 };

static const struct {
  CK_ULONG kdf;
  const char *hash;
} kdfs[] = {
  { CKD_SHA1_KDF, "SHA1" },     { CKD_SHA224_KDF, "SHA224" }, { CKD_SHA256_KDF, "SHA256" },
  { CKD_SHA384_KDF, "SHA384" }, { CKD_SHA512_KDF, "SHA512" },
};

static const char *kdf_hash(CK_ULONG kdf)
{
  for (size_t i = 0; i < HF_ARRAY_LEN(kdfs); i++)
    if (kdfs[i].kdf == kdf)
      return kdfs[i].hash;
  return NULL;
}

static hf_err set_kdf(struct op *op, const CK_ECDH1_DERIVE_PARAMS *params)
{
  if (params->kdf == CKD_NULL)
    return HF_OK;
  op->md = crypto_md(kdf_hash(params->kdf));
  uint8_t *shared = params->ulSharedDataLen ? OPENSSL_memdup(params->pSharedData, params->ulSharedDataLen) : NULL;
  if ((params->ulSharedDataLen && !shared) ||
      EVP_PKEY_CTX_set_ecdh_kdf_type(op->key_ctx, EVP_PKEY_ECDH_KDF_X9_63) != 1 ||
      EVP_PKEY_CTX_set_ecdh_kdf_md(op->key_ctx, op->md) != 1 ||
      (shared && EVP_PKEY_CTX_set0_ecdh_kdf_ukm(op->key_ctx, shared, (int)params->ulSharedDataLen) != 1)) {
    OPENSSL_free(shared);
    return crypto_fail(HF_ERR_FUNCTION_FAILED, op->mech->name);
  }
  return HF_OK;
}

/* The peer's point, bare or as a DER OCTET STRING, checked to be on the key's curve. */
static hf_err set_peer(struct op *op, struct hf_slice point)
{
  EVP_PKEY *peer = NULL;
  if (hf_failed(key_peer(object_attrs(op->object), point, &peer)))
    return hf_fail(HF_ERR_MECHANISM_PARAM_INVALID, "%s: the other side's point is none of the key's curve",
                   op->mech->name);
  int rc = EVP_PKEY_derive_set_peer(op->key_ctx, peer);
  EVP_PKEY_free(peer);
  return rc == 1 ? HF_OK : crypto_fail(HF_ERR_MECHANISM_PARAM_INVALID, op->mech->name);
}

static hf_err prepare(struct op *op, const struct op_key *key, const CK_MECHANISM *m)
{
  CK_ECDH1_DERIVE_PARAMS params;
  if (m->ulParameterLen != sizeof(params))
    return hf_fail(HF_ERR_MECHANISM_PARAM_INVALID, "%s needs CK_ECDH1_DERIVE_PARAMS", op->mech->name);
  memcpy(&params, m->pParameter, sizeof(params));
  bool known = params.kdf == CKD_NULL ? params.ulSharedDataLen == 0 : kdf_hash(params.kdf) != NULL;
  if (!known || params.ulSharedDataLen > SHARED_DATA_MAX || (params.ulSharedDataLen && !params.pSharedData) ||
      !params.pPublicData || params.ulPublicDataLen > POINT_MAX)
    return hf_fail(HF_ERR_MECHANISM_PARAM_INVALID, "%s: KDF 0x%lx with %lu bytes, a point of %lu bytes", op->mech->name,
                   params.kdf, params.ulSharedDataLen, params.ulPublicDataLen);
  op->once = true;
  op->out_len = ((size_t)EVP_PKEY_get_bits(key->pkey) + 7) / 8;
  HF_TRY(op_key_ctx(op, key->pkey));
  HF_TRY(set_kdf(op, &params));
  return set_peer(op, hf_slice(params.pPublicData, params.ulPublicDataLen));
}

/* A longer secret loses bytes at its leading end. */
static hf_err derive_bare(struct op *op, size_t len, struct hf_buf *out)
{
  uint8_t secret[SECRET_MAX];
  size_t have = sizeof(secret);
  if (len > op->out_len)
    return hf_fail(HF_ERR_TEMPLATE_INCONSISTENT, "%s makes %zu bytes, not %zu", op->mech->name, op->out_len, len);
  if (EVP_PKEY_derive(op->key_ctx, secret, &have) != 1)
    return crypto_fail(HF_ERR_FUNCTION_FAILED, op->mech->name);
  size_t skip = len ? have - len : 0;
  hf_err e = hf_buf_add(out, secret + skip, have - skip);
  hf_wipe(secret, sizeof(secret));
  return e;
}

static hf_err derive(struct op *op, size_t len, struct hf_buf *out)
{
  uint8_t *room;
  if (!op->md)
    return derive_bare(op, len, out);
  if (len == 0)
    return hf_fail(HF_ERR_TEMPLATE_INCOMPLETE, "CKA_VALUE_LEN is missing: a KDF makes a secret of any length");
  if (len > DERIVED_MAX)
    return hf_fail(HF_ERR_TEMPLATE_INCONSISTENT, "%s: %zu bytes", op->mech->name, len);
  HF_TRY(hf_buf_reserve(out, len, &room));
  if (EVP_PKEY_CTX_set_ecdh_kdf_outlen(op->key_ctx, (int)len) != 1 || EVP_PKEY_derive(op->key_ctx, room, &len) != 1)
    return crypto_fail(HF_ERR_FUNCTION_FAILED, op->mech->name);
  hf_buf_commit(out, len);
  return HF_OK;
}

const struct mech_ops mech_ecdh = { .prepare = prepare, .derive = derive };
