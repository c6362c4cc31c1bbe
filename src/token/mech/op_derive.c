/* SPDX-License-Identifier: Apache-2.0 */
/* What comes of C_DeriveKey: one object or several, all or none (docs/adr/0025). */
#include "token/complete.h"
#include "token/mech/op.h"
#include "token/secret_key.h"
#include "token/session.h"

#include <assert.h>

static_assert((int)DERIVED_PIECES <= (int)TOKEN_ADD_MAX, "what is derived is added in one step");

static void free_pieces(struct derivation *d)
{
  for (size_t i = 0; i < d->piece_count; i++)
    attr_halves_free(&d->pieces[i].halves);
}

static hf_err new_piece(struct derivation *d, struct derived **ret_piece)
{
  if (d->piece_count == DERIVED_PIECES)
    return hf_fail(HF_ERR_MECHANISM_PARAM_INVALID, "more than %d pieces of one derivation", DERIVED_PIECES);
  *ret_piece = &d->pieces[d->piece_count++];
  **ret_piece = (struct derived){ .halves = { ATTRS_EMPTY, ATTRS_EMPTY } };
  return HF_OK;
}

hf_err derivation_bytes(struct derivation *d, size_t len, void *ret_bytes)
{
  struct derived *piece = NULL;
  HF_TRY(new_piece(d, &piece));
  piece->len = piece->span = len;
  piece->ret_bytes = ret_bytes;
  return HF_OK;
}

/* A data object has no CKA_VALUE_LEN; in a template it says how long the value shall be. */
static hf_err data_len(const CK_ATTRIBUTE *tmpl, CK_ULONG *count, CK_ATTRIBUTE *rest, size_t *ret_len)
{
  CK_ULONG kept = 0;
  for (CK_ULONG i = 0; i < *count; i++) {
    if (tmpl[i].type != CKA_VALUE_LEN) {
      rest[kept++] = tmpl[i];
      continue;
    }
    CK_ULONG len;
    if (tmpl[i].ulValueLen != sizeof(len) || !tmpl[i].pValue)
      return hf_fail(HF_ERR_ATTRIBUTE_VALUE_INVALID, "CKA_VALUE_LEN");
    memcpy(&len, tmpl[i].pValue, sizeof(len));
    *ret_len = len;
  }
  *count = kept;
  return HF_OK;
}

static hf_err make_data(const struct making *making, const CK_ATTRIBUTE *tmpl, CK_ULONG count, struct derived *piece)
{
  CK_ATTRIBUTE *rest = calloc(count + 1, sizeof(*rest));
  if (!rest)
    return hf_fail(HF_ERR_NO_MEMORY, "a template");
  hf_err e = data_len(tmpl, &count, rest, &piece->len);
  if (!hf_failed(e))
    e = policy_make(making, rest, count, &piece->halves);
  free(rest);
  return e;
}

static hf_err check_shown(const struct op *op, const struct object *base, const struct attrs *open)
{
  const struct attrs *from = object_attrs(base);
  if ((attrs_true(from, CKA_SENSITIVE) && !attrs_true(open, CKA_SENSITIVE)) ||
      (!attrs_true(from, CKA_EXTRACTABLE) && attrs_true(open, CKA_EXTRACTABLE)))
    return hf_fail(HF_ERR_TEMPLATE_INCONSISTENT, "%s: the new key would show the base key", op->mech->name);
  return HF_OK;
}

static hf_err make_key(const struct op *op, const struct making *making, const CK_ATTRIBUTE *tmpl, CK_ULONG count,
                       struct derived *piece)
{
  CK_KEY_TYPE type = making->kind.key_type;
  struct attrs *open = &piece->halves.open;
  HF_TRY(policy_make(making, tmpl, count, &piece->halves));
  HF_TRY(policy_inherit(object_attrs(op->object), op->other ? object_attrs(op->other) : NULL, open));
  if (op->mech->shows_base)
    HF_TRY(check_shown(op, op->object, open));
  if (op->mech->shows_base && op->other)
    HF_TRY(check_shown(op, op->other, open));
  piece->len = attrs_ulong(open, CKA_VALUE_LEN, secret_key_length(type));
  if (piece->len && !secret_key_fits(type, piece->len))
    return hf_fail(HF_ERR_TEMPLATE_INCONSISTENT, "%zu bytes for a key of type 0x%lx", piece->len, type);
  return HF_OK;
}

hf_err derivation_object(struct op *op, struct derivation *d, const CK_ATTRIBUTE *tmpl, CK_ULONG count,
                         CK_OBJECT_HANDLE *ret_handle)
{
  bool data = op->mech->makes_data;
  struct kind fallback = { data ? CKO_DATA : CKO_SECRET_KEY, CKK_GENERIC_SECRET };
  struct making making = { .origin = ORIGIN_DERIVE, .so = token_login_state(d->session->token) == LOGIN_SO };
  struct derived *piece = NULL;
  if (!ret_handle)
    return hf_fail(HF_ERR_ARGUMENTS_BAD, "%s makes a key: nowhere to put its handle", op->mech->name);
  /* It says what keys are like: data is none. */
  if (!data)
    (void)attrs_get(object_attrs(op->object), CKA_DERIVE_TEMPLATE, &making.required);
  HF_TRY(policy_kind(tmpl, count, making.required, &fallback, &making.kind));
  if (making.kind.class != fallback.class)
    return hf_fail(HF_ERR_TEMPLATE_INCONSISTENT, "%s makes objects of class 0x%lx", op->mech->name, fallback.class);
  HF_TRY(new_piece(d, &piece));
  HF_TRY(data ? make_data(&making, tmpl, count, piece) : make_key(op, &making, tmpl, count, piece));
  if (piece->len > DERIVED_BYTES)
    return hf_fail(HF_ERR_TEMPLATE_INCONSISTENT, "%s: a value of %zu bytes", op->mech->name, piece->len);
  piece->span = piece->len;
  piece->ret_handle = ret_handle;
  return HF_OK;
}

static hf_err plan(struct op *op, struct derivation *d, size_t *ret_len)
{
  HF_TRY(op->mech->ops->plan ? op->mech->ops->plan(op, d) : derivation_object(op, d, d->tmpl, d->count, d->ret_handle));
  size_t len = 0;
  for (size_t i = 0; i < d->piece_count; i++) {
    if (d->pieces[i].len == 0 && d->piece_count > 1)
      return hf_fail(HF_ERR_TEMPLATE_INCOMPLETE, "CKA_VALUE_LEN is missing: %s makes several values", op->mech->name);
    len += d->pieces[i].span;
  }
  if (len > DERIVED_BYTES)
    return hf_fail(HF_ERR_TEMPLATE_INCONSISTENT, "%s: %zu bytes in all", op->mech->name, len);
  *ret_len = len;
  return HF_OK;
}

static hf_err set_value(struct derived *piece, struct hf_slice value)
{
  struct kind kind = policy_kind_of(&piece->halves.open);
  if (kind.class == CKO_DATA)
    return attrs_set(&piece->halves.open, CKA_VALUE, value);
  if (!secret_key_fits(kind.key_type, value.len))
    return hf_fail(HF_ERR_TEMPLATE_INCONSISTENT, "%zu bytes for a key of type 0x%lx", value.len, kind.key_type);
  HF_TRY(attrs_set(&piece->halves.secret, CKA_VALUE, value));
  HF_TRY(secret_key_set_parity(kind.key_type, &piece->halves.secret));
  return complete_object(kind, &piece->halves);
}

/* Each piece gets its part of what was derived; bytes for the caller stay in value. */
static hf_err cut(struct derivation *d, struct hf_slice value)
{
  for (size_t i = 0; i < d->piece_count; i++) {
    struct derived *piece = &d->pieces[i];
    size_t len = piece->len ? piece->len : value.len, span = piece->len ? piece->span : value.len;
    if (span > value.len)
      return hf_fail(HF_ERR_INTERNAL, "a derivation of %zu bytes where %zu are needed", value.len, span);
    if (!piece->ret_bytes)
      HF_TRY(set_value(piece, hf_slice(value.data, len)));
    value = hf_slice(value.data + span, value.len - span);
  }
  return HF_OK;
}

static hf_err add_objects(struct derivation *d)
{
  struct attr_halves halves[DERIVED_PIECES];
  CK_OBJECT_HANDLE handles[DERIVED_PIECES];
  size_t count = 0;
  for (size_t i = 0; i < d->piece_count; i++)
    if (d->pieces[i].ret_handle)
      halves[count++] = d->pieces[i].halves;
  hf_err e = count ? token_add(d->session->token, session_access(d->session), halves, count, handles) : HF_OK;
  count = 0;
  for (size_t i = 0; i < d->piece_count; i++) {
    if (!d->pieces[i].ret_handle)
      continue;
    d->pieces[i].halves = halves[count];
    if (!hf_failed(e))
      *d->pieces[i].ret_handle = handles[count];
    count++;
  }
  return e;
}

static void give_bytes(const struct derivation *d, struct hf_slice value)
{
  for (size_t i = 0; i < d->piece_count; i++) {
    if (d->pieces[i].ret_bytes)
      memcpy(d->pieces[i].ret_bytes, value.data, d->pieces[i].len);
    if (d->piece_count > 1)
      value.data += d->pieces[i].span;
  }
}

static hf_err derive(struct op *op, struct derivation *d)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf value = HF_BUF(2 * DERIVED_BYTES);
  size_t len = 0;
  HF_TRY(plan(op, d, &len));
  HF_TRY(op->mech->ops->derive(op, len, &value));
  HF_TRY(cut(d, hf_slice(value.data, value.len)));
  HF_TRY(add_objects(d));
  give_bytes(d, hf_slice(value.data, value.len));
  return HF_OK;
}

bool op_plans(const CK_MECHANISM *m)
{
  const struct mech *mech = mech_find(m->mechanism);
  return mech && mech->ops->plan;
}

hf_err op_derive(struct session *session, const CK_MECHANISM *m, CK_OBJECT_HANDLE base, const CK_ATTRIBUTE *tmpl,
                 CK_ULONG count, CK_OBJECT_HANDLE *ret_handle)
{
  struct op *op = &session->ops[OP_DERIVE];
  HF_CLEANUP(free_pieces)
  struct derivation d = { .session = session, .tmpl = tmpl, .count = count, .ret_handle = ret_handle };
  HF_TRY(op_begin(session, OP_DERIVE, m, base));
  hf_err e = op_need_active(session, OP_DERIVE);
  if (!hf_failed(e))
    e = derive(op, &d);
  op_free(op);
  return e;
}
