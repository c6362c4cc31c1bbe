/* SPDX-License-Identifier: Apache-2.0 */
/* What changes a token: keys made and deleted, tokens initialised, PINs changed. */
#include "agent/guard.h"
#include "agent/sign_call.h"

#include <errno.h>
#include <sys/random.h>

enum { RANDOM_ID_LEN = 16, ID_MAX = 255, LABEL_BYTES_MAX = 255, PEM_TEXT_MAX = 32 * 1024 };

/* Within p11_module_enter and leave, with the narrowed URI. */
typedef hf_err (*work_fn)(struct sign_call *call, struct p11_module *module, struct uri *uri);

static hf_err within_module_once(struct sign_call *call, work_fn work)
{
  HF_CLEANUP(uri_free) struct uri uri = { 0 };
  struct p11_module *module;
  HF_TRY(keyring_narrow(call->agent->keyring, call->uri, &uri));
  HF_TRY(keyring_module(call->agent->keyring, &module));
  p11_module_enter(module);
  hf_err e = work(call, module, &uri);
  p11_module_leave(module);
  return e;
}

/* A token that is not found has not been changed. */
static hf_err within_module(struct sign_call *call, work_fn work)
{
  hf_err e = within_module_once(call, work);
  return e.code == HF_ERR_TOKEN_NOT_FOUND && keyring_renew(call->agent->keyring) ? within_module_once(call, work) : e;
}

static hf_err ask_token(struct sign_call *call, enum policy_op op, const struct p11_token *token)
{
  HF_CLEANUP(uri_free) struct uri uri = { 0 };
  HF_TRY(p11_token_uri(token, &uri));
  return sign_ask(call, op, &uri);
}

static hf_err keep_token_uri(struct sign_call *call, const struct p11_token *token)
{
  HF_CLEANUP(uri_free) struct uri uri = { 0 };
  HF_TRY(p11_token_uri(token, &uri));
  return sign_keep_uri(call, &uri, &call->response.uri);
}

/* A String as C has it; what holds a NUL is refused. */
static hf_err string_of(const struct wire_text *text, size_t max, const char *what, struct hf_buf *out)
{
  if (text->bytes.len > max)
    return hf_fail(HF_ERR_LIMIT, "%s of %zu bytes; %zu are the most", what, text->bytes.len, max);
  if (text->bytes.len && memchr(text->bytes.data, '\0', text->bytes.len))
    return hf_fail(HF_ERR_ARGUMENT, "%s that holds a NUL", what);
  return hf_buf_add(out, text->bytes.data, text->bytes.len);
}

/* Keys */

static const struct kind_row {
  enum wire_key_type type;
  uint16_t size;
  enum p11_key_kind kind;
} kinds[] = {
  { WIRE_KEY_RSA, 2048, P11_RSA },   { WIRE_KEY_RSA, 3072, P11_RSA },   { WIRE_KEY_RSA, 4096, P11_RSA },
  { WIRE_KEY_EC, 256, P11_EC_P256 }, { WIRE_KEY_EC, 384, P11_EC_P384 }, { WIRE_KEY_EC, 521, P11_EC_P521 },
};

static hf_err find_kind(const struct wire_frame *request, enum p11_key_kind *ret_kind)
{
  for (size_t i = 0; i < HF_ARRAY_LEN(kinds); i++)
    if (kinds[i].type == request->key_type.value && kinds[i].size == request->key_size) {
      *ret_kind = kinds[i].kind;
      return HF_OK;
    }
  bool rsa = request->key_type.value == WIRE_KEY_RSA;
  return hf_hint(hf_fail(HF_ERR_KEY_SIZE_RANGE, "%s-%u", rsa ? "RSA" : "P", request->key_size), "Use %s.",
                 rsa ? "2048, 3072 or 4096 bits" : "256, 384 or 521");
}

static hf_err new_id(const struct wire_frame *request, struct hf_buf *out)
{
  if (request->id.present && request->id.bytes.len > 0)
    return request->id.bytes.len <= ID_MAX ? hf_buf_add(out, request->id.bytes.data, request->id.bytes.len)
                                           : hf_fail(HF_ERR_LIMIT, "an id of %zu bytes", request->id.bytes.len);
  uint8_t id[RANDOM_ID_LEN];
  if (getrandom(id, sizeof(id), 0) != (ssize_t)sizeof(id))
    return hf_fail_errno(errno, "getting random bytes");
  return hf_buf_add(out, id, sizeof(id));
}

static bool is_key(const struct p11_object *object)
{
  return object->object_class == CKO_PRIVATE_KEY || object->object_class == CKO_PUBLIC_KEY;
}

/* All with this id, of any class. */
static hf_err list_by_id(struct p11_session *session, const struct hf_buf *id, struct p11_object **ret_objects,
                         size_t *ret_count)
{
  HF_CLEANUP(uri_free) struct uri uri = { 0 };
  HF_TRY(uri_set(&uri, URI_ID, id->data, id->len));
  return p11_object_list(session, &uri, ret_objects, ret_count);
}

static hf_err check_id_is_free(struct p11_session *session, const struct hf_buf *id)
{
  struct p11_object *objects = NULL;
  size_t count = 0, keys = 0;
  HF_TRY(list_by_id(session, id, &objects, &count));
  for (size_t i = 0; i < count; i++)
    keys += is_key(&objects[i]);
  p11_object_list_free(objects, count);
  if (keys == 0)
    return HF_OK;
  HF_CLEANUP(hf_buf_free) struct hf_buf hex = HF_BUF(2 * ID_MAX);
  HF_TRY(hf_buf_add_hex(&hex, id->data, id->len));
  return hf_fail(HF_ERR_ID_EXISTS, "a key with the id %s", hf_buf_str(&hex));
}

/* The new pair's URI and public half, found as everyone will find it. */
static hf_err report_key(struct sign_call *call, struct p11_session *session, const struct p11_token *token,
                         const struct hf_buf *id)
{
  HF_CLEANUP(uri_free) struct uri wanted = { 0 }, uri = { 0 };
  HF_CLEANUP(p11_object_free) struct p11_object object = { 0 };
  HF_CLEANUP(p11_public_free) struct p11_public public;
  HF_CLEANUP(hf_buf_free) struct hf_buf pem = HF_BUF(PEM_TEXT_MAX);
  p11_public_init(&public);
  HF_TRY(uri_set(&wanted, URI_ID, id->data, id->len));
  HF_TRY(uri_set(&wanted, URI_TYPE, "private", strlen("private")));
  HF_TRY(p11_object_find(session, &wanted, &object));
  HF_TRY(p11_public_find(session, &object, &public));
  HF_TRY(p11_object_uri(token, &object, &uri));
  HF_TRY(sign_pem(&public, &pem));
  HF_TRY(sign_keep(call, pem.data, pem.len, &call->response.text));
  return sign_keep_uri(call, &uri, &call->response.uri);
}

static hf_err create_key(struct sign_call *call, struct p11_module *module, struct uri *uri)
{
  HF_CLEANUP(p11_session_closep) struct p11_session *session = NULL;
  HF_CLEANUP(hf_buf_free) struct hf_buf id = HF_BUF(ID_MAX), label = HF_BUF(LABEL_BYTES_MAX);
  struct p11_key_spec spec = { 0 };
  struct p11_token token;
  CK_OBJECT_HANDLE public, private;
  HF_TRY(find_kind(&call->request, &spec.kind));
  HF_TRY(string_of(&call->request.label, LABEL_BYTES_MAX, "a label", &label));
  HF_TRY(p11_token_find(module, uri, &token));
  HF_TRY(ask_token(call, POLICY_CREATE, &token));
  HF_TRY(keyring_session(call->agent->keyring, uri, call->pin, P11_READ_WRITE, &token, &session));
  HF_TRY(new_id(&call->request, &id));
  HF_TRY(check_id_is_free(session, &id));
  spec.rsa_bits = spec.kind == P11_RSA ? call->request.key_size : 0;
  spec.label = hf_buf_str(&label);
  spec.id = id.data;
  spec.id_len = id.len;
  HF_TRY(p11_key_generate(session, &spec, &public, &private));
  return report_key(call, session, &token, &id);
}

hf_err sign_create_key(struct sign_call *call)
{
  return within_module(call, create_key);
}

/* At most the private and the public key of one id; a certificate stays. */
struct pair {
  struct p11_object *objects;
  size_t count;
};

static void pair_free(struct pair *pair)
{
  p11_object_list_free(pair->objects, pair->count);
}

static hf_err find_pair(struct p11_session *session, const struct p11_object *key, struct pair *ret_pair)
{
  struct pair pair = { 0 };
  HF_TRY(list_by_id(session, &key->id, &pair.objects, &pair.count));
  size_t private_keys = 0;
  for (size_t i = 0; i < pair.count; i++)
    private_keys += pair.objects[i].object_class == CKO_PRIVATE_KEY;
  if (private_keys > 1) {
    pair_free(&pair);
    return hf_fail(HF_ERR_URI_AMBIGUOUS, "%zu private keys share one id", private_keys);
  }
  *ret_pair = pair;
  return HF_OK;
}

static hf_err delete_one(struct sign_call *call, struct p11_session *session, const struct p11_token *token,
                         const struct p11_object *object)
{
  HF_CLEANUP(uri_free) struct uri uri = { 0 };
  struct wire_item *item;
  HF_TRY(p11_object_uri(token, object, &uri));
  HF_TRY(p11_object_destroy(session, object->handle));
  HF_TRY(sign_add_item(call, &item));
  return sign_keep_uri(call, &uri, &item->uri);
}

static hf_err delete_key(struct sign_call *call, struct p11_module *module, struct uri *uri)
{
  HF_CLEANUP(p11_session_closep) struct p11_session *session = NULL;
  HF_CLEANUP(p11_object_free) struct p11_object key = { 0 };
  HF_CLEANUP(uri_free) struct uri exact = { 0 };
  HF_CLEANUP(pair_free) struct pair pair = { 0 };
  struct p11_token token;
  (void)module;
  if (!uri_get(uri, URI_OBJECT) && !uri_get(uri, URI_ID))
    return hf_hint(hf_fail(HF_ERR_URI_AMBIGUOUS, "a key is deleted by its own URI alone"),
                   "Name it by object= or id=.");
  if (!uri_get(uri, URI_TYPE))
    HF_TRY(uri_set(uri, URI_TYPE, "private", strlen("private")));
  HF_TRY(keyring_session(call->agent->keyring, uri, call->pin, P11_READ_WRITE, &token, &session));
  HF_TRY(p11_object_find(session, uri, &key));
  HF_TRY(p11_object_uri(&token, &key, &exact));
  HF_TRY(sign_ask(call, POLICY_DELETE, &exact));
  if (key.object_class != CKO_PRIVATE_KEY || key.id.len == 0)
    return delete_one(call, session, &token, &key);
  HF_TRY(find_pair(session, &key, &pair));
  for (size_t i = 0; i < pair.count; i++)
    if (is_key(&pair.objects[i]))
      HF_TRY(delete_one(call, session, &token, &pair.objects[i]));
  return HF_OK;
}

hf_err sign_delete_key(struct sign_call *call)
{
  return within_module(call, delete_key);
}

/* Tokens */

/*
 * The slot that a new token goes to: the URI's, else the only free one. What holds a token already is not overwritten, and a
 * second token of the same name would make both ambiguous.
 */
static hf_err find_free_slot(struct p11_module *module, const struct uri *uri, const char *label,
                             struct p11_token *ret_token)
{
  HF_CLEANUP(hf_freep) struct p11_token *tokens = NULL;
  size_t count = 0, free_count = 0, taken = 0, named = 0;
  HF_TRY(p11_token_list(module, &tokens, &count));
  for (size_t i = 0; i < count; i++) {
    bool match;
    HF_TRY(p11_token_matches(module, &tokens[i], uri, &match));
    bool initialised = tokens[i].flags & CKF_TOKEN_INITIALIZED;
    named += initialised && strcmp(tokens[i].label, label) == 0;
    if (match && initialised)
      taken++;
    else if (match)
      tokens[free_count++] = tokens[i];
  }
  if (named > 0)
    return hf_hint(hf_fail(HF_ERR_ARGUMENT, "the token \"%s\" is initialised already, and is not overwritten", label),
                   "Use it, choose another label, or delete it first with 'holdfast token delete'.");
  if (free_count == 1) {
    *ret_token = tokens[0];
    return HF_OK;
  }
  if (free_count > 1)
    return hf_hint(hf_fail(HF_ERR_TOKEN_AMBIGUOUS, "%zu slots are free", free_count), "Name one by slot-id=.");
  if (taken > 0)
    return hf_hint(hf_fail(HF_ERR_ARGUMENT, "the token is initialised already, and is not overwritten"),
                   "Delete it first with 'holdfast token delete', or name a free slot by slot-id=.");
  return hf_fail(HF_ERR_TOKEN_NOT_FOUND, "no free slot in %s", p11_module_path(module));
}

static hf_err ask_init(struct sign_call *call, const struct p11_token *slot, const char *label)
{
  HF_CLEANUP(uri_free) struct uri uri = { 0 };
  char number[32];
  int len = snprintf(number, sizeof(number), "%lu", slot->slot);
  HF_TRY(uri_set(&uri, URI_SLOT_ID, number, (size_t)len));
  HF_TRY(uri_set(&uri, URI_TOKEN, label, strlen(label)));
  return sign_ask(call, POLICY_INIT, &uri);
}

static hf_err init_token(struct sign_call *call, struct p11_module *module, struct uri *uri)
{
  HF_CLEANUP(hf_secret_freep) struct hf_secret *pin = NULL, *so_pin = NULL;
  HF_CLEANUP(hf_buf_free) struct hf_buf label = HF_BUF(LABEL_BYTES_MAX);
  struct p11_token slot = { 0 }, token;
  HF_TRY(string_of(&call->request.label, LABEL_BYTES_MAX, "a label", &label));
  const char *name = hf_buf_str(&label);
  if (!name || !name[0])
    return hf_fail(HF_ERR_ARGUMENT, "a token without a label");
  HF_TRY(find_free_slot(module, uri, name, &slot));
  HF_TRY(ask_init(call, &slot, name));
  HF_TRY(keyring_pin(call->agent->keyring, call->pin, &pin));
  HF_TRY(sign_secret(&call->request.so_pin, &so_pin));
  if (!so_pin && !(slot.flags & CKF_PROTECTED_AUTHENTICATION_PATH))
    return hf_hint(hf_fail(HF_ERR_PIN_MISSING, "the SO PIN of the new token \"%s\"", name), "Send so_pin.");
  HF_TRY(p11_token_setup(module, slot.slot, name, so_pin, &token));
  HF_TRY(p11_token_set_user_pin(module, token.slot, so_pin, pin));
  return keep_token_uri(call, &token);
}

hf_err sign_init_token(struct sign_call *call)
{
  return within_module(call, init_token);
}

static hf_err change_pin(struct sign_call *call, struct p11_module *module, struct uri *uri)
{
  HF_CLEANUP(hf_secret_freep) struct hf_secret *new_pin = NULL, *old_pin = NULL, *used = NULL, *so_pin = NULL;
  struct keyring *keyring = call->agent->keyring;
  struct p11_token token;
  HF_TRY(p11_token_find(module, uri, &token));
  HF_TRY(ask_token(call, POLICY_CHANGE_PIN, &token));
  HF_TRY(sign_secret(&call->request.new_pin, &new_pin));
  HF_TRY(sign_secret(&call->request.old_pin, &old_pin));
  HF_TRY(sign_secret(&call->request.so_pin, &so_pin));
  if (!new_pin)
    return hf_fail(HF_ERR_PIN_LEN_RANGE, "an empty new PIN");
  if (call->request.reset && !so_pin && !(token.flags & CKF_PROTECTED_AUTHENTICATION_PATH))
    return hf_hint(hf_fail(HF_ERR_PIN_MISSING, "the SO PIN of token \"%s\"", token.label), "Send so_pin.");
  if (call->request.reset) {
    /* The SO logs in only where nobody else is. */
    keyring_forget(keyring);
    guard_pools_reset();
    HF_TRY(p11_token_set_user_pin(module, token.slot, so_pin, new_pin));
  } else {
    HF_TRY(keyring_token_pin(keyring, &token, old_pin, &used));
    HF_TRY(p11_token_change_pin(module, token.slot, CKU_USER, used, new_pin));
  }
  keyring_pin_changed(keyring, &token, new_pin);
  return keep_token_uri(call, &token);
}

hf_err sign_change_pin(struct sign_call *call)
{
  return within_module(call, change_pin);
}
