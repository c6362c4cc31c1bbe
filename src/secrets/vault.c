/* SPDX-License-Identifier: Apache-2.0 */
#include "base/file.h"
#include "identity/openssl.h"
#include "secrets/vault_private.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/file.h>
#include <sys/stat.h>

enum { VAULT_FORMAT = 1 };

static const struct store_kind kind = {
  .tables = { "meta", "keys", "secrets", "versions" },
  .damaged = HF_ERR_SECRETS,
  .newer = HF_ERR_SECRETS_VERSION,
  .full = HF_ERR_DISK_FULL,
};

void vault_key_key(uint32_t id, uint8_t key[VAULT_KEY_KEY])
{
  for (size_t i = 0; i < VAULT_KEY_KEY; i++)
    key[i] = (uint8_t)(id >> (8 * (VAULT_KEY_KEY - 1 - i)));
}

hf_err vault_name_key(const char *name, uint8_t key[VAULT_HASH_BYTES])
{
  return EVP_Digest(name, strlen(name), key, NULL, EVP_sha256(), NULL) == 1
             ? HF_OK
             : openssl_fail(HF_ERR_INTERNAL, "SHA-256", "");
}

hf_err vault_version_key(const char *name, const uint8_t *id, uint8_t key[VAULT_VERSION_KEY])
{
  memcpy(key + VAULT_HASH_BYTES, id, SECRETS_ID_BYTES);
  return vault_name_key(name, key);
}

hf_err vault_number_get(struct store_txn *txn, const char *name, uint64_t *ret_number)
{
  bool found;
  struct hf_slice value;
  uint64_t number = 0;
  HF_TRY(store_get(txn, TABLE_META, hf_slice(name, strlen(name)), &found, &value));
  if (found && (hf_failed(hf_take_u64(&value, &number)) || value.len))
    return hf_fail(HF_ERR_SECRETS, "the number '%s' is not of the form", name);
  *ret_number = number;
  return HF_OK;
}

hf_err vault_number_put(struct store_txn *txn, const char *name, uint64_t number)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf value = HF_BUF(8);
  HF_TRY(hf_buf_add_u64(&value, number));
  return store_put(txn, TABLE_META, hf_slice(name, strlen(name)), hf_slice(value.data, value.len));
}

/* Its life */

static bool exists(const char *dir)
{
  char path[PATH_MAX];
  return (size_t)snprintf(path, sizeof(path), "%s/data.mdb", dir) < sizeof(path) && access(path, F_OK) == 0;
}

static hf_err put_format(struct store_txn *txn, void *arg)
{
  (void)arg;
  return vault_number_put(txn, "format", VAULT_FORMAT);
}

/* The gateway's user reads what root's commands put there. */
static hf_err give_away(const char *dir)
{
  static const char *const files[] = { "", "/data.mdb", "/lock.mdb" };
  char path[PATH_MAX];
  struct stat above;
  if (geteuid() != 0)
    return HF_OK;
  snprintf(path, sizeof(path), "%.4000s/..", dir);
  if (stat(path, &above) != 0)
    return hf_fail_errno(errno, "%s", path);
  for (size_t i = 0; i < HF_ARRAY_LEN(files); i++) {
    snprintf(path, sizeof(path), "%.4000s%s", dir, files[i]);
    if (lchown(path, above.st_uid, above.st_gid) != 0)
      return hf_fail_errno(errno, "%s", path);
  }
  return HF_OK;
}

static void remove_all(const char *dir)
{
  static const char *const files[] = { "/data.mdb", "/lock.mdb" };
  char path[PATH_MAX];
  for (size_t i = 0; i < HF_ARRAY_LEN(files); i++) {
    snprintf(path, sizeof(path), "%.4000s%s", dir, files[i]);
    unlink(path);
  }
  rmdir(dir);
}

static hf_err make(const char *dir)
{
  HF_CLEANUP(store_closep) struct store *store = NULL;
  HF_TRY(hf_dir_make(dir));
  HF_TRY(store_create(&kind, dir, S_IRWXG | S_IRWXO));
  HF_TRY(give_away(dir));
  HF_TRY(store_open(&kind, dir, &store));
  return store_write(store, put_format, NULL);
}

/* Whoever makes one holds the directory above, so that what a kill left can be told from what is being made. */
static hf_err lock_above(const char *dir, int *ret_fd)
{
  char path[PATH_MAX];
  HF_TRY(hf_dir_make_above(dir, S_IRWXU));
  snprintf(path, sizeof(path), "%.*s", (int)(strrchr(dir, '/') - dir), dir);
  HF_CLEANUP(hf_closep) int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0 || flock(fd, LOCK_EX) != 0)
    return hf_fail_errno(errno, "%s", path);
  *ret_fd = fd;
  fd = -1;
  return HF_OK;
}

/* Made aside and then put in place: one that is half made is never seen. */
static hf_err create(const char *dir)
{
  char aside[PATH_MAX];
  HF_CLEANUP(hf_closep) int above = -1;
  HF_TRY(lock_above(dir, &above));
  if (exists(dir)) /* by another, meanwhile */
    return HF_OK;
  if ((size_t)snprintf(aside, sizeof(aside), "%s.new", dir) >= sizeof(aside))
    return hf_fail(HF_ERR_LIMIT, "the path %s", dir);
  remove_all(aside);
  HF_TRY(make(aside));
  return hf_file_rename(aside, dir);
}

static hf_err check_format(struct vault *vault)
{
  struct store_txn *txn;
  uint64_t format = 0;
  HF_TRY(store_read_begin(vault->store, &txn));
  hf_err e = vault_number_get(txn, "format", &format);
  store_read_end(txn);
  HF_TRY(e);
  if (format == VAULT_FORMAT)
    return HF_OK;
  return hf_fail(format ? HF_ERR_SECRETS_VERSION : HF_ERR_SECRETS, "its format is %llu", (unsigned long long)format);
}

static hf_err none(const char *dir)
{
  return hf_hint(hf_fail(HF_ERR_NOT_FOUND, "there are no secrets in %s", dir), "'holdfast secret put NAME' keeps one.");
}

hf_err vault_open(const char *dir, bool make_it, struct vault **ret_vault)
{
  HF_CLEANUP(vault_closep) struct vault *vault = calloc(1, sizeof(*vault));
  if (!vault)
    return hf_fail(HF_ERR_NO_MEMORY, "the secrets");
  if (!exists(dir)) {
    if (!make_it)
      return access(dir, F_OK) != 0 && errno == EACCES ? hf_fail_errno(EACCES, "%s", dir) : none(dir);
    HF_TRY(create(dir));
  }
  HF_TRY(store_open(&kind, dir, &vault->store));
  HF_TRY(check_format(vault));
  *ret_vault = HF_TAKE(vault);
  return HF_OK;
}

struct vault *vault_close(struct vault *vault)
{
  if (vault)
    store_close(vault->store);
  free(vault);
  return NULL;
}

void vault_key_free(struct vault_key *key)
{
  hf_buf_free(&key->bytes);
}

void vault_version_free(struct vault_version *version)
{
  hf_buf_free(&version->bytes);
}

/* Keys */

static hf_err copy_key(struct hf_slice number, struct hf_slice value, struct vault_key *ret_key)
{
  struct vault_key key = { .bytes = HF_BUF(RECORD_MAX) };
  if (hf_failed(hf_take_u32(&number, &key.id)) || number.len)
    return hf_fail(HF_ERR_SECRETS, "a key's number is not of the form");
  HF_TRY(hf_buf_add(&key.bytes, value.data, value.len));
  hf_err e = record_take_key(hf_slice(key.bytes.data, key.bytes.len), &key.record);
  if (hf_failed(e))
    hf_buf_free(&key.bytes);
  else
    *ret_key = key;
  return e;
}

struct key_search {
  vault_key_which which;
  const void *arg;
  bool found;
  struct vault_key *key;
};

static hf_err look_at_key(struct hf_slice number, struct hf_slice value, void *arg)
{
  struct key_search *search = arg;
  struct key_record record;
  HF_TRY(record_take_key(value, &record));
  if (search->found || !search->which(&record, search->arg))
    return HF_OK;
  HF_TRY(copy_key(number, value, search->key));
  search->found = true;
  return HF_OK;
}

hf_err vault_key_find(struct vault *vault, vault_key_which which, const void *arg, bool *ret_found,
                      struct vault_key *ret_key)
{
  struct key_search search = { which, arg, false, ret_key };
  struct store_txn *txn;
  HF_TRY(store_read_begin(vault->store, &txn));
  hf_err e = store_scan(txn, TABLE_KEYS, hf_slice(NULL, 0), look_at_key, &search);
  store_read_end(txn);
  HF_TRY(e);
  *ret_found = search.found;
  return HF_OK;
}

hf_err vault_key_get(struct vault *vault, uint32_t id, struct vault_key *ret_key)
{
  uint8_t number[VAULT_KEY_KEY];
  struct store_txn *txn;
  struct hf_slice value;
  bool found = false;
  vault_key_key(id, number);
  HF_TRY(store_read_begin(vault->store, &txn));
  hf_err e = store_get(txn, TABLE_KEYS, hf_slice(number, sizeof(number)), &found, &value);
  if (!hf_failed(e))
    e = found ? copy_key(hf_slice(number, sizeof(number)), value, ret_key)
              : hf_fail(HF_ERR_SECRETS, "the key %u that wraps a secret is not told of", id);
  store_read_end(txn);
  return e;
}

struct key_put {
  const struct key_record *key;
  uint32_t id;
  uint32_t namesake; /* another key that had the name so far */
};

static hf_err look_for_same(struct hf_slice number, struct hf_slice value, void *arg)
{
  struct key_put *put = arg;
  struct key_record record;
  HF_TRY(record_take_key(value, &record));
  if (hf_slice_equal(record.spki, put->key->spki))
    return hf_take_u32(&number, &put->id);
  return hf_slice_equal(record.name, put->key->name) ? hf_take_u32(&number, &put->namesake) : HF_OK;
}

static hf_err write_key(struct store_txn *txn, uint32_t id, const struct key_record *key)
{
  uint8_t number[VAULT_KEY_KEY];
  HF_CLEANUP(hf_buf_free) struct hf_buf bytes = HF_BUF(RECORD_MAX);
  vault_key_key(id, number);
  HF_TRY(record_add_key(key, &bytes));
  return store_put(txn, TABLE_KEYS, hf_slice(number, sizeof(number)), hf_slice(bytes.data, bytes.len));
}

/* A key that was replaced is not to be taken for its successor: what it wrapped still names it by its number. */
static hf_err take_name(struct store_txn *txn, uint32_t id)
{
  uint8_t number[VAULT_KEY_KEY];
  struct hf_slice value;
  struct key_record record;
  bool found;
  vault_key_key(id, number);
  HF_TRY(store_get(txn, TABLE_KEYS, hf_slice(number, sizeof(number)), &found, &value));
  HF_TRY(record_take_key(value, &record));
  record.name = hf_slice(NULL, 0);
  return write_key(txn, id, &record);
}

static hf_err put_key(struct store_txn *txn, void *arg)
{
  struct key_put *put = arg;
  uint64_t next;
  HF_TRY(store_scan(txn, TABLE_KEYS, hf_slice(NULL, 0), look_for_same, put));
  if (put->namesake)
    HF_TRY(take_name(txn, put->namesake));
  if (put->id == 0) {
    HF_TRY(vault_number_get(txn, "next-key", &next));
    put->id = (uint32_t)next + 1;
    HF_TRY(vault_number_put(txn, "next-key", put->id));
  }
  return write_key(txn, put->id, put->key);
}

hf_err vault_key_put(struct vault *vault, const struct key_record *key, uint32_t *ret_id)
{
  struct key_put put = { .key = key };
  HF_TRY(store_write(vault->store, put_key, &put));
  *ret_id = put.id;
  return HF_OK;
}
