/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RSA encryption (PKCS #11 v3.0, sections 2.1.6 to 2.1.8): PKCS #1 v1.5, OAEP and bare. That a padding was wrong is all that a caller
 * may learn, from the answer as from its time (RFC 8017, sections 7.1.2 and 7.2.2).
 */
#include "token/mech/rsa.h"

#include "token/crypto.h"

#include <openssl/rsa.h>

enum { OAEP_LABEL_MAX = 4096 };

static hf_err check_encrypted(const struct op *op, struct hf_slice input)
{
  return input.len == op->out_len
             ? HF_OK
             : hf_fail(HF_ERR_ENCRYPTED_DATA_LEN_RANGE, "%zu bytes where %zu are needed", input.len, op->out_len);
}

static hf_err not_valid(const struct op *op)
{
  return hf_fail(HF_ERR_ENCRYPTED_DATA_INVALID, "%s", op->mech->name);
}

static hf_err encrypt(struct op *op, struct hf_slice input, uint8_t *ret_out, size_t *ret_len)
{
  size_t len = op->out_len, overhead = op->md ? 2 + 2 * (size_t)EVP_MD_get_size(op->md) : RSA_PKCS1_OVERHEAD;
  if (input.len + overhead > op->out_len)
    return hf_fail(HF_ERR_DATA_LEN_RANGE, "%s: %zu bytes", op->mech->name, input.len);
  if (EVP_PKEY_encrypt(op->key_ctx, ret_out, &len, input.data, input.len) != 1)
    return crypto_fail(HF_ERR_FUNCTION_FAILED, op->mech->name);
  *ret_len = len;
  return HF_OK;
}

/* All ones where a is 0, else 0; a < 2^31. */
static uint32_t mask_if_zero(uint32_t a)
{
  return 0U - ((a - 1) >> 31);
}

/*
 * 00 02, at least eight bytes that are not 0, 00, the message. Looks at every byte in the same way. Gives where the message
 * begins; 0 where the padding is wrong.
 */
static uint32_t message_start(const uint8_t *block, uint32_t len)
{
  uint32_t good = mask_if_zero(block[0]) & mask_if_zero(block[1] ^ 2U), zero = 0, found = 0;
  for (uint32_t i = 2; i < len; i++) {
    uint32_t first = mask_if_zero(block[i]) & ~found;
    zero |= first & i;
    found |= first;
  }
  uint32_t short_padding = 0U - ((zero - (RSA_PKCS1_OVERHEAD - 1)) >> 31);
  return good & found & ~short_padding & (zero + 1);
}

static hf_err decrypt_pkcs(struct op *op, struct hf_slice input, uint8_t *ret_out, size_t *ret_len)
{
  uint8_t block[RSA_BLOCK_MAX];
  size_t len = sizeof(block);
  HF_TRY(check_encrypted(op, input));
  /* A number that is too large for the modulus is the one thing that may fail here, and it is no secret. */
  if (EVP_PKEY_decrypt(op->key_ctx, block, &len, input.data, input.len) != 1)
    return not_valid(op);
  uint32_t start = message_start(block, (uint32_t)len);
  if (start) {
    *ret_len = len - start;
    memcpy(ret_out, block + start, len - start);
  }
  hf_wipe(block, sizeof(block));
  return start ? HF_OK : not_valid(op);
}

/* A key from outside tells nothing of its padding: a wrong one yields another key, at the same cost (rsa_reject.c). */
static hf_err unwrap_pkcs(struct op *op, struct hf_slice input, uint8_t *ret_out, size_t *ret_len)
{
  uint8_t block[RSA_BLOCK_MAX], other[RSA_BLOCK_MAX];
  size_t len = sizeof(block);
  uint32_t start, other_start = 0;
  HF_TRY(check_encrypted(op, input));
  if (EVP_PKEY_decrypt(op->key_ctx, block, &len, input.data, input.len) != 1)
    return not_valid(op);
  HF_TRY(mech_rsa_reject(op, input, other, (uint32_t)len, &other_start));
  start = message_start(block, (uint32_t)len);
  uint32_t wrong = mask_if_zero(start);
  for (size_t i = 0; i < len; i++)
    block[i] = (uint8_t)((block[i] & ~wrong) | (other[i] & wrong));
  start |= other_start & wrong;
  *ret_len = len - start;
  memcpy(ret_out, block + start, len - start);
  hf_wipe(block, sizeof(block));
  hf_wipe(other, sizeof(other));
  return HF_OK;
}

static hf_err decrypt_oaep(struct op *op, struct hf_slice input, uint8_t *ret_out, size_t *ret_len)
{
  size_t len = op->out_len;
  HF_TRY(check_encrypted(op, input));
  if (EVP_PKEY_decrypt(op->key_ctx, ret_out, &len, input.data, input.len) != 1)
    return not_valid(op);
  *ret_len = len;
  return HF_OK;
}

static bool set_label(EVP_PKEY_CTX *ctx, const void *label, size_t len)
{
  uint8_t *copy = len ? OPENSSL_memdup(label, len) : NULL;
  if (len && !copy)
    return false;
  if (!copy || EVP_PKEY_CTX_set0_rsa_oaep_label(ctx, copy, (int)len) == 1)
    return true;
  OPENSSL_free(copy);
  return false;
}

hf_err mech_rsa_prepare_oaep(struct op *op, const struct op_key *key, const CK_MECHANISM *m)
{
  CK_RSA_PKCS_OAEP_PARAMS params;
  HF_TRY(op_param(op, m, "CK_RSA_PKCS_OAEP_PARAMS", &params, sizeof(params)));
  const char *hash = mech_hash_name(params.hashAlg), *mgf = mech_mgf_name(params.mgf);
  size_t label = params.ulSourceDataLen;
  /* Without a label some callers leave the source's type out. */
  bool source = params.source == CKZ_DATA_SPECIFIED || (params.source == 0 && label == 0);
  if (!hash || !mgf || !source || label > OAEP_LABEL_MAX || (label && !params.pSourceData))
    return hf_fail(HF_ERR_MECHANISM_PARAM_INVALID, "%s: hash 0x%lx, MGF 0x%lx, source 0x%lx of %zu bytes",
                   op->mech->name, params.hashAlg, params.mgf, params.source, label);
  op->once = label > 0;
  op->md = crypto_md(hash);
  HF_TRY(mech_rsa_begin(op, key->pkey, RSA_PKCS1_OAEP_PADDING));
  if (EVP_PKEY_CTX_set_rsa_oaep_md(op->key_ctx, op->md) != 1 ||
      EVP_PKEY_CTX_set_rsa_mgf1_md(op->key_ctx, crypto_md(mgf)) != 1 ||
      !set_label(op->key_ctx, params.pSourceData, label))
    return crypto_fail(HF_ERR_FUNCTION_FAILED, op->mech->name);
  return HF_OK;
}

size_t mech_rsa_crypt_size(const struct op *op, size_t in_len, bool last)
{
  (void)in_len;
  (void)last;
  return op->out_len;
}

static hf_err sign_recover(struct op *op, struct hf_slice input, uint8_t *ret_out, size_t *ret_len)
{
  *ret_len = op->out_len;
  return mech_rsa_sign(op, input, ret_out);
}

typedef hf_err (*crypt_fn)(struct op *op, struct hf_slice in, uint8_t *ret_out, size_t *ret_len);

hf_err mech_rsa_crypt_pkcs(struct op *op, struct hf_slice in, bool last, uint8_t *ret_out, size_t *ret_len)
{
  static const crypt_fn by_kind[OP_KINDS] = {
    [OP_ENCRYPT] = encrypt,    [OP_DECRYPT] = decrypt_pkcs,      [OP_WRAP] = encrypt,
    [OP_UNWRAP] = unwrap_pkcs, [OP_SIGN_RECOVER] = sign_recover, [OP_VERIFY_RECOVER] = mech_rsa_recover,
  };
  (void)last; /* it is all in one part */
  return by_kind[op->kind](op, in, ret_out, ret_len);
}

hf_err mech_rsa_crypt_oaep(struct op *op, struct hf_slice in, bool last, uint8_t *ret_out, size_t *ret_len)
{
  (void)last;
  return (op_encrypts(op) ? encrypt : decrypt_oaep)(op, in, ret_out, ret_len);
}

hf_err mech_rsa_crypt_x509(struct op *op, struct hf_slice in, uint8_t *ret_out)
{
  uint8_t block[RSA_BLOCK_MAX];
  size_t len = op->out_len;
  bool encrypts = op_encrypts(op);
  if (!encrypts)
    HF_TRY(check_encrypted(op, in));
  HF_TRY(mech_rsa_block(op, in, block));
  int rc = (encrypts ? EVP_PKEY_encrypt : EVP_PKEY_decrypt)(op->key_ctx, ret_out, &len, block, op->out_len);
  hf_wipe(block, sizeof(block));
  return rc == 1 ? HF_OK : encrypts ? crypto_fail(HF_ERR_DATA_INVALID, op->mech->name) : not_valid(op);
}

const struct mech_ops mech_rsa_oaep = { .prepare = mech_rsa_prepare_oaep,
                                        .crypt = mech_rsa_crypt_oaep,
                                        .crypt_size = mech_rsa_crypt_size };
