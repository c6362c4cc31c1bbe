/* SPDX-License-Identifier: Apache-2.0 */
/* What store.c and write.c share. Inside src/store only. */
#ifndef HF_STORE_STORE_PRIVATE_H
#define HF_STORE_STORE_PRIVATE_H

#include "store/mdb.h"
#include "store/tree.h"

#include <limits.h>
#include <pthread.h>

enum { IDLE_MAX = 8 };

/* Reads go through pages, which checks what it looks at. Of a write, LMDB alone knows what it changed so far: pages checks what
 * LMDB may look at before it does. */
struct store_txn {
  struct store *store;
  MDB_txn *mdb;
  struct store_txn *next; /* of those that are left to lie */
  bool writes;
  struct snapshot snapshot; /* of a write: the one that it began with */
};

/* Changes that wait for whoever commits them with his own: see write.c. */
struct waiting;
struct group {
  pthread_mutex_t lock;
  pthread_cond_t moved;
  struct waiting *first, **last;
  bool led;
};

struct store {
  const struct store_kind *kind;
  MDB_env *env;
  struct pages *pages;
  MDB_dbi tables[STORE_TABLES_MAX];
  int lock_fd;
  pthread_mutex_t idle_lock;
  struct store_txn *idle[IDLE_MAX]; /* read transactions, reset: renewing one costs no allocation */
  size_t idle_count;
  struct group group;
  char dir[PATH_MAX];
};

static inline hf_err store_fail(const struct store *store, int rc)
{
  return mdb_fail(store->kind, store->dir, rc);
}

#endif
