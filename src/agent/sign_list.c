/* SPDX-License-Identifier: Apache-2.0 */
/* Listings: what policy does not let the peer see is left out. */
#include "agent/sign_call.h"

#include "base/log.h"

typedef hf_err (*token_fn)(struct sign_call *call, const struct p11_token *token);

/* A slot whose token is not initialised has no name but its number. */
static hf_err token_uri(const struct p11_token *token, struct uri *uri)
{
  if (token->flags & CKF_TOKEN_INITIALIZED)
    return p11_token_uri(token, uri);
  char slot[32];
  int len = snprintf(slot, sizeof(slot), "%lu", token->slot);
  HF_TRY(uri_set(uri, URI_SLOT_ID, slot, (size_t)len));
  return token->model[0] ? uri_set(uri, URI_MODEL, token->model, strlen(token->model)) : HF_OK;
}

/* Those that the URI allows; without free ones where the URI says more than they have. */
static hf_err matching_tokens(struct sign_call *call, const struct uri *uri, struct p11_token **ret_tokens,
                              size_t *ret_count)
{
  struct p11_module *module;
  HF_CLEANUP(hf_freep) struct p11_token *tokens = NULL;
  size_t count = 0, matches = 0;
  HF_TRY(keyring_module(call->agent->keyring, &module));
  HF_TRY(p11_token_list(module, &tokens, &count));
  for (size_t i = 0; i < count; i++) {
    bool match;
    HF_TRY(p11_token_matches(module, &tokens[i], uri, &match));
    if (match)
      tokens[matches++] = tokens[i];
  }
  *ret_tokens = HF_TAKE(tokens);
  *ret_count = matches;
  return HF_OK;
}

static hf_err each_token(struct sign_call *call, const struct uri *uri, token_fn visit)
{
  HF_CLEANUP(hf_freep) struct p11_token *tokens = NULL;
  size_t count = 0;
  HF_TRY(matching_tokens(call, uri, &tokens, &count));
  for (size_t i = 0; i < count; i++)
    HF_TRY(visit(call, &tokens[i]));
  return sign_ask_end(call);
}

static hf_err list(struct sign_call *call, token_fn visit)
{
  HF_CLEANUP(uri_free) struct uri uri = { 0 };
  struct p11_module *module;
  (void)keyring_renew(call->agent->keyring);
  HF_TRY(keyring_narrow(call->agent->keyring, call->uri, &uri));
  HF_TRY(keyring_module(call->agent->keyring, &module));
  p11_module_enter(module);
  hf_err e = each_token(call, &uri, visit);
  p11_module_leave(module);
  return e;
}

static hf_err add_token_uri(struct sign_call *call, const struct p11_token *token)
{
  HF_CLEANUP(uri_free) struct uri uri = { 0 };
  struct wire_item *item;
  bool shown;
  if (!(token->flags & CKF_TOKEN_INITIALIZED))
    return HF_OK;
  HF_TRY(token_uri(token, &uri));
  HF_TRY(sign_ask_item(call, &uri, &shown));
  if (!shown)
    return HF_OK;
  HF_TRY(sign_add_item(call, &item));
  return sign_keep_uri(call, &uri, &item->uri);
}

hf_err sign_tokens_uris(struct sign_call *call)
{
  return list(call, add_token_uri);
}

static hf_err keep_string(struct sign_call *call, const char *text, struct wire_text *ret_text)
{
  return sign_keep_text(call, text, strlen(text), ret_text);
}

static hf_err add_token(struct sign_call *call, const struct p11_token *token)
{
  HF_CLEANUP(uri_free) struct uri uri = { 0 };
  struct wire_item *item;
  bool shown;
  HF_TRY(token_uri(token, &uri));
  HF_TRY(sign_ask_item(call, &uri, &shown));
  if (!shown)
    return HF_OK;
  HF_TRY(sign_add_item(call, &item));
  item->slot = token->slot;
  item->initialized = token->flags & CKF_TOKEN_INITIALIZED;
  HF_TRY(keep_string(call, token->label, &item->label));
  HF_TRY(keep_string(call, token->model, &item->model));
  HF_TRY(keep_string(call, token->manufacturer, &item->manufacturer));
  HF_TRY(keep_string(call, token->serial, &item->serial));
  return sign_keep_uri(call, &uri, &item->uri);
}

hf_err sign_list_tokens(struct sign_call *call)
{
  return list(call, add_token);
}

static hf_err add_key(struct sign_call *call, const struct p11_token *token, const struct p11_object *object)
{
  HF_CLEANUP(uri_free) struct uri uri = { 0 };
  HF_CLEANUP(hf_buf_free) struct hf_buf id = HF_BUF(2 * P11_ATTRIBUTE_MAX);
  struct wire_item *item;
  bool shown;
  if (object->object_class != CKO_PRIVATE_KEY && object->object_class != CKO_PUBLIC_KEY)
    return HF_OK;
  HF_TRY(p11_object_uri(token, object, &uri));
  HF_TRY(sign_ask_item(call, &uri, &shown));
  if (!shown)
    return HF_OK;
  HF_TRY(sign_add_item(call, &item));
  HF_TRY(hf_buf_add_hex(&id, object->id.data, object->id.len));
  HF_TRY(keep_string(call, p11_class_name(object->object_class), &item->object_class));
  HF_TRY(keep_string(call, p11_key_type_name(object->key_type), &item->key_type));
  HF_TRY(sign_keep_text(call, (const char *)object->label.data, object->label.len, &item->label));
  HF_TRY(sign_keep(call, id.data, id.len, &item->id));
  return sign_keep_uri(call, &uri, &item->uri);
}

static hf_err list_token(struct sign_call *call, const struct uri *uri)
{
  HF_CLEANUP(p11_session_closep) struct p11_session *session = NULL;
  struct p11_token token;
  struct p11_object *objects = NULL;
  size_t count = 0;
  HF_TRY(keyring_session(call->agent->keyring, uri, call->pin, P11_READ_ONLY, &token, &session));
  HF_TRY(p11_object_list(session, uri, &objects, &count));
  hf_err e = HF_OK;
  for (size_t i = 0; i < count && !hf_failed(e); i++)
    e = add_key(call, &token, &objects[i]);
  p11_object_list_free(objects, count);
  return e;
}

/* One that cannot be listed does not hide the others; where none can be, its error is the answer. */
static hf_err list_matching(struct sign_call *call, const struct uri *uri)
{
  HF_CLEANUP(hf_freep) struct p11_token *tokens = NULL;
  size_t count = 0, listed = 0, wanted = 0;
  HF_TRY(matching_tokens(call, uri, &tokens, &count));
  hf_err last = HF_OK;
  for (size_t i = 0; i < count; i++) {
    HF_CLEANUP(uri_free) struct uri one = { 0 };
    if (!(tokens[i].flags & CKF_TOKEN_INITIALIZED))
      continue;
    wanted++;
    HF_TRY(uri_copy(uri, &one));
    HF_TRY(p11_token_uri(&tokens[i], &one));
    last = list_token(call, &one);
    if (hf_failed(last) && count > 1)
      hf_ignore(hf_log_err(last, "listing keys"));
    listed += !hf_failed(last);
  }
  if (wanted > 0 && listed == 0)
    return last;
  return sign_ask_end(call);
}

hf_err sign_list_keys(struct sign_call *call)
{
  HF_CLEANUP(uri_free) struct uri uri = { 0 };
  struct p11_module *module;
  HF_TRY(keyring_narrow(call->agent->keyring, call->uri, &uri));
  HF_TRY(keyring_module(call->agent->keyring, &module));
  p11_module_enter(module);
  hf_err e = list_matching(call, &uri);
  p11_module_leave(module);
  return e;
}
