/* SPDX-License-Identifier: Apache-2.0 */
/* What the registry's files share. */
#ifndef HF_CA_REGISTRY_PRIVATE_H
#define HF_CA_REGISTRY_PRIVATE_H

#include "ca/registry.h"
#include "ca/registry_record.h"
#include "store/store.h"

enum registry_table {
  TABLE_META,         /* "format", "revision", "request", "crl", "crl-der" */
  TABLE_DEVICES,      /* id -> record */
  TABLE_CERTIFICATES, /* serial number -> record */
  TABLE_OF_DEVICE,    /* id, a zero byte, serial number -> nothing */
  TABLE_ENDS,         /* not_after (u64, big-endian), serial number -> nothing */
  TABLE_REVOKED,      /* serial number -> record without der */
  TABLE_REQUESTS,     /* id (u64, big-endian) -> record */
  TABLE_WAITING,      /* device -> id of its request */
};

struct registry {
  struct store *store;
};

/* A number among the meta data; 0 where it is not there. */
hf_err registry_number_get(struct store_txn *txn, const char *name, uint64_t *ret_number);
hf_err registry_number_put(struct store_txn *txn, const char *name, uint64_t number);

/* Within a transaction. */
hf_err registry_device_read(struct store_txn *txn, const char *id, bool *ret_found, struct registry_device *ret_device);
hf_err registry_device_write(struct store_txn *txn, const struct registry_device *device);
hf_err registry_certificate_read(struct store_txn *txn, struct hf_slice serial, bool *ret_found,
                                 struct registry_certificate *ret_certificate);
hf_err registry_certificate_insert(struct store_txn *txn, const struct registry_certificate *certificate);
hf_err registry_certificate_write(struct store_txn *txn, enum registry_table table,
                                  const struct registry_certificate *certificate);
hf_err registry_certificates_of(struct store_txn *txn, const char *device, registry_certificate_fn *each, void *arg);
hf_err registry_request_remove(struct store_txn *txn, uint64_t id);

static inline struct hf_slice registry_text(const char *text)
{
  return hf_slice(text, strlen(text));
}

static inline struct hf_slice registry_serial_key(const struct registry_serial *serial)
{
  return hf_slice(serial->bytes, serial->len);
}

#endif
