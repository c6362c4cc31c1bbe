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

enum { SECRET_MAX = 66, DERIVED_MAX = 8192 };

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

hf_err ecdh_begin(const struct mech *mech, EVP_PKEY *private, bool cofactor, EVP_PKEY_CTX **ret_ctx)
{
  HF_CLEANUP(ecdh_ctx_free) EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(crypto_ctx(), private, NULL);
  if (!ctx || EVP_PKEY_derive_init(ctx) != 1 ||
      (EVP_PKEY_is_a(private, "EC") && EVP_PKEY_CTX_set_ecdh_cofactor_mode(ctx, cofactor) != 1))
    return crypto_fail(HF_ERR_FUNCTION_FAILED, mech->name);
  *ret_ctx = HF_TAKE(ctx);
  return HF_OK;
}

hf_err ecdh_set_peer(const struct mech *mech, EVP_PKEY_CTX *ctx, EVP_PKEY *peer)
{
  return EVP_PKEY_derive_set_peer(ctx, peer) == 1 ? HF_OK : crypto_fail(HF_ERR_MECHANISM_PARAM_INVALID, mech->name);
}

hf_err ecdh_set_point(const struct mech *mech, EVP_PKEY_CTX *ctx, const struct attrs *own, struct hf_slice point)
{
  EVP_PKEY *peer = NULL;
  hf_err e = key_peer(own, point, &peer);
  if (e.code == HF_ERR_NO_MEMORY)
    return e;
  if (hf_failed(e))
    return hf_fail(HF_ERR_MECHANISM_PARAM_INVALID, "%s: the other side's point is none of the key's curve", mech->name);
  e = ecdh_set_peer(mech, ctx, peer);
  EVP_PKEY_free(peer);
  return e;
}

hf_err ecdh_point(const struct mech *mech, EVP_PKEY *key, struct hf_buf *point)
{
  uint8_t *bytes = NULL;
  size_t len = EVP_PKEY_get1_encoded_public_key(key, &bytes);
  if (len == 0)
    return crypto_fail(HF_ERR_FUNCTION_FAILED, mech->name);
  hf_err e = hf_buf_add(point, bytes, len);
  OPENSSL_free(bytes);
  return e;
}

static hf_err make_like(const struct mech *mech, EVP_PKEY *other, EVP_PKEY **ret_key)
{
  HF_CLEANUP(ecdh_ctx_free) EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(crypto_ctx(), other, NULL);
  if (!ctx || EVP_PKEY_keygen_init(ctx) != 1 || EVP_PKEY_generate(ctx, ret_key) != 1)
    return crypto_fail(HF_ERR_FUNCTION_FAILED, mech->name);
  return HF_OK;
}

hf_err ecdh_begin_ephemeral(const struct mech *mech, EVP_PKEY *peer, bool cofactor, struct hf_buf *point,
                            EVP_PKEY_CTX **ret_ctx)
{
  HF_CLEANUP(ecdh_ctx_free) EVP_PKEY_CTX *ctx = NULL;
  EVP_PKEY *key = NULL;
  HF_TRY(make_like(mech, peer, &key));
  hf_err e = ecdh_begin(mech, key, cofactor, &ctx); /* has a reference of its own */
  if (!hf_failed(e))
    e = ecdh_point(mech, key, point);
  EVP_PKEY_free(key);
  HF_TRY(e);
  HF_TRY(ecdh_set_peer(mech, ctx, peer));
  *ret_ctx = HF_TAKE(ctx);
  return HF_OK;
}

static struct ecdh_kdf kdf_of_params(const CK_ECDH1_DERIVE_PARAMS *params)
{
  return (struct ecdh_kdf){ params->kdf, hf_slice(params->pSharedData, params->ulSharedDataLen) };
}

static void free_key(void *key)
{
  if (!crypto_gone())
    EVP_PKEY_free(key);
}

/* Encapsulation needs the public key later; the point of either tells how long a ciphertext is. */
static hf_err prepare_kem(struct op *op, const struct op_key *key, bool cofactor)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf point = HF_BUF(ECDH_POINT_MAX);
  HF_TRY(ecdh_point(op->mech, key->pkey, &point));
  op->out_len = point.len;
  if (op->kind == OP_DECAPSULATE)
    return ecdh_begin(op->mech, key->pkey, cofactor, &op->key_ctx);
  if (EVP_PKEY_up_ref(key->pkey) != 1)
    return crypto_fail(HF_ERR_FUNCTION_FAILED, op->mech->name);
  op->state = key->pkey;
  op->free_state = free_key;
  return HF_OK;
}

static hf_err prepare(struct op *op, const struct op_key *key, const CK_MECHANISM *m)
{
  (void)m;
  CK_ECDH1_DERIVE_PARAMS params;
  if (op->param_len != sizeof(params))
    return hf_fail(HF_ERR_MECHANISM_PARAM_INVALID, "%s needs CK_ECDH1_DERIVE_PARAMS", op->mech->name);
  memcpy(&params, op->param, sizeof(params));
  bool cofactor = op->mech->type == CKM_ECDH1_COFACTOR_DERIVE;
  struct ecdh_kdf kdf = kdf_of_params(&params);
  struct hf_slice point;
  op->once = true;
  HF_TRY(ecdh_check_kdf(op->mech, &kdf));
  HF_TRY(kdf_bytes(op->mech, params.pPublicData, params.ulPublicDataLen, ECDH_POINT_MAX, &point));
  if (op->kind != OP_DERIVE)
    return point.len ? kdf_bad_param(op->mech, "the other side's point is the ciphertext")
                     : prepare_kem(op, key, cofactor);
  HF_TRY(ecdh_begin(op->mech, key->pkey, cofactor, &op->key_ctx));
  return ecdh_set_point(op->mech, op->key_ctx, object_attrs(op->object), point);
}

static hf_err derive(struct op *op, size_t len, struct hf_buf *out)
{
  CK_ECDH1_DERIVE_PARAMS params;
  memcpy(&params, op->param, sizeof(params));
  struct ecdh_kdf kdf = kdf_of_params(&params);
  return ecdh_agree(op->mech, op->key_ctx, &kdf, len, out);
}

static hf_err encapsulate(struct op *op, uint8_t *ret_ciphertext, size_t len, struct hf_buf *secret)
{
  HF_CLEANUP(ecdh_ctx_free) EVP_PKEY_CTX *ctx = NULL;
  HF_CLEANUP(hf_buf_free) struct hf_buf point = HF_BUF(ECDH_POINT_MAX);
  CK_ECDH1_DERIVE_PARAMS params;
  memcpy(&params, op->param, sizeof(params));
  struct ecdh_kdf kdf = kdf_of_params(&params);
  HF_TRY(ecdh_begin_ephemeral(op->mech, op->state, op->mech->type == CKM_ECDH1_COFACTOR_DERIVE, &point, &ctx));
  if (point.len != op->out_len)
    return hf_fail(HF_ERR_INTERNAL, "%s: a point of %zu bytes", op->mech->name, point.len);
  HF_TRY(ecdh_agree(op->mech, ctx, &kdf, len, secret));
  memcpy(ret_ciphertext, point.data, point.len);
  return HF_OK;
}

/* A point that is none, or makes no secret, is a wrong ciphertext. */
static hf_err decapsulate(struct op *op, struct hf_slice ciphertext, size_t len, struct hf_buf *secret)
{
  CK_ECDH1_DERIVE_PARAMS params;
  memcpy(&params, op->param, sizeof(params));
  struct ecdh_kdf kdf = kdf_of_params(&params);
  hf_err e = ecdh_set_point(op->mech, op->key_ctx, object_attrs(op->object), ciphertext);
  if (!hf_failed(e))
    e = ecdh_agree(op->mech, op->key_ctx, &kdf, len, secret);
  return e.code == HF_ERR_MECHANISM_PARAM_INVALID ? hf_fail(HF_ERR_WRAPPED_KEY_INVALID, "%s", op->mech->name) : e;
}

const struct mech_ops mech_ecdh = {
  .prepare = prepare, .derive = derive, .encapsulate = encapsulate, .decapsulate = decapsulate
};
