/* SPDX-License-Identifier: Apache-2.0 */
/* What the spool knows of messages on their way: their marks, and the packet ids that peers have used. */
#include "gateway/spool_private.h"

/* Queue and number, so that one table serves all queues. */
static struct hf_slice make_key(enum spool_queue queue, uint64_t number, size_t number_bytes, uint8_t *out)
{
  out[0] = (uint8_t)queue;
  for (size_t i = 0; i < number_bytes; i++)
    out[1 + i] = (uint8_t)(number >> (8 * (number_bytes - 1 - i)));
  return hf_slice(out, 1 + number_bytes);
}

static struct hf_slice mark_key(enum spool_queue queue, uint64_t sequence, uint8_t out[SPOOL_MARK_KEY])
{
  return make_key(queue, sequence, 8, out);
}

static struct hf_slice received_key(enum spool_queue queue, uint16_t packet_id, uint8_t out[SPOOL_RECEIVED_KEY])
{
  return make_key(queue, packet_id, 2, out);
}

/* Marks */

hf_err spool_mark_get(struct spool *spool, enum spool_queue queue, uint64_t sequence, bool *ret_found,
                      struct spool_message *message)
{
  uint8_t key[SPOOL_MARK_KEY];
  struct hf_slice value = { 0 };
  bool found = false;
  if (spool->now.marks > 0)
    HF_TRY(solo_get(spool->store, SPOOL_TABLE_MARKS, mark_key(queue, sequence, key), &found, &value));
  if (found && value.len != SPOOL_MARK_BYTES)
    return hf_fail(HF_ERR_SPOOL_DAMAGED, "the mark of message %llu", (unsigned long long)sequence);
  if (found) {
    message->packet_id = (uint16_t)(value.data[0] << 8 | value.data[1]);
    message->state = value.data[2];
  }
  *ret_found = found;
  return HF_OK;
}

hf_err spool_mark_drop(struct spool *spool, enum spool_queue queue, uint64_t sequence)
{
  uint8_t key[SPOOL_MARK_KEY];
  bool found = false;
  if (spool->now.marks > 0)
    HF_TRY(solo_delete(spool->store, SPOOL_TABLE_MARKS, mark_key(queue, sequence, key), &found));
  if (found)
    spool->now.marks--;
  return HF_OK;
}

static hf_err set_mark(struct spool *spool, enum spool_queue queue, uint64_t sequence, uint16_t packet_id,
                       uint8_t state)
{
  uint8_t key[SPOOL_MARK_KEY];
  const uint8_t value[SPOOL_MARK_BYTES] = { (uint8_t)(packet_id >> 8), (uint8_t)packet_id, state };
  struct spool_message old;
  bool found;
  HF_TRY(spool_mark_get(spool, queue, sequence, &found, &old));
  HF_TRY(
      solo_put(spool->store, SPOOL_TABLE_MARKS, mark_key(queue, sequence, key), hf_slice(value, sizeof(value)), false));
  if (!found)
    spool->now.marks++;
  return HF_OK;
}

hf_err spool_mark(struct spool *spool, enum spool_queue queue, uint64_t sequence, uint16_t packet_id, uint8_t state)
{
  HF_TRY(spool_begin(spool));
  bool found = false;
  uint64_t at = 0;
  struct hf_slice first;
  HF_TRY(spool_changed(spool, spool_queue_find(spool->store, queue, sequence - 1, &found, &at, &first)));
  if (!found || at != sequence)
    return hf_fail(HF_ERR_NOT_FOUND, "message %llu", (unsigned long long)sequence);
  if (packet_id == 0 && state == 0)
    return spool_changed(spool, spool_mark_drop(spool, queue, sequence));
  return spool_changed(spool, set_mark(spool, queue, sequence, packet_id, state));
}

void spool_hold(struct spool *spool, enum spool_queue queue, uint64_t sequence)
{
  spool->held[queue] = sequence;
}

/* Packet ids of peers */

hf_err spool_received_add(struct spool *spool, enum spool_queue queue, uint16_t packet_id)
{
  uint8_t key[SPOOL_RECEIVED_KEY];
  HF_TRY(spool_begin(spool));
  return spool_changed(
      spool, solo_put(spool->store, SPOOL_TABLE_RECEIVED, received_key(queue, packet_id, key), hf_slice("", 0), false));
}

hf_err spool_received_has(struct spool *spool, enum spool_queue queue, uint16_t packet_id, bool *ret_has)
{
  uint8_t key[SPOOL_RECEIVED_KEY];
  struct hf_slice value;
  return solo_get(spool->store, SPOOL_TABLE_RECEIVED, received_key(queue, packet_id, key), ret_has, &value);
}

hf_err spool_received_remove(struct spool *spool, enum spool_queue queue, uint16_t packet_id)
{
  uint8_t key[SPOOL_RECEIVED_KEY];
  bool found;
  HF_TRY(spool_begin(spool));
  return spool_changed(spool,
                       solo_delete(spool->store, SPOOL_TABLE_RECEIVED, received_key(queue, packet_id, key), &found));
}

static hf_err clear_received(struct spool *spool, enum spool_queue queue)
{
  uint8_t key[SPOOL_RECEIVED_KEY];
  struct hf_slice from = received_key(queue, 0, key), at, value;
  for (bool found;;) {
    HF_TRY(solo_seek(spool->store, SPOOL_TABLE_RECEIVED, from, &found, &at, &value));
    if (!found || at.len != sizeof(key) || at.data[0] != (uint8_t)queue)
      return HF_OK;
    memcpy(key, at.data, sizeof(key));
    HF_TRY(solo_delete(spool->store, SPOOL_TABLE_RECEIVED, from, &found));
  }
}

hf_err spool_received_clear(struct spool *spool, enum spool_queue queue)
{
  HF_TRY(spool_begin(spool));
  return spool_changed(spool, clear_received(spool, queue));
}
