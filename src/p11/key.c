/* SPDX-License-Identifier: Apache-2.0 */
#include "p11/key.h"

#include "p11/pool.h"

#include <stdatomic.h>

struct p11_key {
  atomic_size_t refs;
  struct p11_pool *pool;
  struct uri uri;
  struct uri exact; /* of the object that was found */
  struct hf_secret *pin;
  struct p11_public public;
  struct p11_found found;
};

enum { NAME_FIRST = 256 };

/* What may be over after a fresh start: by the code alone, since texts differ between vendors. */
static const struct recovery_row {
  enum hf_code code;
  enum p11_loss loss;
} recoveries[] = {
  { HF_ERR_CRYPTOKI_NOT_INITIALIZED, P11_LOST_MODULE },
  { HF_ERR_SESSION_HANDLE_INVALID, P11_LOST_SESSIONS },
  { HF_ERR_SESSION_CLOSED, P11_LOST_SESSIONS },
  { HF_ERR_KEY_HANDLE_INVALID, P11_LOST_SESSIONS },
  { HF_ERR_OBJECT_HANDLE_INVALID, P11_LOST_SESSIONS },
  { HF_ERR_USER_NOT_LOGGED_IN, P11_LOST_LOGIN },
  { HF_ERR_OPERATION_ACTIVE, P11_LOST_SESSIONS },
  { HF_ERR_OPERATION_NOT_INITIALIZED, P11_LOST_SESSIONS },
  { HF_ERR_DEVICE_ERROR, P11_LOST_SESSIONS },
  { HF_ERR_DEVICE_REMOVED, P11_LOST_SESSIONS },
  { HF_ERR_TOKEN_NOT_PRESENT, P11_LOST_SESSIONS },
  { HF_ERR_TOKEN_NOT_RECOGNIZED, P11_LOST_SESSIONS },
  { HF_ERR_TOKEN_NOT_FOUND, P11_LOST_SESSIONS },
  { HF_ERR_SLOT_ID_INVALID, P11_LOST_SESSIONS },
  { HF_ERR_GENERAL_ERROR, P11_LOST_SESSIONS },
  { HF_ERR_FUNCTION_FAILED, P11_LOST_SESSIONS },
  /* The handle may have been given to another object since. */
  { HF_ERR_KEY_TYPE_INCONSISTENT, P11_LOST_SESSIONS },
  { HF_ERR_KEY_FUNCTION_NOT_PERMITTED, P11_LOST_SESSIONS },
};

static const struct recovery_row *recovery_for(hf_err e)
{
  for (size_t i = 0; i < HF_ARRAY_LEN(recoveries); i++)
    if (recoveries[i].code == e.code)
      return &recoveries[i];
  return NULL;
}

/* What is done with a session and with what the key was found as in its epoch. */
typedef hf_err (*work_fn)(struct p11_key *key, const struct p11_lease *lease, struct p11_found *found, void *arg);

static hf_err take_and_work(struct p11_key *key, work_fn work, void *arg, uint64_t *ret_epoch)
{
  struct p11_lease lease;
  struct p11_found found;
  HF_TRY(p11_pool_take(key->pool, key->pin, &key->found, &lease, &found));
  uint64_t before = found.epoch;
  *ret_epoch = lease.epoch;
  hf_err e = work(key, &lease, &found, arg);
  if (found.epoch != before)
    p11_pool_set_found(key->pool, &key->found, found);
  p11_pool_give(key->pool, &lease);
  return e;
}

/* What is broken is reset at once, so that the next caller does not meet it again. */
static hf_err try_once(struct p11_key *key, work_fn work, void *arg)
{
  uint64_t epoch = 0;
  p11_module_enter(p11_pool_module(key->pool));
  hf_err e = take_and_work(key, work, arg, &epoch);
  const struct recovery_row *recovery = recovery_for(e);
  if (recovery)
    p11_pool_reset(key->pool, epoch, recovery->loss);
  p11_module_leave(p11_pool_module(key->pool));
  return e;
}

static hf_err with_session(struct p11_key *key, work_fn work, void *arg)
{
  hf_err e = try_once(key, work, arg);
  if (recovery_for(e))
    e = try_once(key, work, arg);
  if (recovery_for(e) && p11_module_revive(p11_pool_module(key->pool), hf_err_rv(e)))
    e = try_once(key, work, arg);
  return e;
}

static hf_err find(struct p11_key *key, const struct p11_lease *lease, struct p11_found *found,
                   struct p11_public *ret_public, struct p11_object *ret_object)
{
  struct p11_object object;
  HF_TRY(p11_object_find(lease->session, &key->uri, &object));
  hf_err e = p11_public_find(lease->session, &object, ret_public);
  if (!hf_failed(e))
    *found = (struct p11_found){ lease->epoch, object.handle, object.flags & P11_FLAG_ALWAYS_AUTHENTICATE };
  if (hf_failed(e) || !ret_object)
    p11_object_free(&object);
  else
    *ret_object = object;
  return e;
}

static hf_err work_open(struct p11_key *key, const struct p11_lease *lease, struct p11_found *found, void *arg)
{
  (void)arg;
  HF_CLEANUP(p11_object_free) struct p11_object object = { 0 };
  struct p11_token token;
  HF_TRY(find(key, lease, found, &key->public, &object));
  HF_TRY(p11_token_get(p11_session_module(lease->session), p11_session_slot(lease->session), &token));
  uri_free(&key->exact);
  return p11_object_uri(&token, &object, &key->exact);
}

static hf_err work_check(struct p11_key *key, const struct p11_lease *lease, struct p11_found *found, void *arg)
{
  bool *same = arg;
  struct p11_public public;
  struct p11_found seen;
  p11_public_init(&public);
  hf_err e = find(key, lease, &seen, &public, NULL);
  *same = !hf_failed(e) && p11_public_equal(&public, &key->public);
  if (*same)
    *found = seen;
  p11_public_free(&public);
  return e;
}

static hf_err find_same(struct p11_key *key, const struct p11_lease *lease, struct p11_found *found)
{
  bool same;
  HF_TRY(work_check(key, lease, found, &same));
  if (same)
    return HF_OK;
  HF_CLEANUP(hf_buf_free) struct hf_buf text = HF_BUF(URI_MAX * 4);
  HF_TRY(uri_format(&key->uri, &text));
  return hf_hint(hf_fail(HF_ERR_KEY_HANDLE_INVALID, "%s was replaced by another key", hf_buf_str(&text)),
                 "Load the key again.");
}

/* Whether the object's attribute is what the exact URI says. */
static bool has_name(const CK_ATTRIBUTE *attr, const struct uri *exact, enum uri_attr name)
{
  const struct hf_buf *value = &exact->attrs[name].value;
  if (!exact->attrs[name].present)
    return attr->ulValueLen == 0 || attr->ulValueLen == CK_UNAVAILABLE_INFORMATION;
  return attr->ulValueLen <= NAME_FIRST &&
         hf_slice_equal(hf_slice(attr->pValue, attr->ulValueLen), hf_slice(value->data, value->len));
}

static hf_err work_peek(struct p11_key *key, const struct p11_lease *lease, struct p11_found *found, void *arg)
{
  bool *still = arg;
  if (found->epoch != lease->epoch)
    return work_check(key, lease, found, still);
  uint8_t label[NAME_FIRST], id[NAME_FIRST];
  CK_ATTRIBUTE attrs[] = { { CKA_LABEL, label, sizeof(label) }, { CKA_ID, id, sizeof(id) } };
  struct p11_module *module = p11_session_module(lease->session);
  CK_RV rv = p11_module_functions(module)->C_GetAttributeValue(p11_session_handle(lease->session), found->handle, attrs,
                                                               HF_ARRAY_LEN(attrs));
  bool gone = rv == CKR_OBJECT_HANDLE_INVALID || rv == CKR_KEY_HANDLE_INVALID;
  if (!gone && rv != CKR_BUFFER_TOO_SMALL && rv != CKR_ATTRIBUTE_TYPE_INVALID && rv != CKR_ATTRIBUTE_SENSITIVE)
    HF_TRY(p11_fail(module, rv, "reading the key's label and id"));
  *still = !gone && has_name(&attrs[0], &key->exact, URI_OBJECT) && has_name(&attrs[1], &key->exact, URI_ID);
  return HF_OK;
}

/* C_SignInit and C_Sign, or C_DecryptInit and C_Decrypt: the two have the same form. */
struct operation {
  CK_C_SignInit init;
  CK_C_Sign run;
  const char *name;
  CK_MECHANISM *mechanism;
  CK_BYTE *data;
  CK_ULONG len;
  struct hf_buf *out;
};

static hf_err work_operation(struct p11_key *key, const struct p11_lease *lease, struct p11_found *found, void *arg)
{
  const struct operation *op = arg;
  struct p11_module *module = p11_session_module(lease->session);
  CK_SESSION_HANDLE session = p11_session_handle(lease->session);
  if (found->epoch != lease->epoch)
    HF_TRY(find_same(key, lease, found));
  HF_TRY(p11_fail(module, op->init(session, op->mechanism, found->handle), "%s with the key", op->name));
  if (found->always_authenticate)
    HF_TRY(p11_session_login(lease->session, CKU_CONTEXT_SPECIFIC, key->pin, P11_LOGIN_CAREFUL));
  CK_BYTE result[P11_SIGNATURE_MAX];
  CK_ULONG len = sizeof(result);
  hf_err e = p11_fail(module, op->run(session, op->data, op->len, result, &len), "%s with the key", op->name);
  if (!hf_failed(e) && len > sizeof(result))
    e = hf_fail(HF_ERR_MODULE_ANSWER, "%s gave %lu bytes", op->name, len);
  if (!hf_failed(e))
    e = hf_buf_add(op->out, result, len);
  hf_wipe(result, sizeof(result));
  return e;
}

struct agreement {
  CK_BYTE *point;
  CK_ULONG point_len;
  CK_ULONG secret_len;
  struct hf_buf *out;
};

/* The secret as an object of the session, whose value may be read. */
static hf_err derive_object(const struct agreement *agreement, const struct p11_lease *lease, CK_OBJECT_HANDLE base,
                            CK_OBJECT_HANDLE *ret_object)
{
  static CK_OBJECT_CLASS object_class = CKO_SECRET_KEY;
  static CK_KEY_TYPE key_type = CKK_GENERIC_SECRET;
  static CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
  CK_ULONG len = agreement->secret_len;
  CK_ATTRIBUTE attrs[] = {
    { CKA_CLASS, &object_class, sizeof(object_class) },
    { CKA_KEY_TYPE, &key_type, sizeof(key_type) },
    { CKA_TOKEN, &no, sizeof(no) },
    { CKA_SENSITIVE, &no, sizeof(no) },
    { CKA_EXTRACTABLE, &yes, sizeof(yes) },
    { CKA_VALUE_LEN, &len, sizeof(len) },
  };
  CK_ECDH1_DERIVE_PARAMS params = { .kdf = CKD_NULL,
                                    .ulPublicDataLen = agreement->point_len,
                                    .pPublicData = agreement->point };
  CK_MECHANISM mechanism = { CKM_ECDH1_DERIVE, &params, sizeof(params) };
  struct p11_module *module = p11_session_module(lease->session);
  CK_RV rv = p11_module_functions(module)->C_DeriveKey(p11_session_handle(lease->session), &mechanism, base, attrs,
                                                       HF_ARRAY_LEN(attrs), ret_object);
  return p11_fail(module, rv, "deriving a secret with the key");
}

static hf_err work_derive(struct p11_key *key, const struct p11_lease *lease, struct p11_found *found, void *arg)
{
  const struct agreement *agreement = arg;
  CK_OBJECT_HANDLE object;
  HF_CLEANUP(hf_buf_free) struct hf_buf secret = HF_BUF(P11_SIGNATURE_MAX);
  if (found->epoch != lease->epoch)
    HF_TRY(find_same(key, lease, found));
  HF_TRY(derive_object(agreement, lease, found->handle, &object));
  hf_err e = p11_object_get(lease->session, object, CKA_VALUE, &secret);
  struct hf_err_saved saved = hf_err_save(e);
  hf_ignore(p11_object_destroy(lease->session, object));
  HF_TRY(hf_err_restore(&saved));
  if (secret.len != agreement->secret_len)
    return hf_fail(HF_ERR_MODULE_ANSWER, "a shared secret of %zu bytes, where the curve's has %lu", secret.len,
                   agreement->secret_len);
  return hf_buf_add(agreement->out, secret.data, secret.len);
}

/* PKCS #11 takes what it only reads as not const. */
static CK_BYTE *unconst(const void *data)
{
  union {
    const void *in;
    CK_BYTE *out;
  } bridge = { .in = data };
  return bridge.out;
}

hf_err p11_key_sign_raw(struct p11_key *key, CK_MECHANISM *mechanism, const void *data, size_t len, struct hf_buf *out)
{
  CK_FUNCTION_LIST *f = p11_module_functions(p11_pool_module(key->pool));
  struct operation op = { f->C_SignInit, f->C_Sign, "signing", mechanism, unconst(data), len, out };
  return with_session(key, work_operation, &op);
}

hf_err p11_key_decrypt(struct p11_key *key, CK_MECHANISM *mechanism, const void *data, size_t len, struct hf_buf *out)
{
  CK_FUNCTION_LIST *f = p11_module_functions(p11_pool_module(key->pool));
  struct operation op = { f->C_DecryptInit, f->C_Decrypt, "decrypting", mechanism, unconst(data), len, out };
  return with_session(key, work_operation, &op);
}

hf_err p11_key_derive(struct p11_key *key, const void *point, size_t len, struct hf_buf *out)
{
  if (key->public.type != CKK_EC)
    return hf_fail(HF_ERR_KEY_TYPE_INCONSISTENT, "ECDH with a key of type %s", p11_key_type_name(key->public.type));
  struct agreement agreement = { unconst(point), len, (p11_public_bits(&key->public) + 7) / 8, out };
  return with_session(key, work_derive, &agreement);
}

hf_err p11_key_check(struct p11_key *key, bool *ret_same)
{
  bool same;
  HF_TRY(with_session(key, work_check, &same));
  *ret_same = same;
  return HF_OK;
}

hf_err p11_key_peek(struct p11_key *key, bool *ret_still)
{
  bool still;
  HF_TRY(with_session(key, work_peek, &still));
  *ret_still = still;
  return HF_OK;
}

const struct uri *p11_key_uri(const struct p11_key *key)
{
  return &key->exact;
}

const struct p11_public *p11_key_public(const struct p11_key *key)
{
  return &key->public;
}

struct p11_module *p11_key_module(const struct p11_key *key)
{
  return p11_pool_module(key->pool);
}

struct p11_key *p11_key_ref(struct p11_key *key)
{
  atomic_fetch_add(&key->refs, 1);
  return key;
}

struct p11_key *p11_key_unref(struct p11_key *key)
{
  if (!key || atomic_fetch_sub(&key->refs, 1) > 1)
    return NULL;
  if (key->pool) {
    /* The last one closes sessions, while another thread might start the module anew. */
    struct p11_module *module = p11_pool_module(key->pool);
    p11_module_enter(module);
    p11_pool_unref(key->pool);
    p11_module_leave(module);
  }
  uri_free(&key->uri);
  uri_free(&key->exact);
  hf_secret_free(key->pin);
  p11_public_free(&key->public);
  free(key);
  return NULL;
}

static hf_err open_pool(struct p11_module *module, const struct uri *uri, struct p11_pool **ret_pool)
{
  p11_module_enter(module);
  hf_err e = p11_pool_open(module, uri, ret_pool);
  p11_module_leave(module);
  return e;
}

static hf_err find_pool(struct p11_module *module, const struct uri *uri, struct p11_pool **ret_pool)
{
  hf_err e = open_pool(module, uri, ret_pool);
  return recovery_for(e) && p11_module_revive(module, hf_err_rv(e)) ? open_pool(module, uri, ret_pool) : e;
}

hf_err p11_key_open(struct p11_module *module, const struct uri *uri, struct hf_secret *pin, struct p11_key **ret_key)
{
  HF_CLEANUP(p11_key_unrefp) struct p11_key *key = calloc(1, sizeof(*key));
  if (!key)
    return hf_fail(HF_ERR_NO_MEMORY, "opening a key");
  atomic_init(&key->refs, 1);
  p11_public_init(&key->public);
  HF_TRY(uri_copy(uri, &key->uri));
  uri_unset(&key->uri, URI_PIN_VALUE);
  HF_TRY(uri_set(&key->uri, URI_TYPE, "private", strlen("private")));
  if (pin)
    HF_TRY(hf_secret_new(hf_secret_data(pin), hf_secret_len(pin), &key->pin));
  HF_TRY(find_pool(module, uri, &key->pool));
  HF_TRY(with_session(key, work_open, NULL));
  *ret_key = HF_TAKE(key);
  return HF_OK;
}
