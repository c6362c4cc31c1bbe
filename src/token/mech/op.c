/* SPDX-License-Identifier: Apache-2.0 */
#include "token/mech/mech.h"

#include "token/crypto.h"
#include "token/key.h"
#include "token/session.h"

static const struct {
  CK_FLAGS mech_flag;
  CK_ATTRIBUTE_TYPE usage;
  const char *usage_name;
  CK_OBJECT_CLASS class;
  int (*key_init)(EVP_PKEY_CTX *ctx);
} kinds[OP_KINDS] = {
  [OP_SIGN] = { CKF_SIGN, CKA_SIGN, "CKA_SIGN", CKO_PRIVATE_KEY, EVP_PKEY_sign_init },
  [OP_VERIFY] = { CKF_VERIFY, CKA_VERIFY, "CKA_VERIFY", CKO_PUBLIC_KEY, EVP_PKEY_verify_init },
  [OP_DIGEST] = { .mech_flag = CKF_DIGEST },
  [OP_ENCRYPT] = { CKF_ENCRYPT, CKA_ENCRYPT, "CKA_ENCRYPT", CKO_PUBLIC_KEY, EVP_PKEY_encrypt_init },
  [OP_DECRYPT] = { CKF_DECRYPT, CKA_DECRYPT, "CKA_DECRYPT", CKO_PRIVATE_KEY, EVP_PKEY_decrypt_init },
  [OP_DERIVE] = { CKF_DERIVE, CKA_DERIVE, "CKA_DERIVE", CKO_PRIVATE_KEY, EVP_PKEY_derive_init },
};

void op_free(struct op *op)
{
  if (!crypto_gone()) {
    EVP_PKEY_CTX_free(op->key_ctx);
    EVP_MD_CTX_free(op->md_ctx);
  }
  object_unref(op->object);
  *op = (struct op){ 0 };
}

static bool same_mark(struct token_mark a, struct token_mark b)
{
  return a.changes == b.changes && a.local == b.local;
}

static bool same_mechanism(const struct op *op, const CK_MECHANISM *m)
{
  return op->mech && !op->once && op->mech->type == m->mechanism && op->param_len == m->ulParameterLen &&
         (op->param_len == 0 || memcmp(op->param, m->pParameter, op->param_len) == 0);
}

/* Whether what the last operation prepared serves this one. */
static bool still_prepared(struct session *session, struct op *op, const CK_MECHANISM *m, CK_OBJECT_HANDLE key)
{
  if (!op->object || op->handle != key || !same_mechanism(op, m))
    return false;
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

static hf_err check_key(enum op_kind kind, const struct mech *mech, const struct object *object)
{
  struct kind have = object_kind(object);
  struct hf_slice allowed;
  uint64_t type;
  if (have.class != kinds[kind].class || have.key_type != mech->key_type)
    return hf_fail(HF_ERR_KEY_TYPE_INCONSISTENT, "%s with an object of class 0x%lx, key type 0x%lx", mech->name,
                   have.class, have.key_type);
  if (!attrs_true(object_attrs(object), kinds[kind].usage))
    return hf_fail(HF_ERR_KEY_FUNCTION_NOT_PERMITTED, "%s: the key's %s is false", mech->name, kinds[kind].usage_name);
  if (!attrs_get(object_attrs(object), CKA_ALLOWED_MECHANISMS, &allowed) || allowed.len == 0)
    return HF_OK;
  while (!hf_failed(hf_take_u64(&allowed, &type)))
    if (type == mech->type)
      return HF_OK;
  return hf_fail(HF_ERR_MECHANISM_INVALID, "%s is not among the key's CKA_ALLOWED_MECHANISMS", mech->name);
}

static hf_err find_key(struct session *session, CK_OBJECT_HANDLE handle, struct object **ret_object)
{
  bool is_token;
  hf_err e = token_object(session->token, handle, ret_object, &is_token);
  if (e.code == HF_ERR_OBJECT_HANDLE_INVALID)
    return hf_fail(HF_ERR_KEY_HANDLE_INVALID, "no key has this handle");
  return e;
}

hf_err op_key_ctx(struct op *op, enum op_kind kind, EVP_PKEY *key)
{
  op->key_ctx = EVP_PKEY_CTX_new_from_pkey(crypto_ctx(), key, NULL);
  if (!op->key_ctx || kinds[kind].key_init(op->key_ctx) != 1)
    return crypto_fail(HF_ERR_FUNCTION_FAILED, op->mech->name);
  return HF_OK;
}

hf_err op_no_param(const struct op *op, const CK_MECHANISM *m)
{
  return m->ulParameterLen ? hf_fail(HF_ERR_MECHANISM_PARAM_INVALID, "%s takes no parameter", op->mech->name) : HF_OK;
}

static hf_err prepare_key(struct session *session, enum op_kind kind, struct op *op, const CK_MECHANISM *m)
{
  EVP_PKEY *key;
  HF_TRY(check_key(kind, op->mech, op->object));
  HF_TRY(token_key(session->token, op->object, &key));
  return op->mech->ops->prepare(op, kind, key, m);
}

static hf_err prepare(struct session *session, enum op_kind kind, struct op *op, const CK_MECHANISM *m,
                      CK_OBJECT_HANDLE handle)
{
  op->mark = token_mark(session->token);
  if (kind != OP_DIGEST)
    HF_TRY(find_key(session, handle, &op->object));
  op->handle = handle;
  op->mech = mech_find(m->mechanism);
  if (!op->mech || !(op->mech->info.flags & kinds[kind].mech_flag))
    return hf_fail(HF_ERR_MECHANISM_INVALID, "mechanism 0x%lx", m->mechanism);
  if (m->ulParameterLen > OP_PARAM_MAX || (m->ulParameterLen && !m->pParameter))
    return hf_fail(HF_ERR_MECHANISM_PARAM_INVALID, "%s: a parameter of %lu bytes", op->mech->name, m->ulParameterLen);
  if (m->ulParameterLen)
    memcpy(op->param, m->pParameter, m->ulParameterLen);
  op->param_len = m->ulParameterLen;
  if (op->mech->digest)
    op->md = crypto_md(op->mech->digest);
  if (kind != OP_DIGEST)
    return prepare_key(session, kind, op, m);
  op->out_len = (size_t)EVP_MD_get_size(op->md);
  return HF_OK;
}

static hf_err cancel(struct op *op)
{
  if (!op->active)
    return hf_fail(HF_ERR_ARGUMENTS_BAD, "no mechanism");
  op->active = false;
  return HF_OK;
}

hf_err op_begin(struct session *session, enum op_kind kind, const CK_MECHANISM *m, CK_OBJECT_HANDLE key)
{
  struct op *op = &session->ops[kind];
  if (!m)
    return cancel(op);
  if (op->active)
    return hf_fail(HF_ERR_OPERATION_ACTIVE, "session 0x%lx", session->handle);
  if (!still_prepared(session, op, m, key)) {
    op_free(op);
    hf_err e = prepare(session, kind, op, m, key);
    if (hf_failed(e)) {
      op_free(op);
      return e;
    }
  }
  op->updated = false;
  op->authenticated = false;
  op->active = true;
  return HF_OK;
}

static hf_err need_active(const struct session *session, enum op_kind kind)
{
  const struct op *op = &session->ops[kind];
  if (!op->active)
    return hf_fail(HF_ERR_OPERATION_NOT_INITIALIZED, "session 0x%lx", session->handle);
  if (op->object && !op->authenticated && attrs_true(object_attrs(op->object), CKA_ALWAYS_AUTHENTICATE))
    return hf_fail(HF_ERR_USER_NOT_LOGGED_IN, "the key wants the PIN for each use (CKA_ALWAYS_AUTHENTICATE)");
  return HF_OK;
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

typedef hf_err (*crypt_fn)(struct op *op, struct hf_slice input, uint8_t *ret_out, size_t *ret_len);

/* How long the result is shows once it is there. A buffer that is too small for it keeps the operation. */
static hf_err apply_crypt(struct op *op, crypt_fn run, struct hf_slice input, void *out, CK_ULONG *out_len)
{
  uint8_t result[OP_CIPHER_MAX];
  size_t len = 0;
  CK_ULONG room = *out_len;
  if (!out) {
    *out_len = op->out_len;
    return HF_OK;
  }
  op->active = false;
  HF_TRY(run(op, input, result, &len));
  bool fits = room >= len;
  if (fits && len)
    memcpy(out, result, len);
  op->active = !fits;
  *out_len = len;
  hf_wipe(result, sizeof(result));
  return fits ? HF_OK : hf_fail(HF_ERR_BUFFER_TOO_SMALL, "%lu bytes where %zu are needed", room, len);
}

static hf_err apply(struct op *op, enum op_kind kind, struct hf_slice input, void *other, CK_ULONG *other_len)
{
  if (kind == OP_VERIFY) {
    if (*other_len != op->out_len)
      return hf_fail(HF_ERR_SIGNATURE_LEN_RANGE, "%lu bytes where %zu are needed", *other_len, op->out_len);
    return op->mech->ops->verify(op, input, hf_slice(other, *other_len));
  }
  if (kind == OP_SIGN)
    HF_TRY(op->mech->ops->sign(op, input, other));
  else
    memcpy(other, input.data, input.len);
  *other_len = op->out_len;
  return HF_OK;
}

hf_err op_run(struct session *session, enum op_kind kind, struct hf_slice in, void *other, CK_ULONG *other_len)
{
  struct op *op = &session->ops[kind];
  hf_err answer;
  HF_TRY(need_active(session, kind));
  if (op->updated) {
    op->active = false;
    return hf_fail(HF_ERR_OPERATION_ACTIVE, "a multi-part operation is under way");
  }
  if (kind == OP_ENCRYPT || kind == OP_DECRYPT)
    return apply_crypt(op, kind == OP_ENCRYPT ? op->mech->ops->encrypt : op->mech->ops->decrypt, in, other, other_len);
  if (kind != OP_VERIFY && answer_size(op, other, other_len, &answer))
    return answer;
  op->active = false;
  if (!op->mech->digest)
    return apply(op, kind, in, other, other_len);
  uint8_t digest[EVP_MAX_MD_SIZE];
  unsigned len;
  if (EVP_Digest(in.data, in.len, digest, &len, op->md, NULL) != 1)
    return crypto_fail(HF_ERR_FUNCTION_FAILED, op->mech->name);
  return apply(op, kind, hf_slice(digest, len), other, other_len);
}

static hf_err start_digest(struct op *op)
{
  if (!op->mech->digest)
    return hf_fail(HF_ERR_FUNCTION_NOT_SUPPORTED, "%s works in one part only", op->mech->name);
  if (!op->md_ctx)
    op->md_ctx = EVP_MD_CTX_new();
  if (!op->md_ctx || EVP_DigestInit_ex2(op->md_ctx, op->md, NULL) != 1)
    return crypto_fail(HF_ERR_FUNCTION_FAILED, op->mech->name);
  op->updated = true;
  return HF_OK;
}

static hf_err add_part(struct op *op, struct hf_slice in)
{
  if (!op->updated)
    HF_TRY(start_digest(op));
  if (EVP_DigestUpdate(op->md_ctx, in.data, in.len) != 1)
    return crypto_fail(HF_ERR_FUNCTION_FAILED, op->mech->name);
  return HF_OK;
}

hf_err op_update(struct session *session, enum op_kind kind, struct hf_slice in)
{
  struct op *op = &session->ops[kind];
  HF_TRY(need_active(session, kind));
  hf_err e = add_part(op, in);
  if (hf_failed(e))
    op->active = false;
  return e;
}

hf_err op_finish(struct session *session, enum op_kind kind, void *other, CK_ULONG *other_len)
{
  struct op *op = &session->ops[kind];
  hf_err answer;
  uint8_t digest[EVP_MAX_MD_SIZE];
  unsigned len;
  HF_TRY(need_active(session, kind));
  if (kind != OP_VERIFY && answer_size(op, other, other_len, &answer))
    return answer;
  op->active = false;
  if (!op->updated)
    HF_TRY(start_digest(op));
  if (EVP_DigestFinal_ex(op->md_ctx, digest, &len) != 1)
    return crypto_fail(HF_ERR_FUNCTION_FAILED, op->mech->name);
  return apply(op, kind, hf_slice(digest, len), other, other_len);
}

/* The new object's halves, all but its value; and of how many bytes that shall be, 0 where the template does not say. */
static hf_err derived_halves(const struct op *op, const CK_ATTRIBUTE *tmpl, CK_ULONG count, bool so,
                             struct attr_halves *halves, size_t *ret_len)
{
  struct kind kind;
  HF_TRY(policy_kind(tmpl, count, NULL, &kind));
  if (kind.class != CKO_SECRET_KEY)
    return hf_fail(HF_ERR_TEMPLATE_INCONSISTENT, "%s makes a CKO_SECRET_KEY", op->mech->name);
  HF_TRY(policy_make(ORIGIN_DERIVE, kind, tmpl, count, so, halves));
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
  HF_TRY(key_complete(policy_kind_of(&halves.open), &halves));
  return token_add(session->token, session_access(session), &halves, 1, ret_handle);
}

hf_err op_derive(struct session *session, const CK_MECHANISM *m, CK_OBJECT_HANDLE base, const CK_ATTRIBUTE *tmpl,
                 CK_ULONG count, CK_OBJECT_HANDLE *ret_handle)
{
  struct op *op = &session->ops[OP_DERIVE];
  HF_TRY(op_begin(session, OP_DERIVE, m, base));
  hf_err e = need_active(session, OP_DERIVE);
  if (!hf_failed(e))
    e = derive(session, op, tmpl, count, ret_handle);
  op_free(op);
  return e;
}

hf_err op_authenticated(struct session *session)
{
  bool any = false;
  for (size_t i = 0; i < OP_KINDS; i++) {
    struct op *op = &session->ops[i];
    if (op->active && op->object && attrs_true(object_attrs(op->object), CKA_ALWAYS_AUTHENTICATE))
      any = op->authenticated = true;
  }
  return any ? HF_OK : hf_fail(HF_ERR_OPERATION_NOT_INITIALIZED, "no operation waits for the PIN");
}
