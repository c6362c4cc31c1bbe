/* SPDX-License-Identifier: Apache-2.0 */
#include "ca/registry.h"

#include "base/file.h"
#include "ca/registry_private.h"

#include <limits.h>
#include <sys/stat.h>

enum { REGISTRY_FORMAT = 1 };

static const struct store_kind kind = {
  .tables = { "meta", "devices", "certificates", "of-device", "ends", "revoked", "requests", "waiting" },
  .damaged = HF_ERR_REGISTRY,
  .newer = HF_ERR_REGISTRY_VERSION,
  .full = HF_ERR_DISK_FULL,
};

hf_err registry_number_get(struct store_txn *txn, const char *name, uint64_t *ret_number)
{
  bool found;
  struct hf_slice value;
  uint64_t number = 0;
  HF_TRY(store_get(txn, TABLE_META, registry_text(name), &found, &value));
  if (found && (hf_failed(hf_take_u64(&value, &number)) || value.len))
    return hf_fail(HF_ERR_REGISTRY, "the number '%s' is not of the form", name);
  *ret_number = number;
  return HF_OK;
}

hf_err registry_number_put(struct store_txn *txn, const char *name, uint64_t number)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf value = HF_BUF(8);
  HF_TRY(hf_buf_add_u64(&value, number));
  return store_put(txn, TABLE_META, registry_text(name), hf_slice(value.data, value.len));
}

/* What was cut short is made again: all that is there is empty. */
static hf_err put_format(struct store_txn *txn, void *arg)
{
  const char *dir = arg;
  uint64_t format;
  HF_TRY(registry_number_get(txn, "format", &format));
  if (format)
    return hf_hint(hf_fail(HF_ERR_ID_EXISTS, "there is a registry in %s", dir), "Set ca.path to another directory.");
  return registry_number_put(txn, "format", REGISTRY_FORMAT);
}

static bool exists(const char *dir)
{
  char path[PATH_MAX];
  return (size_t)snprintf(path, sizeof(path), "%s/data.mdb", dir) < sizeof(path) && access(path, F_OK) == 0;
}

hf_err registry_create(const char *dir)
{
  HF_TRY(hf_dir_make(dir));
  HF_CLEANUP(store_closep) struct store *store = NULL;
  HF_TRY(store_create(&kind, dir, S_IRWXG | S_IRWXO));
  HF_TRY(store_open(&kind, dir, &store));
  return store_write(store, put_format, (void *)(uintptr_t)dir);
}

static hf_err check_format(struct registry *registry)
{
  struct store_txn *txn;
  uint64_t format = 0;
  HF_TRY(store_read_begin(registry->store, &txn));
  hf_err e = registry_number_get(txn, "format", &format);
  store_read_end(txn);
  HF_TRY(e);
  if (format == REGISTRY_FORMAT)
    return HF_OK;
  return format ? hf_fail(HF_ERR_REGISTRY_VERSION, "its format is %llu", (unsigned long long)format)
                : hf_hint(hf_fail(HF_ERR_NOT_FOUND, "the registry was not finished"), "Run 'holdfast ca init' again.");
}

hf_err registry_open(const char *dir, struct registry **ret_registry)
{
  if (!exists(dir))
    return hf_hint(hf_fail(HF_ERR_NOT_FOUND, "a certificate authority in %s", dir),
                   "Make one with 'holdfast ca init', or set ca.path.");
  HF_CLEANUP(registry_closep) struct registry *registry = calloc(1, sizeof(*registry));
  if (!registry)
    return hf_fail(HF_ERR_NO_MEMORY, "the registry");
  HF_TRY(store_open(&kind, dir, &registry->store));
  HF_TRY(check_format(registry));
  *ret_registry = HF_TAKE(registry);
  return HF_OK;
}

struct registry *registry_close(struct registry *registry)
{
  if (registry)
    store_close(registry->store);
  free(registry);
  return NULL;
}

hf_err registry_revision(struct registry *registry, uint64_t *ret_revision)
{
  struct store_txn *txn;
  HF_TRY(store_read_begin(registry->store, &txn));
  hf_err e = registry_number_get(txn, "revision", ret_revision);
  store_read_end(txn);
  return e;
}

static hf_err count_all(struct store_txn *txn, struct registry_counts *counts)
{
  HF_TRY(store_count(txn, TABLE_DEVICES, &counts->devices));
  HF_TRY(store_count(txn, TABLE_CERTIFICATES, &counts->certificates));
  HF_TRY(store_count(txn, TABLE_REVOKED, &counts->revoked));
  return store_count(txn, TABLE_REQUESTS, &counts->waiting);
}

hf_err registry_count(struct registry *registry, struct registry_counts *ret_counts)
{
  struct store_txn *txn;
  struct registry_counts counts;
  HF_TRY(store_read_begin(registry->store, &txn));
  hf_err e = count_all(txn, &counts);
  store_read_end(txn);
  HF_TRY(e);
  *ret_counts = counts;
  return HF_OK;
}

/* The latest CRL */

static hf_err take_crl(struct hf_slice fields, struct registry_crl *crl)
{
  uint64_t made;
  HF_TRY(hf_take_u64(&fields, &crl->number));
  HF_TRY(hf_take_u64(&fields, &crl->revision));
  HF_TRY(hf_take_u64(&fields, &made));
  crl->made = (int64_t)made;
  return hf_take_end(&fields);
}

static hf_err read_crl(struct store_txn *txn, struct registry_crl *crl)
{
  bool found;
  struct hf_slice value, fields;
  HF_TRY(store_get(txn, TABLE_META, registry_text("crl"), &found, &value));
  if (!found)
    return HF_OK;
  HF_TRY(record_open(value, "the latest CRL's record", &fields));
  return hf_failed(take_crl(fields, crl)) ? hf_fail(HF_ERR_REGISTRY, "the latest CRL's record is not of the form")
                                          : HF_OK;
}

static hf_err read_crl_der(struct store_txn *txn, struct registry_crl *crl, struct hf_buf *der)
{
  bool found;
  struct hf_slice value;
  HF_TRY(read_crl(txn, crl));
  HF_TRY(store_get(txn, TABLE_META, registry_text("crl-der"), &found, &value));
  return found && der ? hf_buf_add(der, value.data, value.len) : HF_OK;
}

hf_err registry_crl_get(struct registry *registry, struct registry_crl *ret_crl, struct hf_buf *der)
{
  struct store_txn *txn;
  struct registry_crl crl = { .number = 0 };
  HF_TRY(store_read_begin(registry->store, &txn));
  hf_err e = read_crl_der(txn, &crl, der);
  store_read_end(txn);
  HF_TRY(e);
  *ret_crl = crl;
  return HF_OK;
}

struct crl_put {
  const struct registry_crl *crl;
  struct hf_slice der;
  bool taken;
};

static hf_err put_crl(struct store_txn *txn, void *arg)
{
  struct crl_put *put = arg;
  struct registry_crl latest = { .number = 0 };
  HF_TRY(read_crl(txn, &latest));
  put->taken = put->crl->number == latest.number + 1;
  if (!put->taken)
    return HF_OK;
  HF_CLEANUP(hf_buf_free) struct hf_buf record = HF_BUF(RECORD_MAX);
  HF_TRY(record_begin(&record));
  HF_TRY(hf_buf_add_u64(&record, put->crl->number));
  HF_TRY(hf_buf_add_u64(&record, put->crl->revision));
  HF_TRY(hf_buf_add_u64(&record, (uint64_t)put->crl->made));
  HF_TRY(record_end(&record));
  HF_TRY(store_put(txn, TABLE_META, registry_text("crl"), hf_slice(record.data, record.len)));
  return store_put(txn, TABLE_META, registry_text("crl-der"), put->der);
}

hf_err registry_crl_put(struct registry *registry, const struct registry_crl *crl, struct hf_slice der, bool *ret_taken)
{
  struct crl_put put = { crl, der, false };
  HF_TRY(store_write(registry->store, put_crl, &put));
  *ret_taken = put.taken;
  return HF_OK;
}
