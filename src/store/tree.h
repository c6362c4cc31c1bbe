/* SPDX-License-Identifier: Apache-2.0 */
/*
 * LMDB's trees, walked with every page checked before it is looked at: what reads of a store go through, and what goes before
 * each write, which LMDB does itself. A page is checked in full when this process first meets it, and the bounds that the way
 * to it sets with it; so a look-up reads the pages on its way, and no more. Inside src/store only.
 */
#ifndef HF_STORE_TREE_H
#define HF_STORE_TREE_H

#include "store/page.h"
#include "store/store.h"

struct pages;

/* Checks the file's head. Before LMDB opens the file. Fails as store_open does. */
hf_err pages_open(const struct store_kind *kind, const char *dir, size_t map_bytes, struct pages **ret_pages);
struct pages *pages_close(struct pages *pages);

/* Has the file to itself among those that call this, other copies of the module in this process with them. */
hf_err pages_lock(struct pages *pages);
void pages_unlock(struct pages *pages);

/* The trees as one transaction left them. */
struct snapshot {
  size_t txn;
  size_t end;  /* all pages' numbers are below */
  bool writes; /* a write begins with it, after pages_check_free: no page in use may be on the list of free pages */
  struct tree free, main, tables[STORE_TABLES_MAX];
};

/* *ret_late where a later commit has put itself in its place: then ret_snapshot is untouched. */
hf_err pages_snapshot(struct pages *pages, size_t txn, bool *ret_late, struct snapshot *ret_snapshot);

/* Where a walk stands. Its snapshot's reader must be held as long as it is used. */
struct walk {
  struct pages *pages;
  size_t end;
  bool writes;
  struct tree tree;
  struct {
    const uint8_t *page;
    unsigned at;
    struct hf_slice low, below;
  } level[PAGE_DEPTH_MAX];
};

/* To the first key at key or after it; *ret_there tells whether there is one. */
hf_err walk_seek(struct pages *pages, const struct snapshot *snapshot, const struct tree *tree, struct hf_slice key,
                 struct walk *walk, bool *ret_there);
hf_err walk_next(struct walk *walk, bool *ret_there);
struct hf_slice walk_key(const struct walk *walk);
hf_err walk_value(const struct walk *walk, struct hf_slice *ret_value);

/* Whatever LMDB may look at to put or delete the key. */
hf_err pages_check_key(struct pages *pages, const struct snapshot *snapshot, unsigned table, struct hf_slice key);
/* All of a table, its values' pages with them. */
hf_err pages_check_table(struct pages *pages, const struct snapshot *snapshot, unsigned table);
/* LMDB's list of free pages, whose form is checked; each write uses it. Makes the snapshot one that writes. By the one writer. */
hf_err pages_check_free(struct pages *pages, struct snapshot *snapshot);

#endif
