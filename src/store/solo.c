/* SPDX-License-Identifier: Apache-2.0 */
#include "store/solo.h"

#include "base/file.h"
#include "store/mdb.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/resource.h>

enum {
  PAGE_HEAD = 16,      /* of LMDB's pages */
  NODE_HEAD = 8,       /* of its entries */
  KEY_MAX = 16,        /* of our users' */
  RESERVE = 1 << 20,   /* kept for removing, see solo_make_room */
  CREATE_MAP = 1 << 20 /* of an empty one */
};

struct solo {
  const struct store_kind *kind;
  char dir[PATH_MAX];
  size_t map_bytes;
  bool synced;
  MDB_env *env; /* NULL after a failed commit, until the next transaction */
  MDB_dbi tables[STORE_TABLES_MAX];
  MDB_txn *write;
  MDB_txn *read; /* kept, and reset while there is none */
  bool reading;
  struct solo_pages pages;
  uint64_t allocated; /* of the file, by make_room */
};

static hf_err fail(const struct solo *solo, int rc)
{
  return mdb_fail(solo->kind, solo->dir, rc);
}

static hf_err path_in(const char *dir, const char *name, char out[PATH_MAX])
{
  return (size_t)snprintf(out, PATH_MAX, "%s/%s", dir, name) < PATH_MAX ? HF_OK
                                                                        : hf_fail(HF_ERR_LIMIT, "the path %s", dir);
}

/* Opening */

static hf_err env_open(struct solo *solo)
{
  MDB_env *env = NULL;
  int rc = mdb_env_create(&env);
  if (rc == 0)
    rc = mdb_env_set_mapsize(env, solo->map_bytes);
  if (rc == 0)
    rc = mdb_env_set_maxdbs(env, STORE_TABLES_MAX);
  /* NOLOCK: the process is alone, and a reader of ours never outlasts the beginning of a write. */
  if (rc == 0)
    rc = mdb_env_open(env, solo->dir, MDB_NOLOCK | MDB_NOTLS | (solo->synced ? 0 : MDB_NOSYNC), 0600);
  if (rc != 0) {
    mdb_env_close(env);
    return fail(solo, rc);
  }
  solo->env = env;
  solo->allocated = 0;
  return HF_OK;
}

static void env_close(struct solo *solo)
{
  if (solo->write)
    mdb_txn_abort(solo->write);
  if (solo->read)
    mdb_txn_abort(solo->read);
  if (solo->env)
    mdb_env_close(solo->env);
  solo->write = solo->read = NULL;
  solo->reading = false;
  solo->env = NULL;
}

static hf_err open_all(struct solo *solo, unsigned flags)
{
  HF_TRY(env_open(solo));
  hf_err e = mdb_open_tables(solo->kind, solo->dir, solo->env, flags, solo->tables);
  if (hf_failed(e))
    env_close(solo);
  return e;
}

static void measure_pages(struct solo *solo)
{
  MDB_stat stat = { 0 };
  mdb_env_stat(solo->env, &stat);
  size_t page = stat.ms_psize;
  /* As mdb.c has it: two entries a leaf at least, each of an even size. */
  size_t node_max = (((page - PAGE_HEAD) / 2) & ~(size_t)1) - sizeof(uint16_t);
  solo->pages =
      (struct solo_pages){ .page = page, .inline_max = node_max - NODE_HEAD - KEY_MAX, .value_max = page - PAGE_HEAD };
}

static hf_err solo_new(const struct store_kind *kind, const char *dir, uint64_t map_bytes, bool synced, unsigned flags,
                       struct solo **ret_solo)
{
  HF_CLEANUP(solo_closep) struct solo *solo = calloc(1, sizeof(*solo));
  if (!solo)
    return hf_fail(HF_ERR_NO_MEMORY, "%s", dir);
  if (map_bytes > SIZE_MAX / 2)
    return hf_fail(HF_ERR_LIMIT, "a store of %llu MiB on this machine", (unsigned long long)map_bytes >> 20);
  solo->kind = kind;
  snprintf(solo->dir, sizeof(solo->dir), "%s", dir);
  solo->map_bytes = (size_t)map_bytes;
  solo->synced = synced;
  HF_TRY(open_all(solo, flags));
  measure_pages(solo);
  *ret_solo = HF_TAKE(solo);
  return HF_OK;
}

hf_err solo_open(const struct store_kind *kind, const char *dir, uint64_t map_bytes, bool synced,
                 struct solo **ret_solo)
{
  return solo_new(kind, dir, map_bytes, synced, 0, ret_solo);
}

struct solo *solo_close(struct solo *solo)
{
  if (!solo)
    return NULL;
  solo_abort(solo);
  if (solo->env)
    mdb_env_sync(solo->env, 1);
  env_close(solo);
  free(solo);
  return NULL;
}

static hf_err fill_new(struct solo *solo, unsigned table, struct hf_slice key, struct hf_slice value)
{
  HF_TRY(solo_begin(solo));
  HF_TRY(solo_put(solo, table, key, value, false));
  return solo_commit(solo);
}

/* Made aside and renamed: what was begun and not finished must not look like a store that was cut short. */
hf_err solo_create(const struct store_kind *kind, const char *dir, unsigned table, struct hf_slice key,
                   struct hf_slice value)
{
  char aside[PATH_MAX], made[PATH_MAX], path[PATH_MAX];
  HF_TRY(path_in(dir, "making", aside));
  HF_TRY(path_in(aside, "data.mdb", made));
  HF_TRY(path_in(dir, "data.mdb", path));
  unlink(made);
  HF_TRY(hf_dir_make(aside));
  struct solo *solo;
  HF_TRY(solo_new(kind, aside, CREATE_MAP, true, MDB_CREATE, &solo));
  hf_err e = fill_new(solo, table, key, value);
  solo_close(solo);
  HF_TRY(e);
  if (rename(made, path) != 0)
    return hf_fail_errno(errno, "%s", path);
  rmdir(aside);
  HF_CLEANUP(hf_closep) int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  return fd >= 0 && fsync(fd) == 0 ? HF_OK : hf_fail_errno(errno, "%s", dir);
}

hf_err solo_exists(const struct store_kind *kind, const char *dir, bool *ret_exists)
{
  hf_err e = mdb_check_file(kind, dir);
  if (hf_failed(e) && e.code != HF_ERR_NOT_FOUND)
    return e;
  *ret_exists = !hf_failed(e);
  return HF_OK;
}

hf_err solo_configure(struct solo *solo, uint64_t map_bytes, bool synced)
{
  if (map_bytes > SIZE_MAX / 2)
    return hf_fail(HF_ERR_LIMIT, "a store of %llu MiB on this machine", (unsigned long long)map_bytes >> 20);
  bool was_synced = solo->synced;
  env_close(solo);
  solo->map_bytes = (size_t)map_bytes;
  solo->synced = synced;
  HF_TRY(open_all(solo, 0));
  return synced && !was_synced && mdb_env_sync(solo->env, 1) != 0 ? hf_fail_errno(errno, "%s", solo->dir) : HF_OK;
}

struct solo_pages solo_pages(const struct solo *solo)
{
  return solo->pages;
}

/* Transactions */

hf_err solo_begin(struct solo *solo)
{
  if (solo->write)
    return HF_OK;
  if (!solo->env)
    HF_TRY(open_all(solo, 0));
  if (solo->reading)
    mdb_txn_reset(solo->read);
  solo->reading = false;
  int rc = mdb_txn_begin(solo->env, NULL, 0, &solo->write);
  if (rc != 0)
    solo->write = NULL;
  return rc ? fail(solo, rc) : HF_OK;
}

bool solo_writing(const struct solo *solo)
{
  return solo->write;
}

hf_err solo_commit(struct solo *solo)
{
  if (!solo->write)
    return HF_OK;
  int rc = mdb_txn_commit(solo->write);
  solo->write = NULL;
  if (rc == 0)
    return HF_OK;
  rc = mdb_true_reason(solo->dir, rc);
  /* LMDB takes no more writes where it could not write its meta page; the file is whole. */
  env_close(solo);
  return fail(solo, rc);
}

void solo_abort(struct solo *solo)
{
  if (solo->write)
    mdb_txn_abort(solo->write);
  solo->write = NULL;
}

static hf_err transaction(struct solo *solo, MDB_txn **ret_txn)
{
  if (solo->write) {
    *ret_txn = solo->write;
    return HF_OK;
  }
  if (!solo->env)
    HF_TRY(open_all(solo, 0));
  if (!solo->reading) {
    int rc = solo->read ? mdb_txn_renew(solo->read) : mdb_txn_begin(solo->env, NULL, MDB_RDONLY, &solo->read);
    if (rc != 0)
      return fail(solo, rc);
    solo->reading = true;
  }
  *ret_txn = solo->read;
  return HF_OK;
}

/* Room on the disk */

static uint64_t file_used(const struct solo *solo)
{
  MDB_envinfo info;
  mdb_env_info(solo->env, &info);
  return ((uint64_t)info.me_last_pgno + 1) * solo->pages.page;
}

hf_err solo_make_room(struct solo *solo, uint64_t live, uint64_t growth)
{
  uint64_t used = file_used(solo);
  uint64_t busy = live + live / 32; /* and the pages that lead to them */
  if ((used > busy && used - busy > growth + RESERVE) || used + growth + RESERVE <= solo->allocated)
    return HF_OK;
  uint64_t want = used + growth + 2 * (uint64_t)RESERVE;
  struct rlimit files;
  int fd;
  if (getrlimit(RLIMIT_FSIZE, &files) == 0 && want > files.rlim_cur)
    return hf_fail_errno(EFBIG, "%s", solo->dir);
  mdb_env_get_fd(solo->env, &fd);
  if (fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, (off_t)want) != 0) {
    if (errno == ENOSPC || errno == EDQUOT || errno == EFBIG)
      return hf_fail_errno(errno, "%s", solo->dir);
    want = UINT64_MAX; /* a file system that knows no such thing: a full disk shows in the commit */
  }
  solo->allocated = want;
  return HF_OK;
}

/* Entries */

hf_err solo_put(struct solo *solo, unsigned table, struct hf_slice key, struct hf_slice value, bool append)
{
  MDB_val k = mdb_val(key), v = mdb_val(value);
  int rc = mdb_put(solo->write, solo->tables[table], &k, &v, append ? MDB_APPEND : 0);
  return rc ? fail(solo, mdb_true_reason(solo->dir, rc)) : HF_OK;
}

hf_err solo_delete(struct solo *solo, unsigned table, struct hf_slice key, bool *ret_found)
{
  MDB_val k = mdb_val(key);
  int rc = mdb_del(solo->write, solo->tables[table], &k, NULL);
  if (rc != 0 && rc != MDB_NOTFOUND)
    return fail(solo, mdb_true_reason(solo->dir, rc));
  *ret_found = rc == 0;
  return HF_OK;
}

hf_err solo_get(struct solo *solo, unsigned table, struct hf_slice key, bool *ret_found, struct hf_slice *ret_value)
{
  MDB_txn *txn = NULL;
  MDB_val k = mdb_val(key), v;
  HF_TRY(transaction(solo, &txn));
  int rc = mdb_get(txn, solo->tables[table], &k, &v);
  if (rc != 0 && rc != MDB_NOTFOUND)
    return fail(solo, rc);
  *ret_found = rc == 0;
  if (rc == 0)
    *ret_value = hf_slice(v.mv_data, v.mv_size);
  return HF_OK;
}

hf_err solo_seek(struct solo *solo, unsigned table, struct hf_slice key, bool *ret_found, struct hf_slice *ret_key,
                 struct hf_slice *ret_value)
{
  MDB_txn *txn = NULL;
  MDB_cursor *cursor;
  MDB_val k = mdb_val(key), v;
  HF_TRY(transaction(solo, &txn));
  int rc = mdb_cursor_open(txn, solo->tables[table], &cursor);
  if (rc != 0)
    return fail(solo, rc);
  rc = mdb_cursor_get(cursor, &k, &v, MDB_SET_RANGE);
  mdb_cursor_close(cursor);
  if (rc != 0 && rc != MDB_NOTFOUND)
    return fail(solo, rc);
  *ret_found = rc == 0;
  if (rc == 0) {
    *ret_key = hf_slice(k.mv_data, k.mv_size);
    *ret_value = hf_slice(v.mv_data, v.mv_size);
  }
  return HF_OK;
}

/* The free list: LMDB's table 0, an array of page numbers a transaction, its count first, falling. */

static bool is_free_list(MDB_val value, size_t last_page)
{
  const size_t *numbers = value.mv_data;
  if (value.mv_size < sizeof(size_t) || value.mv_size / sizeof(size_t) - 1 < numbers[0])
    return false;
  for (size_t i = 1; i <= numbers[0]; i++)
    if (numbers[i] < 2 || numbers[i] > last_page || (i > 1 && numbers[i] >= numbers[i - 1]))
      return false;
  return true;
}

hf_err solo_check_free(struct solo *solo)
{
  MDB_txn *txn = NULL;
  MDB_cursor *cursor;
  MDB_envinfo info;
  MDB_val k, v;
  HF_TRY(transaction(solo, &txn));
  mdb_env_info(solo->env, &info);
  int rc = mdb_cursor_open(txn, 0, &cursor);
  if (rc != 0)
    return fail(solo, rc);
  bool good = true;
  while (good && (rc = mdb_cursor_get(cursor, &k, &v, MDB_NEXT)) == 0)
    good = k.mv_size == sizeof(size_t) && is_free_list(v, info.me_last_pgno);
  mdb_cursor_close(cursor);
  if (good && rc != MDB_NOTFOUND)
    return fail(solo, rc);
  return good ? HF_OK : hf_fail(solo->kind->damaged, "%s: its list of free pages", solo->dir);
}
