/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A token's store: one LMDB environment, three tables. A write is one durable transaction; readers see a snapshot and
 * never wait. Several processes and threads may use it at once. Not to be used across a fork.
 */
#ifndef HF_TOKEN_STORE_STORE_H
#define HF_TOKEN_STORE_STORE_H

#include "base/buf.h"

#include <stdbool.h>

enum store_table {
  STORE_META,    /* the token's header */
  STORE_OBJECTS, /* object id (u64, big-endian) -> record */
  STORE_INDEX,   /* kind, digest of the value, object id -> nothing */
  STORE_TABLES
};

struct store;
struct store_txn;

/* Makes the files in an existing, empty directory. Modes are 0666 less umask_bits. */
hf_err store_create(const char *dir, unsigned umask_bits);

/* Fails with TOKEN_STORE where the files are damaged or truncated, PERMISSION, NOT_FOUND. */
hf_err store_open(const char *dir, struct store **ret_store);
struct store *store_close(struct store *store);

/* Counts the committed writes of all processes. Reads shared memory: no system call. */
uint64_t store_changes(const struct store *store);

/* Reads: what store_get yields is valid until the end. Thread-bound only while it is open. */
hf_err store_read_begin(struct store *store, struct store_txn **ret_txn);
void store_read_end(struct store_txn *txn);

/* store_changes as of the snapshot that this transaction sees. */
uint64_t store_snapshot(const struct store_txn *txn);

/* Runs change within a write transaction, in this thread; commits, synced, where it succeeds, else leaves all as it was. */
hf_err store_write(struct store *store, hf_err (*change)(struct store_txn *txn, void *arg), void *arg);

/* *ret_found tells; a missing key is no error. */
hf_err store_get(struct store_txn *txn, enum store_table table, struct hf_slice key, bool *ret_found,
                 struct hf_slice *ret_value);
hf_err store_put(struct store_txn *txn, enum store_table table, struct hf_slice key, struct hf_slice value);
hf_err store_delete(struct store_txn *txn, enum store_table table, struct hf_slice key);
hf_err store_clear(struct store_txn *txn, enum store_table table);

/* Calls each for all keys that begin with prefix, in order, until it fails. It must not change the table. */
hf_err store_scan(struct store_txn *txn, enum store_table table, struct hf_slice prefix,
                  hf_err (*each)(struct hf_slice key, struct hf_slice value, void *arg), void *arg);

#endif
