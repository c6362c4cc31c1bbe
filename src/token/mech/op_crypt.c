/* SPDX-License-Identifier: Apache-2.0 */
/* What operations yield bytes as they go: encryption and its like (PKCS #11 v3.2, section 5.2, on sizes). */
#include "token/mech/op.h"

#include "token/session.h"

static hf_err too_small(CK_ULONG room, size_t needed)
{
  return hf_fail(HF_ERR_BUFFER_TOO_SMALL, "%lu bytes where %zu are needed", room, needed);
}

/* Before sizes, too: what they follow from is of this message then. */
static hf_err start(struct op *op)
{
  if (op->started)
    return HF_OK;
  op->started = true;
  return op->mech->ops->start ? op->mech->ops->start(op) : HF_OK;
}

static hf_err check_part(const struct op *op, struct hf_slice in)
{
  if (in.len <= OP_PART_MAX)
    return HF_OK;
  return hf_fail(op->kind == OP_DECRYPT || op->kind == OP_UNWRAP ? HF_ERR_ENCRYPTED_DATA_LEN_RANGE
                                                                 : HF_ERR_DATA_LEN_RANGE,
                 "%s: %zu bytes at once", op->mech->name, in.len);
}

/* Hands out what lies in op->result, or says how much room it needs. */
static hf_err give_result(struct op *op, void *out, CK_ULONG *out_len)
{
  CK_ULONG room = *out_len;
  size_t len = op->result.len;
  *out_len = len;
  if (!out)
    return HF_OK;
  if (room < len)
    return too_small(room, len);
  if (len)
    memcpy(out, op->result.data, len);
  hf_buf_free(&op->result);
  op->has_result = false;
  op->active = false;
  return HF_OK;
}

/* The end of the message where the caller's room may not do: how long the result is shows once it is there. */
static hf_err conclude_aside(struct op *op, struct hf_slice in, size_t most, void *out, CK_ULONG *out_len)
{
  uint8_t *room;
  size_t len = 0;
  hf_buf_free(&op->result);
  op->result.max = OP_RESULT_MAX;
  hf_err e = hf_buf_reserve(&op->result, most, &room);
  if (!hf_failed(e))
    e = op->mech->ops->crypt(op, in, true, room, &len);
  if (hf_failed(e)) {
    op->active = false;
    return e;
  }
  hf_buf_commit(&op->result, len);
  op->has_result = true;
  return give_result(op, out, out_len);
}

static hf_err conclude(struct op *op, struct hf_slice in, void *out, CK_ULONG *out_len)
{
  size_t most = op->mech->ops->crypt_size(op, in.len, true), len = 0;
  if (!out) {
    *out_len = most;
    return HF_OK;
  }
  if (*out_len < most)
    return conclude_aside(op, in, most, out, out_len);
  op->active = false;
  HF_TRY(op->mech->ops->crypt(op, in, true, out, &len));
  *out_len = len;
  return HF_OK;
}

hf_err op_crypt_run(struct op *op, struct hf_slice in, void *out, CK_ULONG *out_len)
{
  hf_err e = check_part(op, in);
  /* Each call has the whole message, so a result for which there was no room is made anew. */
  if (op->has_result)
    op->started = op->has_result = false;
  if (!hf_failed(e))
    e = start(op);
  if (hf_failed(e)) {
    op->active = false;
    return e;
  }
  return conclude(op, in, out, out_len);
}

static hf_err start_parts(struct op *op)
{
  if (!op->mech->ops->crypt_parts)
    return hf_fail(HF_ERR_FUNCTION_NOT_SUPPORTED, "%s works in one part only", op->mech->name);
  return start(op);
}

static hf_err add_part(struct op *op, struct hf_slice in, void *out, CK_ULONG *out_len)
{
  CK_ULONG room = *out_len;
  size_t len = 0;
  HF_TRY(check_part(op, in));
  size_t most = op->mech->ops->crypt_size(op, in.len, false);
  *out_len = most;
  if (!out)
    return HF_OK;
  if (room < most)
    return too_small(room, most);
  op->updated = true;
  HF_TRY(op->mech->ops->crypt(op, in, false, out, &len));
  *out_len = len;
  return HF_OK;
}

hf_err op_crypt_update(struct session *session, enum op_kind kind, struct hf_slice in, void *out, CK_ULONG *out_len)
{
  struct op *op = &session->ops[kind];
  HF_TRY(op_need_active(session, kind));
  /* One more part would go to another message under the same IV. */
  hf_err e = op->has_result ? hf_fail(HF_ERR_OPERATION_ACTIVE, "the message has ended, and its result waits")
                            : start_parts(op);
  if (!hf_failed(e))
    e = add_part(op, in, out, out_len);
  if (hf_failed(e) && e.code != HF_ERR_BUFFER_TOO_SMALL)
    op->active = false;
  return e;
}

hf_err op_crypt_finish(struct op *op, void *out, CK_ULONG *out_len)
{
  if (op->has_result)
    return give_result(op, out, out_len);
  hf_err e = start_parts(op);
  if (hf_failed(e)) {
    op->active = false;
    return e;
  }
  return conclude(op, hf_slice(NULL, 0), out, out_len);
}
