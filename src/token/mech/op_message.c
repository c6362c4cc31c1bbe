/* SPDX-License-Identifier: Apache-2.0 */
#include "token/mech/op_message.h"

#include "token/session.h"

CK_FLAGS message_flags(const struct mech *mech)
{
  CK_FLAGS flags = 0;
  if (mech->info.flags & CKF_SIGN)
    flags |= CKF_MESSAGE_SIGN | CKF_MULTI_MESSAGE;
  if (mech->info.flags & CKF_VERIFY)
    flags |= CKF_MESSAGE_VERIFY | CKF_MULTI_MESSAGE;
  return mech->info.flags & CKF_MESSAGE_ENCRYPT ? flags | CKF_MULTI_MESSAGE : flags;
}

hf_err message_crypt_init(struct session *session, enum op_kind kind, const CK_MECHANISM *m, CK_OBJECT_HANDLE key)
{
  const struct mech *mech = m ? mech_find(m->mechanism) : NULL;
  if (m && !(mech && mech->ops->message_param))
    return hf_fail(HF_ERR_MECHANISM_INVALID, "mechanism 0x%lx is not for messages", m->mechanism);
  return op_begin_messages(session, kind, m, key);
}

static hf_err too_small(CK_ULONG room, size_t needed)
{
  return hf_fail(HF_ERR_BUFFER_TOO_SMALL, "%lu bytes where %zu are needed", room, needed);
}

/* True where the caller has its answer already. */
static bool answer_size(size_t needed, const void *out, CK_ULONG *out_len, hf_err *ret_answer)
{
  CK_ULONG room = *out_len;
  if (out && room >= needed)
    return false;
  *out_len = needed;
  *ret_answer = out ? too_small(room, needed) : HF_OK;
  return true;
}

static hf_err need_message(const struct session *session, enum op_kind kind, bool begun)
{
  HF_TRY(op_need_active(session, kind));
  if (session->ops[kind].message == begun)
    return HF_OK;
  return begun ? hf_fail(HF_ERR_OPERATION_NOT_INITIALIZED, "no message has begun")
               : hf_fail(HF_ERR_OPERATION_ACTIVE, "a message has begun");
}

/* A part of a message, or its rest with the tag; out has room for it. */
static hf_err crypt_message(struct op *op, const CK_MECHANISM *param, struct hf_slice in, bool last, void *out,
                            CK_ULONG *out_len)
{
  size_t len = 0;
  if (last)
    HF_TRY(op->mech->ops->message_tag(op, param->pParameter, param->ulParameterLen));
  hf_err e = op->mech->ops->crypt(op, in, last, out, &len);
  if (e.code == HF_ERR_ENCRYPTED_DATA_INVALID)
    return hf_fail(HF_ERR_AEAD_DECRYPT_FAILED, "%s", op->mech->name);
  HF_TRY(e);
  *out_len = len;
  return HF_OK;
}

static hf_err check_part(const struct op *op, struct hf_slice in)
{
  return in.len <= OP_PART_MAX ? HF_OK
                               : hf_fail(HF_ERR_DATA_LEN_RANGE, "%s: %zu bytes at once", op->mech->name, in.len);
}

hf_err message_crypt(struct session *session, enum op_kind kind, const CK_MECHANISM *param, struct hf_slice aad,
                     struct hf_slice in, void *out, CK_ULONG *out_len)
{
  struct op *op = &session->ops[kind];
  hf_err answer;
  HF_TRY(need_message(session, kind, false));
  HF_TRY(check_part(op, in));
  /* Without its tag, a message is as long as its text. */
  if (answer_size(in.len, out, out_len, &answer))
    return answer;
  HF_TRY(op->mech->ops->message_param(op, param->pParameter, param->ulParameterLen, aad));
  return crypt_message(op, param, in, true, out, out_len);
}

hf_err message_crypt_begin(struct session *session, enum op_kind kind, const CK_MECHANISM *param, struct hf_slice aad)
{
  struct op *op = &session->ops[kind];
  HF_TRY(need_message(session, kind, false));
  HF_TRY(op->mech->ops->message_param(op, param->pParameter, param->ulParameterLen, aad));
  op->message = true;
  return HF_OK;
}

hf_err message_crypt_next(struct session *session, enum op_kind kind, const CK_MECHANISM *param, struct hf_slice in,
                          void *out, CK_ULONG *out_len, bool last)
{
  struct op *op = &session->ops[kind];
  hf_err answer;
  HF_TRY(need_message(session, kind, true));
  HF_TRY(check_part(op, in));
  if (answer_size(op->mech->ops->crypt_size(op, in.len, last), out, out_len, &answer))
    return answer;
  hf_err e = crypt_message(op, param, in, last, out, out_len);
  if (last || hf_failed(e))
    op->message = false;
  return e;
}

static hf_err no_param(const struct op *op, const CK_MECHANISM *param)
{
  if (param->ulParameterLen)
    return hf_fail(HF_ERR_MECHANISM_PARAM_INVALID, "%s: a message has no parameter of its own", op->mech->name);
  return HF_OK;
}

/* A message is the end of an operation, but not of the one that it belongs to. */
static hf_err next_message(struct op *op, hf_err e)
{
  op->active = true;
  op->authenticated = false;
  op->updated = false;
  op->message = false;
  return e;
}

hf_err message_apply(struct session *session, enum op_kind kind, const CK_MECHANISM *param, struct hf_slice in,
                     void *other, CK_ULONG *other_len)
{
  struct op *op = &session->ops[kind];
  hf_err answer;
  HF_TRY(need_message(session, kind, false));
  HF_TRY(no_param(op, param));
  if (op->kind == OP_SIGN && answer_size(op->out_len, other, other_len, &answer))
    return answer;
  return next_message(op, op_run(session, kind, in, other, other_len));
}

hf_err message_apply_begin(struct session *session, enum op_kind kind, const CK_MECHANISM *param)
{
  struct op *op = &session->ops[kind];
  HF_TRY(need_message(session, kind, false));
  HF_TRY(no_param(op, param));
  op->message = true;
  return HF_OK;
}

hf_err message_apply_next(struct session *session, enum op_kind kind, const CK_MECHANISM *param, struct hf_slice in,
                          void *other, CK_ULONG *other_len)
{
  struct op *op = &session->ops[kind];
  hf_err answer;
  HF_TRY(need_message(session, kind, true));
  HF_TRY(no_param(op, param));
  if (other_len && op->kind == OP_SIGN && answer_size(op->out_len, other, other_len, &answer))
    return answer;
  hf_err e = op_update(session, kind, in);
  if (!hf_failed(e) && !other_len)
    return HF_OK;
  return next_message(op, hf_failed(e) ? e : op_finish(session, kind, other, other_len));
}

hf_err message_final(struct session *session, enum op_kind kind)
{
  struct op *op = &session->ops[kind];
  if (!op->active)
    return hf_fail(HF_ERR_OPERATION_NOT_INITIALIZED, "session 0x%lx", session->handle);
  if (op->message)
    return hf_fail(HF_ERR_OPERATION_ACTIVE, "a message has begun");
  op->active = false;
  return HF_OK;
}
