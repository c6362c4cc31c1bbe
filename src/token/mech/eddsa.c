/* SPDX-License-Identifier: Apache-2.0 */
/*
 * EdDSA (PKCS #11 v3.2, section 6.3.15): without a parameter the curve's pure scheme, as RFC 8410 has it; with one, RFC 8032's
 * five. Contexts and prehashing came with OpenSSL 3.2.
 */
#include "token/mech/message.h"

#define PARAM_INSTANCE "instance"
#define PARAM_CONTEXT "context-string"

/* Ed25519 with a context is another scheme than without; Ed448 always has one, if only an empty one (RFC 8032, section 5). */
static const struct {
  const char *key;
  bool prehash;
  bool context; /* it has one that is not empty */
  const char *instance;
} schemes[] = {
  { "ED25519", false, true, "Ed25519ctx" }, { "ED25519", true, false, "Ed25519ph" },
  { "ED25519", true, true, "Ed25519ph" },   { "ED448", false, false, "Ed448" },
  { "ED448", false, true, "Ed448" },        { "ED448", true, false, "Ed448ph" },
  { "ED448", true, true, "Ed448ph" },
};

static const char *find_scheme(EVP_PKEY *key, const struct hf_ck_eddsa_params *params)
{
  bool prehash = params->phFlag, context = params->ulContextDataLen > 0;
  for (size_t i = 0; i < HF_ARRAY_LEN(schemes); i++)
    if (EVP_PKEY_is_a(key, schemes[i].key) && schemes[i].prehash == prehash && schemes[i].context == context)
      return schemes[i].instance;
  return NULL;
}

static hf_err set_scheme(struct op *op, EVP_PKEY *key, const struct hf_ck_eddsa_params *params)
{
  struct message *message;
  const char *instance = find_scheme(key, params), *scheme = EVP_PKEY_get0_type_name(key);
  if (!instance)
    return hf_fail(HF_ERR_MECHANISM_PARAM_INVALID, "%s: Ed25519ctx wants a context; pure Ed25519 takes no parameter",
                   op->mech->name);
  /* Pure Ed448 is what the key does by itself. */
  if (!params->phFlag && !params->ulContextDataLen)
    return HF_OK;
  if (!mech_message_knows(scheme, PARAM_INSTANCE) || !mech_message_knows(scheme, PARAM_CONTEXT))
    return hf_fail(HF_ERR_MECHANISM_PARAM_INVALID, "%s: %s wants OpenSSL 3.2", op->mech->name, instance);
  HF_TRY(mech_message_new(op, &message));
  HF_TRY(mech_message_context(op, message, params->pContextData, params->ulContextDataLen));
  mech_message_add(message, OSSL_PARAM_construct_utf8_string(PARAM_INSTANCE, (char *)(uintptr_t)instance, 0));
  mech_message_add(message, OSSL_PARAM_construct_octet_string(PARAM_CONTEXT, message->context, message->context_len));
  return HF_OK;
}

static hf_err prepare(struct op *op, const struct op_key *key, const CK_MECHANISM *m)
{
  struct hf_ck_eddsa_params params;
  if (m->ulParameterLen) {
    HF_TRY(op_param(op, m, "CK_EDDSA_PARAMS", &params, sizeof(params)));
    HF_TRY(set_scheme(op, key->pkey, &params));
  }
  return mech_message_prepare(op, key->pkey);
}

const struct mech_ops mech_eddsa = {
  .prepare = prepare,
  .start = mech_message_start,
  .sign = mech_message_sign,
  .verify = mech_message_verify,
  .gather = true,
};
