/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing: alone, or together with the other threads that write at the same time (docs/adr/0022-group-commit.md). Together, the
 * first one leads: it takes LMDB's lock, runs whatever waits by then, each in a nested transaction, and commits all with one sync.
 */
#include "store/store_private.h"

struct waiting {
  store_change_fn change;
  void *arg;
  bool taken;                             /* the leader's own note */
  enum { WAITS, DURABLE, REFUSED } state; /* under the group's lock */
  struct waiting *next;
};

/* What every write looks at. */
static hf_err write_ready(struct store_txn *txn)
{
  bool late;
  struct pages *pages = txn->store->pages;
  HF_TRY(pages_snapshot(pages, mdb_txn_id(txn->mdb) - 1, &late, &txn->snapshot));
  if (late)
    return hf_fail(HF_ERR_INTERNAL, "%s: a commit beside one's own", txn->store->dir);
  return pages_check_free(pages, &txn->snapshot);
}

hf_err store_write(struct store *store, store_change_fn change, void *arg)
{
  struct store_txn txn = { .store = store, .writes = true };
  int rc = mdb_txn_begin(store->env, NULL, 0, &txn.mdb);
  if (rc != 0)
    return store_fail(store, rc);
  hf_err e = write_ready(&txn);
  if (!hf_failed(e))
    e = change(&txn, arg);
  if (hf_failed(e)) {
    mdb_txn_abort(txn.mdb);
    return e;
  }
  rc = mdb_txn_commit(txn.mdb);
  return rc ? store_fail(store, mdb_true_reason(store->dir, rc)) : HF_OK;
}

/* On success the change is in the outer transaction; else nothing of it, so that the others' stay. */
static bool run_nested(struct store_txn *outer, const struct waiting *one)
{
  struct store_txn inner = *outer;
  if (mdb_txn_begin(outer->store->env, outer->mdb, 0, &inner.mdb) != 0)
    return false;
  if (hf_failed(one->change(&inner, one->arg))) {
    mdb_txn_abort(inner.mdb);
    return false;
  }
  return mdb_txn_commit(inner.mdb) == 0;
}

static struct waiting *take_waiting(struct group *group)
{
  pthread_mutex_lock(&group->lock);
  struct waiting *all = group->first;
  group->first = NULL;
  group->last = &group->first;
  pthread_mutex_unlock(&group->lock);
  return all;
}

/* Commits what it can of those that wait: those that it has taken, where that is durable. */
static bool commit_waiting(struct store *store, struct waiting **ret_all)
{
  struct store_txn txn = { .store = store, .writes = true };
  bool begun = mdb_txn_begin(store->env, NULL, 0, &txn.mdb) == 0;
  /* Only now: while another process had the lock, more may have come. */
  struct waiting *all = take_waiting(&store->group);
  bool ready = begun && !hf_failed(write_ready(&txn)), any = false;
  for (struct waiting *one = all; ready && one; one = one->next) {
    one->taken = all->next ? run_nested(&txn, one) : !hf_failed(one->change(&txn, one->arg));
    any |= one->taken;
  }
  *ret_all = all;
  if (begun && !any)
    mdb_txn_abort(txn.mdb);
  return any && mdb_txn_commit(txn.mdb) == 0;
}

static void lead(struct store *store)
{
  struct group *group = &store->group;
  struct waiting *all;
  bool durable = commit_waiting(store, &all);
  pthread_mutex_lock(&group->lock);
  for (struct waiting *one = all; one; one = one->next)
    one->state = one->taken && durable ? DURABLE : REFUSED;
  pthread_mutex_unlock(&group->lock);
}

/* True where the caller leads now, and false where somebody did its work for it. */
static bool wait_turn(struct group *group, struct waiting *mine)
{
  pthread_mutex_lock(&group->lock);
  *group->last = mine;
  group->last = &mine->next;
  while (group->led && mine->state == WAITS)
    pthread_cond_wait(&group->moved, &group->lock);
  bool leads = mine->state == WAITS;
  group->led |= leads;
  pthread_mutex_unlock(&group->lock);
  return leads;
}

static void end_turn(struct group *group)
{
  pthread_mutex_lock(&group->lock);
  group->led = false;
  pthread_cond_broadcast(&group->moved);
  pthread_mutex_unlock(&group->lock);
}

hf_err store_write_together(struct store *store, store_change_fn change, void *arg)
{
  struct waiting mine = { .change = change, .arg = arg };
  if (wait_turn(&store->group, &mine)) {
    lead(store);
    end_turn(&store->group);
  }
  /* In its own thread, where the error is recorded. */
  return mine.state == DURABLE ? HF_OK : store_write(store, change, arg);
}
