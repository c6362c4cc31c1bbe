/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A store that one process has to itself, which its user sees to, with one transaction that stays open from call to call; in
 * one thread. What is written then is durable as far as the user wants it, and room to remove is kept on a full disk.
 */
#ifndef HF_STORE_SOLO_H
#define HF_STORE_SOLO_H

#include "base/cleanup.h"
#include "store/store.h"

struct solo;

/* Makes one in an existing directory, as one step, with one entry. */
hf_err solo_create(const struct store_kind *kind, const char *dir, unsigned table, struct hf_slice key,
                   struct hf_slice value);

/* Whether one is there. Fails with the kind's damaged where what is there cannot be one. */
hf_err solo_exists(const struct store_kind *kind, const char *dir, bool *ret_exists);

/*
 * map_bytes: how large the file may become. synced: a commit survives a power cut, else the end of the process alone. Fails
 * as store_open does; LMDB may crash where pages are damaged.
 */
hf_err solo_open(const struct store_kind *kind, const char *dir, uint64_t map_bytes, bool synced,
                 struct solo **ret_solo);
struct solo *solo_close(struct solo *solo);
HF_DEFINE_CLEANUP(struct solo, solo_close)

/* Not within a transaction. */
hf_err solo_configure(struct solo *solo, uint64_t map_bytes, bool synced);

/* The largest value that LMDB puts into its leaves, and that which fills one page of its own. */
struct solo_pages {
  size_t page, inline_max, value_max;
};
struct solo_pages solo_pages(const struct solo *solo);

/* Begins a write transaction where none is open. Reads see it then. */
hf_err solo_begin(struct solo *solo);
bool solo_writing(const struct solo *solo);
/* The transaction is over, however it ends. DISK_FULL apart from IO. */
hf_err solo_commit(struct solo *solo);
void solo_abort(struct solo *solo);

/*
 * Sees to it that the file may grow by so many bytes in this transaction, and that room is left to remove what is there when
 * the disk is full. live: the bytes in use. Fails with DISK_FULL; then nothing has changed.
 */
hf_err solo_make_room(struct solo *solo, uint64_t live, uint64_t growth);

/* append: the key comes after all that are there. */
hf_err solo_put(struct solo *solo, unsigned table, struct hf_slice key, struct hf_slice value, bool append);
hf_err solo_delete(struct solo *solo, unsigned table, struct hf_slice key, bool *ret_found);

/* What these give is valid until the next change or the end of the transaction. */
hf_err solo_get(struct solo *solo, unsigned table, struct hf_slice key, bool *ret_found, struct hf_slice *ret_value);
/* The first entry at key or after it. */
hf_err solo_seek(struct solo *solo, unsigned table, struct hf_slice key, bool *ret_found, struct hf_slice *ret_key,
                 struct hf_slice *ret_value);

/* Whether LMDB's own list of free pages is one. Fails with the kind's damaged. */
hf_err solo_check_free(struct solo *solo);

#endif
