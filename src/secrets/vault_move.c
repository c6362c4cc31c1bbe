/* SPDX-License-Identifier: Apache-2.0 */
#include "secrets/vault_private.h"

/* The wraps of one version, by key. */
static const struct wrap_record *find_wrap(const struct version_record *version, uint32_t key)
{
  for (size_t i = 0; i < version->wrap_count; i++)
    if (version->wraps[i].key == key)
      return &version->wraps[i];
  return NULL;
}

struct unmoved {
  struct store_txn *txn;
  uint32_t key;
  uint64_t left;
  uint8_t first[VAULT_VERSION_KEY];
};

static hf_err count_unmoved(struct hf_slice key, struct hf_slice value, void *arg)
{
  struct unmoved *unmoved = arg;
  struct version_record version;
  HF_TRY(record_take_version(value, &version));
  if (key.len != VAULT_VERSION_KEY)
    return hf_fail(HF_ERR_SECRETS, "a version's key is not of the form");
  if (find_wrap(&version, unmoved->key))
    return HF_OK;
  if (unmoved->left++ == 0)
    memcpy(unmoved->first, key.data, key.len);
  return HF_OK;
}

static hf_err find_unmoved(struct unmoved *unmoved, struct vault_place *place)
{
  struct hf_slice value;
  struct head_record head;
  bool found;
  HF_TRY(store_scan(unmoved->txn, TABLE_VERSIONS, hf_slice(NULL, 0), count_unmoved, unmoved));
  if (unmoved->left == 0)
    return HF_OK;
  HF_TRY(store_get(unmoved->txn, TABLE_SECRETS, hf_slice(unmoved->first, VAULT_HASH_BYTES), &found, &value));
  if (!found)
    return hf_fail(HF_ERR_SECRETS, "a version belongs to no secret");
  HF_TRY(record_take_head(value, &head));
  memcpy(place->name, head.name, sizeof(place->name));
  memcpy(place->id, unmoved->first + VAULT_HASH_BYTES, SECRETS_ID_BYTES);
  return HF_OK;
}

hf_err vault_unmoved(struct vault *vault, uint32_t key, bool *ret_found, struct vault_place *ret_place,
                     uint64_t *ret_left)
{
  struct unmoved unmoved = { .key = key };
  struct vault_place place;
  HF_TRY(store_read_begin(vault->store, &unmoved.txn));
  hf_err e = find_unmoved(&unmoved, &place);
  store_read_end(unmoved.txn);
  HF_TRY(e);
  *ret_found = unmoved.left > 0;
  *ret_left = unmoved.left;
  if (*ret_found)
    *ret_place = place;
  return HF_OK;
}

static hf_err write_version(struct store_txn *txn, struct hf_slice key, const struct version_record *version)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf bytes = HF_BUF(RECORD_MAX);
  HF_TRY(record_add_version(version, &bytes));
  return store_put(txn, TABLE_VERSIONS, key, hf_slice(bytes.data, bytes.len));
}

struct addition {
  const struct vault_place *place;
  const struct wrap_record *wrap;
};

static hf_err add_wrap(struct store_txn *txn, void *arg)
{
  const struct addition *addition = arg;
  uint8_t key[VAULT_VERSION_KEY];
  struct hf_slice value;
  struct version_record version;
  bool found;
  HF_TRY(vault_version_key(addition->place->name, addition->place->id, key));
  HF_TRY(store_get(txn, TABLE_VERSIONS, hf_slice(key, sizeof(key)), &found, &value));
  if (!found)
    return HF_OK;
  HF_TRY(record_take_version(value, &version));
  if (find_wrap(&version, addition->wrap->key))
    return HF_OK;
  if (version.wrap_count == RECORD_WRAPS_MAX)
    return hf_fail(HF_ERR_LIMIT, "a data key wrapped by %d keys", RECORD_WRAPS_MAX);
  version.wraps[version.wrap_count++] = *addition->wrap;
  return write_version(txn, hf_slice(key, sizeof(key)), &version);
}

hf_err vault_wrap_add(struct vault *vault, const struct vault_place *place, const struct wrap_record *wrap)
{
  struct addition addition = { place, wrap };
  return store_write(vault->store, add_wrap, &addition);
}

/* LMDB's cursors do not like a table that changes under them: first all keys that are to be seen to, then these. */
static hf_err collect(struct hf_slice key, struct hf_slice value, void *arg)
{
  (void)value;
  return hf_buf_add(arg, key.data, key.len);
}

enum { COLLECT_MAX = 64 << 20 };

static hf_err keep_one(struct store_txn *txn, struct hf_slice key, uint32_t kept)
{
  struct hf_slice value;
  struct version_record version;
  bool found;
  HF_TRY(store_get(txn, TABLE_VERSIONS, key, &found, &value));
  HF_TRY(found ? record_take_version(value, &version) : hf_fail(HF_ERR_SECRETS, "a version is gone"));
  const struct wrap_record *wrap = find_wrap(&version, kept);
  if (!wrap)
    return hf_fail(HF_ERR_INTERNAL, "a version that was not moved");
  if (version.wrap_count == 1)
    return HF_OK;
  version.wraps[0] = *wrap;
  version.wrap_count = 1;
  return write_version(txn, key, &version);
}

static hf_err keep_versions(struct store_txn *txn, uint32_t kept)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf all = HF_BUF(COLLECT_MAX);
  HF_TRY(store_scan(txn, TABLE_VERSIONS, hf_slice(NULL, 0), collect, &all));
  for (size_t at = 0; at + VAULT_VERSION_KEY <= all.len; at += VAULT_VERSION_KEY)
    HF_TRY(keep_one(txn, hf_slice(all.data + at, VAULT_VERSION_KEY), kept));
  return HF_OK;
}

static hf_err keep_keys(struct store_txn *txn, uint32_t kept)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf all = HF_BUF(COLLECT_MAX);
  uint8_t number[VAULT_KEY_KEY];
  vault_key_key(kept, number);
  HF_TRY(store_scan(txn, TABLE_KEYS, hf_slice(NULL, 0), collect, &all));
  for (size_t at = 0; at + VAULT_KEY_KEY <= all.len; at += VAULT_KEY_KEY)
    if (memcmp(all.data + at, number, sizeof(number)) != 0)
      HF_TRY(store_delete(txn, TABLE_KEYS, hf_slice(all.data + at, VAULT_KEY_KEY)));
  return HF_OK;
}

struct keeping {
  uint32_t key;
  bool done;
};

static hf_err keep_only(struct store_txn *txn, void *arg)
{
  struct keeping *keeping = arg;
  struct unmoved unmoved = { .txn = txn, .key = keeping->key };
  HF_TRY(store_scan(txn, TABLE_VERSIONS, hf_slice(NULL, 0), count_unmoved, &unmoved));
  if (unmoved.left)
    return HF_OK;
  HF_TRY(keep_versions(txn, keeping->key));
  HF_TRY(keep_keys(txn, keeping->key));
  keeping->done = true;
  return HF_OK;
}

hf_err vault_keep_only(struct vault *vault, uint32_t key, bool *ret_done)
{
  struct keeping keeping = { key, false };
  HF_TRY(store_write(vault->store, keep_only, &keeping));
  *ret_done = keeping.done;
  return HF_OK;
}
