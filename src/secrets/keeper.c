/* SPDX-License-Identifier: Apache-2.0 */
#include "secrets/keeper.h"

#include "identity/hsm.h"

enum { URI_TEXT_MAX = RECORD_URI_MAX };

#define CONTEXT_LABEL "holdfast secret v1"

hf_err keeper_context(const char *name, const uint8_t *version, struct hf_buf *out)
{
  size_t len = strlen(name);
  HF_TRY(hf_buf_add(out, CONTEXT_LABEL, sizeof(CONTEXT_LABEL)));
  HF_TRY(hf_buf_add_u16(out, (uint16_t)len));
  HF_TRY(hf_buf_add(out, name, len));
  return hf_buf_add(out, version, SECRETS_ID_BYTES);
}

/* A URI's text without what leads to the PIN: by that a key is known again. */
static hf_err name_of(const struct uri *uri, struct hf_buf *out)
{
  HF_CLEANUP(uri_free) struct uri bare = { 0 };
  HF_TRY(uri_copy(uri, &bare));
  uri_unset(&bare, URI_PIN_SOURCE);
  uri_unset(&bare, URI_PIN_VALUE);
  return uri_format(&bare, out);
}

/* pin: the URI that says where the PIN is. */
static hf_err open_key(const struct secrets *secrets, const struct uri *uri, const struct uri *pin_uri,
                       struct p11_key **ret_key)
{
  char path[PATH_MAX];
  HF_CLEANUP(p11_module_unrefp) struct p11_module *module = NULL;
  HF_CLEANUP(hf_secret_freep) struct hf_secret *pin = NULL;
  HF_TRY(p11_module_of_uri(uri, secrets->module_path, path, sizeof(path)));
  HF_TRY(p11_module_open(path, &module));
  HF_TRY(hsm_pin(secrets->config, pin_uri, &pin));
  hf_err e = p11_key_open(module, uri, pin, ret_key);
  return e.code == HF_ERR_URI_NO_MATCH && p11_module_look_again(module) ? p11_key_open(module, uri, pin, ret_key) : e;
}

/* The key that is configured */

/* What may be in the way where only the public half is needed; whatever else goes wrong is told. */
static bool may_wait(hf_err e)
{
  static const enum hf_code codes[] = {
    HF_ERR_PIN_MISSING,     HF_ERR_PERMISSION,        HF_ERR_NOT_FOUND,      HF_ERR_MODULE_LOAD,
    HF_ERR_MODULE_INIT,     HF_ERR_TOKEN_NOT_PRESENT, HF_ERR_DEVICE_REMOVED, HF_ERR_UNREACHABLE,
    HF_ERR_TOKEN_NOT_FOUND, HF_ERR_FUNCTION_REJECTED,
  };
  for (size_t i = 0; i < HF_ARRAY_LEN(codes); i++)
    if (codes[i] == e.code)
      return true;
  return false;
}

static bool has_name(const struct key_record *key, const void *arg)
{
  return hf_slice_equal(key->name, *(const struct hf_slice *)arg);
}

static hf_err prove(struct secrets *secrets, struct p11_key *key, struct hf_slice name, struct hf_slice spki,
                    struct vault_key *ret_key)
{
  struct key_record record = { .name = name, .spki = spki };
  uint32_t id;
  HF_CLEANUP(hf_buf_free) struct hf_buf exact = HF_BUF(URI_TEXT_MAX);
  HF_TRY(wrap_prove(key, spki, &record.method));
  HF_TRY(uri_format(p11_key_uri(key), &exact));
  record.exact = hf_slice(exact.data, exact.len);
  HF_TRY(vault_key_put(secrets->vault, &record, &id));
  return vault_key_get(secrets->vault, id, ret_key);
}

static void keep_key(struct secrets *secrets, uint32_t id, struct p11_key *key)
{
  pthread_mutex_lock(&secrets->lock);
  p11_key_unref(secrets->key);
  secrets->key = p11_key_ref(key);
  secrets->key_id = id;
  pthread_mutex_unlock(&secrets->lock);
}

/* known (taken over) is what the vault has under the name; empty where it has none. */
static hf_err look(struct secrets *secrets, const struct uri *uri, struct hf_slice name, struct vault_key *known,
                   struct vault_key *ret_key)
{
  HF_CLEANUP(p11_key_unrefp) struct p11_key *key = NULL;
  HF_CLEANUP(hf_buf_free) struct hf_buf spki = HF_BUF(RECORD_SPKI_MAX);
  HF_TRY(open_key(secrets, uri, uri, &key));
  HF_TRY(p11_public_to_spki(p11_key_public(key), &spki));
  struct hf_slice have = hf_slice(spki.data, spki.len);
  if (known->id && hf_slice_equal(known->record.spki, have)) {
    *ret_key = *known;
    *known = (struct vault_key){ 0 };
  } else {
    HF_TRY(prove(secrets, key, name, have, ret_key));
  }
  keep_key(secrets, ret_key->id, key);
  return HF_OK;
}

hf_err keeper_current(struct secrets *secrets, const char *text, struct vault_key *ret_key,
                      struct hf_err_saved *ret_unchecked)
{
  HF_CLEANUP(uri_free) struct uri uri = { 0 };
  HF_CLEANUP(hf_buf_free) struct hf_buf name = HF_BUF(URI_TEXT_MAX);
  HF_CLEANUP(vault_key_free) struct vault_key known = { 0 };
  bool found;
  HF_TRY(uri_parse(text, &uri));
  HF_TRY(name_of(&uri, &name));
  struct hf_slice slice = hf_slice(name.data, name.len);
  HF_TRY(vault_key_find(secrets->vault, has_name, &slice, &found, &known));
  hf_err e = look(secrets, &uri, slice, &known, ret_key);
  *ret_unchecked = hf_err_save(HF_OK);
  if (!found || !may_wait(e))
    return e;
  *ret_unchecked = hf_err_save(e);
  *ret_key = known;
  known = (struct vault_key){ 0 };
  return HF_OK;
}

/* A key that wrapped something */

static hf_err copy_module(const struct uri *from, struct uri *to)
{
  for (enum uri_attr attr = URI_MODULE_NAME; attr <= URI_MODULE_PATH; attr++)
    if (from->attrs[attr].present)
      HF_TRY(uri_set(to, attr, from->attrs[attr].value.data, from->attrs[attr].value.len));
  return HF_OK;
}

static hf_err parse_slice(struct hf_slice text, struct uri *ret_uri)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf copy = HF_BUF(URI_TEXT_MAX);
  HF_TRY(hf_buf_add(&copy, text.data, text.len));
  const char *string = hf_buf_str(&copy);
  return string ? uri_parse(string, ret_uri) : hf_fail(HF_ERR_NO_MEMORY, "a key's URI");
}

/* Where this key's PIN is: as the configured URI says, if that is this key's. */
static hf_err pin_uri(const struct secrets *secrets, const struct key_record *record, struct uri *ret_uri)
{
  const char *configured;
  HF_CLEANUP(uri_free) struct uri uri = { 0 };
  HF_CLEANUP(hf_buf_free) struct hf_buf name = HF_BUF(URI_TEXT_MAX);
  if (hf_failed(secrets_key_uri(secrets->config, &configured)))
    return HF_OK;
  HF_TRY(uri_parse(configured, &uri));
  HF_TRY(name_of(&uri, &name));
  if (!hf_slice_equal(record->name, hf_slice(name.data, name.len)))
    return HF_OK;
  *ret_uri = uri;
  uri = (struct uri){ 0 };
  return HF_OK;
}

static hf_err open_record(struct secrets *secrets, const struct key_record *record, struct p11_key **ret_key)
{
  HF_CLEANUP(uri_free) struct uri exact = { 0 }, name = { 0 }, pin = { 0 };
  HF_CLEANUP(p11_key_unrefp) struct p11_key *key = NULL;
  HF_CLEANUP(hf_buf_free) struct hf_buf spki = HF_BUF(RECORD_SPKI_MAX);
  HF_TRY(parse_slice(record->exact, &exact));
  if (record->name.len) /* none: another key has its name now */
    HF_TRY(parse_slice(record->name, &name));
  HF_TRY(copy_module(&name, &exact));
  HF_TRY(pin_uri(secrets, record, &pin));
  HF_TRY(open_key(secrets, &exact, &pin, &key));
  HF_TRY(p11_public_to_spki(p11_key_public(key), &spki));
  if (!hf_slice_equal(record->spki, hf_slice(spki.data, spki.len)))
    return hf_hint(hf_fail(HF_ERR_URI_NO_MATCH, "%.*s is another key now than the one that wraps the secret",
                           (int)record->name.len, record->name.data),
                   "Bring the old key back: nothing else opens the secret.");
  *ret_key = HF_TAKE(key);
  return HF_OK;
}

static struct p11_key *kept(struct secrets *secrets, uint32_t id)
{
  pthread_mutex_lock(&secrets->lock);
  struct p11_key *key = secrets->key && secrets->key_id == id ? p11_key_ref(secrets->key) : NULL;
  pthread_mutex_unlock(&secrets->lock);
  return key;
}

static hf_err unwrap_by(struct secrets *secrets, struct hf_slice context, const struct wrap_record *wrap,
                        struct hf_secret **ret_data_key)
{
  HF_CLEANUP(vault_key_free) struct vault_key record = { 0 };
  HF_TRY(vault_key_get(secrets->vault, wrap->key, &record));
  HF_CLEANUP(p11_key_unrefp) struct p11_key *key = kept(secrets, wrap->key);
  if (key && !hf_failed(wrap_open(key, record.record.method, context, wrap->wrapped, ret_data_key)))
    return HF_OK;
  key = p11_key_unref(key);
  HF_TRY(open_record(secrets, &record.record, &key));
  keep_key(secrets, wrap->key, key);
  return wrap_open(key, record.record.method, context, wrap->wrapped, ret_data_key);
}

hf_err keeper_unwrap(struct secrets *secrets, struct hf_slice context, const struct version_record *version,
                     struct hf_secret **ret_data_key)
{
  struct hf_err_saved first = hf_err_save(hf_fail(HF_ERR_SECRETS, "a version that no key wraps"));
  /* The latest first: that is the key that a move leads to. */
  for (size_t i = version->wrap_count; i-- > 0;) {
    hf_err e = unwrap_by(secrets, context, &version->wraps[i], ret_data_key);
    if (!hf_failed(e))
      return HF_OK;
    if (i == version->wrap_count - 1)
      first = hf_err_save(e);
  }
  return hf_err_restore(&first);
}
