/* SPDX-License-Identifier: Apache-2.0 */
/* EdDSA (PKCS #11 v3.0, section 2.3.14) without a parameter: pure Ed25519 of a message in one part. */
#include "token/mech/op.h"

#include "token/crypto.h"

/* key NULL: the one that the context has. */
static hf_err init(struct op *op, EVP_PKEY *key)
{
  if ((op->kind == OP_SIGN ? EVP_DigestSignInit_ex : EVP_DigestVerifyInit_ex)(op->md_ctx, NULL, NULL, crypto_ctx(),
                                                                              NULL, key, NULL) != 1)
    return crypto_fail(HF_ERR_FUNCTION_FAILED, op->mech->name);
  return HF_OK;
}

static hf_err prepare(struct op *op, const struct op_key *key, const CK_MECHANISM *m)
{
  HF_TRY(op_no_param(op, m));
  op->out_len = (size_t)EVP_PKEY_get_size(key->pkey);
  op->md_ctx = EVP_MD_CTX_new();
  return op->md_ctx ? init(op, key->pkey) : hf_fail(HF_ERR_NO_MEMORY, "%s", op->mech->name);
}

/* One context serves one message. */
static hf_err start(struct op *op)
{
  return init(op, NULL);
}

static hf_err sign(struct op *op, struct hf_slice input, uint8_t *ret_signature)
{
  size_t len = op->out_len;
  if (EVP_DigestSign(op->md_ctx, ret_signature, &len, input.data, input.len) != 1)
    return crypto_fail(HF_ERR_FUNCTION_FAILED, op->mech->name);
  return HF_OK;
}

static hf_err verify(struct op *op, struct hf_slice input, struct hf_slice signature)
{
  if (EVP_DigestVerify(op->md_ctx, signature.data, signature.len, input.data, input.len) != 1)
    return hf_fail(HF_ERR_SIGNATURE_INVALID, "%s", op->mech->name);
  return HF_OK;
}

const struct mech_ops mech_eddsa = { .prepare = prepare, .start = start, .sign = sign, .verify = verify };
