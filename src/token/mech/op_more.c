/* SPDX-License-Identifier: Apache-2.0 */
#include "token/mech/op_more.h"

#include "token/session.h"

enum { SIGNATURE_MAX = 1 << 17 };

hf_err op_encrypt_and(struct session *session, enum op_kind beside, struct hf_slice in, void *out, CK_ULONG *out_len)
{
  CK_ULONG needed = 0, room = *out_len;
  HF_TRY(op_need_active(session, OP_ENCRYPT));
  HF_TRY(op_need_active(session, beside));
  HF_TRY(op_crypt_update(session, OP_ENCRYPT, in, NULL, &needed));
  /* The text is read first: encryption may be in place. */
  if (out && room >= needed)
    HF_TRY(op_update(session, beside, in));
  return op_crypt_update(session, OP_ENCRYPT, in, out, out_len);
}

hf_err op_decrypt_and(struct session *session, enum op_kind beside, struct hf_slice in, void *out, CK_ULONG *out_len)
{
  HF_TRY(op_need_active(session, OP_DECRYPT));
  HF_TRY(op_need_active(session, beside));
  HF_TRY(op_crypt_update(session, OP_DECRYPT, in, out, out_len));
  return out ? op_update(session, beside, hf_slice(out, *out_len)) : HF_OK;
}

hf_err op_digest_key(struct session *session, CK_OBJECT_HANDLE key)
{
  HF_CLEANUP(object_unrefp) struct object *object = NULL;
  HF_CLEANUP(attrs_free) struct attrs secret = ATTRS_EMPTY;
  struct hf_slice value = { 0 };
  bool is_token;
  HF_TRY(op_need_active(session, OP_DIGEST));
  hf_err e = token_object(session->token, key, &object, &is_token);
  if (e.code == HF_ERR_OBJECT_HANDLE_INVALID)
    return hf_fail(HF_ERR_KEY_HANDLE_INVALID, "no key has this handle");
  HF_TRY(e);
  if (object_kind(object).class != CKO_SECRET_KEY)
    return hf_fail(HF_ERR_KEY_INDIGESTIBLE, "an object of class 0x%lx", object_kind(object).class);
  HF_TRY(token_secret(session->token, object, &secret));
  (void)attrs_get(&secret, CKA_VALUE, &value);
  return op_update(session, OP_DIGEST, value);
}

hf_err op_verify_signature_begin(struct session *session, const CK_MECHANISM *m, CK_OBJECT_HANDLE key,
                                 struct hf_slice signature)
{
  HF_TRY(op_begin(session, OP_VERIFY_SIGNATURE, m, key));
  struct op *op = &session->ops[OP_VERIFY_SIGNATURE];
  hf_buf_free(&session->signature);
  if (!m)
    return HF_OK;
  session->signature.max = SIGNATURE_MAX;
  hf_err e = signature.len == op->out_len
                 ? hf_buf_add(&session->signature, signature.data, signature.len)
                 : hf_fail(HF_ERR_SIGNATURE_LEN_RANGE, "%zu bytes where %zu are needed", signature.len, op->out_len);
  if (hf_failed(e))
    op->active = false;
  return e;
}

hf_err op_verify_signature(struct session *session, struct hf_slice in)
{
  CK_ULONG len = session->signature.len;
  return op_run(session, OP_VERIFY_SIGNATURE, in, session->signature.data, &len);
}

hf_err op_verify_signature_finish(struct session *session)
{
  CK_ULONG len = session->signature.len;
  return op_finish(session, OP_VERIFY_SIGNATURE, session->signature.data, &len);
}
