/* SPDX-License-Identifier: Apache-2.0 */
#include "token/store/index.h"

enum { DIGEST_BYTES = 16, PREFIX_BYTES = 1 + DIGEST_BYTES, KEY_BYTES = PREFIX_BYTES + 8 };

static const struct {
  CK_ATTRIBUTE_TYPE type;
  uint8_t kind;
  bool hidden; /* of private objects */
} indexed[] = {
  { CKA_CLASS, 1, false },
  { CKA_LABEL, 2, true },
  { CKA_ID, 3, true },
};

static bool place_of(CK_ATTRIBUTE_TYPE type, size_t *ret_place)
{
  for (size_t i = 0; i < HF_ARRAY_LEN(indexed); i++) {
    if (indexed[i].type == type) {
      *ret_place = i;
      return true;
    }
  }
  return false;
}

bool index_covers(CK_ATTRIBUTE_TYPE type)
{
  size_t place;
  return place_of(type, &place);
}

static hf_err build_prefix(size_t place, const uint8_t *key, struct hf_slice value, uint8_t prefix[PREFIX_BYTES])
{
  uint8_t digest[32];
  HF_TRY(crypto_mac(key, value, digest));
  prefix[0] = indexed[place].kind;
  memcpy(prefix + 1, digest, DIGEST_BYTES);
  return HF_OK;
}

static void append_id(uint8_t key[KEY_BYTES], uint64_t id)
{
  for (size_t i = 0; i < 8; i++)
    key[PREFIX_BYTES + i] = (uint8_t)(id >> (8 * (7 - i)));
}

typedef hf_err (*key_fn)(struct store_txn *txn, struct hf_slice key);

/* FNV-1a: any one byte that differs makes a difference. */
static uint32_t checksum(struct hf_slice key)
{
  uint32_t sum = 2166136261U;
  for (size_t i = 0; i < key.len; i++)
    sum = (sum ^ key.data[i]) * 16777619U;
  return sum;
}

bool index_sound(struct hf_slice key, struct hf_slice value)
{
  uint32_t sum;
  return value.len == 0 || (!hf_failed(hf_take_u32(&value, &sum)) && value.len == 0 && sum == checksum(key));
}

static hf_err add_key(struct store_txn *txn, struct hf_slice key)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf value = HF_BUF(sizeof(uint32_t));
  HF_TRY(hf_buf_add_u32(&value, checksum(key)));
  return store_put(txn, STORE_INDEX, key, hf_slice(value.data, value.len));
}

static hf_err remove_key(struct store_txn *txn, struct hf_slice key)
{
  return store_delete(txn, STORE_INDEX, key);
}

static hf_err for_each_key(struct store_txn *txn, const struct seal *seal, uint64_t id, const struct attrs *open,
                           key_fn fn)
{
  bool private = attrs_true(open, CKA_PRIVATE);
  for (size_t i = 0; i < HF_ARRAY_LEN(indexed); i++) {
    uint8_t key[KEY_BYTES];
    struct hf_slice value;
    if (!attrs_get(open, indexed[i].type, &value))
      continue;
    HF_TRY(build_prefix(i, private && indexed[i].hidden ? seal->index_key : NULL, value, key));
    append_id(key, id);
    HF_TRY(fn(txn, hf_slice(key, sizeof(key))));
  }
  return HF_OK;
}

hf_err index_add(struct store_txn *txn, const struct seal *seal, uint64_t id, const struct attrs *open)
{
  return for_each_key(txn, seal, id, open, add_key);
}

hf_err index_remove(struct store_txn *txn, const struct seal *seal, uint64_t id, const struct attrs *open)
{
  return for_each_key(txn, seal, id, open, remove_key);
}

struct visit {
  hf_err (*each)(uint64_t id, void *arg);
  void *arg;
};

static hf_err visit_key(struct hf_slice key, struct hf_slice value, void *arg)
{
  (void)value;
  struct visit *visit = arg;
  struct hf_slice tail = { key.data + PREFIX_BYTES, key.len - PREFIX_BYTES };
  uint64_t id;
  HF_TRY(hf_take_u64(&tail, &id));
  return visit->each(id, visit->arg);
}

hf_err index_find(struct store_txn *txn, const struct seal *seal, CK_ATTRIBUTE_TYPE type, struct hf_slice value,
                  hf_err (*each)(uint64_t id, void *arg), void *arg)
{
  size_t place;
  uint8_t prefix[PREFIX_BYTES];
  struct visit visit = { each, arg };
  if (!place_of(type, &place))
    return hf_fail(HF_ERR_INTERNAL, "no index for attribute 0x%lx", type);
  HF_TRY(build_prefix(place, NULL, value, prefix));
  HF_TRY(store_scan(txn, STORE_INDEX, hf_slice(prefix, sizeof(prefix)), visit_key, &visit));
  if (!indexed[place].hidden || !seal->index_key)
    return HF_OK;
  HF_TRY(build_prefix(place, seal->index_key, value, prefix));
  return store_scan(txn, STORE_INDEX, hf_slice(prefix, sizeof(prefix)), visit_key, &visit);
}
