/* SPDX-License-Identifier: Apache-2.0 */
/* What sessions do with their operations besides: two at once, a signature that comes first, a digest's state. */
#ifndef HF_TOKEN_MECH_OP_MORE_H
#define HF_TOKEN_MECH_OP_MORE_H

#include "token/mech/op.h"

/* The plaintext also goes to the operation beside: OP_DIGEST, OP_SIGN; OP_DIGEST, OP_VERIFY. Where the result has no room, neither sees it. */
hf_err op_encrypt_and(struct session *session, enum op_kind beside, struct hf_slice in, void *out, CK_ULONG *out_len);
hf_err op_decrypt_and(struct session *session, enum op_kind beside, struct hf_slice in, void *out, CK_ULONG *out_len);

/* A secret key's value is hashed. Fails with KEY_HANDLE_INVALID, KEY_INDIGESTIBLE. */
hf_err op_digest_key(struct session *session, CK_OBJECT_HANDLE key);

/* C_VerifySignature...: the signature is known before the message. */
hf_err op_verify_signature_begin(struct session *session, const CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key,
                                 struct hf_slice signature);
hf_err op_verify_signature(struct session *session, struct hf_slice in);
hf_err op_verify_signature_finish(struct session *session);

/*
 * A digest's state (C_GetOperationState). libcrypto does not hand it out, so it stays here, and what the program gets is the name
 * that it has here: good in any session of this process until C_Finalize, or until OP_STATES_MAX others were saved. Fails with
 * OPERATION_NOT_INITIALIZED, and with STATE_UNSAVEABLE where another operation than a digest is active.
 */
enum { OP_STATES_MAX = 256 };
hf_err op_state_save(struct session *session, void *out, CK_ULONG *out_len);
/* Fails with SAVED_STATE_INVALID, and with KEY_NOT_NEEDED where a key is given. */
hf_err op_state_restore(struct session *session, struct hf_slice state, CK_OBJECT_HANDLE cipher_key,
                        CK_OBJECT_HANDLE sign_key);
void op_states_start(void);
void op_states_stop(void);

#endif
