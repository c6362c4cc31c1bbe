/* SPDX-License-Identifier: Apache-2.0 */
/* How an operation begins, and the message of those that sign, verify and hash. */
#include "token/mech/op.h"

#include "token/crypto.h"
#include "token/key.h"
#include "token/session.h"

#include <openssl/err.h>

static const struct {
  CK_FLAGS mech_flag;
  CK_ATTRIBUTE_TYPE usage;
  const char *usage_name;
  CK_OBJECT_CLASS class; /* of the key, where it is one of a pair */
  int (*key_init)(EVP_PKEY_CTX *ctx);
  bool crypts;
} kinds[OP_KINDS] = {
  [OP_SIGN] = { CKF_SIGN, CKA_SIGN, "CKA_SIGN", CKO_PRIVATE_KEY, EVP_PKEY_sign_init },
  [OP_VERIFY] = { CKF_VERIFY, CKA_VERIFY, "CKA_VERIFY", CKO_PUBLIC_KEY, EVP_PKEY_verify_init },
  [OP_DIGEST] = { .mech_flag = CKF_DIGEST },
  [OP_ENCRYPT] = { CKF_ENCRYPT, CKA_ENCRYPT, "CKA_ENCRYPT", CKO_PUBLIC_KEY, EVP_PKEY_encrypt_init, true },
  [OP_DECRYPT] = { CKF_DECRYPT, CKA_DECRYPT, "CKA_DECRYPT", CKO_PRIVATE_KEY, EVP_PKEY_decrypt_init, true },
  [OP_SIGN_RECOVER] = { CKF_SIGN_RECOVER, CKA_SIGN_RECOVER, "CKA_SIGN_RECOVER", CKO_PRIVATE_KEY, EVP_PKEY_sign_init,
                        true },
  [OP_VERIFY_RECOVER] = { CKF_VERIFY_RECOVER, CKA_VERIFY_RECOVER, "CKA_VERIFY_RECOVER", CKO_PUBLIC_KEY,
                          EVP_PKEY_verify_recover_init, true },
  [OP_WRAP] = { CKF_WRAP, CKA_WRAP, "CKA_WRAP", CKO_PUBLIC_KEY, EVP_PKEY_encrypt_init, true },
  [OP_UNWRAP] = { CKF_UNWRAP, CKA_UNWRAP, "CKA_UNWRAP", CKO_PRIVATE_KEY, EVP_PKEY_decrypt_init, true },
  [OP_DERIVE] = { CKF_DERIVE, CKA_DERIVE, "CKA_DERIVE", CKO_PRIVATE_KEY, EVP_PKEY_derive_init },
  [OP_ENCAPSULATE] = { CKF_ENCAPSULATE, CKA_ENCAPSULATE, "CKA_ENCAPSULATE", CKO_PUBLIC_KEY },
  [OP_DECAPSULATE] = { CKF_DECAPSULATE, CKA_DECAPSULATE, "CKA_DECAPSULATE", CKO_PRIVATE_KEY },
};

static enum op_kind known_kind(enum op_kind kind)
{
  static const enum op_kind known[OP_KINDS] = {
    [OP_VERIFY_SIGNATURE] = OP_VERIFY, [OP_MESSAGE_ENCRYPT] = OP_ENCRYPT, [OP_MESSAGE_DECRYPT] = OP_DECRYPT,
    [OP_MESSAGE_SIGN] = OP_SIGN,       [OP_MESSAGE_VERIFY] = OP_VERIFY,
  };
  return kind < OP_VERIFY_SIGNATURE ? kind : known[kind];
}

void op_free(struct op *op)
{
  if (!crypto_gone()) {
    EVP_PKEY_CTX_free(op->key_ctx);
    EVP_MD_CTX_free(op->md_ctx);
    EVP_CIPHER_CTX_free(op->cipher_ctx);
    EVP_MAC_CTX_free(op->mac_ctx);
  }
  if (op->state)
    op->free_state(op->state);
  hf_buf_free(&op->result);
  object_unref(op->object);
  object_unref(op->other);
  *op = (struct op){ 0 };
}

static bool same_mark(struct token_mark a, struct token_mark b)
{
  return a.changes == b.changes && a.local == b.local;
}

static bool same_param(const struct op *op, const CK_MECHANISM *m)
{
  return !op->once && op->param_len == m->ulParameterLen &&
         (op->param_len == 0 || memcmp(op->param, m->pParameter, op->param_len) == 0);
}

static bool same_mechanism(const struct op *op, const CK_MECHANISM *m)
{
  return op->mech && op->mech->type == m->mechanism && (op->mech->ops->set_param || same_param(op, m));
}

/* Whether what the last operation prepared serves this one. */
static bool still_prepared(struct session *session, struct op *op, const CK_MECHANISM *m, CK_OBJECT_HANDLE key)
{
  if (op->handle != key || !same_mechanism(op, m))
    return false;
  if (!op->object)
    return true;
  struct token_mark mark = token_mark(session->token);
  if (same_mark(mark, op->mark))
    return true;
  HF_CLEANUP(object_unrefp) struct object *object = NULL;
  bool is_token;
  if (hf_failed(token_object(session->token, key, &object, &is_token)) || object != op->object)
    return false;
  op->mark = mark;
  return true;
}

static hf_err check_allowed(const struct mech *mech, const struct object *object)
{
  struct hf_slice allowed;
  uint64_t type;
  if (!attrs_get(object_attrs(object), CKA_ALLOWED_MECHANISMS, &allowed) || allowed.len == 0)
    return HF_OK;
  while (!hf_failed(hf_take_u64(&allowed, &type)))
    if (type == mech->type)
      return HF_OK;
  return hf_fail(HF_ERR_MECHANISM_INVALID, "%s is not among the key's CKA_ALLOWED_MECHANISMS", mech->name);
}

static hf_err check_key(enum op_kind kind, const struct mech *mech, const struct object *object)
{
  struct kind have = object_kind(object);
  if ((have.class != kinds[kind].class && have.class != CKO_SECRET_KEY) || !mech_takes(mech, have))
    return hf_fail(HF_ERR_KEY_TYPE_INCONSISTENT, "%s with an object of class 0x%lx, key type 0x%lx", mech->name,
                   have.class, have.key_type);
  if (!attrs_true(object_attrs(object), kinds[kind].usage))
    return hf_fail(HF_ERR_KEY_FUNCTION_NOT_PERMITTED, "%s: the key's %s is false", mech->name, kinds[kind].usage_name);
  return check_allowed(mech, object);
}

static hf_err find_key(struct session *session, CK_OBJECT_HANDLE handle, struct object **ret_object)
{
  bool is_token;
  hf_err e = token_object(session->token, handle, ret_object, &is_token);
  if (e.code == HF_ERR_OBJECT_HANDLE_INVALID)
    return hf_fail(HF_ERR_KEY_HANDLE_INVALID, "no key has this handle");
  return e;
}

hf_err op_key_ctx(struct op *op, EVP_PKEY *key)
{
  op->key_ctx = EVP_PKEY_CTX_new_from_pkey(crypto_ctx(), key, NULL);
  if (!op->key_ctx || kinds[op->kind].key_init(op->key_ctx) != 1)
    return crypto_fail(HF_ERR_FUNCTION_FAILED, op->mech->name);
  return HF_OK;
}

hf_err op_no_param(const struct op *op, const CK_MECHANISM *m)
{
  return m->ulParameterLen ? hf_fail(HF_ERR_MECHANISM_PARAM_INVALID, "%s takes no parameter", op->mech->name) : HF_OK;
}

hf_err op_param(const struct op *op, const CK_MECHANISM *m, const char *what, void *ret_param, size_t len)
{
  if (m->ulParameterLen != len || !m->pParameter)
    return hf_fail(HF_ERR_MECHANISM_PARAM_INVALID, "%s needs %s of %zu bytes", op->mech->name, what, len);
  memcpy(ret_param, m->pParameter, len);
  return HF_OK;
}

bool op_encrypts(const struct op *op)
{
  return op->kind != OP_DECRYPT && op->kind != OP_UNWRAP;
}

static hf_err prepare_key(struct session *session, struct op *op, const CK_MECHANISM *m)
{
  HF_CLEANUP(attrs_free) struct attrs secret = ATTRS_EMPTY;
  struct op_key key = { .open = object_attrs(op->object), .session = session };
  HF_TRY(check_key(op->kind, op->mech, op->object));
  op->wants_pin = attrs_true(object_attrs(op->object), CKA_ALWAYS_AUTHENTICATE);
  if (object_kind(op->object).class == CKO_SECRET_KEY) {
    HF_TRY(token_secret(session->token, op->object, &secret));
    (void)attrs_get(&secret, CKA_VALUE, &key.value);
  } else {
    HF_TRY(token_key(session->token, op->object, &key.pkey));
  }
  return op->mech->ops->prepare(op, &key, m);
}

hf_err op_other_key(struct op *op, const struct op_key *key, CK_OBJECT_HANDLE handle, struct hf_buf *value)
{
  HF_CLEANUP(attrs_free) struct attrs secret = ATTRS_EMPTY;
  struct hf_slice found = { 0 };
  HF_TRY(find_key(key->session, handle, &op->other));
  if (object_kind(op->other).class != CKO_SECRET_KEY)
    return hf_fail(HF_ERR_KEY_TYPE_INCONSISTENT, "%s: the second key is no secret key", op->mech->name);
  if (!attrs_true(object_attrs(op->other), kinds[op->kind].usage))
    return hf_fail(HF_ERR_KEY_FUNCTION_NOT_PERMITTED, "%s: the second key's %s is false", op->mech->name,
                   kinds[op->kind].usage_name);
  HF_TRY(check_allowed(op->mech, op->other));
  HF_TRY(token_secret(key->session->token, op->other, &secret));
  (void)attrs_get(&secret, CKA_VALUE, &found);
  return hf_buf_add(value, found.data, found.len);
}

static hf_err prepare_digest(struct op *op, const CK_MECHANISM *m)
{
  HF_TRY(op_no_param(op, m));
  op->out_len = (size_t)EVP_MD_get_size(op->md);
  return HF_OK;
}

static hf_err keep_param(struct op *op, const CK_MECHANISM *m)
{
  bool fits = m->ulParameterLen <= OP_PARAM_MAX, bytes = op->mech->ops->bytes_param;
  if (m->ulParameterLen && (!m->pParameter || (!fits && !bytes)))
    return hf_fail(HF_ERR_MECHANISM_PARAM_INVALID, "%s: a parameter of %lu bytes", op->mech->name, m->ulParameterLen);
  op->once = bytes;
  if (bytes)
    return HF_OK;
  if (m->ulParameterLen)
    memcpy(op->param, m->pParameter, m->ulParameterLen);
  op->param_len = m->ulParameterLen;
  return HF_OK;
}

static hf_err prepare(struct session *session, enum op_kind kind, struct op *op, const CK_MECHANISM *m,
                      CK_OBJECT_HANDLE handle)
{
  op->kind = known_kind(kind);
  op->mark = token_mark(session->token);
  if (kind != OP_DIGEST)
    HF_TRY(find_key(session, handle, &op->object));
  op->handle = handle;
  op->mech = mech_find(m->mechanism);
  if (!op->mech || !(op->mech->info.flags & kinds[op->kind].mech_flag))
    return hf_fail(HF_ERR_MECHANISM_INVALID, "mechanism 0x%lx", m->mechanism);
  HF_TRY(keep_param(op, m));
  if (op->mech->digest)
    op->md = crypto_md(op->mech->digest);
  return kind == OP_DIGEST ? prepare_digest(op, m) : prepare_key(session, op, m);
}

static hf_err make_ready(struct session *session, enum op_kind kind, const CK_MECHANISM *m, CK_OBJECT_HANDLE key)
{
  struct op *op = &session->ops[kind];
  if (still_prepared(session, op, m, key))
    return HF_OK;
  op_free(op);
  bool queue_is_ours = crypto_probe_begin();
  hf_err e = prepare(session, kind, op, m, key);
  return crypto_probe_end(queue_is_ours, !hf_failed(e)) ? e : hf_fail(HF_ERR_NO_MEMORY, "libcrypto");
}

static hf_err cancel(struct op *op)
{
  if (!op->active)
    return hf_fail(HF_ERR_ARGUMENTS_BAD, "no mechanism");
  op->active = false;
  return HF_OK;
}

static hf_err begin(struct op *op, hf_err ready)
{
  if (hf_failed(ready)) {
    op_free(op);
    return ready;
  }
  op->updated = false;
  op->started = false;
  op->authenticated = false;
  op->has_result = false;
  op->message = false;
  op->active = true;
  return HF_OK;
}

hf_err op_begin(struct session *session, enum op_kind kind, const CK_MECHANISM *m, CK_OBJECT_HANDLE key)
{
  struct op *op = &session->ops[kind];
  if (!m)
    return cancel(op);
  if (op->active)
    return hf_fail(HF_ERR_OPERATION_ACTIVE, "session 0x%lx", session->handle);
  hf_err e = make_ready(session, kind, m, key);
  if (!hf_failed(e) && op->mech->ops->set_param)
    e = op->mech->ops->set_param(op, m);
  return begin(op, e);
}

hf_err op_begin_messages(struct session *session, enum op_kind kind, const CK_MECHANISM *m, CK_OBJECT_HANDLE key)
{
  struct op *op = &session->ops[kind];
  if (!m)
    return cancel(op);
  if (op->active)
    return hf_fail(HF_ERR_OPERATION_ACTIVE, "session 0x%lx", session->handle);
  CK_MECHANISM bare = { .mechanism = m->mechanism };
  return begin(op, make_ready(session, kind, &bare, key));
}

hf_err op_need_active(const struct session *session, enum op_kind kind)
{
  const struct op *op = &session->ops[kind];
  if (!op->active)
    return hf_fail(HF_ERR_OPERATION_NOT_INITIALIZED, "session 0x%lx", session->handle);
  if (op->wants_pin && !op->authenticated)
    return hf_fail(HF_ERR_USER_NOT_LOGGED_IN, "the key wants the PIN for each use (CKA_ALWAYS_AUTHENTICATE)");
  return HF_OK;
}

hf_err op_need_whole(struct op *op)
{
  if (!op->updated)
    return HF_OK;
  op->active = false;
  return hf_fail(HF_ERR_OPERATION_ACTIVE, "a multi-part operation is under way");
}

/* It fails for want of memory alone. What that left in libcrypto's queue would be taken for the next failure's reason. */
static hf_err no_digest(const struct op *op)
{
  ERR_clear_error();
  return hf_fail(HF_ERR_NO_MEMORY, "%s", op->mech->name);
}

static hf_err start_digest(struct op *op)
{
  if (!op->md_ctx)
    op->md_ctx = EVP_MD_CTX_new();
  if (!op->md_ctx || EVP_DigestInit_ex2(op->md_ctx, op->md, NULL) != 1)
    return no_digest(op);
  return HF_OK;
}

static hf_err start(struct op *op)
{
  if (op->mech->digest)
    return start_digest(op);
  return op->mech->ops->start ? op->mech->ops->start(op) : HF_OK;
}

static hf_err absorb(struct op *op, struct hf_slice part)
{
  if (op->mech->digest)
    return EVP_DigestUpdate(op->md_ctx, part.data, part.len) == 1 ? HF_OK : no_digest(op);
  if (op->mech->ops->absorb)
    return op->mech->ops->absorb(op, part);
  if (op->mech->ops->gather)
    return hf_buf_add(&op->result, part.data, part.len);
  return hf_fail(HF_ERR_FUNCTION_NOT_SUPPORTED, "%s works in one part only", op->mech->name);
}

/* True where the caller has its answer already and the operation goes on. */
static bool answer_size(const struct op *op, const void *out, CK_ULONG *out_len, hf_err *ret_answer)
{
  CK_ULONG room = *out_len;
  if (out && room >= op->out_len)
    return false;
  *out_len = op->out_len;
  *ret_answer = out ? hf_fail(HF_ERR_BUFFER_TOO_SMALL, "%lu bytes where %zu are needed", room, op->out_len) : HF_OK;
  return true;
}

/* input as mech_ops.sign has it. */
static hf_err apply(struct op *op, struct hf_slice input, void *other, CK_ULONG *other_len)
{
  const struct mech_ops *ops = op->mech->ops;
  if (op->kind == OP_VERIFY) {
    if (*other_len != op->out_len)
      return hf_fail(HF_ERR_SIGNATURE_LEN_RANGE, "%lu bytes where %zu are needed", *other_len, op->out_len);
    return ops->verify(op, input, hf_slice(other, *other_len));
  }
  if (op->kind == OP_SIGN)
    HF_TRY(ops->sign(op, input, other));
  else
    memcpy(other, input.data, input.len);
  *other_len = op->out_len;
  return HF_OK;
}

static hf_err conclude_gathered(struct op *op, void *other, CK_ULONG *other_len)
{
  hf_err e = apply(op, hf_slice(op->result.data, op->result.len), other, other_len);
  hf_buf_free(&op->result);
  return e;
}

static hf_err conclude(struct op *op, void *other, CK_ULONG *other_len)
{
  uint8_t digest[EVP_MAX_MD_SIZE];
  unsigned len = 0;
  if (op->mech->ops->gather)
    return conclude_gathered(op, other, other_len);
  if (op->mech->digest && EVP_DigestFinal_ex(op->md_ctx, digest, &len) != 1)
    return no_digest(op);
  return apply(op, hf_slice(digest, len), other, other_len);
}

hf_err op_run(struct session *session, enum op_kind kind, struct hf_slice in, void *other, CK_ULONG *other_len)
{
  struct op *op = &session->ops[kind];
  hf_err answer;
  HF_TRY(op_need_active(session, kind));
  HF_TRY(op_need_whole(op));
  if (kinds[op->kind].crypts)
    return op_crypt_run(op, in, other, other_len);
  if (op->kind != OP_VERIFY && answer_size(op, other, other_len, &answer))
    return answer;
  op->active = false;
  HF_TRY(start(op));
  if (!op->mech->digest && !op->mech->ops->absorb)
    return apply(op, in, other, other_len);
  HF_TRY(absorb(op, in));
  return conclude(op, other, other_len);
}

static hf_err add_part(struct op *op, struct hf_slice in)
{
  if (!op->updated) {
    hf_buf_free(&op->result);
    op->result.max = OP_RESULT_MAX;
    HF_TRY(start(op));
  }
  op->updated = true;
  return absorb(op, in);
}

hf_err op_update(struct session *session, enum op_kind kind, struct hf_slice in)
{
  struct op *op = &session->ops[kind];
  HF_TRY(op_need_active(session, kind));
  hf_err e = add_part(op, in);
  if (hf_failed(e))
    op->active = false;
  return e;
}

hf_err op_finish(struct session *session, enum op_kind kind, void *other, CK_ULONG *other_len)
{
  struct op *op = &session->ops[kind];
  hf_err answer;
  HF_TRY(op_need_active(session, kind));
  if (kinds[op->kind].crypts)
    return op_crypt_finish(op, other, other_len);
  if (op->kind != OP_VERIFY && answer_size(op, other, other_len, &answer))
    return answer;
  op->active = false;
  if (!op->updated)
    HF_TRY(add_part(op, hf_slice(NULL, 0)));
  return conclude(op, other, other_len);
}

hf_err op_authenticated(struct session *session)
{
  bool any = false;
  for (size_t i = 0; i < OP_KINDS; i++) {
    struct op *op = &session->ops[i];
    if (op->active && op->wants_pin)
      any = op->authenticated = true;
  }
  return any ? HF_OK : hf_fail(HF_ERR_OPERATION_NOT_INITIALIZED, "no operation waits for the PIN");
}
