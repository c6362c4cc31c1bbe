/* SPDX-License-Identifier: Apache-2.0 */
#include "store/mdb.h"

#include <errno.h>
#include <limits.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

enum { SMALLEST_FILE = 8192 };

hf_err mdb_fail(const struct store_kind *kind, const char *dir, int rc)
{
  switch (rc) {
  case MDB_MAP_FULL:
    return hf_fail(kind->full, "%s: the store has reached its largest size", dir);
  case MDB_VERSION_MISMATCH:
    return hf_fail(kind->newer, "%s", dir);
  default:
    if (rc > 0)
      return hf_fail_errno(rc, "%s", dir);
    return hf_fail(kind->damaged, "%s: %s", dir, mdb_strerror(rc));
  }
}

int mdb_true_reason(const char *dir, int rc)
{
  struct statvfs fs;
  return rc == EIO && statvfs(dir, &fs) == 0 && fs.f_bavail == 0 ? ENOSPC : rc;
}

hf_err mdb_check_file(const struct store_kind *kind, const char *dir)
{
  char path[PATH_MAX];
  struct stat file;
  if ((size_t)snprintf(path, sizeof(path), "%s/data.mdb", dir) >= sizeof(path))
    return hf_fail(HF_ERR_LIMIT, "the path %s", dir);
  if (lstat(path, &file) != 0)
    return hf_fail_errno(errno, "%s", path);
  if (!S_ISREG(file.st_mode) || file.st_size < SMALLEST_FILE)
    return hf_fail(kind->damaged, "%s is %s", path, S_ISREG(file.st_mode) ? "cut short" : "not a file");
  return HF_OK;
}

hf_err mdb_open_tables(const struct store_kind *kind, const char *dir, MDB_env *env, unsigned flags, MDB_dbi *tables)
{
  MDB_txn *txn;
  int rc = mdb_txn_begin(env, NULL, flags & MDB_CREATE ? 0 : MDB_RDONLY, &txn);
  if (rc != 0)
    return mdb_fail(kind, dir, rc);
  for (size_t i = 0; i < STORE_TABLES_MAX && kind->tables[i] && rc == 0; i++)
    rc = mdb_dbi_open(txn, kind->tables[i], flags, &tables[i]);
  if (rc == 0)
    rc = mdb_txn_commit(txn);
  else
    mdb_txn_abort(txn);
  if (rc == MDB_NOTFOUND)
    return hf_fail(kind->damaged, "%s: a table is missing", dir);
  return rc ? mdb_fail(kind, dir, rc) : HF_OK;
}
