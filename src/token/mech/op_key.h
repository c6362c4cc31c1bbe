/* SPDX-License-Identifier: Apache-2.0 */
/* Keys that leave the token under another key, or come in under one (PKCS #11 v3.2, section 5.18). Each call is an operation whole. */
#ifndef HF_TOKEN_MECH_OP_KEY_H
#define HF_TOKEN_MECH_OP_KEY_H

#include "token/mech/op.h"

/*
 * A secret key as its value, a private key as PKCS #8. Fails with KEY_HANDLE_INVALID (also where the wrapping key's
 * CKA_WRAP_TEMPLATE is not met), KEY_UNEXTRACTABLE, KEY_NOT_WRAPPABLE, KEY_SIZE_RANGE, and of the wrapping key with
 * WRAPPING_KEY_....
 */
hf_err op_wrap(struct session *session, const CK_MECHANISM *mechanism, CK_OBJECT_HANDLE wrapping, CK_OBJECT_HANDLE key,
               void *out, CK_ULONG *out_len);
/* The mechanism's parameter is a message's, by the verb message_param: the tag goes there, and a nonce that the token made. */
hf_err op_wrap_authenticated(struct session *session, const CK_MECHANISM *mechanism, CK_OBJECT_HANDLE wrapping,
                             CK_OBJECT_HANDLE key, struct hf_slice aad, void *out, CK_ULONG *out_len);

struct op_wrapped {
  struct hf_slice key;
  struct hf_slice aad;
};

/* Fails with WRAPPED_KEY_INVALID, WRAPPED_KEY_LEN_RANGE, TEMPLATE_INCONSISTENT (also of the unwrapping key's CKA_UNWRAP_TEMPLATE), as
 * policy_make, and of the unwrapping key with UNWRAPPING_KEY_.... */
hf_err op_unwrap(struct session *session, const CK_MECHANISM *mechanism, CK_OBJECT_HANDLE unwrapping,
                 struct hf_slice wrapped, const CK_ATTRIBUTE *tmpl, CK_ULONG count, CK_OBJECT_HANDLE *ret_handle);
hf_err op_unwrap_authenticated(struct session *session, const CK_MECHANISM *mechanism, CK_OBJECT_HANDLE unwrapping,
                               const struct op_wrapped *wrapped, const CK_ATTRIBUTE *tmpl, CK_ULONG count,
                               CK_OBJECT_HANDLE *ret_handle);

/* A secret key that both sides get; a generic secret where the template does not say. The size of what goes to the other side is known
 * before: a size query and BUFFER_TOO_SMALL make nothing. */
hf_err op_encapsulate(struct session *session, const CK_MECHANISM *mechanism, CK_OBJECT_HANDLE public_key,
                      const CK_ATTRIBUTE *tmpl, CK_ULONG count, void *out, CK_ULONG *out_len,
                      CK_OBJECT_HANDLE *ret_handle);
hf_err op_decapsulate(struct session *session, const CK_MECHANISM *mechanism, CK_OBJECT_HANDLE private_key,
                      const CK_ATTRIBUTE *tmpl, CK_ULONG count, struct hf_slice in, CK_OBJECT_HANDLE *ret_handle);

#endif
