/* SPDX-License-Identifier: Apache-2.0 */
/* Messages going in and out of the spool, and what happens where there is no room. */
#include "gateway/spool_private.h"

enum { REJECTED_SHARE = 8 /* the part of max_size that SPOOL_REJECTED may have besides */ };

static uint64_t size_of(const struct spool *spool)
{
  return spool->now.queues[SPOOL_OUT].bytes + spool->now.queues[SPOOL_IN].bytes;
}

/* Going out */

static hf_err erase(struct spool *spool, enum spool_queue queue, uint64_t sequence)
{
  uint64_t cost;
  HF_TRY(spool_queue_erase(spool->store, queue, sequence, &cost));
  spool->now.queues[queue].messages--;
  spool->now.queues[queue].bytes -= cost;
  return spool_mark_drop(spool, queue, sequence);
}

/* The one thing that leaves all as it was. */
static hf_err unless_missing(struct spool *spool, hf_err e)
{
  return e.code == HF_ERR_NOT_FOUND ? e : spool_changed(spool, e);
}

hf_err spool_remove(struct spool *spool, enum spool_queue queue, uint64_t sequence)
{
  HF_TRY(spool_begin(spool));
  return unless_missing(spool, erase(spool, queue, sequence));
}

static hf_err load(struct spool *spool, enum spool_queue queue, uint64_t sequence, struct hf_slice first,
                   struct spool_message *ret_message)
{
  struct hf_slice record;
  bool marked;
  HF_TRY(spool_queue_load(spool->store, queue, sequence, first, &spool->gather, &record));
  HF_TRY(spool_record_parse(record, sequence, ret_message));
  return spool_mark_get(spool, queue, sequence, &marked, ret_message);
}

hf_err spool_read(struct spool *spool, enum spool_queue queue, uint64_t after, bool *ret_found,
                  struct spool_message *ret_message)
{
  bool found = false;
  uint64_t sequence = 0;
  struct hf_slice first = { 0 };
  struct spool_message message;
  HF_TRY(spool_queue_find(spool->store, queue, after, &found, &sequence, &first));
  if (found) {
    HF_TRY(load(spool, queue, sequence, first, &message));
    *ret_message = message;
  }
  *ret_found = found;
  return HF_OK;
}

struct spool_stats spool_statistics(const struct spool *spool, enum spool_queue queue)
{
  const struct spool_queue_state *state = &spool->now.queues[queue];
  struct spool_stats stats = {
    .messages = state->messages, .bytes = state->bytes, .dropped = state->dropped, .rejected = state->rejected
  };
  bool found = false;
  uint64_t sequence;
  struct hf_slice first;
  if (state->messages > 0 && !hf_failed(spool_queue_find(spool->store, queue, 0, &found, &sequence, &first)) && found)
    stats.oldest_ms = spool_record_received_ms(first);
  return stats;
}

/* Making room */

/* The oldest that is not on its way. */
static hf_err drop_oldest(struct spool *spool, enum spool_queue queue, bool *ret_dropped)
{
  uint64_t sequence = spool->held[queue];
  struct hf_slice first;
  struct spool_message ignored;
  for (bool found, marked;;) {
    HF_TRY(spool_queue_find(spool->store, queue, sequence, &found, &sequence, &first));
    if (!found) {
      *ret_dropped = false;
      return HF_OK;
    }
    HF_TRY(spool_mark_get(spool, queue, sequence, &marked, &ignored));
    if (!marked)
      break;
  }
  HF_TRY(erase(spool, queue, sequence));
  spool->now.queues[queue].dropped++;
  *ret_dropped = true;
  return HF_OK;
}

static hf_err full(const struct spool *spool)
{
  return hf_fail(HF_ERR_SPOOL_FULL, "%s holds %llu of %llu bytes", spool->dir, (unsigned long long)size_of(spool),
                 (unsigned long long)spool->options.max_size);
}

/* Of its own queue first: what comes from one side is not to go for the other's sake. */
static hf_err drop_until_it_fits(struct spool *spool, enum spool_queue queue, uint64_t cost)
{
  const enum spool_queue order[] = { queue, queue == SPOOL_OUT ? SPOOL_IN : SPOOL_OUT };
  for (size_t i = 0; i < HF_ARRAY_LEN(order); i++)
    for (bool dropped = true; dropped;) {
      if (size_of(spool) + cost <= spool->options.max_size)
        return HF_OK;
      HF_TRY(spool_changed(spool, drop_oldest(spool, order[i], &dropped)));
    }
  return full(spool);
}

static hf_err make_room(struct spool *spool, enum spool_queue queue, uint64_t cost)
{
  if (cost > spool->options.max_size)
    return hf_hint(hf_fail(HF_ERR_LIMIT, "a message of %llu bytes, and the spool holds %llu", (unsigned long long)cost,
                           (unsigned long long)spool->options.max_size),
                   "Raise mqtt.bridge.spool.max_size.");
  if (size_of(spool) + cost > spool->options.max_size) {
    if (spool->options.overflow == SPOOL_REFUSE_NEWEST)
      return full(spool);
    HF_TRY(drop_until_it_fits(spool, queue, cost));
  }
  uint64_t live = size_of(spool) + spool->now.queues[SPOOL_REJECTED].bytes;
  return solo_make_room(spool->store, live, spool->growth + cost);
}

/* Going in */

static hf_err append(struct spool *spool, enum spool_queue queue, const struct spool_message *message, uint64_t cost,
                     uint64_t *ret_sequence)
{
  struct spool_queue_state *state = &spool->now.queues[queue];
  uint64_t sequence = state->next;
  spool->record.len = 0;
  HF_TRY(spool_record_add(message, sequence, &spool->record));
  HF_TRY(spool_queue_append(spool->store, queue, sequence, hf_slice(spool->record.data, spool->record.len)));
  state->next++;
  state->messages++;
  state->bytes += cost;
  spool->growth += cost;
  *ret_sequence = sequence;
  return HF_OK;
}

static hf_err check_message(const struct spool_message *message)
{
  size_t len = spool_record_len(message) - SPOOL_RECORD_HEAD;
  if (message->topic.len == 0 || message->topic.len > SPOOL_TOPIC_MAX)
    return hf_fail(HF_ERR_LIMIT, "a topic of %zu bytes", message->topic.len);
  if (len > SPOOL_MESSAGE_MAX)
    return hf_hint(hf_fail(HF_ERR_LIMIT, "a message of %zu bytes, and a bridge takes %d", len, SPOOL_MESSAGE_MAX),
                   "Send it in parts.");
  return HF_OK;
}

hf_err spool_put(struct spool *spool, enum spool_queue queue, const struct spool_message *message,
                 uint64_t *ret_sequence)
{
  HF_TRY(check_message(message));
  HF_TRY(spool_begin(spool));
  uint64_t cost = spool_queue_cost(spool->store, spool_record_len(message));
  HF_TRY(make_room(spool, queue, cost));
  struct spool_message copy = *message;
  copy.from = queue;
  copy.reason = 0;
  return spool_changed(spool, append(spool, queue, &copy, cost, ret_sequence));
}

/* What a peer would not take */

static hf_err bound_rejected(struct spool *spool, uint64_t cost)
{
  const struct spool_queue_state *state = &spool->now.queues[SPOOL_REJECTED];
  uint64_t limit = spool->options.max_size / REJECTED_SHARE;
  for (bool dropped = true; dropped && (state->messages >= SPOOL_REJECTED_MESSAGES_MAX || state->bytes + cost > limit);)
    HF_TRY(drop_oldest(spool, SPOOL_REJECTED, &dropped));
  return HF_OK;
}

static hf_err copy_to_rejected(struct spool *spool, enum spool_queue queue, uint64_t sequence, uint8_t reason)
{
  bool found;
  uint64_t moved;
  struct hf_slice first = { 0 };
  struct spool_message message;
  HF_TRY(spool_queue_find(spool->store, queue, sequence - 1, &found, &sequence, &first));
  HF_TRY(load(spool, queue, sequence, first, &message));
  message.reason = reason;
  return append(spool, SPOOL_REJECTED, &message, spool_queue_cost(spool->store, spool_record_len(&message)), &moved);
}

static hf_err move_to_rejected(struct spool *spool, enum spool_queue queue, uint64_t sequence, size_t len,
                               uint8_t reason)
{
  uint64_t cost = spool_queue_cost(spool->store, len);
  if (cost <= spool->options.max_size / REJECTED_SHARE) {
    HF_TRY(bound_rejected(spool, cost));
    HF_TRY(copy_to_rejected(spool, queue, sequence, reason));
  } else {
    spool->now.queues[SPOOL_REJECTED].dropped++;
  }
  HF_TRY(erase(spool, queue, sequence));
  spool->now.queues[queue].rejected++;
  return HF_OK;
}

hf_err spool_reject(struct spool *spool, enum spool_queue queue, uint64_t sequence, uint8_t reason)
{
  HF_TRY(spool_begin(spool));
  bool found = false;
  uint64_t at = 0;
  size_t len = 0;
  struct hf_slice first = { 0 };
  HF_TRY(spool_changed(spool, spool_queue_find(spool->store, queue, sequence - 1, &found, &at, &first)));
  if (!found || at != sequence)
    return hf_fail(HF_ERR_NOT_FOUND, "message %llu", (unsigned long long)sequence);
  HF_TRY(spool_changed(spool, spool_record_measure(first, &len)));
  return spool_changed(spool, move_to_rejected(spool, queue, sequence, len, reason));
}

hf_err spool_count_dropped(struct spool *spool, enum spool_queue queue)
{
  HF_TRY(spool_begin(spool));
  spool->now.queues[queue].dropped++;
  return HF_OK;
}
