/* SPDX-License-Identifier: Apache-2.0 */
#include "token/token_private.h"

#include "token/key.h"
#include "token/simulation/simulation.h"
#include "token/store/index.h"

enum { UNIQUE_ID_BYTES = 16, ID_BYTES = 8 };

static void id_key(uint64_t id, uint8_t key[ID_BYTES])
{
  for (size_t i = 0; i < ID_BYTES; i++)
    key[i] = (uint8_t)(id >> (8 * (ID_BYTES - 1 - i)));
}

hf_err token_read_object(struct store_txn *txn, uint64_t id, bool *ret_found, struct hf_slice *ret_bytes)
{
  uint8_t key[ID_BYTES];
  id_key(id, key);
  return store_get(txn, STORE_OBJECTS, hf_slice(key, sizeof(key)), ret_found, ret_bytes);
}

static hf_err gone(void)
{
  return hf_fail(HF_ERR_OBJECT_HANDLE_INVALID, "no object has this handle");
}

hf_err token_update_entry(struct token *token, struct entry *entry, const struct record *record, struct hf_slice bytes,
                          uint64_t changes)
{
  if (!entry->object || object_stamp(entry->object) != record->stamp) {
    struct object *object;
    struct seal seal = token_seal(token);
    HF_TRY(object_new(&seal, entry->id, bytes, &object));
    object_unref(entry->object);
    entry->object = object;
  }
  entry->seen = changes;
  return HF_OK;
}

/* Brings an entry's snapshot up to date. Fails with OBJECT_HANDLE_INVALID where the object is gone. */
static hf_err refresh_entry(struct token *token, struct store_txn *txn, struct entry *entry)
{
  bool found;
  struct hf_slice bytes;
  struct record record;
  HF_TRY(token_read_object(txn, entry->id, &found, &bytes));
  if (!found) {
    handles_drop(&token->handles, entry);
    return gone();
  }
  HF_TRY(record_parse(bytes, &record));
  return token_update_entry(token, entry, &record, bytes, store_snapshot(txn));
}

static hf_err get_object(struct token *token, CK_OBJECT_HANDLE handle, struct entry **ret_entry)
{
  HF_TRY(token_refresh(token));
  struct entry *entry = handles_get(&token->handles, handle);
  if (!entry || (entry->private && token->login != LOGIN_USER))
    return gone();
  if (entry->owner || (entry->object && entry->seen == store_changes(token->store))) {
    *ret_entry = entry;
    return HF_OK;
  }
  struct store_txn *txn;
  HF_TRY(store_read_begin(token->store, &txn));
  hf_err e = refresh_entry(token, txn, entry);
  store_read_end(txn);
  HF_TRY(e);
  *ret_entry = entry;
  return HF_OK;
}

hf_err token_object(struct token *token, CK_OBJECT_HANDLE handle, struct object **ret_object, bool *ret_is_token_object)
{
  struct entry *entry;
  TOKEN_LOCK(token);
  HF_TRY(get_object(token, handle, &entry));
  *ret_object = object_ref(entry->object);
  *ret_is_token_object = !entry->owner || entry->owner == ENTRY_BUILT_IN;
  return HF_OK;
}

hf_err token_key(struct token *token, struct object *object, EVP_PKEY **ret_key)
{
  TOKEN_LOCK(token);
  struct seal seal = token_seal(token);
  return object_key(object, &seal, ret_key);
}

hf_err token_secret(struct token *token, struct object *object, struct attrs *ret_secret)
{
  TOKEN_LOCK(token);
  struct seal seal = token_seal(token);
  return object_secret(object, &seal, ret_secret);
}

static hf_err new_stamp(uint64_t *ret_stamp)
{
  return crypto_random(ret_stamp, sizeof(*ret_stamp));
}

static hf_err put_object(struct store_txn *txn, const struct seal *seal, uint64_t id, const struct attr_halves *halves)
{
  uint64_t stamp;
  uint8_t key[ID_BYTES];
  HF_CLEANUP(hf_buf_free) struct hf_buf bytes = HF_BUF(RECORD_MAX);
  id_key(id, key);
  HF_TRY(new_stamp(&stamp));
  HF_TRY(record_build(seal, id, stamp, halves, &bytes));
  HF_TRY(store_put(txn, STORE_OBJECTS, hf_slice(key, sizeof(key)), hf_slice(bytes.data, bytes.len)));
  return index_add(txn, seal, id, &halves->open);
}

/* What a write needs of the token once its lock is let go: a logout meanwhile does not take the keys away. */
struct writing {
  struct header header;
  struct hf_secret *keys;
  struct seal seal;
};

/* With the token's lock held. */
static void writing_begin(const struct token *token, struct writing *writing)
{
  writing->header = token->header;
  writing->keys = hf_secret_ref(token->keys);
  writing->seal = token_seal(token);
  writing->seal.uuid = writing->header.uuid;
}

static void writing_end(struct writing *writing)
{
  writing->keys = hf_secret_free(writing->keys);
}

/* The token is still the one whose master key this is. */
static hf_err check_epoch(struct store_txn *txn, const struct writing *writing)
{
  struct header now;
  HF_TRY(header_read(txn, &now));
  return token_same_epoch(&now, &writing->header);
}

struct addition {
  struct writing writing;
  const struct attr_halves *halves; /* those of token objects are stored */
  size_t count;
  uint64_t ids[TOKEN_ADD_MAX];
};

static void addition_free(struct addition *addition)
{
  writing_end(&addition->writing);
}

static bool in_store(const struct attr_halves *halves)
{
  return attrs_true(&halves->open, CKA_TOKEN);
}

static hf_err put_additions(struct store_txn *txn, void *arg)
{
  struct addition *addition = arg;
  HF_TRY(check_epoch(txn, &addition->writing));
  for (size_t i = 0; i < addition->count; i++) {
    if (!in_store(&addition->halves[i]))
      continue;
    HF_TRY(header_next_id(txn, &addition->ids[i]));
    HF_TRY(put_object(txn, &addition->writing.seal, addition->ids[i], &addition->halves[i]));
  }
  return HF_OK;
}

static hf_err add_to_store(struct token *token, struct addition *addition)
{
  bool any = false;
  for (size_t i = 0; i < addition->count; i++)
    any |= in_store(&addition->halves[i]);
  return any ? store_write_together(token->store, put_additions, addition) : HF_OK;
}

/* With the token's lock held. */
static hf_err stored_handles(struct token *token, const struct addition *addition, CK_OBJECT_HANDLE *handles)
{
  for (size_t i = 0; i < addition->count; i++) {
    struct entry *entry;
    if (!in_store(&addition->halves[i]))
      continue;
    bool private = attrs_true(&addition->halves[i].open, CKA_PRIVATE);
    HF_TRY(handles_of_id(&token->handles, addition->ids[i], private, &entry));
    handles[i] = entry->handle;
  }
  return HF_OK;
}

static hf_err add_to_session(struct token *token, CK_SESSION_HANDLE session, const struct attr_halves *halves,
                             CK_OBJECT_HANDLE *ret_handle)
{
  struct seal seal = token_seal(token);
  uint64_t id = ++token->next_session_object;
  struct entry *entry;
  HF_CLEANUP(object_unrefp) struct object *object = NULL;
  HF_CLEANUP(hf_buf_free) struct hf_buf bytes = HF_BUF(RECORD_MAX);
  HF_TRY(record_build(&seal, id, 0, halves, &bytes));
  HF_TRY(object_new(&seal, id, hf_slice(bytes.data, bytes.len), &object));
  HF_TRY(handles_add_session(&token->handles, object, session, &entry));
  (void)HF_TAKE(object);
  *ret_handle = entry->handle;
  return HF_OK;
}

static hf_err may_write(const struct token *token, struct access access, bool token_object, bool private)
{
  if (private && token->login != LOGIN_USER)
    return hf_fail(HF_ERR_USER_NOT_LOGGED_IN, "a private object");
  if (token_object && !access.read_write)
    return hf_fail(HF_ERR_SESSION_READ_ONLY, "a token object");
  return HF_OK;
}

static hf_err set_unique_ids(struct attr_halves *halves, size_t count)
{
  for (size_t i = 0; i < count; i++) {
    uint8_t bytes[UNIQUE_ID_BYTES];
    HF_CLEANUP(hf_buf_free) struct hf_buf text = HF_BUF(2 * UNIQUE_ID_BYTES);
    HF_TRY(crypto_random(bytes, sizeof(bytes)));
    HF_TRY(hf_buf_add_hex(&text, bytes, sizeof(bytes)));
    HF_TRY(attrs_set(&halves[i].open, CKA_UNIQUE_ID, hf_slice(text.data, text.len)));
  }
  return HF_OK;
}

/* Checks, and makes the session objects: the others come last, for they are not undone. */
static hf_err begin_add(struct token *token, struct access access, struct addition *addition, CK_OBJECT_HANDLE *handles)
{
  TOKEN_LOCK(token);
  HF_TRY(token_refresh(token));
  for (size_t i = 0; i < addition->count; i++) {
    const struct attr_halves *halves = &addition->halves[i];
    HF_TRY(may_write(token, access, in_store(halves), attrs_true(&halves->open, CKA_PRIVATE)));
  }
  for (size_t i = 0; i < addition->count; i++)
    if (!in_store(&addition->halves[i]))
      HF_TRY(add_to_session(token, access.session, &addition->halves[i], &handles[i]));
  writing_begin(token, &addition->writing);
  return HF_OK;
}

static void drop_additions(struct token *token, const struct addition *addition, const CK_OBJECT_HANDLE *handles)
{
  for (size_t i = 0; i < addition->count; i++) {
    struct entry *entry = in_store(&addition->halves[i]) ? NULL : handles_get(&token->handles, handles[i]);
    if (entry)
      handles_drop(&token->handles, entry);
  }
}

hf_err token_add(struct token *token, struct access access, struct attr_halves *halves, size_t count,
                 CK_OBJECT_HANDLE *ret_handles)
{
  CK_OBJECT_HANDLE handles[TOKEN_ADD_MAX] = { 0 };
  HF_CLEANUP(addition_free) struct addition addition = { .halves = halves, .count = count };
  if (count > TOKEN_ADD_MAX)
    return hf_fail(HF_ERR_INTERNAL, "%zu objects in one step", count);
  HF_TRY(simulation_add(token, halves, count));
  HF_TRY(set_unique_ids(halves, count));
  hf_err e = begin_add(token, access, &addition, handles);
  if (!hf_failed(e))
    e = add_to_store(token, &addition);
  TOKEN_LOCK(token);
  if (!hf_failed(e))
    e = stored_handles(token, &addition, handles);
  if (hf_failed(e)) {
    drop_additions(token, &addition, handles);
    return e;
  }
  memcpy(ret_handles, handles, count * sizeof(*handles));
  return HF_OK;
}

struct change {
  struct writing writing;
  struct object *before;           /* NULL: there is nothing to write */
  const struct attr_halves *after; /* NULL: destroy */
  bool late;                       /* another change came first: this one is to be made anew, of what that one left */
};

static void change_free(struct change *change)
{
  writing_end(&change->writing);
  change->before = object_unref(change->before);
}

/* With the token's lock held. */
static void change_begin(const struct token *token, const struct entry *entry, struct change *change)
{
  writing_begin(token, &change->writing);
  change->before = object_ref(entry->object);
}

static hf_err change_object(struct store_txn *txn, void *arg)
{
  struct change *change = arg;
  const struct seal *seal = &change->writing.seal;
  uint64_t id = object_id(change->before);
  bool found;
  struct hf_slice bytes;
  struct record record;
  uint8_t key[ID_BYTES];
  HF_TRY(check_epoch(txn, &change->writing));
  HF_TRY(token_read_object(txn, id, &found, &bytes));
  if (!found)
    return gone();
  HF_TRY(record_parse(bytes, &record));
  change->late = record.stamp != object_stamp(change->before);
  if (change->late)
    return HF_OK;
  HF_TRY(index_remove(txn, seal, id, object_attrs(change->before)));
  if (change->after)
    return put_object(txn, seal, id, change->after);
  id_key(id, key);
  return store_delete(txn, STORE_OBJECTS, hf_slice(key, sizeof(key)));
}

static hf_err begin_destroy(struct token *token, struct access access, CK_OBJECT_HANDLE handle, struct change *change)
{
  struct entry *entry;
  TOKEN_LOCK(token);
  HF_TRY(get_object(token, handle, &entry));
  HF_TRY(may_write(token, access, !entry->owner, entry->private));
  if (!attrs_true(object_attrs(entry->object), CKA_DESTROYABLE))
    return hf_fail(HF_ERR_ACTION_PROHIBITED, "the object's CKA_DESTROYABLE is false");
  if (!entry->owner)
    change_begin(token, entry, change);
  return HF_OK;
}

static hf_err destroy_once(struct token *token, struct access access, CK_OBJECT_HANDLE handle, bool *ret_late)
{
  HF_CLEANUP(change_free) struct change change = { .after = NULL };
  HF_TRY(begin_destroy(token, access, handle, &change));
  if (change.before)
    HF_TRY(store_write_together(token->store, change_object, &change));
  *ret_late = change.late;
  return HF_OK;
}

hf_err token_destroy(struct token *token, struct access access, CK_OBJECT_HANDLE handle)
{
  bool late = true;
  while (late)
    HF_TRY(destroy_once(token, access, handle, &late));
  TOKEN_LOCK(token);
  struct entry *entry = handles_get(&token->handles, handle);
  if (entry)
    handles_drop(&token->handles, entry);
  token->local++;
  return HF_OK;
}

static hf_err replace_session_object(struct token *token, struct entry *entry, const struct attr_halves *halves)
{
  struct seal seal = token_seal(token);
  struct object *object;
  HF_CLEANUP(hf_buf_free) struct hf_buf bytes = HF_BUF(RECORD_MAX);
  HF_TRY(record_build(&seal, entry->id, 0, halves, &bytes));
  HF_TRY(object_new(&seal, entry->id, hf_slice(bytes.data, bytes.len), &object));
  object_unref(entry->object);
  entry->object = object;
  token->local++;
  return HF_OK;
}

static hf_err copy_halves(const struct token *token, const struct object *object, struct attr_halves *halves)
{
  const struct attrs *open = object_attrs(object);
  struct seal seal = token_seal(token);
  HF_TRY(hf_buf_add(&halves->open.rows, open->rows.data, open->rows.len));
  return object_secret(object, &seal, &halves->secret);
}

/* Changes a session object at once. */
static hf_err begin_set(struct token *token, struct access access, CK_OBJECT_HANDLE handle, const CK_ATTRIBUTE *tmpl,
                        CK_ULONG count, struct attr_halves *halves, struct change *change)
{
  struct entry *entry;
  TOKEN_LOCK(token);
  HF_TRY(get_object(token, handle, &entry));
  HF_TRY(may_write(token, access, !entry->owner, entry->private));
  if (!attrs_true(object_attrs(entry->object), CKA_MODIFIABLE))
    return hf_fail(HF_ERR_ACTION_PROHIBITED, "the object's CKA_MODIFIABLE is false");
  HF_TRY(copy_halves(token, entry->object, halves));
  HF_TRY(policy_change(&halves->open, tmpl, count, token->login == LOGIN_SO, false));
  if (entry->owner)
    return replace_session_object(token, entry, halves);
  change_begin(token, entry, change);
  return HF_OK;
}

static hf_err set_once(struct token *token, struct access access, CK_OBJECT_HANDLE handle, const CK_ATTRIBUTE *tmpl,
                       CK_ULONG count, bool *ret_late)
{
  HF_CLEANUP(attr_halves_free) struct attr_halves halves = { ATTRS_EMPTY, ATTRS_EMPTY };
  HF_CLEANUP(change_free) struct change change = { .after = &halves };
  HF_TRY(begin_set(token, access, handle, tmpl, count, &halves, &change));
  if (change.before)
    HF_TRY(store_write_together(token->store, change_object, &change));
  *ret_late = change.late;
  return HF_OK;
}

hf_err token_set_attrs(struct token *token, struct access access, CK_OBJECT_HANDLE handle, const CK_ATTRIBUTE *tmpl,
                       CK_ULONG count)
{
  bool late = true;
  while (late)
    HF_TRY(set_once(token, access, handle, tmpl, count, &late));
  return HF_OK;
}

void token_session_ended(struct token *token, CK_SESSION_HANDLE session)
{
  TOKEN_LOCK(token);
  handles_drop_session(&token->handles, session);
  token->local++;
}
