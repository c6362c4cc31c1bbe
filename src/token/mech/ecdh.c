/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Elliptic curve Diffie-Hellman, with and without the cofactor (PKCS #11 v3.2, section 6.3): the bare secret, or over it the KDF of
 * ANSI X9.63 or that of NIST SP 800-56A. X25519 and X448 (RFC 7748) are the same to it; libcrypto refuses a secret of zeros.
 */
#include "token/mech/ecdh.h"

#include "token/crypto.h"
#include "token/key.h"
#include "token/mech/kdf.h"

#include <openssl/core_names.h>
#include <openssl/ec.h>

enum { SECRET_MAX = 66, POINT_MAX = 256, DERIVED_MAX = 8192 };

static const char x963[] = "X963KDF", sp800_56a[] = "SSKDF";

/* clang-format off */
static const struct kdf_row {
  CK_ULONG kdf;
  const char *name;
  const char *hash;
} kdfs[] = {
  { CKD_NULL, NULL, NULL },
  { CKD_SHA1_KDF, x963, "SHA1" },           { CKD_SHA224_KDF, x963, "SHA224" },
  { CKD_SHA256_KDF, x963, "SHA256" },       { CKD_SHA384_KDF, x963, "SHA384" },
  { CKD_SHA512_KDF, x963, "SHA512" },       { CKD_SHA3_224_KDF, x963, "SHA3-224" },
  { CKD_SHA3_256_KDF, x963, "SHA3-256" },   { CKD_SHA3_384_KDF, x963, "SHA3-384" },
  { CKD_SHA3_512_KDF, x963, "SHA3-512" },
  { CKD_SHA1_KDF_SP800, sp800_56a, "SHA1" },         { CKD_SHA224_KDF_SP800, sp800_56a, "SHA224" },
  { CKD_SHA256_KDF_SP800, sp800_56a, "SHA256" },     { CKD_SHA384_KDF_SP800, sp800_56a, "SHA384" },
  { CKD_SHA512_KDF_SP800, sp800_56a, "SHA512" },     { CKD_SHA3_224_KDF_SP800, sp800_56a, "SHA3-224" },
  { CKD_SHA3_256_KDF_SP800, sp800_56a, "SHA3-256" }, { CKD_SHA3_384_KDF_SP800, sp800_56a, "SHA3-384" },
  { CKD_SHA3_512_KDF_SP800, sp800_56a, "SHA3-512" },
};
/* clang-format on */

static const struct kdf_row *find_kdf(CK_ULONG kdf)
{
  for (size_t i = 0; i < HF_ARRAY_LEN(kdfs); i++)
    if (kdfs[i].kdf == kdf)
      return !kdfs[i].hash || crypto_md(kdfs[i].hash) ? &kdfs[i] : NULL;
  return NULL;
}

hf_err ecdh_check_kdf(const struct mech *mech, const struct ecdh_kdf *kdf)
{
  const struct kdf_row *row = find_kdf(kdf->kdf);
  if (!row || kdf->shared.len > KDF_DATA_MAX || (kdf->shared.len && (!kdf->shared.data || !row->hash)))
    return hf_fail(HF_ERR_MECHANISM_PARAM_INVALID, "%s: KDF 0x%lx with %zu bytes", mech->name, kdf->kdf,
                   kdf->shared.len);
  return HF_OK;
}

/* A longer bare secret loses bytes at its leading end. */
static hf_err give_bare(const struct mech *mech, struct hf_slice secret, size_t len, struct hf_buf *out)
{
  if (len > secret.len)
    return hf_fail(HF_ERR_TEMPLATE_INCONSISTENT, "%s makes %zu bytes, not %zu", mech->name, secret.len, len);
  size_t skip = len ? secret.len - len : 0;
  return hf_buf_add(out, secret.data + skip, secret.len - skip);
}

static hf_err give(const struct mech *mech, const struct ecdh_kdf *kdf, struct hf_slice secret, size_t len,
                   struct hf_buf *out)
{
  const struct kdf_row *row = find_kdf(kdf->kdf);
  if (!row->hash)
    return give_bare(mech, secret, len, out);
  if (len == 0)
    return hf_fail(HF_ERR_TEMPLATE_INCOMPLETE, "CKA_VALUE_LEN is missing: a KDF makes a secret of any length");
  if (len > DERIVED_MAX)
    return hf_fail(HF_ERR_TEMPLATE_INCONSISTENT, "%s: %zu bytes", mech->name, len);
  OSSL_PARAM params[] = {
    kdf_text(OSSL_KDF_PARAM_DIGEST, row->hash),
    kdf_octets(OSSL_KDF_PARAM_KEY, secret),
    kdf_octets(OSSL_KDF_PARAM_INFO, kdf->shared),
    OSSL_PARAM_END,
  };
  return kdf_run(mech, row->name, params, len, out);
}

hf_err ecdh_agree(const struct mech *mech, EVP_PKEY_CTX *ctx, const struct ecdh_kdf *kdf, size_t len,
                  struct hf_buf *out)
{
  uint8_t secret[SECRET_MAX];
  size_t have = sizeof(secret);
  if (EVP_PKEY_derive(ctx, secret, &have) != 1)
    return hf_fail(HF_ERR_MECHANISM_PARAM_INVALID, "%s: the other side's point makes no secret", mech->name);
  hf_err e = give(mech, kdf, hf_slice(secret, have), len, out);
  hf_wipe(secret, sizeof(secret));
  return e;
}

/* The peer's point, bare or as a DER OCTET STRING, checked to be on the key's curve. */
static hf_err set_peer(struct op *op, struct hf_slice point)
{
  EVP_PKEY *peer = NULL;
  hf_err e = key_peer(object_attrs(op->object), point, &peer);
  if (e.code == HF_ERR_NO_MEMORY)
    return e;
  if (hf_failed(e))
    return hf_fail(HF_ERR_MECHANISM_PARAM_INVALID, "%s: the other side's point is none of the key's curve",
                   op->mech->name);
  int rc = EVP_PKEY_derive_set_peer(op->key_ctx, peer);
  EVP_PKEY_free(peer);
  return rc == 1 ? HF_OK : crypto_fail(HF_ERR_MECHANISM_PARAM_INVALID, op->mech->name);
}

static hf_err set_cofactor(struct op *op, const EVP_PKEY *key)
{
  int on = op->mech->type == CKM_ECDH1_COFACTOR_DERIVE;
  if (!EVP_PKEY_is_a(key, "EC"))
    return HF_OK;
  return EVP_PKEY_CTX_set_ecdh_cofactor_mode(op->key_ctx, on) == 1
             ? HF_OK
             : crypto_fail(HF_ERR_FUNCTION_FAILED, op->mech->name);
}

static struct ecdh_kdf kdf_of_params(const CK_ECDH1_DERIVE_PARAMS *params)
{
  return (struct ecdh_kdf){ params->kdf, hf_slice(params->pSharedData, params->ulSharedDataLen) };
}

static hf_err prepare(struct op *op, const struct op_key *key, const CK_MECHANISM *m)
{
  (void)m;
  CK_ECDH1_DERIVE_PARAMS params;
  if (op->param_len != sizeof(params))
    return hf_fail(HF_ERR_MECHANISM_PARAM_INVALID, "%s needs CK_ECDH1_DERIVE_PARAMS", op->mech->name);
  memcpy(&params, op->param, sizeof(params));
  struct ecdh_kdf kdf = kdf_of_params(&params);
  struct hf_slice point;
  HF_TRY(ecdh_check_kdf(op->mech, &kdf));
  HF_TRY(kdf_bytes(op->mech, params.pPublicData, params.ulPublicDataLen, POINT_MAX, &point));
  op->once = true;
  HF_TRY(op_key_ctx(op, key->pkey));
  HF_TRY(set_cofactor(op, key->pkey));
  return set_peer(op, point);
}

static hf_err derive(struct op *op, size_t len, struct hf_buf *out)
{
  CK_ECDH1_DERIVE_PARAMS params;
  memcpy(&params, op->param, sizeof(params));
  struct ecdh_kdf kdf = kdf_of_params(&params);
  return ecdh_agree(op->mech, op->key_ctx, &kdf, len, out);
}

const struct mech_ops mech_ecdh = { .prepare = prepare, .derive = derive };
