/* SPDX-License-Identifier: Apache-2.0 */
#include "secrets/vault_private.h"

#include <time.h>

static hf_err missing(const char *name)
{
  return hf_hint(hf_fail(HF_ERR_NOT_FOUND, "there is no secret '%s'", name), "'holdfast secret list' shows them.");
}

hf_err vault_head_read(struct store_txn *txn, const char *name, bool *ret_found, struct head_record *ret_head)
{
  uint8_t key[VAULT_HASH_BYTES];
  struct hf_slice value;
  bool found;
  HF_TRY(vault_name_key(name, key));
  HF_TRY(store_get(txn, TABLE_SECRETS, hf_slice(key, sizeof(key)), &found, &value));
  if (found)
    HF_TRY(record_take_head(value, ret_head));
  if (found && strcmp(ret_head->name, name) != 0)
    return hf_fail(HF_ERR_SECRETS, "the secret '%s' has another's record", name);
  *ret_found = found;
  return HF_OK;
}

hf_err vault_head(struct vault *vault, const char *name, struct head_record *ret_head)
{
  struct store_txn *txn;
  bool found = false;
  HF_TRY(store_read_begin(vault->store, &txn));
  hf_err e = vault_head_read(txn, name, &found, ret_head);
  store_read_end(txn);
  HF_TRY(e);
  return found ? HF_OK : missing(name);
}

static hf_err copy_version(struct store_txn *txn, const char *name, struct vault_version *version)
{
  uint8_t key[VAULT_VERSION_KEY];
  struct hf_slice value;
  char text[SECRETS_ID_TEXT];
  bool found;
  HF_TRY(vault_version_key(name, version->id, key));
  HF_TRY(store_get(txn, TABLE_VERSIONS, hf_slice(key, sizeof(key)), &found, &value));
  if (!found) {
    secrets_id_format(version->id, text);
    return hf_hint(hf_fail(HF_ERR_NOT_FOUND, "the secret '%s' has no version %s", name, text),
                   "'holdfast secret list NAME' shows them.");
  }
  HF_TRY(hf_buf_add(&version->bytes, value.data, value.len));
  return record_take_version(hf_slice(version->bytes.data, version->bytes.len), &version->record);
}

hf_err vault_version(struct vault *vault, const char *name, const uint8_t id[SECRETS_ID_BYTES],
                     struct vault_version *ret_version)
{
  struct vault_version version = { .bytes = HF_BUF(RECORD_MAX) };
  struct store_txn *txn;
  memcpy(version.id, id, SECRETS_ID_BYTES);
  HF_TRY(store_read_begin(vault->store, &txn));
  hf_err e = copy_version(txn, name, &version);
  store_read_end(txn);
  if (hf_failed(e))
    vault_version_free(&version);
  else
    *ret_version = version;
  return e;
}

/* Putting */

static struct stage_record *find_stage(struct head_record *head, const char *label)
{
  for (size_t i = 0; i < head->stage_count; i++)
    if (strcmp(head->stages[i].label, label) == 0)
      return &head->stages[i];
  return NULL;
}

static hf_err move_stage(struct head_record *head, const char *label, const uint8_t *id)
{
  struct stage_record *stage = find_stage(head, label);
  if (!stage) {
    if (head->stage_count == SECRETS_STAGES_MAX)
      return hf_fail(HF_ERR_LIMIT, "the secret '%s' has %d labels", head->name, SECRETS_STAGES_MAX);
    stage = &head->stages[head->stage_count++];
    snprintf(stage->label, sizeof(stage->label), "%s", label);
  }
  memcpy(stage->version, id, SECRETS_ID_BYTES);
  return HF_OK;
}

static hf_err move_stages(struct head_record *head, const struct vault_put *put)
{
  for (size_t i = 0; i < put->stage_count; i++) {
    struct stage_record *current = find_stage(head, put->stages[i]);
    if (current && strcmp(put->stages[i], SECRETS_CURRENT) == 0)
      HF_TRY(move_stage(head, SECRETS_PREVIOUS, current->version));
    HF_TRY(move_stage(head, put->stages[i], put->id));
  }
  return HF_OK;
}

static bool is_staged(const struct head_record *head, const uint8_t *id)
{
  for (size_t i = 0; i < head->stage_count; i++)
    if (memcmp(head->stages[i].version, id, SECRETS_ID_BYTES) == 0)
      return true;
  return false;
}

/* What labels there were before tells which versions there are. */
static hf_err drop_unstaged(struct store_txn *txn, const struct head_record *before, const struct head_record *after)
{
  for (size_t i = 0; i < before->stage_count; i++) {
    uint8_t key[VAULT_VERSION_KEY];
    if (is_staged(after, before->stages[i].version))
      continue;
    HF_TRY(vault_version_key(before->name, before->stages[i].version, key));
    HF_TRY(store_delete(txn, TABLE_VERSIONS, hf_slice(key, sizeof(key))));
  }
  return HF_OK;
}

static hf_err check_keys(struct store_txn *txn, const struct version_record *version)
{
  for (size_t i = 0; i < version->wrap_count; i++) {
    uint8_t number[VAULT_KEY_KEY];
    struct hf_slice value;
    bool found;
    vault_key_key(version->wraps[i].key, number);
    HF_TRY(store_get(txn, TABLE_KEYS, hf_slice(number, sizeof(number)), &found, &value));
    if (!found)
      return hf_hint(hf_fail(HF_ERR_BUSY, "the secrets were moved to another key meanwhile"), "Try again.");
  }
  return HF_OK;
}

static hf_err write_head(struct store_txn *txn, const struct head_record *head)
{
  uint8_t key[VAULT_HASH_BYTES];
  HF_CLEANUP(hf_buf_free) struct hf_buf bytes = HF_BUF(RECORD_MAX);
  HF_TRY(vault_name_key(head->name, key));
  HF_TRY(record_add_head(head, &bytes));
  return store_put(txn, TABLE_SECRETS, hf_slice(key, sizeof(key)), hf_slice(bytes.data, bytes.len));
}

static hf_err put_version(struct store_txn *txn, void *arg)
{
  const struct vault_put *put = arg;
  struct head_record head = { .created = (int64_t)time(NULL) };
  uint8_t key[VAULT_VERSION_KEY];
  bool found;
  HF_CLEANUP(hf_buf_free) struct hf_buf bytes = HF_BUF(RECORD_MAX);
  HF_TRY(check_keys(txn, put->version));
  HF_TRY(vault_head_read(txn, put->name, &found, &head));
  snprintf(head.name, sizeof(head.name), "%s", put->name);
  const struct head_record before = head;
  head.changed = (int64_t)time(NULL);
  HF_TRY(move_stages(&head, put));
  HF_TRY(drop_unstaged(txn, &before, &head));
  HF_TRY(vault_version_key(put->name, put->id, key));
  HF_TRY(record_add_version(put->version, &bytes));
  HF_TRY(store_put(txn, TABLE_VERSIONS, hf_slice(key, sizeof(key)), hf_slice(bytes.data, bytes.len)));
  return write_head(txn, &head);
}

hf_err vault_put(struct vault *vault, const struct vault_put *put)
{
  struct vault_put copy = *put;
  return store_write(vault->store, put_version, &copy);
}

static hf_err delete_secret(struct store_txn *txn, void *arg)
{
  const char *name = arg;
  const struct head_record none = { 0 };
  struct head_record head;
  uint8_t key[VAULT_HASH_BYTES];
  bool found;
  HF_TRY(vault_head_read(txn, name, &found, &head));
  if (!found)
    return missing(name);
  HF_TRY(drop_unstaged(txn, &head, &none));
  HF_TRY(vault_name_key(name, key));
  return store_delete(txn, TABLE_SECRETS, hf_slice(key, sizeof(key)));
}

hf_err vault_delete(struct vault *vault, const char *name)
{
  return store_write(vault->store, delete_secret, (void *)(uintptr_t)name);
}

struct listing {
  hf_err (*each)(const struct head_record *head, void *arg);
  void *arg;
};

static hf_err list_head(struct hf_slice key, struct hf_slice value, void *arg)
{
  (void)key;
  struct listing *listing = arg;
  struct head_record head;
  HF_TRY(record_take_head(value, &head));
  return listing->each(&head, listing->arg);
}

hf_err vault_each(struct vault *vault, hf_err (*each)(const struct head_record *head, void *arg), void *arg)
{
  struct listing listing = { each, arg };
  struct store_txn *txn;
  HF_TRY(store_read_begin(vault->store, &txn));
  hf_err e = store_scan(txn, TABLE_SECRETS, hf_slice(NULL, 0), list_head, &listing);
  store_read_end(txn);
  return e;
}
