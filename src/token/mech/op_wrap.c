/* SPDX-License-Identifier: Apache-2.0 */
#include "token/mech/op_key.h"

#include "token/complete.h"
#include "token/key_type.h"
#include "token/pkcs8.h"
#include "token/secret_key.h"
#include "token/session.h"

/* What the standard calls otherwise here than where the same happens to data. */
struct other_name {
  enum hf_code code, here;
};

static const struct other_name wrapping_names[] = {
  { HF_ERR_KEY_HANDLE_INVALID, HF_ERR_WRAPPING_KEY_HANDLE_INVALID },
  { HF_ERR_KEY_TYPE_INCONSISTENT, HF_ERR_WRAPPING_KEY_TYPE_INCONSISTENT },
  { HF_ERR_KEY_SIZE_RANGE, HF_ERR_WRAPPING_KEY_SIZE_RANGE },
  { HF_ERR_OK, HF_ERR_OK },
};

static const struct other_name unwrapping_names[] = {
  { HF_ERR_KEY_HANDLE_INVALID, HF_ERR_UNWRAPPING_KEY_HANDLE_INVALID },
  { HF_ERR_KEY_TYPE_INCONSISTENT, HF_ERR_UNWRAPPING_KEY_TYPE_INCONSISTENT },
  { HF_ERR_KEY_SIZE_RANGE, HF_ERR_UNWRAPPING_KEY_SIZE_RANGE },
  { HF_ERR_OK, HF_ERR_OK },
};

static const struct other_name key_names[] = {
  { HF_ERR_DATA_LEN_RANGE, HF_ERR_KEY_SIZE_RANGE },
  { HF_ERR_DATA_INVALID, HF_ERR_KEY_SIZE_RANGE },
  { HF_ERR_OK, HF_ERR_OK },
};

static const struct other_name wrapped_names[] = {
  { HF_ERR_ENCRYPTED_DATA_INVALID, HF_ERR_WRAPPED_KEY_INVALID },
  { HF_ERR_ENCRYPTED_DATA_LEN_RANGE, HF_ERR_WRAPPED_KEY_LEN_RANGE },
  { HF_ERR_OK, HF_ERR_OK },
};

static hf_err rename_error(const struct other_name *names, hf_err e)
{
  for (; names->code != HF_ERR_OK; names++)
    if (names->code == e.code)
      return hf_fail(names->here, "%s", hf_err_context());
  return e;
}

/* Mechanisms that do not say how long the text was: a key is padded with zeros, and gets its length from its template. */
static const struct {
  CK_MECHANISM_TYPE type;
  size_t block;
  bool leading; /* the zeros stand in front, and are the mechanism's to add */
} unpadded[] = {
  { CKM_AES_ECB, 16, false }, { CKM_AES_CBC, 16, false },    { CKM_DES3_ECB, 8, false },
  { CKM_DES3_CBC, 8, false }, { CKM_RSA_X_509, 1024, true },
};

static size_t block_of(const struct mech *mech, bool *ret_leading)
{
  for (size_t i = 0; i < HF_ARRAY_LEN(unpadded); i++) {
    if (unpadded[i].type == mech->type) {
      *ret_leading = unpadded[i].leading;
      return unpadded[i].block;
    }
  }
  return 0;
}

static hf_err may_wrap(const struct attrs *wrapping, const struct attrs *key)
{
  struct hf_slice wanted;
  CK_OBJECT_CLASS class = attrs_ulong(key, CKA_CLASS, 0);
  if (class != CKO_SECRET_KEY && class != CKO_PRIVATE_KEY)
    return hf_fail(HF_ERR_KEY_NOT_WRAPPABLE, "an object of class 0x%lx", class);
  if (!attrs_true(key, CKA_EXTRACTABLE))
    return hf_fail(HF_ERR_KEY_UNEXTRACTABLE, "the key's CKA_EXTRACTABLE is false");
  if (attrs_true(key, CKA_WRAP_WITH_TRUSTED) && !attrs_true(wrapping, CKA_TRUSTED))
    return hf_fail(HF_ERR_KEY_NOT_WRAPPABLE, "the key's CKA_WRAP_WITH_TRUSTED is true, the other's CKA_TRUSTED is not");
  if (attrs_get(wrapping, CKA_WRAP_TEMPLATE, &wanted) && wanted.len && !policy_matches(key, wanted))
    return hf_fail(HF_ERR_KEY_HANDLE_INVALID, "the key is not of those that the other's CKA_WRAP_TEMPLATE names");
  return HF_OK;
}

static hf_err pad(const struct mech *mech, struct hf_buf *out)
{
  bool leading = false;
  size_t block = block_of(mech, &leading);
  while (block && !leading && out->len % block)
    HF_TRY(hf_buf_add_u8(out, 0));
  return HF_OK;
}

/* The key as the bytes that are wrapped. */
static hf_err serialise(struct session *session, const struct op *op, CK_OBJECT_HANDLE handle, struct hf_buf *out)
{
  HF_CLEANUP(object_unrefp) struct object *object = NULL;
  HF_CLEANUP(attrs_free) struct attrs secret = ATTRS_EMPTY;
  struct hf_slice value = { 0 };
  EVP_PKEY *key;
  bool is_token;
  hf_err e = token_object(session->token, handle, &object, &is_token);
  if (e.code == HF_ERR_OBJECT_HANDLE_INVALID)
    return hf_fail(HF_ERR_KEY_HANDLE_INVALID, "no key has this handle");
  HF_TRY(e);
  HF_TRY(may_wrap(object_attrs(op->object), object_attrs(object)));
  if (object_kind(object).class == CKO_SECRET_KEY) {
    HF_TRY(token_secret(session->token, object, &secret));
    (void)attrs_get(&secret, CKA_VALUE, &value);
    HF_TRY(hf_buf_add(out, value.data, value.len));
  } else {
    HF_TRY(token_key(session->token, object, &key));
    HF_TRY(pkcs8_encode(key, out));
  }
  return pad(op->mech, out);
}

/* The call is over, so is its operation: what it kept for a larger buffer goes, too. */
static hf_err end(struct op *op, hf_err e)
{
  hf_buf_free(&op->result);
  op->has_result = false;
  op->active = false;
  return e;
}

static hf_err wrap(struct session *session, CK_OBJECT_HANDLE key, void *out, CK_ULONG *out_len)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf plain = HF_BUF(ATTRS_MAX_BYTES);
  HF_TRY(op_need_active(session, OP_WRAP));
  HF_TRY(serialise(session, &session->ops[OP_WRAP], key, &plain));
  return rename_error(key_names, op_run(session, OP_WRAP, hf_slice(plain.data, plain.len), out, out_len));
}

hf_err op_wrap(struct session *session, const CK_MECHANISM *m, CK_OBJECT_HANDLE wrapping, CK_OBJECT_HANDLE key,
               void *out, CK_ULONG *out_len)
{
  HF_TRY(rename_error(wrapping_names, op_begin(session, OP_WRAP, m, wrapping)));
  return end(&session->ops[OP_WRAP], wrap(session, key, out, out_len));
}

/* The key that is to come, all but its parts. */
static hf_err make_halves(struct session *session, const struct op *op, const CK_ATTRIBUTE *tmpl, CK_ULONG count,
                          struct attr_halves *ret_halves)
{
  enum login login = token_login_state(session->token);
  struct making making = { .origin = ORIGIN_UNWRAP, .so = login == LOGIN_SO };
  (void)attrs_get(object_attrs(op->object), CKA_UNWRAP_TEMPLATE, &making.required);
  HF_TRY(policy_kind(tmpl, count, making.required, NULL, &making.kind));
  if (making.kind.class != CKO_SECRET_KEY && making.kind.class != CKO_PRIVATE_KEY)
    return hf_fail(HF_ERR_TEMPLATE_INCONSISTENT, "class 0x%lx is not unwrapped", making.kind.class);
  HF_CLEANUP(attr_halves_free) struct attr_halves halves = ATTR_HALVES_EMPTY;
  HF_TRY(policy_make(&making, tmpl, count, &halves));
  if (attrs_true(&halves.open, CKA_PRIVATE) && login != LOGIN_USER)
    return hf_fail(HF_ERR_USER_NOT_LOGGED_IN, "a private key");
  *ret_halves = halves;
  halves = ATTR_HALVES_EMPTY;
  return HF_OK;
}

static bool all_zeros(struct hf_slice bytes)
{
  uint8_t all = 0;
  for (size_t i = 0; i < bytes.len; i++)
    all |= bytes.data[i];
  return all == 0;
}

/* Cuts off what the mechanism could not tell from the key. */
static hf_err cut(const struct mech *mech, size_t wanted, struct hf_slice *plain)
{
  bool leading = false;
  size_t block = block_of(mech, &leading);
  if (wanted == 0 || wanted == plain->len)
    return HF_OK;
  size_t more = plain->len - wanted;
  if (wanted > plain->len || more >= block)
    return hf_fail(HF_ERR_WRAPPED_KEY_LEN_RANGE, "%zu bytes were unwrapped, %zu are wanted", plain->len, wanted);
  struct hf_slice padding = hf_slice(plain->data + (leading ? 0 : wanted), more);
  if (!all_zeros(padding))
    return hf_fail(HF_ERR_WRAPPED_KEY_INVALID, "what was unwrapped is longer than the key");
  *plain = hf_slice(plain->data + (leading ? more : 0), wanted);
  return HF_OK;
}

static hf_err fill_secret(const struct mech *mech, CK_KEY_TYPE type, struct hf_slice plain, struct attr_halves *halves)
{
  size_t fixed = secret_key_length(type), wanted = attrs_ulong(&halves->open, CKA_VALUE_LEN, fixed);
  HF_TRY(cut(mech, wanted, &plain));
  if (!secret_key_fits(type, plain.len))
    return hf_fail(HF_ERR_WRAPPED_KEY_LEN_RANGE, "a key of type 0x%lx with %zu bytes", type, plain.len);
  return attrs_set(&halves->secret, CKA_VALUE, plain);
}

static hf_err fill_private(CK_KEY_TYPE type, struct hf_slice plain, struct attr_halves *halves)
{
  CK_KEY_TYPE have;
  HF_CLEANUP(key_free) EVP_PKEY *key = NULL;
  HF_TRY(pkcs8_decode(plain, &key));
  if (!key_type_of(key, &have) || have != type)
    return hf_fail(HF_ERR_WRAPPED_KEY_INVALID, "what was unwrapped is no key of type 0x%lx", type);
  return key_encode(type, key, NULL, halves);
}

static hf_err add_unwrapped(struct session *session, const struct mech *mech, struct hf_slice plain,
                            struct attr_halves *halves, CK_OBJECT_HANDLE *ret_handle)
{
  struct kind kind = policy_kind_of(&halves->open);
  HF_TRY(kind.class == CKO_SECRET_KEY ? fill_secret(mech, kind.key_type, plain, halves)
                                      : fill_private(kind.key_type, plain, halves));
  HF_TRY(complete_object(kind, halves));
  return token_add(session->token, session_access(session), halves, 1, ret_handle);
}

static hf_err decrypt(struct session *session, struct hf_slice wrapped, struct hf_buf *plain)
{
  CK_ULONG len = 0;
  uint8_t *room;
  HF_TRY(op_run(session, OP_UNWRAP, wrapped, NULL, &len));
  HF_TRY(hf_buf_reserve(plain, len ? len : 1, &room));
  HF_TRY(op_run(session, OP_UNWRAP, wrapped, room, &len));
  hf_buf_commit(plain, len);
  return HF_OK;
}

static hf_err unwrap(struct session *session, struct hf_slice wrapped, const CK_ATTRIBUTE *tmpl, CK_ULONG count,
                     CK_OBJECT_HANDLE *ret_handle)
{
  const struct op *op = &session->ops[OP_UNWRAP];
  HF_CLEANUP(attr_halves_free) struct attr_halves halves = ATTR_HALVES_EMPTY;
  HF_CLEANUP(hf_buf_free) struct hf_buf plain = HF_BUF(OP_RESULT_MAX);
  HF_TRY(op_need_active(session, OP_UNWRAP));
  HF_TRY(make_halves(session, op, tmpl, count, &halves));
  HF_TRY(rename_error(wrapped_names, decrypt(session, wrapped, &plain)));
  return add_unwrapped(session, op->mech, hf_slice(plain.data, plain.len), &halves, ret_handle);
}

hf_err op_unwrap(struct session *session, const CK_MECHANISM *m, CK_OBJECT_HANDLE unwrapping, struct hf_slice wrapped,
                 const CK_ATTRIBUTE *tmpl, CK_ULONG count, CK_OBJECT_HANDLE *ret_handle)
{
  HF_TRY(rename_error(unwrapping_names, op_begin(session, OP_UNWRAP, m, unwrapping)));
  return end(&session->ops[OP_UNWRAP], unwrap(session, wrapped, tmpl, count, ret_handle));
}

/* An AEAD's operation whose tag stands apart; the parameter is taken where there is something to do. */
static hf_err begin_sealed(struct session *session, enum op_kind kind, const CK_MECHANISM *m, CK_OBJECT_HANDLE key,
                           const struct other_name *names)
{
  const struct mech *mech = mech_find(m->mechanism);
  if (!mech || !mech->ops->message_param)
    return hf_fail(HF_ERR_MECHANISM_INVALID, "mechanism 0x%lx is no AEAD", m->mechanism);
  return rename_error(names, op_begin_messages(session, kind, m, key));
}

static hf_err crypt_sealed(struct op *op, const CK_MECHANISM *m, struct hf_slice aad, struct hf_slice in, void *out,
                           size_t *ret_len)
{
  const struct mech_ops *ops = op->mech->ops;
  HF_TRY(ops->message_param(op, m->pParameter, m->ulParameterLen, aad));
  HF_TRY(ops->message_tag(op, m->pParameter, m->ulParameterLen));
  return ops->crypt(op, in, true, out, ret_len);
}

static hf_err wrap_sealed(struct session *session, const CK_MECHANISM *m, CK_OBJECT_HANDLE key, struct hf_slice aad,
                          void *out, CK_ULONG *out_len)
{
  struct op *op = &session->ops[OP_WRAP];
  HF_CLEANUP(hf_buf_free) struct hf_buf plain = HF_BUF(ATTRS_MAX_BYTES);
  CK_ULONG room = *out_len;
  size_t len = 0;
  HF_TRY(op_need_active(session, OP_WRAP));
  HF_TRY(serialise(session, op, key, &plain));
  /* Without its tag, it is as long as the key. */
  *out_len = plain.len;
  if (!out)
    return HF_OK;
  if (room < plain.len)
    return hf_fail(HF_ERR_BUFFER_TOO_SMALL, "%lu bytes where %zu are needed", room, plain.len);
  HF_TRY(rename_error(key_names, crypt_sealed(op, m, aad, hf_slice(plain.data, plain.len), out, &len)));
  *out_len = len;
  return HF_OK;
}

hf_err op_wrap_authenticated(struct session *session, const CK_MECHANISM *m, CK_OBJECT_HANDLE wrapping,
                             CK_OBJECT_HANDLE key, struct hf_slice aad, void *out, CK_ULONG *out_len)
{
  HF_TRY(begin_sealed(session, OP_WRAP, m, wrapping, wrapping_names));
  return end(&session->ops[OP_WRAP], wrap_sealed(session, m, key, aad, out, out_len));
}

static hf_err unwrap_sealed(struct session *session, const CK_MECHANISM *m, const struct op_wrapped *wrapped,
                            const CK_ATTRIBUTE *tmpl, CK_ULONG count, CK_OBJECT_HANDLE *ret_handle)
{
  struct op *op = &session->ops[OP_UNWRAP];
  HF_CLEANUP(attr_halves_free) struct attr_halves halves = ATTR_HALVES_EMPTY;
  HF_CLEANUP(hf_buf_free) struct hf_buf plain = HF_BUF(OP_RESULT_MAX);
  uint8_t *room;
  size_t len = 0;
  HF_TRY(op_need_active(session, OP_UNWRAP));
  HF_TRY(make_halves(session, op, tmpl, count, &halves));
  HF_TRY(hf_buf_reserve(&plain, wrapped->key.len + 1, &room));
  HF_TRY(rename_error(wrapped_names, crypt_sealed(op, m, wrapped->aad, wrapped->key, room, &len)));
  hf_buf_commit(&plain, len);
  return add_unwrapped(session, op->mech, hf_slice(plain.data, plain.len), &halves, ret_handle);
}

hf_err op_unwrap_authenticated(struct session *session, const CK_MECHANISM *m, CK_OBJECT_HANDLE unwrapping,
                               const struct op_wrapped *wrapped, const CK_ATTRIBUTE *tmpl, CK_ULONG count,
                               CK_OBJECT_HANDLE *ret_handle)
{
  HF_TRY(begin_sealed(session, OP_UNWRAP, m, unwrapping, unwrapping_names));
  return end(&session->ops[OP_UNWRAP], unwrap_sealed(session, m, wrapped, tmpl, count, ret_handle));
}
