/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The backend "db": a database of SQLite, a table a kind of value. Each object is given as the file that SoftHSM2's other
 * backend would hold, so that one reader is there for both.
 */
#include "base/cleanup.h"
#include "softhsm/backend.h"
#include "softhsm/object.h"

#include <errno.h>
#include <limits.h>
#include <sqlite3.h>
#include <sys/stat.h>

#define DATABASE_FILE "sqlite3.db"

enum {
  TOKEN_ID = 1,          /* the token's own object */
  STEPS_MAX = 20 * 1000, /* of a query, in thousands of instructions: a view in a table's place may never end */
};

struct database {
  char path[PATH_MAX + sizeof(DATABASE_FILE)];
  sqlite3 *db;
  sqlite3_int64 *ids;
  size_t count;
  unsigned steps;
};

static hf_err failed(const struct database *d)
{
  int rc = sqlite3_errcode(d->db);
  if (rc == SQLITE_NOMEM)
    return hf_fail(HF_ERR_NO_MEMORY, "%s", d->path);
  if (rc == SQLITE_CANTOPEN || rc == SQLITE_PERM)
    return hf_fail(HF_ERR_PERMISSION, "%s", d->path);
  return hf_fail(HF_ERR_TOKEN_STORE, "%s: %s", d->path, sqlite3_errmsg(d->db));
}

static int count_steps(void *arg)
{
  struct database *d = arg;
  return ++d->steps > STEPS_MAX;
}

static void statement_free(sqlite3_stmt **statement)
{
  sqlite3_finalize(*statement);
}

static hf_err prepare(struct database *d, const char *sql, sqlite3_int64 id, sqlite3_stmt **ret_statement)
{
  d->steps = 0;
  if (sqlite3_prepare_v2(d->db, sql, -1, ret_statement, NULL) != SQLITE_OK)
    return failed(d);
  return sqlite3_bind_parameter_count(*ret_statement) == 0 || sqlite3_bind_int64(*ret_statement, 1, id) == SQLITE_OK
             ? HF_OK
             : failed(d);
}

static hf_err step(struct database *d, sqlite3_stmt *statement, bool *ret_row)
{
  int rc = sqlite3_step(statement);
  if (rc != SQLITE_ROW && rc != SQLITE_DONE)
    return failed(d);
  *ret_row = rc == SQLITE_ROW;
  return HF_OK;
}

static hf_err add_id(struct database *d, sqlite3_int64 id)
{
  if (d->count == SOFTHSM_OBJECTS_MAX)
    return hf_fail(HF_ERR_LIMIT, "%s holds more than %zu objects", d->path, d->count);
  if ((d->count & (d->count + 1)) == 0) {
    sqlite3_int64 *ids = reallocarray(d->ids, 2 * (d->count + 1), sizeof(*ids));
    if (!ids)
      return hf_fail(HF_ERR_NO_MEMORY, "%zu objects", d->count);
    d->ids = ids;
  }
  d->ids[d->count++] = id;
  return HF_OK;
}

static hf_err list(struct database *d)
{
  HF_CLEANUP(statement_free) sqlite3_stmt *statement = NULL;
  bool row, token = false;
  HF_TRY(prepare(d, "select id from object order by id", 0, &statement));
  for (;;) {
    HF_TRY(step(d, statement, &row));
    if (!row)
      break;
    sqlite3_int64 id = sqlite3_column_int64(statement, 0);
    token = token || id == TOKEN_ID;
    if (id != TOKEN_ID)
      HF_TRY(add_id(d, id));
  }
  return token ? HF_OK : hf_fail(HF_ERR_TOKEN_STORE, "%s has no object of the token's own", d->path);
}

/* What is not in the database file yet would go unread. */
static hf_err check_journals(const struct database *d)
{
  static const char *const suffixes[] = { "-journal", "-wal" };
  for (size_t i = 0; i < HF_ARRAY_LEN(suffixes); i++) {
    char path[sizeof(d->path) + 16];
    struct stat st;
    snprintf(path, sizeof(path), "%s%s", d->path, suffixes[i]);
    if (stat(path, &st) == 0 && st.st_size > 0)
      return hf_hint(hf_fail(HF_ERR_BUSY, "%s: a write was not finished", path),
                     "End the programs that use the token. Where it stays, have SoftHSM2 open the token once: that "
                     "finishes the write.");
  }
  return HF_OK;
}

/* As a URI, for "immutable": SQLite then takes no lock, and leaves no file beside it. */
static hf_err uri_of(const char *path, struct hf_buf *uri)
{
  HF_TRY(hf_buf_add_str(uri, "file:"));
  for (const char *at = path; *at; at++)
    HF_TRY(strchr("%?#", *at) ? hf_buf_addf(uri, "%%%02x", (unsigned char)*at) : hf_buf_add(uri, at, 1));
  return hf_buf_add_str(uri, "?immutable=1");
}

static hf_err open_file(struct database *d)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf uri = HF_BUF(3 * sizeof(d->path) + 32);
  struct stat st;
  HF_TRY(check_journals(d));
  /* SQLite has one word for all that keeps it from a file. */
  if (stat(d->path, &st) != 0 || access(d->path, R_OK) != 0)
    return hf_fail_errno(errno, "%s", d->path);
  if (!S_ISREG(st.st_mode) || st.st_size == 0)
    return hf_fail(HF_ERR_TOKEN_STORE, "%s is empty", d->path);
  HF_TRY(uri_of(d->path, &uri));
  if (sqlite3_open_v2(hf_buf_str(&uri), &d->db, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI, NULL) != SQLITE_OK)
    return failed(d);
  sqlite3_limit(d->db, SQLITE_LIMIT_LENGTH, 2 * SOFTHSM_OBJECT_MAX);
  (void)sqlite3_db_config(d->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
  (void)sqlite3_db_config(d->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
  sqlite3_progress_handler(d->db, 1000, count_steps, d);
  return HF_OK;
}

static void database_close(void *store)
{
  struct database *d = store;
  sqlite3_close(d->db);
  free(d->ids);
  free(d);
}

static hf_err database_open(const char *dir, void **ret_store)
{
  struct database *d = calloc(1, sizeof(*d));
  if (!d)
    return hf_fail(HF_ERR_NO_MEMORY, "%s", dir);
  snprintf(d->path, sizeof(d->path), "%s/%s", dir, DATABASE_FILE);
  hf_err e = open_file(d);
  if (!hf_failed(e))
    e = list(d);
  if (hf_failed(e)) {
    database_close(d);
    return e;
  }
  *ret_store = d;
  return HF_OK;
}

static size_t database_count(const void *store)
{
  return ((const struct database *)store)->count;
}

static void database_name(const void *store, size_t number, char out[SOFTHSM_NAME_MAX])
{
  snprintf(out, SOFTHSM_NAME_MAX, "object %lld", ((const struct database *)store)->ids[number]);
}

/* Numbers within blobs are the machine's own, which were little-endian and of 64 bits. */
static hf_err take_native(struct hf_slice *in, size_t bytes, uint64_t *ret_value)
{
  const uint8_t *data;
  uint64_t value = 0;
  HF_TRY(hf_take(in, bytes, &data));
  for (size_t i = bytes; i > 0; i--)
    value = value << 8 | data[i - 1];
  *ret_value = value;
  return HF_OK;
}

static hf_err add_mechanisms(struct hf_slice blob, struct hf_buf *out)
{
  HF_TRY(hf_buf_add_u64(out, blob.len / sizeof(uint64_t)));
  while (blob.len) {
    uint64_t mechanism;
    HF_TRY(take_native(&blob, sizeof(mechanism), &mechanism));
    HF_TRY(hf_buf_add_u64(out, mechanism));
  }
  return HF_OK;
}

static hf_err add_blob(struct hf_slice blob, struct hf_buf *out)
{
  HF_TRY(hf_buf_add_u64(out, blob.len));
  return hf_buf_add(out, blob.data, blob.len);
}

static hf_err add_map_value(struct hf_slice *in, uint64_t kind, struct hf_buf *out)
{
  uint64_t value;
  const uint8_t *data;
  HF_TRY(take_native(in, kind == SOFTHSM_BOOL ? 1 : sizeof(value), &value));
  if (kind == SOFTHSM_BOOL)
    return hf_buf_add_u8(out, value ? 0xff : 0);
  if (kind == SOFTHSM_ULONG)
    return hf_buf_add_u64(out, value);
  HF_TRY(hf_take(in, value, &data));
  return kind == SOFTHSM_MECHANISMS ? add_mechanisms(hf_slice(data, value), out) : add_blob(hf_slice(data, value), out);
}

/* A map's rows: type (8 bytes), kind (4), value. */
static hf_err add_map(struct hf_slice blob, struct hf_buf *out)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf rows = HF_BUF(SOFTHSM_OBJECT_MAX);
  while (blob.len) {
    uint64_t type, kind;
    HF_TRY(take_native(&blob, sizeof(uint64_t), &type));
    HF_TRY(take_native(&blob, sizeof(uint32_t), &kind));
    if (kind < SOFTHSM_BOOL || kind > SOFTHSM_MECHANISMS || kind == SOFTHSM_MAP)
      return hf_fail(HF_ERR_PARSE, "kind %llu", (unsigned long long)kind);
    HF_TRY(hf_buf_add_u64(&rows, type));
    HF_TRY(hf_buf_add_u64(&rows, kind));
    HF_TRY(add_map_value(&blob, kind, &rows));
  }
  return add_blob(hf_slice(rows.data, rows.len), out);
}

static struct hf_slice column_blob(sqlite3_stmt *statement, int column)
{
  const void *data = sqlite3_column_blob(statement, column);
  return hf_slice(data, data ? (size_t)sqlite3_column_bytes(statement, column) : 0);
}

static hf_err add_value(sqlite3_stmt *statement, enum softhsm_kind kind, struct hf_buf *out)
{
  switch (kind) {
  case SOFTHSM_BOOL:
    return hf_buf_add_u8(out, sqlite3_column_int64(statement, 1) ? 0xff : 0);
  case SOFTHSM_ULONG:
    return hf_buf_add_u64(out, (uint64_t)sqlite3_column_int64(statement, 1));
  case SOFTHSM_BYTES:
    return add_blob(column_blob(statement, 1), out);
  case SOFTHSM_MAP:
    return add_map(column_blob(statement, 1), out);
  case SOFTHSM_MECHANISMS:
    return add_mechanisms(column_blob(statement, 1), out);
  }
  return HF_OK;
}

static const struct {
  const char *sql;
  enum softhsm_kind kind;
} tables[] = {
  { "select type, value from attribute_boolean where object_id = ? order by type", SOFTHSM_BOOL },
  { "select type, value from attribute_integer where object_id = ? order by type", SOFTHSM_ULONG },
  { "select type, value from attribute_binary where object_id = ? order by type", SOFTHSM_BYTES },
  { "select type, value from attribute_array where object_id = ? order by type", SOFTHSM_MAP },
};

static hf_err add_table(struct database *d, size_t table, sqlite3_int64 id, struct hf_buf *out)
{
  HF_CLEANUP(statement_free) sqlite3_stmt *statement = NULL;
  bool row;
  HF_TRY(prepare(d, tables[table].sql, id, &statement));
  for (;;) {
    HF_TRY(step(d, statement, &row));
    if (!row)
      return HF_OK;
    uint64_t type = (uint64_t)sqlite3_column_int64(statement, 0);
    enum softhsm_kind kind = tables[table].kind;
    /* This one lies among the bytes. */
    if (kind == SOFTHSM_BYTES && type == CKA_ALLOWED_MECHANISMS)
      kind = SOFTHSM_MECHANISMS;
    HF_TRY(hf_buf_add_u64(out, type));
    HF_TRY(hf_buf_add_u64(out, kind));
    hf_err e = add_value(statement, kind, out);
    if (hf_failed(e))
      return e.code == HF_ERR_NO_MEMORY
                 ? e
                 : hf_fail(HF_ERR_TOKEN_STORE, "%s: attribute 0x%llx of object %lld is not of the form", d->path,
                           (unsigned long long)type, id);
  }
}

static hf_err read_object(struct database *d, sqlite3_int64 id, struct hf_buf *out)
{
  HF_TRY(hf_buf_add_u64(out, 0)); /* a file's generation */
  size_t empty = out->len;
  for (size_t i = 0; i < HF_ARRAY_LEN(tables); i++)
    HF_TRY(add_table(d, i, id, out));
  if (out->len == empty)
    hf_buf_drop(out, empty);
  return HF_OK;
}

static hf_err database_read_token(void *store, struct hf_buf *out)
{
  return read_object(store, TOKEN_ID, out);
}

static hf_err database_read(void *store, size_t number, struct hf_buf *out)
{
  struct database *d = store;
  return read_object(d, d->ids[number], out);
}

const struct softhsm_backend softhsm_database = {
  .file = DATABASE_FILE,
  .open = database_open,
  .close = database_close,
  .count = database_count,
  .name = database_name,
  .read_token = database_read_token,
  .read = database_read,
};
