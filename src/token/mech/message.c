/* SPDX-License-Identifier: Apache-2.0 */
#include "token/mech/message.h"

#include "token/crypto.h"

hf_err mech_message_new(struct op *op, struct message **ret_message)
{
  op->free_state = free;
  op->state = calloc(1, sizeof(struct message));
  if (!op->state)
    return hf_fail(HF_ERR_NO_MEMORY, "%s", op->mech->name);
  *ret_message = op->state;
  return HF_OK;
}

void mech_message_add(struct message *message, OSSL_PARAM param)
{
  if (message->count < MESSAGE_PARAMS_MAX)
    message->params[message->count++] = param;
}

hf_err mech_message_context(struct op *op, struct message *message, const CK_BYTE *context, CK_ULONG len)
{
  if (len > MESSAGE_CONTEXT_MAX || (len && !context))
    return hf_fail(HF_ERR_MECHANISM_PARAM_INVALID, "%s: a context of %lu bytes", op->mech->name, len);
  if (len)
    memcpy(message->context, context, len);
  message->context_len = len;
  /* Where the parameter points, something else may stand the next time. */
  op->once = len > 0;
  return HF_OK;
}

bool mech_message_knows(const char *scheme, const char *param)
{
  EVP_SIGNATURE *signature = EVP_SIGNATURE_fetch(crypto_ctx(), scheme, NULL);
  const OSSL_PARAM *settable = signature ? EVP_SIGNATURE_settable_ctx_params(signature) : NULL;
  bool knows = settable && OSSL_PARAM_locate_const(settable, param);
  EVP_SIGNATURE_free(signature);
  return knows;
}

/* key NULL: the one that the context has. */
static hf_err init(struct op *op, EVP_PKEY *key)
{
  const struct message *message = op->state;
  const OSSL_PARAM *params = message && message->count ? message->params : NULL;
  if ((op->kind == OP_SIGN ? EVP_DigestSignInit_ex : EVP_DigestVerifyInit_ex)(op->md_ctx, NULL, NULL, crypto_ctx(),
                                                                              NULL, key, params) != 1)
    return crypto_fail(HF_ERR_FUNCTION_FAILED, op->mech->name);
  return HF_OK;
}

hf_err mech_message_prepare(struct op *op, EVP_PKEY *key)
{
  op->out_len = (size_t)EVP_PKEY_get_size(key);
  op->md_ctx = EVP_MD_CTX_new();
  return op->md_ctx ? init(op, key) : hf_fail(HF_ERR_NO_MEMORY, "%s", op->mech->name);
}

/* One context serves one message. */
hf_err mech_message_start(struct op *op)
{
  return init(op, NULL);
}

hf_err mech_message_sign(struct op *op, struct hf_slice input, uint8_t *ret_signature)
{
  size_t len = op->out_len;
  if (EVP_DigestSign(op->md_ctx, ret_signature, &len, input.data, input.len) != 1)
    return crypto_fail(HF_ERR_FUNCTION_FAILED, op->mech->name);
  return HF_OK;
}

hf_err mech_message_verify(struct op *op, struct hf_slice input, struct hf_slice signature)
{
  if (EVP_DigestVerify(op->md_ctx, signature.data, signature.len, input.data, input.len) != 1)
    return hf_fail(HF_ERR_SIGNATURE_INVALID, "%s", op->mech->name);
  return HF_OK;
}
