/* SPDX-License-Identifier: Apache-2.0 */
#include "ca/registry_private.h"

/* Of a request's id, as a key. */
struct id_key {
  uint8_t bytes[8];
};

static struct id_key key_of(uint64_t id)
{
  struct id_key key;
  for (size_t i = 0; i < sizeof(key.bytes); i++)
    key.bytes[i] = (uint8_t)(id >> (8 * (sizeof(key.bytes) - 1 - i)));
  return key;
}

static struct hf_slice slice_of(const struct id_key *key)
{
  return hf_slice(key->bytes, sizeof(key->bytes));
}

static hf_err read_request(struct store_txn *txn, uint64_t id, bool *ret_found, struct registry_request *ret_request)
{
  struct id_key key = key_of(id);
  struct hf_slice value;
  bool found;
  HF_TRY(store_get(txn, TABLE_REQUESTS, slice_of(&key), &found, &value));
  if (found)
    HF_TRY(record_take_request(value, ret_request));
  *ret_found = found;
  return HF_OK;
}

static hf_err write_request(struct store_txn *txn, const struct registry_request *request)
{
  struct id_key key = key_of(request->id);
  HF_CLEANUP(hf_buf_free) struct hf_buf record = HF_BUF(RECORD_MAX);
  HF_TRY(record_add_request(request, &record));
  return store_put(txn, TABLE_REQUESTS, slice_of(&key), hf_slice(record.data, record.len));
}

hf_err registry_request_remove(struct store_txn *txn, uint64_t id)
{
  struct id_key key = key_of(id);
  struct registry_request request;
  bool found;
  HF_TRY(read_request(txn, id, &found, &request));
  if (!found)
    return HF_OK;
  HF_TRY(store_delete(txn, TABLE_WAITING, registry_text(request.device)));
  return store_delete(txn, TABLE_REQUESTS, slice_of(&key));
}

/* The device's request that waits, if it has one. */
static hf_err find_waiting(struct store_txn *txn, const char *device, bool *ret_found,
                           struct registry_request *ret_request)
{
  struct hf_slice value;
  uint64_t id;
  HF_TRY(store_get(txn, TABLE_WAITING, registry_text(device), ret_found, &value));
  if (!*ret_found)
    return HF_OK;
  if (hf_failed(hf_take_u64(&value, &id)))
    return hf_fail(HF_ERR_REGISTRY, "the index of requests that wait is not of the form");
  return read_request(txn, id, ret_found, ret_request);
}

struct put {
  const struct registry_request *given;
  uint64_t id;
  enum registry_decision decision;
};

static hf_err add_request(struct store_txn *txn, struct put *put)
{
  uint64_t last;
  HF_TRY(registry_number_get(txn, "request", &last));
  struct registry_request request = *put->given;
  request.id = put->id = last + 1;
  request.decision = put->decision = REGISTRY_WAITING;
  struct id_key key = key_of(request.id);
  HF_TRY(registry_number_put(txn, "request", request.id));
  HF_TRY(store_put(txn, TABLE_WAITING, registry_text(request.device), slice_of(&key)));
  return write_request(txn, &request);
}

static hf_err put_request(struct store_txn *txn, void *arg)
{
  struct put *put = arg;
  struct registry_request other;
  bool found;
  HF_TRY(find_waiting(txn, put->given->device, &found, &other));
  if (found && hf_slice_equal(other.der, put->given->der)) {
    put->id = other.id;
    put->decision = other.decision;
    return HF_OK;
  }
  if (found)
    HF_TRY(registry_request_remove(txn, other.id));
  return add_request(txn, put);
}

hf_err registry_request_put(struct registry *registry, const struct registry_request *request, uint64_t *ret_id,
                            enum registry_decision *ret_decision)
{
  struct put put = { .given = request };
  HF_TRY(store_write(registry->store, put_request, &put));
  *ret_id = put.id;
  *ret_decision = put.decision;
  return HF_OK;
}

struct each_request {
  hf_err (*each)(const struct registry_request *request, void *arg);
  void *arg;
};

static hf_err give_request(struct hf_slice key, struct hf_slice value, void *arg)
{
  (void)key;
  const struct each_request *each = arg;
  struct registry_request request;
  HF_TRY(record_take_request(value, &request));
  return each->each(&request, each->arg);
}

hf_err registry_request_each(struct registry *registry,
                             hf_err (*each)(const struct registry_request *request, void *arg), void *arg)
{
  struct store_txn *txn;
  struct each_request all = { each, arg };
  HF_TRY(store_read_begin(registry->store, &txn));
  hf_err e = store_scan(txn, TABLE_REQUESTS, hf_slice(NULL, 0), give_request, &all);
  store_read_end(txn);
  return e;
}

struct decide {
  uint64_t id;
  enum registry_decision decision;
};

static hf_err decide(struct store_txn *txn, void *arg)
{
  const struct decide *decision = arg;
  struct registry_request request;
  bool found;
  HF_TRY(read_request(txn, decision->id, &found, &request));
  if (!found)
    return hf_hint(hf_fail(HF_ERR_NOT_FOUND, "no request %llu waits", (unsigned long long)decision->id),
                   "'holdfast ca pending' lists those that do.");
  request.decision = decision->decision;
  HF_CLEANUP(hf_buf_free) struct hf_buf der = HF_BUF(REGISTRY_DER_MAX);
  HF_TRY(hf_buf_add(&der, request.der.data, request.der.len));
  request.der = hf_slice(der.data, der.len);
  return write_request(txn, &request);
}

hf_err registry_request_decide(struct registry *registry, uint64_t id, enum registry_decision decision)
{
  struct decide arg = { id, decision };
  return store_write(registry->store, decide, &arg);
}
