/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/spool_queue.h"

enum {
  KEY_BYTES = 12,
  NODE_BYTES = KEY_BYTES + 8 + 2 /* LMDB's head of an entry, and what points at it */,
  PAGE_NUMBER = 8
};

const struct store_kind spool_kind = {
  .tables = { [SPOOL_OUT] = "out",
              [SPOOL_IN] = "in",
              [SPOOL_REJECTED] = "rejected",
              [SPOOL_TABLE_META] = "meta",
              [SPOOL_TABLE_MARKS] = "marks",
              [SPOOL_TABLE_RECEIVED] = "received" },
  .damaged = HF_ERR_SPOOL_DAMAGED,
  .newer = HF_ERR_SPOOL_VERSION,
  .full = HF_ERR_IO, /* its own limit comes first */
};

struct key {
  uint8_t bytes[KEY_BYTES]; /* sequence number, number of the piece: big-endian, so that they sort */
};

static struct key make_key(uint64_t sequence, uint32_t piece)
{
  struct key key;
  for (size_t i = 0; i < 8; i++)
    key.bytes[i] = (uint8_t)(sequence >> (56 - 8 * i));
  for (size_t i = 0; i < 4; i++)
    key.bytes[8 + i] = (uint8_t)(piece >> (24 - 8 * i));
  return key;
}

static struct hf_slice key_slice(const struct key *key)
{
  return hf_slice(key->bytes, sizeof(key->bytes));
}

static uint64_t piece_cost(const struct solo_pages *pages, size_t len)
{
  if (len <= pages->inline_max)
    return NODE_BYTES + ((len + 1) & ~(size_t)1);
  return NODE_BYTES + PAGE_NUMBER + pages->page;
}

static size_t last_piece(const struct solo_pages *pages, size_t record_len)
{
  return (record_len - 1) / pages->value_max;
}

uint64_t spool_queue_cost(const struct solo *store, size_t record_len)
{
  struct solo_pages pages = solo_pages(store);
  size_t last = last_piece(&pages, record_len);
  return last * piece_cost(&pages, pages.value_max) + piece_cost(&pages, record_len - last * pages.value_max);
}

hf_err spool_queue_append(struct solo *store, enum spool_queue queue, uint64_t sequence, struct hf_slice record)
{
  struct solo_pages pages = solo_pages(store);
  for (uint32_t piece = 0; record.len > 0; piece++) {
    struct key key = make_key(sequence, piece);
    struct hf_slice part = { record.data, record.len < pages.value_max ? record.len : pages.value_max };
    HF_TRY(solo_put(store, queue, key_slice(&key), part, true));
    record = hf_slice(record.data + part.len, record.len - part.len);
  }
  return HF_OK;
}

static hf_err parse_key(struct hf_slice in, uint64_t *ret_sequence, uint32_t *ret_piece)
{
  if (hf_failed(hf_take_u64(&in, ret_sequence)) || hf_failed(hf_take_u32(&in, ret_piece)) ||
      hf_failed(hf_take_end(&in)))
    return hf_fail(HF_ERR_SPOOL_DAMAGED, "a message's key is not of the form");
  return HF_OK;
}

hf_err spool_queue_find(struct solo *store, enum spool_queue queue, uint64_t after, bool *ret_found,
                        uint64_t *ret_sequence, struct hf_slice *ret_first)
{
  struct key key = make_key(after + 1, 0);
  struct hf_slice at = key_slice(&key), first;
  uint64_t sequence = 0;
  uint32_t piece = 0;
  bool found = false;
  if (after == UINT64_MAX) {
    *ret_found = false;
    return HF_OK;
  }
  HF_TRY(solo_seek(store, queue, at, &found, &at, &first));
  *ret_found = found;
  if (!found)
    return HF_OK;
  HF_TRY(parse_key(at, &sequence, &piece));
  if (piece != 0)
    return hf_fail(HF_ERR_SPOOL_DAMAGED, "message %llu lacks its beginning", (unsigned long long)sequence);
  *ret_sequence = sequence;
  *ret_first = first;
  return HF_OK;
}

static hf_err piece_missing(uint64_t sequence)
{
  return hf_fail(HF_ERR_SPOOL_DAMAGED, "message %llu lacks a part", (unsigned long long)sequence);
}

static hf_err gather_pieces(struct solo *store, enum spool_queue queue, uint64_t sequence, size_t len,
                            struct hf_buf *gather)
{
  for (uint32_t piece = 0; gather->len < len; piece++) {
    struct key key = make_key(sequence, piece);
    struct hf_slice part;
    bool found;
    HF_TRY(solo_get(store, queue, key_slice(&key), &found, &part));
    if (!found || part.len == 0 || part.len > len - gather->len)
      return piece_missing(sequence);
    HF_TRY(hf_buf_add(gather, part.data, part.len));
  }
  return HF_OK;
}

hf_err spool_queue_load(struct solo *store, enum spool_queue queue, uint64_t sequence, struct hf_slice first,
                        struct hf_buf *gather, struct hf_slice *ret_record)
{
  size_t len;
  HF_TRY(spool_record_measure(first, &len));
  if (first.len >= len) {
    *ret_record = first;
    return HF_OK;
  }
  uint8_t *room;
  gather->len = 0;
  HF_TRY(hf_buf_reserve(gather, len, &room));
  HF_TRY(gather_pieces(store, queue, sequence, len, gather));
  *ret_record = hf_slice(gather->data, gather->len);
  return HF_OK;
}

hf_err spool_queue_erase(struct solo *store, enum spool_queue queue, uint64_t sequence, uint64_t *ret_cost)
{
  struct key key = make_key(sequence, 0);
  struct hf_slice first;
  size_t len;
  bool found;
  HF_TRY(solo_get(store, queue, key_slice(&key), &found, &first));
  if (!found)
    return hf_fail(HF_ERR_NOT_FOUND, "message %llu", (unsigned long long)sequence);
  HF_TRY(spool_record_measure(first, &len));
  struct solo_pages pages = solo_pages(store);
  for (uint32_t piece = 0; piece <= last_piece(&pages, len); piece++) {
    key = make_key(sequence, piece);
    HF_TRY(solo_delete(store, queue, key_slice(&key), &found));
    if (!found)
      return piece_missing(sequence);
  }
  *ret_cost = spool_queue_cost(store, len);
  return HF_OK;
}
