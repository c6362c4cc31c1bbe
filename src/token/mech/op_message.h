/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Several messages with one key and mechanism (PKCS #11 v3.2, sections 5.9, 5.11, 5.14, 5.16). The operation stays until
 * message_final, whatever becomes of a message. param.mechanism is not looked at: param is the message's own parameter.
 */
#ifndef HF_TOKEN_MECH_OP_MESSAGE_H
#define HF_TOKEN_MECH_OP_MESSAGE_H

#include "token/mech/op.h"

/* OP_MESSAGE_ENCRYPT, OP_MESSAGE_DECRYPT: by the verbs message_param and message_tag. A tag that is wrong is AEAD_DECRYPT_FAILED. */
hf_err message_crypt_init(struct session *session, enum op_kind kind, const CK_MECHANISM *mechanism,
                          CK_OBJECT_HANDLE key);
hf_err message_crypt(struct session *session, enum op_kind kind, const CK_MECHANISM *param, struct hf_slice aad,
                     struct hf_slice in, void *out, CK_ULONG *out_len);
hf_err message_crypt_begin(struct session *session, enum op_kind kind, const CK_MECHANISM *param, struct hf_slice aad);
hf_err message_crypt_next(struct session *session, enum op_kind kind, const CK_MECHANISM *param, struct hf_slice in,
                          void *out, CK_ULONG *out_len, bool last);

/* OP_MESSAGE_SIGN, OP_MESSAGE_VERIFY: the parameter is the one that the operation began with, a message has none of its own. */
hf_err message_apply(struct session *session, enum op_kind kind, const CK_MECHANISM *param, struct hf_slice in,
                     void *other, CK_ULONG *other_len);
hf_err message_apply_begin(struct session *session, enum op_kind kind, const CK_MECHANISM *param);
/* other_len NULL: more parts follow. */
hf_err message_apply_next(struct session *session, enum op_kind kind, const CK_MECHANISM *param, struct hf_slice in,
                          void *other, CK_ULONG *other_len);

hf_err message_final(struct session *session, enum op_kind kind);

/* The CKF_MESSAGE_... that C_GetMechanismInfo adds to a row's flags. */
CK_FLAGS message_flags(const struct mech *mech);

#endif
