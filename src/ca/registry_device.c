/* SPDX-License-Identifier: Apache-2.0 */
#include "ca/registry_private.h"

hf_err registry_device_read(struct store_txn *txn, const char *id, bool *ret_found, struct registry_device *ret_device)
{
  bool found;
  struct hf_slice value;
  *ret_found = false;
  /* What can be no id is no key of LMDB's either: it has no empty ones. */
  if (!id[0] || strlen(id) > REGISTRY_ID_MAX)
    return HF_OK;
  HF_TRY(store_get(txn, TABLE_DEVICES, registry_text(id), &found, &value));
  if (found)
    HF_TRY(record_take_device(value, ret_device));
  *ret_found = found;
  return HF_OK;
}

hf_err registry_device_write(struct store_txn *txn, const struct registry_device *device)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf record = HF_BUF(RECORD_MAX);
  HF_TRY(record_add_device(device, &record));
  return store_put(txn, TABLE_DEVICES, registry_text(device->id), hf_slice(record.data, record.len));
}

hf_err registry_device_get(struct registry *registry, const char *id, bool *ret_found,
                           struct registry_device *ret_device)
{
  struct store_txn *txn;
  HF_TRY(store_read_begin(registry->store, &txn));
  hf_err e = registry_device_read(txn, id, ret_found, ret_device);
  store_read_end(txn);
  return e;
}

struct expect {
  const struct registry_device *devices;
  size_t count;
  int64_t now;
};

static hf_err expect_one(struct store_txn *txn, const struct registry_device *given, int64_t now)
{
  struct registry_device device = { .id = "" };
  bool found;
  HF_TRY(registry_device_read(txn, given->id, &found, &device));
  if (!found) {
    device.created = now;
    memcpy(device.id, given->id, sizeof(device.id));
  }
  if (!found || device.state == REGISTRY_REVOKED)
    device.state = REGISTRY_EXPECTED;
  memcpy(device.alt_names, given->alt_names, sizeof(device.alt_names));
  device.has_password = true;
  device.password = given->password;
  return registry_device_write(txn, &device);
}

static hf_err expect_all(struct store_txn *txn, void *arg)
{
  const struct expect *expect = arg;
  for (size_t i = 0; i < expect->count; i++)
    HF_TRY(expect_one(txn, &expect->devices[i], expect->now));
  return HF_OK;
}

hf_err registry_device_expect(struct registry *registry, const struct registry_device *devices, size_t count,
                              int64_t now)
{
  struct expect expect = { devices, count, now };
  return store_write(registry->store, expect_all, &expect);
}

struct each_device {
  hf_err (*each)(const struct registry_device *device, void *arg);
  void *arg;
};

static hf_err give_device(struct hf_slice key, struct hf_slice value, void *arg)
{
  (void)key;
  const struct each_device *each = arg;
  struct registry_device device;
  HF_TRY(record_take_device(value, &device));
  return each->each(&device, each->arg);
}

hf_err registry_device_each(struct registry *registry, hf_err (*each)(const struct registry_device *device, void *arg),
                            void *arg)
{
  struct store_txn *txn;
  struct each_device all = { each, arg };
  HF_TRY(store_read_begin(registry->store, &txn));
  hf_err e = store_scan(txn, TABLE_DEVICES, hf_slice(NULL, 0), give_device, &all);
  store_read_end(txn);
  return e;
}
