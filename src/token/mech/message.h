/* SPDX-License-Identifier: Apache-2.0 */
/* What signature schemes share that take the message itself, not its hash: EdDSA, ML-DSA, SLH-DSA. */
#ifndef HF_TOKEN_MECH_MESSAGE_H
#define HF_TOKEN_MECH_MESSAGE_H

#include "token/mech/op.h"

enum { MESSAGE_CONTEXT_MAX = 255, MESSAGE_PARAMS_MAX = 4 };

/* At the head of op->state, or all of it, or there is none: what libcrypto is told with each message. */
struct message {
  OSSL_PARAM params[MESSAGE_PARAMS_MAX + 1];
  size_t count;
  uint8_t context[MESSAGE_CONTEXT_MAX];
  size_t context_len;
};

/* Makes op->state, which is op's. */
hf_err mech_message_new(struct op *op, struct message **ret_message);
/* What libcrypto does not know of it ignores: ask mech_message_knows first. */
void mech_message_add(struct message *message, OSSL_PARAM param);
/* Fails with MECHANISM_PARAM_INVALID. Copies the context. */
hf_err mech_message_context(struct op *op, struct message *message, const CK_BYTE *context, CK_ULONG len);
/* Whether the scheme of this name has a parameter of that name. */
bool mech_message_knows(const char *scheme, const char *param);

/* op->md_ctx and op->out_len; the state is complete. */
hf_err mech_message_prepare(struct op *op, EVP_PKEY *key);

/* Verbs of struct mech_ops. */
hf_err mech_message_start(struct op *op);
hf_err mech_message_sign(struct op *op, struct hf_slice input, uint8_t *ret_signature);
hf_err mech_message_verify(struct op *op, struct hf_slice input, struct hf_slice signature);

#endif
