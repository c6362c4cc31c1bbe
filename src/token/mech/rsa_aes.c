/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CKM_RSA_AES_KEY_WRAP (PKCS #11 v3.0, section 2.1.22): a fresh AES key, wrapped by OAEP, and behind it the key that it wraps
 * (RFC 5649). So an RSA key wraps what is longer than itself.
 */
#include "token/mech/rsa.h"

#include "token/crypto.h"
#include "token/mech/kwp.h"

static hf_err prepare(struct op *op, const struct op_key *key, const CK_MECHANISM *m)
{
  struct hf_ck_rsa_aes_key_wrap_params params;
  HF_TRY(op_param(op, m, "CK_RSA_AES_KEY_WRAP_PARAMS", &params, sizeof(params)));
  if (!params.pOAEPParams)
    return hf_fail(HF_ERR_MECHANISM_PARAM_INVALID, "%s needs CK_RSA_PKCS_OAEP_PARAMS, too", op->mech->name);
  CK_MECHANISM oaep = { CKM_RSA_PKCS_OAEP, params.pOAEPParams, sizeof(*params.pOAEPParams) };
  HF_TRY(mech_rsa_prepare_oaep(op, key, &oaep));
  op->once = true;
  if (!kwp_cipher(params.ulAESKeyBits))
    return hf_fail(HF_ERR_MECHANISM_PARAM_INVALID, "%s: an AES key of %lu bits", op->mech->name, params.ulAESKeyBits);
  op->cipher_ctx = EVP_CIPHER_CTX_new();
  return op->cipher_ctx ? HF_OK : hf_fail(HF_ERR_NO_MEMORY, "%s", op->mech->name);
}

static const EVP_CIPHER *cipher_of(const struct op *op)
{
  struct hf_ck_rsa_aes_key_wrap_params params;
  memcpy(&params, op->param, sizeof(params));
  return kwp_cipher(params.ulAESKeyBits);
}

static size_t aes_len(const struct op *op)
{
  return (size_t)EVP_CIPHER_get_key_length(cipher_of(op));
}

static hf_err wrap(struct op *op, struct hf_slice in, uint8_t *ret_out, size_t *ret_len)
{
  uint8_t aes[KWP_AES_MAX];
  size_t len;
  HF_CLEANUP(hf_buf_free) struct hf_buf wrapped = HF_BUF(OP_RESULT_MAX);
  HF_TRY(crypto_random(aes, sizeof(aes)));
  bool done = kwp_run(op->cipher_ctx, cipher_of(op), aes, true, in, &wrapped);
  hf_err e = done ? mech_rsa_crypt_oaep(op, hf_slice(aes, aes_len(op)), true, ret_out, &len)
                  : crypto_fail(HF_ERR_FUNCTION_FAILED, op->mech->name);
  hf_wipe(aes, sizeof(aes));
  HF_TRY(e);
  memcpy(ret_out + op->out_len, wrapped.data, wrapped.len);
  *ret_len = op->out_len + wrapped.len;
  return HF_OK;
}

/* Whichever of the two layers is wrong, it is one answer: without the first, a random key does for the second. */
static hf_err unwrap(struct op *op, struct hf_slice in, uint8_t *ret_out, size_t *ret_len)
{
  uint8_t aes[RSA_BLOCK_MAX];
  size_t len = 0;
  HF_CLEANUP(hf_buf_free) struct hf_buf key = HF_BUF(OP_RESULT_MAX);
  if (in.len < op->out_len + KWP_LEAST || (in.len - op->out_len) % KWP_BLOCK)
    return hf_fail(HF_ERR_ENCRYPTED_DATA_LEN_RANGE, "%s: %zu bytes", op->mech->name, in.len);
  bool good =
      !hf_failed(mech_rsa_crypt_oaep(op, hf_slice(in.data, op->out_len), true, aes, &len)) && len == aes_len(op);
  if (!good)
    HF_TRY(crypto_random(aes, KWP_AES_MAX));
  struct hf_slice rest = hf_slice(in.data + op->out_len, in.len - op->out_len);
  good = kwp_run(op->cipher_ctx, cipher_of(op), aes, false, rest, &key) && good;
  hf_wipe(aes, sizeof(aes));
  if (!good)
    return hf_fail(HF_ERR_ENCRYPTED_DATA_INVALID, "%s", op->mech->name);
  memcpy(ret_out, key.data, key.len);
  *ret_len = key.len;
  return HF_OK;
}

static hf_err wrap_or_unwrap(struct op *op, struct hf_slice in, bool last, uint8_t *ret_out, size_t *ret_len)
{
  (void)last;
  return (op->kind == OP_WRAP ? wrap : unwrap)(op, in, ret_out, ret_len);
}

const struct mech_ops mech_rsa_aes = { .prepare = prepare, .crypt = wrap_or_unwrap, .crypt_size = kwp_crypt_size };
