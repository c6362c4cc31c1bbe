/* SPDX-License-Identifier: Apache-2.0 */
#include "token/complete.h"
#include "token/mech/op_key.h"
#include "token/secret_key.h"
#include "token/session.h"

static hf_err make_halves(struct session *session, const struct op *op, const CK_ATTRIBUTE *tmpl, CK_ULONG count,
                          struct attr_halves *halves)
{
  static const struct kind generic = { CKO_SECRET_KEY, CKK_GENERIC_SECRET };
  CK_ATTRIBUTE_TYPE required = op->kind == OP_ENCAPSULATE ? CKA_ENCAPSULATE_TEMPLATE : CKA_DECAPSULATE_TEMPLATE;
  enum login login = token_login_state(session->token);
  struct making making = { .origin = ORIGIN_UNWRAP, .so = login == LOGIN_SO };
  (void)attrs_get(object_attrs(op->object), required, &making.required);
  HF_TRY(policy_kind(tmpl, count, making.required, &generic, &making.kind));
  if (making.kind.class != CKO_SECRET_KEY)
    return hf_fail(HF_ERR_TEMPLATE_INCONSISTENT, "%s makes a CKO_SECRET_KEY", op->mech->name);
  HF_TRY(policy_make(&making, tmpl, count, halves));
  if (attrs_true(&halves->open, CKA_PRIVATE) && login != LOGIN_USER)
    return hf_fail(HF_ERR_USER_NOT_LOGGED_IN, "a private key");
  return HF_OK;
}

/* What the template or the key's type says; 0: neither does. */
static size_t wanted_len(const struct attr_halves *halves)
{
  return attrs_ulong(&halves->open, CKA_VALUE_LEN, secret_key_length(policy_kind_of(&halves->open).key_type));
}

static hf_err add_key(struct session *session, const struct op *op, struct hf_slice secret, struct attr_halves *halves,
                      CK_OBJECT_HANDLE *ret_handle)
{
  if (attrs_ulong(&halves->open, CKA_VALUE_LEN, secret.len) != secret.len)
    return hf_fail(HF_ERR_TEMPLATE_INCONSISTENT, "%s makes %zu bytes", op->mech->name, secret.len);
  HF_TRY(attrs_set(&halves->secret, CKA_VALUE, secret));
  hf_err e = complete_object(policy_kind_of(&halves->open), halves);
  if (e.code == HF_ERR_ATTRIBUTE_VALUE_INVALID)
    return hf_fail(HF_ERR_TEMPLATE_INCONSISTENT, "%s", hf_err_context());
  HF_TRY(e);
  return token_add(session->token, session_access(session), halves, 1, ret_handle);
}

static hf_err encapsulate(struct session *session, struct op *op, const CK_ATTRIBUTE *tmpl, CK_ULONG count, void *out,
                          CK_ULONG *out_len, CK_OBJECT_HANDLE *ret_handle)
{
  uint8_t *ciphertext;
  CK_ULONG room = *out_len;
  HF_CLEANUP(attr_halves_free) struct attr_halves halves = ATTR_HALVES_EMPTY;
  HF_CLEANUP(hf_buf_free) struct hf_buf secret = HF_BUF(ATTRS_MAX_BYTES), sealed = HF_BUF(OP_RESULT_MAX);
  HF_TRY(op_need_active(session, OP_ENCAPSULATE));
  *out_len = op->out_len;
  if (!out)
    return HF_OK;
  if (room < op->out_len)
    return hf_fail(HF_ERR_BUFFER_TOO_SMALL, "%lu bytes where %zu are needed", room, op->out_len);
  HF_TRY(make_halves(session, op, tmpl, count, &halves));
  HF_TRY(hf_buf_reserve(&sealed, op->out_len, &ciphertext));
  HF_TRY(op->mech->ops->encapsulate(op, ciphertext, wanted_len(&halves), &secret));
  hf_buf_commit(&sealed, op->out_len);
  HF_TRY(add_key(session, op, hf_slice(secret.data, secret.len), &halves, ret_handle));
  memcpy(out, sealed.data, sealed.len);
  return HF_OK;
}

static hf_err decapsulate(struct session *session, struct op *op, const CK_ATTRIBUTE *tmpl, CK_ULONG count,
                          struct hf_slice in, CK_OBJECT_HANDLE *ret_handle)
{
  HF_CLEANUP(attr_halves_free) struct attr_halves halves = ATTR_HALVES_EMPTY;
  HF_CLEANUP(hf_buf_free) struct hf_buf secret = HF_BUF(ATTRS_MAX_BYTES);
  HF_TRY(op_need_active(session, OP_DECAPSULATE));
  if (in.len != op->out_len)
    return hf_fail(HF_ERR_WRAPPED_KEY_LEN_RANGE, "%s: %zu bytes where %zu are needed", op->mech->name, in.len,
                   op->out_len);
  HF_TRY(make_halves(session, op, tmpl, count, &halves));
  HF_TRY(op->mech->ops->decapsulate(op, in, wanted_len(&halves), &secret));
  return add_key(session, op, hf_slice(secret.data, secret.len), &halves, ret_handle);
}

hf_err op_encapsulate(struct session *session, const CK_MECHANISM *m, CK_OBJECT_HANDLE public_key,
                      const CK_ATTRIBUTE *tmpl, CK_ULONG count, void *out, CK_ULONG *out_len,
                      CK_OBJECT_HANDLE *ret_handle)
{
  struct op *op = &session->ops[OP_ENCAPSULATE];
  HF_TRY(op_begin(session, OP_ENCAPSULATE, m, public_key));
  hf_err e = encapsulate(session, op, tmpl, count, out, out_len, ret_handle);
  op->active = false;
  return e;
}

hf_err op_decapsulate(struct session *session, const CK_MECHANISM *m, CK_OBJECT_HANDLE private_key,
                      const CK_ATTRIBUTE *tmpl, CK_ULONG count, struct hf_slice in, CK_OBJECT_HANDLE *ret_handle)
{
  struct op *op = &session->ops[OP_DECAPSULATE];
  HF_TRY(op_begin(session, OP_DECAPSULATE, m, private_key));
  hf_err e = decapsulate(session, op, tmpl, count, in, ret_handle);
  op->active = false;
  return e;
}
