/* SPDX-License-Identifier: Apache-2.0 */
#include "token/token_private.h"

#include "token/store/index.h"

struct search {
  struct token *token;
  struct store_txn *txn;
  struct attrs wanted;
  bool head_suffices; /* nothing but class, token and private is asked: no need to open the object */
  CK_OBJECT_HANDLE *found;
  size_t count;
  size_t capacity;
};

static void search_free(struct search *search)
{
  attrs_free(&search->wanted);
  free(search->found);
}

static hf_err add_found(struct search *search, CK_OBJECT_HANDLE handle)
{
  if (search->count == search->capacity) {
    size_t capacity = search->capacity ? search->capacity * 2 : 16;
    CK_OBJECT_HANDLE *found = realloc(search->found, capacity * sizeof(*found));
    if (!found)
      return hf_fail(HF_ERR_NO_MEMORY, "a search with %zu results", search->count);
    search->found = found;
    search->capacity = capacity;
  }
  search->found[search->count++] = handle;
  return HF_OK;
}

static bool visible(const struct token *token, bool private)
{
  return !private || token->login == LOGIN_USER;
}

/* Key material is never compared: a search must not be an oracle for it. */
static bool matches(const struct search *search, const struct object *object)
{
  size_t pos = 0;
  struct attr_row row;
  struct hf_slice value;
  while (attrs_next(&search->wanted, &pos, &row))
    if (!attrs_get(object_attrs(object), row.type, &value) || !hf_slice_equal(value, row.value))
      return false;
  return true;
}

static bool head_matches(const struct search *search, const struct record *record)
{
  struct hf_slice value;
  const struct attrs *wanted = &search->wanted;
  if (attrs_ulong(wanted, CKA_CLASS, record->class) != record->class)
    return false;
  return !attrs_get(wanted, CKA_PRIVATE, &value) || attrs_true(wanted, CKA_PRIVATE) == record->private;
}

static hf_err consider_bytes(struct search *search, uint64_t id, struct hf_slice bytes)
{
  struct record record;
  struct entry *entry;
  HF_TRY(record_parse(bytes, &record));
  if (!visible(search->token, record.private) || !head_matches(search, &record))
    return HF_OK;
  HF_TRY(handles_of_id(&search->token->handles, id, record.private, &entry));
  if (!search->head_suffices) {
    HF_TRY(token_update_entry(search->token, entry, &record, bytes, store_snapshot(search->txn)));
    if (!matches(search, entry->object))
      return HF_OK;
  }
  return add_found(search, entry->handle);
}

/* One damaged record must not hide the others: it is logged and passed over. */
static hf_err pass_over_damage(hf_err e)
{
  if (e.code != HF_ERR_TOKEN_STORE)
    return e;
  hf_ignore(hf_log_err(e, "object left out of a search"));
  return HF_OK;
}

/* What was read as of this very snapshot needs no reading. */
static const struct entry *known_entry(const struct search *search, uint64_t id)
{
  const struct entry *entry = handles_find_id(&search->token->handles, id);
  return entry && entry->object && entry->seen == store_snapshot(search->txn) ? entry : NULL;
}

static hf_err consider_id(uint64_t id, void *arg)
{
  struct search *search = arg;
  const struct entry *known = known_entry(search, id);
  if (known)
    return visible(search->token, known->private) && matches(search, known->object) ? add_found(search, known->handle)
                                                                                    : HF_OK;
  bool found;
  struct hf_slice bytes;
  HF_TRY(token_read_object(search->txn, id, &found, &bytes));
  if (!found)
    return pass_over_damage(hf_fail(HF_ERR_TOKEN_STORE, "object %llu is in the index alone", (unsigned long long)id));
  return pass_over_damage(consider_bytes(search, id, bytes));
}

static hf_err consider_row(struct hf_slice key, struct hf_slice value, void *arg)
{
  uint64_t id;
  HF_TRY(hf_take_u64(&key, &id));
  return pass_over_damage(consider_bytes(arg, id, value));
}

/* The most telling indexed attribute first. */
static bool choose_index(const struct attrs *wanted, CK_ATTRIBUTE_TYPE *ret_type, struct hf_slice *ret_value)
{
  static const CK_ATTRIBUTE_TYPE preferred[] = { CKA_ID, CKA_LABEL, CKA_CLASS };
  for (size_t i = 0; i < HF_ARRAY_LEN(preferred); i++) {
    if (attrs_get(wanted, preferred[i], ret_value) && (ret_value->len || preferred[i] == CKA_CLASS)) {
      *ret_type = preferred[i];
      return true;
    }
  }
  return false;
}

static hf_err search_store(struct search *search)
{
  CK_ATTRIBUTE_TYPE type;
  struct hf_slice value;
  struct seal seal = token_seal(search->token);
  HF_TRY(store_read_begin(search->token->store, &search->txn));
  hf_err e = choose_index(&search->wanted, &type, &value)
                 ? index_find(search->txn, &seal, type, value, consider_id, search)
                 : store_scan(search->txn, STORE_OBJECTS, hf_slice(NULL, 0), consider_row, search);
  store_read_end(search->txn);
  return e;
}

static hf_err search_session(struct search *search)
{
  struct handles *handles = &search->token->handles;
  for (const struct entry *entry = NULL; (entry = handles_next_session(handles, entry)) != NULL;)
    if (entry->owner != ENTRY_BUILT_IN && visible(search->token, entry->private) && matches(search, entry->object))
      HF_TRY(add_found(search, entry->handle));
  return HF_OK;
}

static hf_err search_profiles(struct search *search)
{
  for (size_t i = 0; i < TOKEN_PROFILES; i++) {
    struct entry *entry;
    HF_TRY(token_profile(search->token, i, &entry));
    if (entry && matches(search, entry->object))
      HF_TRY(add_found(search, entry->handle));
  }
  return HF_OK;
}

static hf_err search_objects(struct search *search)
{
  struct hf_slice where;
  bool anywhere = !attrs_get(&search->wanted, CKA_TOKEN, &where), in_store = attrs_true(&search->wanted, CKA_TOKEN);
  if (attrs_ulong(&search->wanted, CKA_CLASS, CKO_DATA) == CKO_PROFILE)
    return search_profiles(search);
  if (anywhere || in_store)
    HF_TRY(search_store(search));
  return anywhere || !in_store ? search_session(search) : HF_OK;
}

static hf_err take_template(struct search *search, const CK_ATTRIBUTE *tmpl, CK_ULONG count)
{
  search->head_suffices = true;
  for (CK_ULONG i = 0; i < count; i++) {
    HF_CLEANUP(hf_buf_free) struct hf_buf value = HF_BUF(ATTRS_MAX_BYTES);
    HF_TRY(policy_import(&tmpl[i], &value));
    HF_TRY(attrs_set(&search->wanted, tmpl[i].type, hf_slice(value.data, value.len)));
    search->head_suffices &= tmpl[i].type == CKA_CLASS || tmpl[i].type == CKA_TOKEN || tmpl[i].type == CKA_PRIVATE;
  }
  return HF_OK;
}

hf_err token_find(struct token *token, const CK_ATTRIBUTE *tmpl, CK_ULONG count, CK_OBJECT_HANDLE **ret_handles,
                  size_t *ret_count)
{
  HF_CLEANUP(search_free) struct search search = { .token = token, .wanted = ATTRS_EMPTY };
  hf_err e = take_template(&search, tmpl, count);
  /* An attribute that no object can have matches nothing. */
  if (e.code == HF_ERR_ATTRIBUTE_TYPE_INVALID) {
    *ret_handles = NULL;
    *ret_count = 0;
    return HF_OK;
  }
  HF_TRY(e);
  TOKEN_LOCK(token);
  HF_TRY(token_refresh(token));
  HF_TRY(search_objects(&search));
  *ret_handles = HF_TAKE(search.found);
  *ret_count = search.count;
  return HF_OK;
}
