/* SPDX-License-Identifier: Apache-2.0 */
#include "ca/registry_private.h"

static hf_err revoke_one(struct store_txn *txn, struct hf_slice serial, int reason, int64_t now, size_t *count)
{
  bool found;
  struct registry_certificate certificate;
  HF_TRY(registry_certificate_read(txn, serial, &found, &certificate));
  if (!found)
    return hf_hint(hf_fail(HF_ERR_NOT_FOUND, "no certificate has this serial number"),
                   "'holdfast ca list' shows them.");
  if (certificate.revoked)
    return HF_OK;
  certificate.revoked = now;
  certificate.reason = reason;
  HF_CLEANUP(hf_buf_free) struct hf_buf der = HF_BUF(REGISTRY_DER_MAX);
  /* What it points at is the page that is about to change. */
  HF_TRY(hf_buf_add(&der, certificate.der.data, certificate.der.len));
  certificate.der = hf_slice(der.data, der.len);
  HF_TRY(registry_certificate_write(txn, TABLE_CERTIFICATES, &certificate));
  certificate.der.len = 0;
  HF_TRY(registry_certificate_write(txn, TABLE_REVOKED, &certificate));
  ++*count;
  return HF_OK;
}

static hf_err next_revision(struct store_txn *txn)
{
  uint64_t revision;
  HF_TRY(registry_number_get(txn, "revision", &revision));
  return registry_number_put(txn, "revision", revision + 1);
}

struct revoke {
  const struct registry_serial *serial; /* or */
  const char *device;
  int reason;
  int64_t now;
  struct registry_serial *serials; /* the device's, that have not ended */
  size_t serial_count, serial_room;
  size_t count;
};

static hf_err revoke_serial(struct store_txn *txn, void *arg)
{
  struct revoke *all = arg;
  HF_TRY(revoke_one(txn, registry_serial_key(all->serial), all->reason, all->now, &all->count));
  return all->count ? next_revision(txn) : HF_OK;
}

hf_err registry_revoke(struct registry *registry, const struct registry_serial *serial, int reason, int64_t now,
                       size_t *ret_count)
{
  struct revoke all = { .serial = serial, .reason = reason, .now = now };
  HF_TRY(store_write(registry->store, revoke_serial, &all));
  *ret_count = all.count;
  return HF_OK;
}

static hf_err keep_serial(const struct registry_certificate *certificate, void *arg)
{
  struct revoke *all = arg;
  if (certificate->revoked || certificate->not_after <= all->now)
    return HF_OK;
  if (all->serial_count == all->serial_room) {
    size_t room = 2 * all->serial_room + 4;
    struct registry_serial *serials = realloc(all->serials, room * sizeof(*serials));
    if (!serials)
      return hf_fail(HF_ERR_NO_MEMORY, "%zu serial numbers", room);
    all->serials = serials;
    all->serial_room = room;
  }
  all->serials[all->serial_count++] = certificate->serial;
  return HF_OK;
}

static hf_err revoke_device(struct store_txn *txn, void *arg)
{
  struct revoke *all = arg;
  bool found;
  struct registry_device device;
  HF_TRY(registry_certificates_of(txn, all->device, keep_serial, all));
  for (size_t i = 0; i < all->serial_count; i++)
    HF_TRY(revoke_one(txn, registry_serial_key(&all->serials[i]), all->reason, all->now, &all->count));
  HF_TRY(registry_device_read(txn, all->device, &found, &device));
  if (found) {
    device.state = REGISTRY_REVOKED;
    device.has_password = false;
    HF_TRY(registry_device_write(txn, &device));
  } else if (all->serial_count == 0) {
    return hf_hint(hf_fail(HF_ERR_NOT_FOUND, "the device %s", all->device), "'holdfast ca list' shows them.");
  }
  return all->count ? next_revision(txn) : HF_OK;
}

hf_err registry_revoke_device(struct registry *registry, const char *device, int reason, int64_t now, size_t *ret_count)
{
  struct revoke all = { .device = device, .reason = reason, .now = now };
  hf_err e = store_write(registry->store, revoke_device, &all);
  free(all.serials);
  HF_TRY(e);
  *ret_count = all.count;
  return HF_OK;
}
