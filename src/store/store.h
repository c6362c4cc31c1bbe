/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A durable store: one LMDB environment, a few tables. A write is one synced transaction; readers see a snapshot and
 * never wait. Several processes and threads may use it at once. Not to be used across a fork.
 */
#ifndef HF_STORE_STORE_H
#define HF_STORE_STORE_H

#include "base/buf.h"

#include <stdbool.h>

enum { STORE_TABLES_MAX = 8 };

/* What lies in it, and which errors tell of it. Constant: the store keeps the pointer. */
struct store_kind {
  const char *tables[STORE_TABLES_MAX]; /* their names; a table is its place in here. NULL ends the list */
  /* Whether an entry is one that was written so; asked before a page of them is first used. NULL: any is. */
  bool (*sound[STORE_TABLES_MAX])(struct hf_slice key, struct hf_slice value);
  enum hf_code damaged, newer, full;
};

struct store;
struct store_txn;

/* Makes the files in an existing, empty directory. Modes are 0666 less umask_bits. */
hf_err store_create(const struct store_kind *kind, const char *dir, unsigned umask_bits);

/* Fails with the kind's damaged where the files are damaged or truncated, its newer, PERMISSION, NOT_FOUND. */
hf_err store_open(const struct store_kind *kind, const char *dir, struct store **ret_store);
struct store *store_close(struct store *store);
HF_DEFINE_CLEANUP(struct store, store_close)

/* Writes are not synced from here on, until store_sync: for a store that nobody has seen yet, so that its loss is none. */
hf_err store_defer_sync(struct store *store);
hf_err store_sync(struct store *store);

/* Its directory was renamed, for the errors to come. */
void store_moved(struct store *store, const char *dir);

/* Counts the committed writes of all processes. Reads shared memory: no system call. */
uint64_t store_changes(const struct store *store);

/* Reads: what store_get yields is valid until the end. Thread-bound only while it is open. */
hf_err store_read_begin(struct store *store, struct store_txn **ret_txn);
void store_read_end(struct store_txn *txn);

/* store_changes as of the snapshot that this transaction sees. */
uint64_t store_snapshot(const struct store_txn *txn);

/* Runs change within a write transaction, in this thread; commits, synced, where it succeeds, else leaves all as it was. */
typedef hf_err (*store_change_fn)(struct store_txn *txn, void *arg);
hf_err store_write(struct store *store, store_change_fn change, void *arg);

/*
 * The same, but threads that write at the same time share a transaction and its sync. The change may run in another one of them,
 * while this one waits, and once more from the start where it failed. So it holds no lock that another change wants, and depends
 * on nothing that it left in arg before.
 */
hf_err store_write_together(struct store *store, store_change_fn change, void *arg);

/* *ret_found tells; a missing key is no error. */
hf_err store_get(struct store_txn *txn, unsigned table, struct hf_slice key, bool *ret_found,
                 struct hf_slice *ret_value);
hf_err store_put(struct store_txn *txn, unsigned table, struct hf_slice key, struct hf_slice value);
hf_err store_delete(struct store_txn *txn, unsigned table, struct hf_slice key);
hf_err store_clear(struct store_txn *txn, unsigned table);

/* Calls each for all keys that begin with prefix, in order, until it fails. It must not change the table. */
hf_err store_scan(struct store_txn *txn, unsigned table, struct hf_slice prefix,
                  hf_err (*each)(struct hf_slice key, struct hf_slice value, void *arg), void *arg);

/* The same for the keys from first on, last and what begins with it included. */
hf_err store_range(struct store_txn *txn, unsigned table, struct hf_slice first, struct hf_slice last,
                   hf_err (*each)(struct hf_slice key, struct hf_slice value, void *arg), void *arg);

/* How many keys a table has: one look. */
hf_err store_count(struct store_txn *txn, unsigned table, uint64_t *ret_count);

#endif
