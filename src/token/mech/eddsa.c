/* SPDX-License-Identifier: Apache-2.0 */
/* EdDSA (PKCS #11 v3.0, section 2.3.14) without a parameter: pure Ed25519 of a message in one part. */
#include "token/mech/mech.h"

#include "token/crypto.h"

/* One context serves one message; key NULL makes it ready for one more with the same key. */
static hf_err start(struct op *op, enum op_kind kind, EVP_PKEY *key)
{
  if ((kind == OP_SIGN ? EVP_DigestSignInit_ex : EVP_DigestVerifyInit_ex)(op->md_ctx, NULL, NULL, crypto_ctx(), NULL,
                                                                          key, NULL) != 1)
    return crypto_fail(HF_ERR_FUNCTION_FAILED, op->mech->name);
  return HF_OK;
}

static hf_err prepare(struct op *op, enum op_kind kind, EVP_PKEY *key, const CK_MECHANISM *m)
{
  HF_TRY(op_no_param(op, m));
  op->out_len = (size_t)EVP_PKEY_get_size(key);
  op->md_ctx = EVP_MD_CTX_new();
  return op->md_ctx ? start(op, kind, key) : hf_fail(HF_ERR_NO_MEMORY, "%s", op->mech->name);
}

static hf_err sign(struct op *op, struct hf_slice input, uint8_t *ret_signature)
{
  size_t len = op->out_len;
  HF_TRY(start(op, OP_SIGN, NULL));
  if (EVP_DigestSign(op->md_ctx, ret_signature, &len, input.data, input.len) != 1)
    return crypto_fail(HF_ERR_FUNCTION_FAILED, op->mech->name);
  return HF_OK;
}

static hf_err verify(struct op *op, struct hf_slice input, struct hf_slice signature)
{
  HF_TRY(start(op, OP_VERIFY, NULL));
  if (EVP_DigestVerify(op->md_ctx, signature.data, signature.len, input.data, input.len) != 1)
    return hf_fail(HF_ERR_SIGNATURE_INVALID, "%s", op->mech->name);
  return HF_OK;
}

const struct mech_ops mech_eddsa = { .prepare = prepare, .sign = sign, .verify = verify };
