/* SPDX-License-Identifier: Apache-2.0 */
#include "ca/registry_private.h"

enum { KEY_MAX = 8 + REGISTRY_ID_MAX + 1 + REGISTRY_SERIAL_MAX };

/* Serial numbers */

hf_err registry_serial_parse(const char *hex, struct registry_serial *ret_serial)
{
  char digits[2 * REGISTRY_SERIAL_MAX + 2] = "0";
  size_t count = 1;
  for (const char *p = hex; *p; p++) {
    if (*p == ':' || (count == 1 && *p == '0'))
      continue;
    if (count + 1 >= sizeof(digits))
      return hf_fail(HF_ERR_USAGE, "the serial number '%.64s' has more than %d bytes", hex, REGISTRY_SERIAL_MAX);
    digits[count++] = *p;
  }
  HF_CLEANUP(hf_buf_free) struct hf_buf bytes = HF_BUF(REGISTRY_SERIAL_MAX);
  if (count == 1 || hf_failed(hf_hex_decode(digits + count % 2, &bytes)))
    return hf_hint(hf_fail(HF_ERR_USAGE, "the serial number '%.64s'", hex),
                   "Serial numbers are hexadecimal; 'holdfast ca list' shows them.");
  memcpy(ret_serial->bytes, bytes.data, bytes.len);
  ret_serial->len = (uint8_t)bytes.len;
  return HF_OK;
}

void registry_serial_format(const struct registry_serial *serial, char out[2 * REGISTRY_SERIAL_MAX + 1])
{
  out[0] = '\0';
  for (size_t i = 0; i < serial->len; i++)
    snprintf(out + 2 * i, 3, "%02x", serial->bytes[i]);
}

bool registry_serial_equal(const struct registry_serial *a, const struct registry_serial *b)
{
  return hf_slice_equal(registry_serial_key(a), registry_serial_key(b));
}

/* Keys of the indexes */

static hf_err key_of_device(const char *device, const struct registry_serial *serial, struct hf_buf *out)
{
  HF_TRY(hf_buf_add_str(out, device));
  HF_TRY(hf_buf_add_u8(out, 0));
  return serial ? hf_buf_add(out, serial->bytes, serial->len) : HF_OK;
}

static hf_err key_of_end(int64_t not_after, const struct registry_serial *serial, struct hf_buf *out)
{
  HF_TRY(hf_buf_add_u64(out, (uint64_t)not_after));
  return serial ? hf_buf_add(out, serial->bytes, serial->len) : HF_OK;
}

/* Writing */

hf_err registry_certificate_read(struct store_txn *txn, struct hf_slice serial, bool *ret_found,
                                 struct registry_certificate *ret_certificate)
{
  bool found;
  struct hf_slice value;
  *ret_found = false;
  if (serial.len == 0)
    return HF_OK;
  HF_TRY(store_get(txn, TABLE_CERTIFICATES, serial, &found, &value));
  if (found)
    HF_TRY(record_take_certificate(value, ret_certificate));
  *ret_found = found;
  return HF_OK;
}

hf_err registry_certificate_write(struct store_txn *txn, enum registry_table table,
                                  const struct registry_certificate *certificate)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf record = HF_BUF(RECORD_MAX);
  HF_TRY(record_add_certificate(certificate, &record));
  return store_put(txn, table, registry_serial_key(&certificate->serial), hf_slice(record.data, record.len));
}

static hf_err put_indexes(struct store_txn *txn, const struct registry_certificate *certificate)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf of_device = HF_BUF(KEY_MAX), end = HF_BUF(KEY_MAX);
  const struct hf_slice nothing = { (const uint8_t *)"", 0 };
  HF_TRY(key_of_device(certificate->device, &certificate->serial, &of_device));
  HF_TRY(key_of_end(certificate->not_after, &certificate->serial, &end));
  HF_TRY(store_put(txn, TABLE_OF_DEVICE, hf_slice(of_device.data, of_device.len), nothing));
  return store_put(txn, TABLE_ENDS, hf_slice(end.data, end.len), nothing);
}

hf_err registry_certificate_insert(struct store_txn *txn, const struct registry_certificate *certificate)
{
  bool found;
  struct registry_certificate other;
  HF_TRY(registry_certificate_read(txn, registry_serial_key(&certificate->serial), &found, &other));
  if (found || certificate->serial.len == 0)
    return hf_fail(HF_ERR_ID_EXISTS, "a certificate's serial number");
  HF_TRY(registry_certificate_write(txn, TABLE_CERTIFICATES, certificate));
  return put_indexes(txn, certificate);
}

static hf_err insert(struct store_txn *txn, void *arg)
{
  return registry_certificate_insert(txn, arg);
}

hf_err registry_certificate_add(struct registry *registry, const struct registry_certificate *certificate)
{
  struct registry_certificate copy = *certificate;
  return store_write(registry->store, insert, &copy);
}

struct enroll {
  const struct registry_certificate *certificate;
  const struct registry_use *use;
};

static hf_err use_password(struct store_txn *txn, const struct enroll *enroll)
{
  bool found;
  struct registry_device device;
  HF_TRY(registry_device_read(txn, enroll->certificate->device, &found, &device));
  struct registry_password *password = &device.password;
  if (!found || !device.has_password || password->uses == 0 ||
      memcmp(password->hash, enroll->use->hash, sizeof(password->hash)) != 0)
    return hf_fail(HF_ERR_ONE_TIME_PASSWORD, "it was used, or replaced, a moment ago");
  password->uses--;
  password->used = enroll->use->now;
  password->used_serial = enroll->certificate->serial;
  memcpy(password->used_request, enroll->use->request, sizeof(password->used_request));
  device.state = REGISTRY_ENROLLED;
  return registry_device_write(txn, &device);
}

static hf_err do_enroll(struct store_txn *txn, void *arg)
{
  const struct enroll *enroll = arg;
  HF_TRY(use_password(txn, enroll));
  if (enroll->use->waiting)
    HF_TRY(registry_request_remove(txn, enroll->use->waiting));
  return registry_certificate_insert(txn, enroll->certificate);
}

hf_err registry_enroll(struct registry *registry, const struct registry_certificate *certificate,
                       const struct registry_use *use)
{
  struct enroll enroll = { certificate, use };
  return store_write(registry->store, do_enroll, &enroll);
}

/* Reading */

hf_err registry_certificate_get(struct registry *registry, const struct registry_serial *serial, bool *ret_found,
                                struct registry_certificate *ret_certificate, struct hf_buf *der)
{
  struct store_txn *txn;
  struct registry_certificate certificate = { .device = "" };
  bool found = false;
  HF_TRY(store_read_begin(registry->store, &txn));
  hf_err e = registry_certificate_read(txn, registry_serial_key(serial), &found, &certificate);
  if (!hf_failed(e) && found)
    e = hf_buf_add(der, certificate.der.data, certificate.der.len);
  store_read_end(txn);
  HF_TRY(e);
  if (found) {
    certificate.der = hf_slice(der->data, der->len);
    *ret_certificate = certificate;
  }
  *ret_found = found;
  return HF_OK;
}

struct each_certificate {
  struct store_txn *txn;
  registry_certificate_fn *each;
  void *arg;
  size_t skip; /* bytes of an index's key before the serial number */
  int64_t since;
};

static hf_err give_record(struct hf_slice key, struct hf_slice value, void *arg)
{
  (void)key;
  const struct each_certificate *each = arg;
  struct registry_certificate certificate;
  HF_TRY(record_take_certificate(value, &certificate));
  return certificate.not_after > each->since ? each->each(&certificate, each->arg) : HF_OK;
}

static hf_err give_indexed(struct hf_slice key, struct hf_slice value, void *arg)
{
  (void)value;
  const struct each_certificate *each = arg;
  bool found;
  struct registry_certificate certificate;
  struct hf_slice serial = { key.data + each->skip, key.len - each->skip };
  HF_TRY(registry_certificate_read(each->txn, serial, &found, &certificate));
  return found ? each->each(&certificate, each->arg) : hf_fail(HF_ERR_REGISTRY, "an index names no certificate");
}

static hf_err each_record(struct registry *registry, enum registry_table table, struct each_certificate *each)
{
  HF_TRY(store_read_begin(registry->store, &each->txn));
  hf_err e = store_scan(each->txn, table, hf_slice(NULL, 0), give_record, each);
  store_read_end(each->txn);
  return e;
}

hf_err registry_certificate_each(struct registry *registry, registry_certificate_fn *each, void *arg)
{
  struct each_certificate all = { .each = each, .arg = arg, .since = INT64_MIN };
  return each_record(registry, TABLE_CERTIFICATES, &all);
}

hf_err registry_revoked_each(struct registry *registry, int64_t since, registry_certificate_fn *each, void *arg)
{
  struct each_certificate all = { .each = each, .arg = arg, .since = since };
  return each_record(registry, TABLE_REVOKED, &all);
}

hf_err registry_certificate_expiring(struct registry *registry, int64_t from, int64_t until,
                                     registry_certificate_fn *each, void *arg)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf first = HF_BUF(8), last = HF_BUF(8);
  HF_TRY(key_of_end(from, NULL, &first));
  HF_TRY(key_of_end(until, NULL, &last));
  struct each_certificate all = { .each = each, .arg = arg, .skip = 8 };
  HF_TRY(store_read_begin(registry->store, &all.txn));
  hf_err e = store_range(all.txn, TABLE_ENDS, hf_slice(first.data, first.len), hf_slice(last.data, last.len),
                         give_indexed, &all);
  store_read_end(all.txn);
  return e;
}

hf_err registry_certificates_of(struct store_txn *txn, const char *device, registry_certificate_fn *each, void *arg)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf prefix = HF_BUF(KEY_MAX);
  if (strlen(device) > REGISTRY_ID_MAX)
    return HF_OK;
  HF_TRY(key_of_device(device, NULL, &prefix));
  struct each_certificate all = { .txn = txn, .each = each, .arg = arg, .skip = prefix.len };
  return store_scan(txn, TABLE_OF_DEVICE, hf_slice(prefix.data, prefix.len), give_indexed, &all);
}

hf_err registry_certificate_of(struct registry *registry, const char *device, registry_certificate_fn *each, void *arg)
{
  struct store_txn *txn;
  HF_TRY(store_read_begin(registry->store, &txn));
  hf_err e = registry_certificates_of(txn, device, each, arg);
  store_read_end(txn);
  return e;
}
