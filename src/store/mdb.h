/* SPDX-License-Identifier: Apache-2.0 */
/* What the kinds of store share of their use of LMDB. Inside src/store only. */
#ifndef HF_STORE_MDB_H
#define HF_STORE_MDB_H

#include "store/store.h"

#include <lmdb.h>

/* What LMDB answered, as the kind's error; rc is not 0. */
hf_err mdb_fail(const struct store_kind *kind, const char *dir, int rc);

/* Of a failed write: LMDB reads one that was cut short for want of room as EIO. */
int mdb_true_reason(const char *dir, int rc);

/* LMDB would make a new store where there is none. Fails with NOT_FOUND, and the kind's damaged where it cannot be one. */
hf_err mdb_check_file(const struct store_kind *kind, const char *dir);

/* Opens the kind's tables; with MDB_CREATE in flags, makes them. */
hf_err mdb_open_tables(const struct store_kind *kind, const char *dir, MDB_env *env, unsigned flags, MDB_dbi *tables);

static inline MDB_val mdb_val(struct hf_slice slice)
{
  return (MDB_val){ .mv_size = slice.len, .mv_data = (void *)(uintptr_t)slice.data };
}

#endif
