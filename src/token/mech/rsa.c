/* SPDX-License-Identifier: Apache-2.0 */
/* RSA signatures: PKCS #1 v1.5 (the caller gives the DigestInfo, or a hashing mechanism makes it), PSS, and bare (X.509). */
#include "token/mech/rsa.h"

#include "token/crypto.h"
#include "token/key.h"

#include <openssl/rsa.h>

hf_err mech_rsa_begin(struct op *op, EVP_PKEY *key, int padding)
{
  CK_ULONG bits = (CK_ULONG)EVP_PKEY_get_bits(key);
  if (bits < op->mech->info.ulMinKeySize || bits > op->mech->info.ulMaxKeySize)
    return hf_fail(HF_ERR_KEY_SIZE_RANGE, "%s with a key of %lu bits", op->mech->name, bits);
  op->out_len = (size_t)EVP_PKEY_get_size(key);
  HF_TRY(op_key_ctx(op, key));
  if (EVP_PKEY_CTX_set_rsa_padding(op->key_ctx, padding) != 1)
    return crypto_fail(HF_ERR_FUNCTION_FAILED, op->mech->name);
  return HF_OK;
}

static hf_err set_md(struct op *op)
{
  return !op->md || EVP_PKEY_CTX_set_signature_md(op->key_ctx, op->md) == 1
             ? HF_OK
             : crypto_fail(HF_ERR_FUNCTION_FAILED, op->mech->name);
}

/* What was encrypted comes with its padding: libcrypto's own removal of it tells how it failed. */
static hf_err prepare_pkcs(struct op *op, const struct op_key *key, const CK_MECHANISM *m)
{
  bool decrypts = op->kind == OP_DECRYPT || op->kind == OP_UNWRAP;
  HF_TRY(op_no_param(op, m));
  HF_TRY(mech_rsa_begin(op, key->pkey, decrypts ? RSA_NO_PADDING : RSA_PKCS1_PADDING));
  return op->kind == OP_UNWRAP ? mech_rsa_reject_prepare(op, key->pkey) : set_md(op);
}

static hf_err prepare_x509(struct op *op, const struct op_key *key, const CK_MECHANISM *m)
{
  HF_TRY(op_no_param(op, m));
  return mech_rsa_begin(op, key->pkey, RSA_NO_PADDING);
}

static hf_err prepare_pss(struct op *op, const struct op_key *key, const CK_MECHANISM *m)
{
  CK_RSA_PKCS_PSS_PARAMS params;
  HF_TRY(op_param(op, m, "CK_RSA_PKCS_PSS_PARAMS", &params, sizeof(params)));
  const char *hash = mech_hash_name(params.hashAlg), *mgf = mech_mgf_name(params.mgf);
  if (!hash || !mgf || (op->mech->digest && strcmp(op->mech->digest, hash) != 0))
    return hf_fail(HF_ERR_MECHANISM_PARAM_INVALID, "%s: hash 0x%lx, MGF 0x%lx", op->mech->name, params.hashAlg,
                   params.mgf);
  op->md = crypto_md(hash);
  HF_TRY(mech_rsa_begin(op, key->pkey, RSA_PKCS1_PSS_PADDING));
  HF_TRY(set_md(op));
  size_t room = op->out_len - 2 - (size_t)EVP_MD_get_size(op->md);
  if (params.sLen > room || EVP_PKEY_CTX_set_rsa_pss_saltlen(op->key_ctx, (int)params.sLen) != 1 ||
      EVP_PKEY_CTX_set_rsa_mgf1_md(op->key_ctx, crypto_md(mgf)) != 1)
    return hf_fail(HF_ERR_MECHANISM_PARAM_INVALID, "%s: a salt of %lu bytes", op->mech->name, params.sLen);
  return HF_OK;
}

static hf_err check_input(const struct op *op, struct hf_slice input)
{
  bool fits = op->md ? input.len == (size_t)EVP_MD_get_size(op->md) : input.len + RSA_PKCS1_OVERHEAD <= op->out_len;
  return fits ? HF_OK : hf_fail(HF_ERR_DATA_LEN_RANGE, "%s: %zu bytes", op->mech->name, input.len);
}

hf_err mech_rsa_sign(struct op *op, struct hf_slice input, uint8_t *ret_signature)
{
  size_t len = op->out_len;
  HF_TRY(check_input(op, input));
  if (EVP_PKEY_sign(op->key_ctx, ret_signature, &len, input.data, input.len) != 1)
    return crypto_fail(HF_ERR_FUNCTION_FAILED, op->mech->name);
  return HF_OK;
}

hf_err mech_rsa_verify(struct op *op, struct hf_slice input, struct hf_slice signature)
{
  HF_TRY(check_input(op, input));
  if (EVP_PKEY_verify(op->key_ctx, signature.data, signature.len, input.data, input.len) != 1)
    return hf_fail(HF_ERR_SIGNATURE_INVALID, "%s", op->mech->name);
  return HF_OK;
}

hf_err mech_rsa_block(const struct op *op, struct hf_slice input, uint8_t block[RSA_BLOCK_MAX])
{
  if (input.len > op->out_len)
    return hf_fail(HF_ERR_DATA_LEN_RANGE, "%s: %zu bytes", op->mech->name, input.len);
  size_t lead = op->out_len - input.len;
  memset(block, 0, lead);
  if (input.len)
    memcpy(block + lead, input.data, input.len);
  return HF_OK;
}

/* The number as it is: one that is not below the modulus is the one thing that may be wrong with it. */
static hf_err sign_x509(struct op *op, struct hf_slice input, uint8_t *ret_signature)
{
  uint8_t block[RSA_BLOCK_MAX];
  size_t len = op->out_len;
  HF_TRY(mech_rsa_block(op, input, block));
  int rc = EVP_PKEY_sign(op->key_ctx, ret_signature, &len, block, op->out_len);
  hf_wipe(block, sizeof(block));
  return rc == 1 ? HF_OK : crypto_fail(HF_ERR_DATA_INVALID, op->mech->name);
}

static hf_err verify_x509(struct op *op, struct hf_slice input, struct hf_slice signature)
{
  uint8_t block[RSA_BLOCK_MAX];
  HF_TRY(mech_rsa_block(op, input, block));
  if (EVP_PKEY_verify(op->key_ctx, signature.data, signature.len, block, op->out_len) != 1)
    return hf_fail(HF_ERR_SIGNATURE_INVALID, "%s", op->mech->name);
  return HF_OK;
}

hf_err mech_rsa_recover(struct op *op, struct hf_slice signature, uint8_t *ret_out, size_t *ret_len)
{
  uint8_t block[RSA_BLOCK_MAX];
  size_t len = sizeof(block);
  if (signature.len != op->out_len)
    return hf_fail(HF_ERR_SIGNATURE_LEN_RANGE, "%zu bytes where %zu are needed", signature.len, op->out_len);
  if (EVP_PKEY_verify_recover(op->key_ctx, block, &len, signature.data, signature.len) != 1)
    return hf_fail(HF_ERR_SIGNATURE_INVALID, "%s", op->mech->name);
  memcpy(ret_out, block, len);
  *ret_len = len;
  return HF_OK;
}

static hf_err crypt_x509(struct op *op, struct hf_slice in, bool last, uint8_t *ret_out, size_t *ret_len)
{
  (void)last;
  *ret_len = op->out_len;
  if (op->kind == OP_SIGN_RECOVER)
    return sign_x509(op, in, ret_out);
  if (op->kind == OP_VERIFY_RECOVER)
    return mech_rsa_recover(op, in, ret_out, ret_len);
  return mech_rsa_crypt_x509(op, in, ret_out);
}

const struct mech_ops mech_rsa_pkcs = {
  .prepare = prepare_pkcs,
  .sign = mech_rsa_sign,
  .verify = mech_rsa_verify,
  .crypt = mech_rsa_crypt_pkcs,
  .crypt_size = mech_rsa_crypt_size,
};
const struct mech_ops mech_rsa_x509 = {
  .prepare = prepare_x509,
  .sign = sign_x509,
  .verify = verify_x509,
  .crypt = crypt_x509,
  .crypt_size = mech_rsa_crypt_size,
};
const struct mech_ops mech_rsa_pss = { .prepare = prepare_pss, .sign = mech_rsa_sign, .verify = mech_rsa_verify };

/* Odd, at least 3, at most 64 bits: what libcrypto takes with a modulus of any size. */
static hf_err check_exponent(struct hf_slice exponent)
{
  while (exponent.len && *exponent.data == 0)
    exponent = hf_slice(exponent.data + 1, exponent.len - 1);
  bool good = exponent.len > 0 && exponent.len <= 8 && exponent.data[exponent.len - 1] & 1 &&
              (exponent.len > 1 || exponent.data[0] > 1);
  return good ? HF_OK : hf_fail(HF_ERR_ATTRIBUTE_VALUE_INVALID, "CKA_PUBLIC_EXPONENT");
}

static hf_err generate(const struct mech *mech, const CK_MECHANISM *mechanism, struct attr_halves *public,
                       struct attr_halves *private)
{
  (void)mechanism;
  static const uint8_t f4[] = { 1, 0, 1 };
  struct hf_slice exponent;
  CK_ULONG bits = attrs_ulong(&public->open, CKA_MODULUS_BITS, 0);
  if (bits == 0)
    return hf_fail(HF_ERR_TEMPLATE_INCOMPLETE, "CKA_MODULUS_BITS is missing");
  if (bits < mech->info.ulMinKeySize || bits > mech->info.ulMaxKeySize)
    return hf_fail(HF_ERR_KEY_SIZE_RANGE, "RSA of %lu bits", bits);
  if (!attrs_get(&public->open, CKA_PUBLIC_EXPONENT, &exponent)) {
    exponent = hf_slice(f4, sizeof(f4));
    HF_TRY(attrs_set(&public->open, CKA_PUBLIC_EXPONENT, exponent));
  }
  HF_TRY(check_exponent(exponent));
  return key_generate_rsa(bits, exponent, public, private);
}

const struct mech_ops mech_rsa_keygen = { .generate_pair = generate };
