/* SPDX-License-Identifier: Apache-2.0 */
#include "token/complete.h"
#include "token/mech/op.h"
#include "token/session.h"

/* The new object's halves, all but its value; and of how many bytes that shall be, 0 where the template does not say. */
static hf_err derived_halves(const struct op *op, const CK_ATTRIBUTE *tmpl, CK_ULONG count, bool so,
                             struct attr_halves *halves, size_t *ret_len)
{
  struct kind kind;
  HF_TRY(policy_kind(tmpl, count, POLICY_NOTHING_REQUIRED, NULL, &kind));
  if (kind.class != CKO_SECRET_KEY)
    return hf_fail(HF_ERR_TEMPLATE_INCONSISTENT, "%s makes a CKO_SECRET_KEY", op->mech->name);
  struct making making = { .origin = ORIGIN_DERIVE, .kind = kind, .so = so };
  HF_TRY(policy_make(&making, tmpl, count, halves));
  HF_TRY(policy_inherit(object_attrs(op->object), &halves->open));
  *ret_len = attrs_ulong(&halves->open, CKA_VALUE_LEN, 0);
  return HF_OK;
}

static hf_err derive(struct session *session, struct op *op, const CK_ATTRIBUTE *tmpl, CK_ULONG count,
                     CK_OBJECT_HANDLE *ret_handle)
{
  HF_CLEANUP(attr_halves_free) struct attr_halves halves = { ATTRS_EMPTY, ATTRS_EMPTY };
  HF_CLEANUP(hf_buf_free) struct hf_buf value = HF_BUF(ATTRS_MAX_BYTES);
  bool so = token_login_state(session->token) == LOGIN_SO;
  size_t len = 0;
  HF_TRY(derived_halves(op, tmpl, count, so, &halves, &len));
  HF_TRY(op->mech->ops->derive(op, len, &value));
  HF_TRY(attrs_set(&halves.secret, CKA_VALUE, hf_slice(value.data, value.len)));
  HF_TRY(complete_object(policy_kind_of(&halves.open), &halves));
  return token_add(session->token, session_access(session), &halves, 1, ret_handle);
}

hf_err op_derive(struct session *session, const CK_MECHANISM *m, CK_OBJECT_HANDLE base, const CK_ATTRIBUTE *tmpl,
                 CK_ULONG count, CK_OBJECT_HANDLE *ret_handle)
{
  struct op *op = &session->ops[OP_DERIVE];
  HF_TRY(op_begin(session, OP_DERIVE, m, base));
  hf_err e = op_need_active(session, OP_DERIVE);
  if (!hf_failed(e))
    e = derive(session, op, tmpl, count, ret_handle);
  op_free(op);
  return e;
}
