/* SPDX-License-Identifier: Apache-2.0 */
#include "store/store_private.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <sys/stat.h>

enum { READERS_MAX = 1024 };

/* Address space only: the file grows as it fills. */
#define MAP_BYTES (sizeof(void *) >= 8 ? (size_t)16 << 30 : (size_t)256 << 20)

static hf_err env_open(struct store *store, mode_t mode)
{
  MDB_env *env = NULL;
  int rc = mdb_env_create(&env);
  if (rc == 0)
    rc = mdb_env_set_mapsize(env, MAP_BYTES);
  if (rc == 0)
    rc = mdb_env_set_maxreaders(env, READERS_MAX);
  if (rc == 0)
    rc = mdb_env_set_maxdbs(env, STORE_TABLES_MAX);
  /* NOTLS: threads of the host program come and go, and their destructors must not reach into an unloaded module. */
  if (rc == 0)
    rc = mdb_env_open(env, store->dir, MDB_NOTLS, mode);
  if (rc != 0) {
    mdb_env_close(env);
    return store_fail(store, rc);
  }
  store->env = env;
  return HF_OK;
}

static hf_err tables_open(struct store *store, unsigned flags)
{
  return mdb_open_tables(store->kind, store->dir, store->env, flags, store->tables);
}

/*
 * LMDB locks with fcntl locks of the process, which vanish when a second copy of this module, in the same process, closes
 * the same file; another process would then take the store for unused and reset its mutexes. A lock that belongs to the
 * open file stays.
 */
static hf_err hold_lock_file(struct store *store)
{
  char path[PATH_MAX];
  if ((size_t)snprintf(path, sizeof(path), "%s/lock.mdb", store->dir) >= sizeof(path))
    return hf_fail(HF_ERR_LIMIT, "the path %s", store->dir);
  store->lock_fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
  if (store->lock_fd < 0)
    return hf_fail_errno(errno, "%s", path);
  struct flock lock = { .l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 1 };
  return fcntl(store->lock_fd, F_OFD_SETLK, &lock) == 0 ? HF_OK : hf_fail_errno(errno, "locking %s", path);
}

/* Between the two steps another copy in this process would find the store unlocked, its own process's locks being none to it. */
static hf_err env_open_held(struct store *store)
{
  HF_TRY(pages_lock(store->pages));
  hf_err e = env_open(store, 0600);
  if (!hf_failed(e))
    e = hold_lock_file(store);
  pages_unlock(store->pages);
  return e;
}

/*
 * Pages that the store counts but never wrote may lie beyond the end of the file, and so do those of a truncated one.
 * Reading there would be SIGBUS; zeros, which LMDB recognises as no page, give an error instead.
 */
static hf_err cover_all_pages(struct store *store)
{
  MDB_envinfo info;
  MDB_stat stat;
  struct stat file;
  int fd;
  mdb_env_info(store->env, &info);
  mdb_env_stat(store->env, &stat);
  mdb_env_get_fd(store->env, &fd);
  off_t need = (off_t)((info.me_last_pgno + 1) * stat.ms_psize);
  if (fstat(fd, &file) != 0)
    return hf_fail_errno(errno, "%s", store->dir);
  if (file.st_size >= need)
    return HF_OK;
  MDB_txn *txn;
  int rc = mdb_txn_begin(store->env, NULL, 0, &txn);
  if (rc != 0)
    return store_fail(store, rc);
  if (fstat(fd, &file) == 0 && file.st_size < need && ftruncate(fd, need) != 0)
    rc = errno;
  mdb_txn_abort(txn);
  return rc ? store_fail(store, rc) : HF_OK;
}

static struct store *store_new(const struct store_kind *kind, const char *dir)
{
  struct store *store = calloc(1, sizeof(*store));
  if (store) {
    store->kind = kind;
    store->lock_fd = -1;
    pthread_mutex_init(&store->idle_lock, NULL);
    store->group.last = &store->group.first;
    pthread_mutex_init(&store->group.lock, NULL);
    pthread_cond_init(&store->group.moved, NULL);
    snprintf(store->dir, sizeof(store->dir), "%s", dir);
  }
  return store;
}

hf_err store_create(const struct store_kind *kind, const char *dir, unsigned umask_bits)
{
  struct store *store = store_new(kind, dir);
  if (!store)
    return hf_fail(HF_ERR_NO_MEMORY, "%s", dir);
  hf_err e = env_open(store, 0666 & ~umask_bits);
  if (!hf_failed(e))
    e = tables_open(store, MDB_CREATE);
  store_close(store);
  return e;
}

/* What LMDB trusts when it opens the tables. */
static hf_err check_main(struct store *store)
{
  struct snapshot snapshot;
  bool late = true;
  while (late)
    HF_TRY(pages_snapshot(store->pages, store_changes(store), &late, &snapshot));
  return HF_OK;
}

static hf_err open_all(struct store *store)
{
  HF_TRY(pages_open(store->kind, store->dir, MAP_BYTES, &store->pages));
  HF_TRY(env_open_held(store));
  HF_TRY(cover_all_pages(store));
  HF_TRY(check_main(store));
  return tables_open(store, 0);
}

hf_err store_open(const struct store_kind *kind, const char *dir, struct store **ret_store)
{
  HF_TRY(mdb_check_file(kind, dir));
  struct store *store = store_new(kind, dir);
  if (!store)
    return hf_fail(HF_ERR_NO_MEMORY, "%s", dir);
  hf_err e = open_all(store);
  if (hf_failed(e)) {
    store_close(store);
    return e;
  }
  int dead;
  mdb_reader_check(store->env, &dead);
  *ret_store = store;
  return HF_OK;
}

/*
 * Another copy of the module in this process takes our readers' slots away when it closes the same store, and then they may be
 * another process's. LMDB cannot let go of such a transaction without touching the slot, so its memory is left to lie.
 */
static bool has_slot(struct store_txn *txn)
{
  return mdb_txn_renew(txn->mdb) == 0;
}

/* Still known, so that whoever looks for leaks sees that it is no accident. */
static void leave_to_lie(struct store_txn *txn)
{
  static _Atomic(struct store_txn *) left;
  txn->next = left;
  while (!atomic_compare_exchange_weak(&left, &txn->next, txn))
    continue;
}

struct store *store_close(struct store *store)
{
  if (!store)
    return NULL;
  for (size_t i = 0; i < store->idle_count; i++) {
    if (!has_slot(store->idle[i])) {
      leave_to_lie(store->idle[i]);
      continue;
    }
    mdb_txn_abort(store->idle[i]->mdb);
    free(store->idle[i]);
  }
  mdb_env_close(store->env);
  pages_close(store->pages);
  if (store->lock_fd >= 0)
    close(store->lock_fd);
  pthread_mutex_destroy(&store->idle_lock);
  pthread_mutex_destroy(&store->group.lock);
  pthread_cond_destroy(&store->group.moved);
  free(store);
  return NULL;
}

hf_err store_defer_sync(struct store *store)
{
  int rc = mdb_env_set_flags(store->env, MDB_NOSYNC, 1);
  return rc ? store_fail(store, rc) : HF_OK;
}

hf_err store_sync(struct store *store)
{
  int rc = mdb_env_set_flags(store->env, MDB_NOSYNC, 0);
  if (rc == 0)
    rc = mdb_env_sync(store->env, 1);
  return rc ? store_fail(store, mdb_true_reason(store->dir, rc)) : HF_OK;
}

void store_moved(struct store *store, const char *dir)
{
  snprintf(store->dir, sizeof(store->dir), "%s", dir);
}

uint64_t store_changes(const struct store *store)
{
  MDB_envinfo info;
  mdb_env_info(store->env, &info);
  return info.me_last_txnid;
}

static struct store_txn *take_idle(struct store *store)
{
  pthread_mutex_lock(&store->idle_lock);
  struct store_txn *txn = store->idle_count ? store->idle[--store->idle_count] : NULL;
  pthread_mutex_unlock(&store->idle_lock);
  return txn;
}

static int read_new(struct store *store, struct store_txn *txn)
{
  int rc = mdb_txn_begin(store->env, NULL, MDB_RDONLY, &txn->mdb);
  if (rc != MDB_READERS_FULL)
    return rc;
  /* Processes that were killed leave their entries behind. */
  int dead;
  mdb_reader_check(store->env, &dead);
  return mdb_txn_begin(store->env, NULL, MDB_RDONLY, &txn->mdb);
}

static hf_err txn_new(struct store *store, struct store_txn **ret_txn)
{
  struct store_txn *txn = calloc(1, sizeof(*txn));
  if (!txn)
    return hf_fail(HF_ERR_NO_MEMORY, "%s", store->dir);
  txn->store = store;
  int rc = read_new(store, txn);
  if (rc != 0) {
    free(txn);
    return store_fail(store, rc);
  }
  *ret_txn = txn;
  return HF_OK;
}

/* An open one, kept from before where there is one. */
static hf_err txn_open(struct store *store, struct store_txn **ret_txn)
{
  struct store_txn *txn = take_idle(store);
  if (txn && has_slot(txn)) {
    *ret_txn = txn;
    return HF_OK;
  }
  if (txn)
    leave_to_lie(txn);
  return txn_new(store, ret_txn);
}

static hf_err txn_snapshot(struct store_txn *txn)
{
  bool late = mdb_txn_id(txn->mdb) != txn->snapshot.txn;
  while (late) {
    HF_TRY(pages_snapshot(txn->store->pages, mdb_txn_id(txn->mdb), &late, &txn->snapshot));
    if (!late)
      break;
    mdb_txn_reset(txn->mdb);
    int rc = mdb_txn_renew(txn->mdb);
    if (rc != 0)
      return store_fail(txn->store, rc);
  }
  return HF_OK;
}

hf_err store_read_begin(struct store *store, struct store_txn **ret_txn)
{
  struct store_txn *txn = NULL;
  HF_TRY(txn_open(store, &txn));
  assert(txn);
  hf_err e = txn_snapshot(txn);
  if (hf_failed(e)) {
    mdb_txn_abort(txn->mdb);
    free(txn);
    return e;
  }
  *ret_txn = txn;
  return HF_OK;
}

void store_read_end(struct store_txn *txn)
{
  struct store *store = txn->store;
  mdb_txn_reset(txn->mdb);
  pthread_mutex_lock(&store->idle_lock);
  bool kept = store->idle_count < IDLE_MAX;
  if (kept)
    store->idle[store->idle_count++] = txn;
  pthread_mutex_unlock(&store->idle_lock);
  if (!kept) {
    mdb_txn_abort(txn->mdb);
    free(txn);
  }
}

uint64_t store_snapshot(const struct store_txn *txn)
{
  return mdb_txn_id(txn->mdb);
}

static hf_err get_changed(struct store_txn *txn, unsigned table, struct hf_slice key, bool *ret_found,
                          struct hf_slice *ret_value)
{
  MDB_val k = mdb_val(key), v;
  HF_TRY(pages_check_key(txn->store->pages, &txn->snapshot, table, key));
  int rc = mdb_get(txn->mdb, txn->store->tables[table], &k, &v);
  if (rc != 0 && rc != MDB_NOTFOUND)
    return store_fail(txn->store, rc);
  *ret_found = rc == 0;
  if (rc == 0)
    *ret_value = hf_slice(v.mv_data, v.mv_size);
  return HF_OK;
}

hf_err store_get(struct store_txn *txn, unsigned table, struct hf_slice key, bool *ret_found,
                 struct hf_slice *ret_value)
{
  struct walk walk;
  bool there;
  if (txn->writes)
    return get_changed(txn, table, key, ret_found, ret_value);
  HF_TRY(walk_seek(txn->store->pages, &txn->snapshot, &txn->snapshot.tables[table], key, &walk, &there));
  bool found = there && hf_slice_equal(walk_key(&walk), key);
  if (found)
    HF_TRY(walk_value(&walk, ret_value));
  *ret_found = found;
  return HF_OK;
}

hf_err store_put(struct store_txn *txn, unsigned table, struct hf_slice key, struct hf_slice value)
{
  MDB_val k = mdb_val(key), v = mdb_val(value);
  HF_TRY(pages_check_key(txn->store->pages, &txn->snapshot, table, key));
  int rc = mdb_put(txn->mdb, txn->store->tables[table], &k, &v, 0);
  return rc ? store_fail(txn->store, rc) : HF_OK;
}

hf_err store_delete(struct store_txn *txn, unsigned table, struct hf_slice key)
{
  MDB_val k = mdb_val(key);
  HF_TRY(pages_check_key(txn->store->pages, &txn->snapshot, table, key));
  int rc = mdb_del(txn->mdb, txn->store->tables[table], &k, NULL);
  return rc && rc != MDB_NOTFOUND ? store_fail(txn->store, rc) : HF_OK;
}

hf_err store_clear(struct store_txn *txn, unsigned table)
{
  HF_TRY(pages_check_table(txn->store->pages, &txn->snapshot, table));
  int rc = mdb_drop(txn->mdb, txn->store->tables[table], 0);
  return rc ? store_fail(txn->store, rc) : HF_OK;
}

typedef hf_err (*each_fn)(struct hf_slice key, struct hf_slice value, void *arg);

/* Up to last, and what begins with it. */
static bool in_range(struct hf_slice key, struct hf_slice last)
{
  size_t len = key.len < last.len ? key.len : last.len;
  return len == 0 || memcmp(key.data, last.data, len) <= 0;
}

static hf_err range_checked(struct store_txn *txn, unsigned table, struct hf_slice first, struct hf_slice last,
                            each_fn each, void *arg)
{
  struct walk walk;
  struct hf_slice value;
  bool there;
  HF_TRY(walk_seek(txn->store->pages, &txn->snapshot, &txn->snapshot.tables[table], first, &walk, &there));
  while (there && in_range(walk_key(&walk), last)) {
    HF_TRY(walk_value(&walk, &value));
    HF_TRY(each(walk_key(&walk), value, arg));
    HF_TRY(walk_next(&walk, &there));
  }
  return HF_OK;
}

static hf_err nothing(struct hf_slice key, struct hf_slice value, void *arg)
{
  (void)key;
  (void)value;
  (void)arg;
  return HF_OK;
}

static hf_err range_changed(struct store_txn *txn, unsigned table, struct hf_slice first, struct hf_slice last,
                            each_fn each, void *arg)
{
  MDB_cursor *cursor;
  HF_TRY(range_checked(txn, table, first, last, nothing, NULL));
  int rc = mdb_cursor_open(txn->mdb, txn->store->tables[table], &cursor);
  if (rc != 0)
    return store_fail(txn->store, rc);
  MDB_val k = mdb_val(first), v;
  hf_err e = HF_OK;
  rc = mdb_cursor_get(cursor, &k, &v, first.len ? MDB_SET_RANGE : MDB_FIRST);
  while (rc == 0 && !hf_failed(e) && in_range(hf_slice(k.mv_data, k.mv_size), last)) {
    e = each(hf_slice(k.mv_data, k.mv_size), hf_slice(v.mv_data, v.mv_size), arg);
    rc = mdb_cursor_get(cursor, &k, &v, MDB_NEXT);
  }
  mdb_cursor_close(cursor);
  if (!hf_failed(e) && rc != 0 && rc != MDB_NOTFOUND)
    e = store_fail(txn->store, rc);
  return e;
}

hf_err store_range(struct store_txn *txn, unsigned table, struct hf_slice first, struct hf_slice last, each_fn each,
                   void *arg)
{
  return (txn->writes ? range_changed : range_checked)(txn, table, first, last, each, arg);
}

/* What begins with a prefix is the range from it to it. */
hf_err store_scan(struct store_txn *txn, unsigned table, struct hf_slice prefix, each_fn each, void *arg)
{
  return store_range(txn, table, prefix, prefix, each, arg);
}

hf_err store_count(struct store_txn *txn, unsigned table, uint64_t *ret_count)
{
  MDB_stat stat = { .ms_entries = txn->snapshot.tables[table].entries };
  int rc = txn->writes ? mdb_stat(txn->mdb, txn->store->tables[table], &stat) : 0;
  if (rc != 0)
    return store_fail(txn->store, rc);
  *ret_count = stat.ms_entries;
  return HF_OK;
}
