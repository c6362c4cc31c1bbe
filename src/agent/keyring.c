/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/keyring.h"

#include "base/file.h"

#include <pthread.h>
#include <time.h>

enum { KEYS_MAX = 256, TOKENS_MAX = 64, SEARCH_SECONDS = 1, RENEW_SECONDS_MAX = 300 };

/* A key, by the text of the narrowed URI. */
struct entry {
  char *uri;
  struct p11_key *key;
  uint64_t used;
  time_t searched; /* when the URI was last seen to lead to this key and no other */
};

/* What is known of a token that was used. */
struct known {
  struct p11_token token;
  struct hf_secret *pin; /* with which it is logged in; NULL: not, or without one */
  bool logged_in;
  bool wrong; /* the last PIN was */
};

struct keyring {
  char *module_path;
  char *pin_source;
  struct hf_secret *pin;
  struct uri uri;
  pthread_mutex_t lock; /* guards all below; never held during a call into the module */
  struct p11_module *module;
  uint64_t stamp; /* of the PIN's source */
  uint64_t clock;
  struct entry entries[KEYS_MAX];
  size_t count;
  struct known tokens[TOKENS_MAX];
  size_t token_count;
  time_t renewed, renew_wait; /* seconds */
};

static hf_err copy_options(const struct keyring_options *options, struct keyring *keyring)
{
  keyring->module_path = strdup(options->module_path);
  keyring->pin_source = options->pin_source ? strdup(options->pin_source) : NULL;
  if (!keyring->module_path || (options->pin_source && !keyring->pin_source))
    return hf_fail(HF_ERR_NO_MEMORY, "the agent's keys");
  if (options->pin)
    HF_TRY(hf_secret_new(hf_secret_data(options->pin), hf_secret_len(options->pin), &keyring->pin));
  if (!options->uri)
    return HF_OK;
  HF_TRY(uri_parse(options->uri, &keyring->uri));
  uri_unset(&keyring->uri, URI_PIN_VALUE);
  uri_unset(&keyring->uri, URI_PIN_SOURCE);
  return HF_OK;
}

hf_err keyring_open(const struct keyring_options *options, struct keyring **ret_keyring)
{
  HF_CLEANUP(keyring_closep) struct keyring *keyring = calloc(1, sizeof(*keyring));
  if (!keyring)
    return hf_fail(HF_ERR_NO_MEMORY, "the agent's keys");
  pthread_mutex_init(&keyring->lock, NULL);
  HF_TRY(copy_options(options, keyring));
  if (keyring->pin_source)
    keyring->stamp = hf_pin_source_stamp(keyring->pin_source);
  *ret_keyring = HF_TAKE(keyring);
  return HF_OK;
}

static void entry_free(struct entry *entry)
{
  free(entry->uri);
  p11_key_unref(entry->key);
  *entry = (struct entry){ 0 };
}

struct keyring *keyring_close(struct keyring *keyring)
{
  if (!keyring)
    return NULL;
  keyring_forget(keyring);
  for (size_t i = 0; i < keyring->token_count; i++)
    hf_secret_free(keyring->tokens[i].pin);
  p11_module_unref(keyring->module);
  pthread_mutex_destroy(&keyring->lock);
  uri_free(&keyring->uri);
  hf_secret_free(keyring->pin);
  free(keyring->pin_source);
  free(keyring->module_path);
  free(keyring);
  return NULL;
}

static time_t seconds_now(void)
{
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec;
}

hf_err keyring_module(struct keyring *keyring, struct p11_module **ret_module)
{
  pthread_mutex_lock(&keyring->lock);
  struct p11_module *module = keyring->module;
  pthread_mutex_unlock(&keyring->lock);
  if (!module) {
    HF_TRY(p11_module_open(keyring->module_path, &module));
    pthread_mutex_lock(&keyring->lock);
    struct p11_module *spare = keyring->module;
    keyring->module = module;
    pthread_mutex_unlock(&keyring->lock);
    p11_module_unref(spare);
  }
  *ret_module = module;
  return HF_OK;
}

bool keyring_renew(struct keyring *keyring)
{
  struct p11_module *module;
  if (hf_failed(keyring_module(keyring, &module)) || p11_module_ext(module))
    return false;
  time_t now = seconds_now();
  pthread_mutex_lock(&keyring->lock);
  time_t since = now - keyring->renewed;
  bool due = keyring->renewed == 0 || since > keyring->renew_wait;
  if (since > RENEW_SECONDS_MAX)
    keyring->renew_wait = 0;
  if (due) {
    keyring->renewed = now;
    keyring->renew_wait =
        keyring->renew_wait * 2 + 1 < RENEW_SECONDS_MAX ? keyring->renew_wait * 2 + 1 : RENEW_SECONDS_MAX;
  }
  pthread_mutex_unlock(&keyring->lock);
  return due && p11_module_renew(module);
}

/* PINs */

static bool same_secret(struct hf_secret *a, struct hf_secret *b)
{
  return hf_secret_len(a) == hf_secret_len(b) &&
         hf_secret_equal(hf_secret_data(a), hf_secret_data(b), hf_secret_len(a));
}

static hf_err copy_secret(struct hf_secret *secret, struct hf_secret **ret_copy)
{
  return hf_secret_new(hf_secret_data(secret), hf_secret_len(secret), ret_copy);
}

hf_err keyring_pin(struct keyring *keyring, struct hf_secret *requested, struct hf_secret **ret_pin)
{
  if (requested)
    return copy_secret(requested, ret_pin);
  if (keyring->pin_source)
    return hf_pin_source_read(keyring->pin_source, ret_pin);
  if (keyring->pin)
    return copy_secret(keyring->pin, ret_pin);
  *ret_pin = NULL;
  return HF_OK;
}

/* With the lock held. *ret_known NULL where it is new and there is no room: then nothing is remembered of it. */
static struct known *known_find(struct keyring *keyring, const struct p11_token *token, bool add)
{
  for (size_t i = 0; i < keyring->token_count; i++) {
    struct known *known = &keyring->tokens[i];
    if (strcmp(known->token.label, token->label) == 0 && strcmp(known->token.serial, token->serial) == 0 &&
        strcmp(known->token.model, token->model) == 0)
      return known;
  }
  if (!add || keyring->token_count == TOKENS_MAX)
    return NULL;
  struct known *known = &keyring->tokens[keyring->token_count++];
  *known = (struct known){ .token = *token };
  return known;
}

void keyring_note_login(struct keyring *keyring, const struct p11_token *token, struct hf_secret *pin, hf_err result)
{
  struct hf_secret *copy = NULL;
  if (pin && !hf_failed(result))
    hf_ignore(copy_secret(pin, &copy));
  pthread_mutex_lock(&keyring->lock);
  struct known *known = known_find(keyring, token, true);
  if (known && !hf_failed(result)) {
    hf_secret_free(known->pin);
    known->pin = HF_TAKE(copy);
    known->logged_in = true;
    known->wrong = false;
  } else if (known && result.code == HF_ERR_PIN_INCORRECT) {
    known->wrong = true;
  }
  pthread_mutex_unlock(&keyring->lock);
  hf_secret_free(copy);
}

hf_err keyring_token_pin(struct keyring *keyring, const struct p11_token *token, struct hf_secret *requested,
                         struct hf_secret **ret_pin)
{
  struct hf_secret *pin = NULL;
  hf_err e = HF_OK;
  pthread_mutex_lock(&keyring->lock);
  const struct known *known = requested ? NULL : known_find(keyring, token, false);
  if (known && known->pin)
    e = copy_secret(known->pin, &pin);
  pthread_mutex_unlock(&keyring->lock);
  HF_TRY(e);
  if (!pin)
    return keyring_pin(keyring, requested, ret_pin);
  *ret_pin = pin;
  return HF_OK;
}

void keyring_pin_changed(struct keyring *keyring, const struct p11_token *token, struct hf_secret *pin)
{
  keyring_note_login(keyring, token, pin, HF_OK);
  keyring_forget(keyring);
}

/* While a token is logged in, it would take any PIN: so what the request brings is held against the one that was right. */
static hf_err check_pin(struct keyring *keyring, const struct p11_token *token, struct hf_secret *pin)
{
  if (!pin)
    return HF_OK;
  pthread_mutex_lock(&keyring->lock);
  const struct known *known = known_find(keyring, token, false);
  bool other = known && known->pin && !same_secret(known->pin, pin);
  pthread_mutex_unlock(&keyring->lock);
  if (!other)
    return HF_OK;
  return hf_hint(hf_fail(HF_ERR_PIN_INCORRECT, "token \"%s\" is logged in with another PIN", token->label),
                 "Leave the PIN out of the request: the agent has its own.");
}

/* A source that has changed may hold another PIN: what was opened with the one before is given up. */
static void look_at_source(struct keyring *keyring)
{
  uint64_t stamp = keyring->pin_source ? hf_pin_source_stamp(keyring->pin_source) : 0;
  if (stamp == 0)
    return;
  pthread_mutex_lock(&keyring->lock);
  bool changed = stamp != keyring->stamp;
  keyring->stamp = stamp;
  for (size_t i = 0; changed && i < keyring->token_count; i++) {
    struct known *known = &keyring->tokens[i];
    known->pin = hf_secret_free(known->pin);
    known->logged_in = known->wrong = false;
  }
  pthread_mutex_unlock(&keyring->lock);
  if (changed)
    keyring_forget(keyring);
}

/* URIs */

static hf_err contradiction(const struct uri *own, const char *asked)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf limit = HF_BUF(4 * URI_MAX), shown = HF_BUF(4 * URI_MAX);
  HF_TRY(uri_format(own, &limit));
  HF_TRY(uri_redact(asked, &shown));
  return hf_hint(hf_fail(HF_ERR_URI_NO_MATCH, "%.400s is outside of what the agent serves: %.400s", hf_buf_str(&shown),
                         hf_buf_str(&limit)),
                 "Ask for a key of that token, or change the agent's --uri.");
}

hf_err keyring_narrow(struct keyring *keyring, const char *uri, struct uri *ret_uri)
{
  HF_CLEANUP(uri_free) struct uri narrowed = { 0 };
  if (uri)
    HF_TRY(uri_parse(uri, &narrowed));
  uri_unset(&narrowed, URI_PIN_VALUE);
  uri_unset(&narrowed, URI_PIN_SOURCE);
  /* The module is the agent's; which path a client has in mind for it says nothing here. */
  uri_unset(&narrowed, URI_MODULE_NAME);
  uri_unset(&narrowed, URI_MODULE_PATH);
  for (size_t i = 0; i < URI_PIN_SOURCE; i++) {
    const struct hf_buf *own = &keyring->uri.attrs[i].value, *asked = &narrowed.attrs[i].value;
    if (!keyring->uri.attrs[i].present)
      continue;
    if (narrowed.attrs[i].present && !hf_slice_equal(hf_slice(own->data, own->len), hf_slice(asked->data, asked->len)))
      return contradiction(&keyring->uri, uri);
    HF_TRY(uri_set(&narrowed, (enum uri_attr)i, own->data, own->len));
  }
  *ret_uri = narrowed;
  narrowed = (struct uri){ 0 };
  return HF_OK;
}

/* Keys */

/* With the lock held. */
static struct entry *entry_find(struct keyring *keyring, const char *uri)
{
  for (size_t i = 0; i < keyring->count; i++)
    if (strcmp(keyring->entries[i].uri, uri) == 0)
      return &keyring->entries[i];
  return NULL;
}

/* With the lock held: a free place, or that of the key which was not used for longest. */
static struct entry *entry_place(struct keyring *keyring)
{
  if (keyring->count < KEYS_MAX)
    return &keyring->entries[keyring->count++];
  struct entry *oldest = &keyring->entries[0];
  for (size_t i = 1; i < keyring->count; i++)
    if (keyring->entries[i].used < oldest->used)
      oldest = &keyring->entries[i];
  return oldest;
}

/* A reference, or NULL. *ret_search: it is time to search for others that the URI means, too. */
static struct p11_key *cached(struct keyring *keyring, const char *uri, bool *ret_search)
{
  time_t now = seconds_now();
  pthread_mutex_lock(&keyring->lock);
  struct entry *entry = entry_find(keyring, uri);
  struct p11_key *key = entry ? p11_key_ref(entry->key) : NULL;
  *ret_search = entry && now - entry->searched > SEARCH_SECONDS;
  if (entry) {
    entry->used = ++keyring->clock;
    entry->searched = *ret_search ? now : entry->searched;
  }
  pthread_mutex_unlock(&keyring->lock);
  return key;
}

static hf_err store(struct keyring *keyring, const char *uri, struct p11_key *key)
{
  struct entry fresh = { strdup(uri), p11_key_ref(key), 0, seconds_now() }, old = { 0 };
  if (!fresh.uri) {
    entry_free(&fresh);
    return hf_fail(HF_ERR_NO_MEMORY, "keeping a key");
  }
  pthread_mutex_lock(&keyring->lock);
  struct entry *place = entry_find(keyring, uri);
  if (!place)
    place = entry_place(keyring);
  old = *place;
  *place = fresh;
  place->used = ++keyring->clock;
  pthread_mutex_unlock(&keyring->lock);
  entry_free(&old);
  return HF_OK;
}

void keyring_drop(struct keyring *keyring, const struct p11_key *key)
{
  struct entry dropped[KEYS_MAX];
  size_t count = 0;
  pthread_mutex_lock(&keyring->lock);
  for (size_t i = keyring->count; i-- > 0;)
    if (!key || keyring->entries[i].key == key) {
      dropped[count++] = keyring->entries[i];
      keyring->entries[i] = keyring->entries[--keyring->count];
      keyring->entries[keyring->count] = (struct entry){ 0 };
    }
  pthread_mutex_unlock(&keyring->lock);
  while (count > 0)
    entry_free(&dropped[--count]);
}

void keyring_forget(struct keyring *keyring)
{
  keyring_drop(keyring, NULL);
}

static void token_of_uri(const struct uri *uri, struct p11_token *ret_token)
{
  *ret_token = (struct p11_token){ 0 };
  const struct {
    enum uri_attr attr;
    char *out;
    size_t size;
  } rows[] = {
    { URI_TOKEN, ret_token->label, sizeof(ret_token->label) },
    { URI_SERIAL, ret_token->serial, sizeof(ret_token->serial) },
    { URI_MODEL, ret_token->model, sizeof(ret_token->model) },
    { URI_MANUFACTURER, ret_token->manufacturer, sizeof(ret_token->manufacturer) },
  };
  for (size_t i = 0; i < HF_ARRAY_LEN(rows); i++)
    if (uri_get(uri, rows[i].attr))
      snprintf(rows[i].out, rows[i].size, "%s", uri_get(uri, rows[i].attr));
}

static hf_err find_token(struct p11_module *module, const struct uri *uri, struct p11_token *ret_token)
{
  p11_module_enter(module);
  hf_err e = p11_token_find(module, uri, ret_token);
  p11_module_leave(module);
  return e;
}

static hf_err open_once(struct keyring *keyring, const struct uri *uri, const char *text, struct hf_secret *requested,
                        struct p11_key **ret_key)
{
  HF_CLEANUP(hf_secret_freep) struct hf_secret *pin = NULL;
  HF_CLEANUP(p11_key_unrefp) struct p11_key *key = NULL;
  struct p11_module *module;
  struct p11_token token;
  HF_TRY(keyring_module(keyring, &module));
  bool found = !hf_failed(find_token(module, uri, &token));
  if (found)
    HF_TRY(check_pin(keyring, &token, requested));
  HF_TRY(found ? keyring_token_pin(keyring, &token, requested, &pin) : keyring_pin(keyring, requested, &pin));
  hf_err e = p11_key_open(module, uri, pin, &key);
  if (found)
    keyring_note_login(keyring, &token, pin, e);
  HF_TRY(e);
  HF_TRY(store(keyring, text, key));
  *ret_key = HF_TAKE(key);
  return HF_OK;
}

static hf_err open_key(struct keyring *keyring, const struct uri *uri, const char *text, struct hf_secret *requested,
                       struct p11_key **ret_key)
{
  hf_err e = open_once(keyring, uri, text, requested, ret_key);
  bool missing = e.code == HF_ERR_TOKEN_NOT_FOUND || e.code == HF_ERR_URI_NO_MATCH;
  return missing && keyring_renew(keyring) ? open_once(keyring, uri, text, requested, ret_key) : e;
}

/*
 * A handle that still has its label and id is the key. But a URI without an id may have come to mean others, too, and is to
 * be refused before a restart would do so; that search is dear in some tokens, so it is not made for every request.
 */
static hf_err look_at(struct p11_key *key, const struct uri *uri, bool search, bool *ret_still)
{
  return search && !uri->attrs[URI_ID].present ? p11_key_check(key, ret_still) : p11_key_peek(key, ret_still);
}

hf_err keyring_key(struct keyring *keyring, const char *uri, struct hf_secret *pin, struct p11_key **ret_key)
{
  HF_CLEANUP(uri_free) struct uri narrowed = { 0 };
  HF_CLEANUP(hf_buf_free) struct hf_buf text = HF_BUF(URI_ATTR_COUNT * 3 * URI_MAX);
  HF_TRY(keyring_narrow(keyring, uri, &narrowed));
  HF_TRY(uri_format(&narrowed, &text));
  look_at_source(keyring);
  /* Held until the new one is open, so that the token stays logged in meanwhile. */
  bool still = false, search;
  HF_CLEANUP(p11_key_unrefp) struct p11_key *key = cached(keyring, hf_buf_str(&text), &search);
  if (key) {
    struct p11_token token;
    token_of_uri(p11_key_uri(key), &token);
    HF_TRY(check_pin(keyring, &token, pin));
    hf_err e = look_at(key, &narrowed, search, &still);
    if (hf_failed(e))
      keyring_drop(keyring, key);
    if (hf_failed(e) && e.code != HF_ERR_URI_NO_MATCH && e.code != HF_ERR_PIN_INCORRECT)
      return e;
  }
  if (still) {
    *ret_key = HF_TAKE(key);
    return HF_OK;
  }
  return open_key(keyring, &narrowed, hf_buf_str(&text), pin, ret_key);
}

/* Sessions and tokens */

hf_err keyring_session(struct keyring *keyring, const struct uri *uri, struct hf_secret *pin, enum p11_mode mode,
                       struct p11_token *ret_token, struct p11_session **ret_session)
{
  HF_CLEANUP(hf_secret_freep) struct hf_secret *used = NULL;
  HF_CLEANUP(p11_session_closep) struct p11_session *session = NULL;
  struct p11_module *module;
  struct p11_token token;
  look_at_source(keyring);
  HF_TRY(keyring_module(keyring, &module));
  HF_TRY(p11_token_find(module, uri, &token));
  HF_TRY(check_pin(keyring, &token, pin));
  hf_err e = p11_session_open(module, token.slot, mode, &session);
  if (e.code == HF_ERR_SESSION_COUNT) {
    keyring_forget(keyring);
    e = p11_session_open(module, token.slot, mode, &session);
  }
  HF_TRY(e);
  if (token.flags & CKF_LOGIN_REQUIRED) {
    HF_TRY(keyring_token_pin(keyring, &token, pin, &used));
    e = p11_session_login(session, CKU_USER, used, P11_LOGIN_CAREFUL);
    keyring_note_login(keyring, &token, used, e);
    HF_TRY(e);
  }
  *ret_token = token;
  *ret_session = HF_TAKE(session);
  return HF_OK;
}

bool keyring_serves(struct keyring *keyring, struct p11_module *module, const struct p11_token *token)
{
  bool matches = false;
  return !hf_failed(p11_token_matches(module, token, &keyring->uri, &matches)) && matches;
}

static const char *state_of(const struct p11_token *token, const struct known *known)
{
  const struct {
    bool holds;
    const char *state;
  } rows[] = {
    { token->flags & CKF_USER_PIN_LOCKED, "PIN locked" },
    { known && known->wrong, "wrong PIN" },
    { token->flags & CKF_USER_PIN_FINAL_TRY, "last try" },
    { !(token->flags & CKF_LOGIN_REQUIRED) || (known && known->logged_in), "ready" },
  };
  for (size_t i = 0; i < HF_ARRAY_LEN(rows); i++)
    if (rows[i].holds)
      return rows[i].state;
  return "not logged in";
}

static hf_err list_tokens(struct keyring *keyring, struct p11_token **ret_tokens, size_t *ret_count)
{
  struct p11_module *module;
  HF_TRY(keyring_module(keyring, &module));
  p11_module_enter(module);
  hf_err e = p11_token_list(module, ret_tokens, ret_count);
  p11_module_leave(module);
  return e;
}

static bool is_among(const struct p11_token *tokens, size_t count, const struct p11_token *token)
{
  for (size_t i = 0; i < count; i++)
    if (strcmp(tokens[i].label, token->label) == 0 && strcmp(tokens[i].serial, token->serial) == 0)
      return true;
  return false;
}

hf_err keyring_tokens(struct keyring *keyring, struct keyring_token **ret_tokens, size_t *ret_count)
{
  HF_CLEANUP(hf_freep) struct p11_token *tokens = NULL;
  size_t count = 0, filled = 0;
  HF_TRY(list_tokens(keyring, &tokens, &count));
  struct keyring_token *list = calloc(count + TOKENS_MAX, sizeof(*list));
  if (!list)
    return hf_fail(HF_ERR_NO_MEMORY, "the agent's tokens");
  pthread_mutex_lock(&keyring->lock);
  for (size_t i = 0; i < count; i++)
    if (tokens[i].flags & CKF_TOKEN_INITIALIZED)
      list[filled++] =
          (struct keyring_token){ tokens[i], state_of(&tokens[i], known_find(keyring, &tokens[i], false)) };
  for (size_t i = 0; i < keyring->token_count; i++)
    if (!is_among(tokens, count, &keyring->tokens[i].token))
      list[filled++] = (struct keyring_token){ keyring->tokens[i].token, "absent" };
  pthread_mutex_unlock(&keyring->lock);
  *ret_tokens = list;
  *ret_count = filled;
  return HF_OK;
}
