/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/spool_record.h"

#include <pthread.h>

enum { FLAG_RETAIN = 0x80, FLAG_QOS = 0x03, CHECKSUM_BYTES = 4 };

/* CRC-32C (Castagnoli): RFC 3720, section 12.1. Eight bytes at a time: table k has each byte's part when k more bytes follow it. */

enum { CRC_STEP = 8 };

static uint32_t crc_table[CRC_STEP][256];
static pthread_once_t crc_once = PTHREAD_ONCE_INIT;

static void crc_fill(void)
{
  for (uint32_t i = 0; i < 256; i++) {
    uint32_t crc = i;
    for (int bit = 0; bit < 8; bit++)
      crc = crc >> 1 ^ (crc & 1 ? 0x82F63B78U : 0);
    crc_table[0][i] = crc;
  }
  for (size_t k = 1; k < CRC_STEP; k++)
    for (size_t i = 0; i < 256; i++)
      crc_table[k][i] = crc_table[k - 1][i] >> 8 ^ crc_table[0][crc_table[k - 1][i] & 0xFF];
}

static uint32_t crc_step(uint32_t crc, const uint8_t *data)
{
  uint32_t next = 0;
  for (size_t i = 0; i < CRC_STEP; i++)
    next ^= crc_table[CRC_STEP - 1 - i][i < sizeof(crc) ? data[i] ^ (crc >> 8 * i & 0xFF) : data[i]];
  return next;
}

static uint32_t crc_more(uint32_t crc, const uint8_t *data, size_t len)
{
  for (; len >= CRC_STEP; data += CRC_STEP, len -= CRC_STEP)
    crc = crc_step(crc, data);
  for (size_t i = 0; i < len; i++)
    crc = crc >> 8 ^ crc_table[0][(crc ^ data[i]) & 0xFF];
  return crc;
}

/* Of the sequence number as well: a record in another's place is a wrong one. */
static uint32_t checksum(uint64_t sequence, const uint8_t *data, size_t len)
{
  uint8_t number[8];
  pthread_once(&crc_once, crc_fill);
  for (size_t i = 0; i < sizeof(number); i++)
    number[i] = (uint8_t)(sequence >> 8 * i);
  return ~crc_more(crc_more(UINT32_MAX, number, sizeof(number)), data, len);
}

static void put_u32(uint8_t *out, uint32_t value)
{
  for (size_t i = 0; i < 4; i++)
    out[i] = (uint8_t)(value >> (24 - 8 * i));
}

/* Messages */

size_t spool_record_len(const struct spool_message *message)
{
  return SPOOL_RECORD_HEAD + message->topic.len + message->properties.len + message->payload.len;
}

hf_err spool_record_add(const struct spool_message *message, uint64_t sequence, struct hf_buf *out)
{
  size_t start = out->len, len = spool_record_len(message);
  uint8_t *room;
  HF_TRY(hf_buf_reserve(out, len, &room));
  HF_TRY(hf_buf_add_u32(out, 0));
  HF_TRY(hf_buf_add_u64(out, (uint64_t)message->received_ms));
  HF_TRY(hf_buf_add_u8(out, (uint8_t)((message->qos & FLAG_QOS) | (message->retain ? FLAG_RETAIN : 0))));
  HF_TRY(hf_buf_add_u8(out, (uint8_t)message->from));
  HF_TRY(hf_buf_add_u8(out, message->reason));
  HF_TRY(hf_buf_add_u32(out, (uint32_t)message->topic.len));
  HF_TRY(hf_buf_add_u32(out, (uint32_t)message->properties.len));
  HF_TRY(hf_buf_add_u32(out, (uint32_t)message->payload.len));
  HF_TRY(hf_buf_add(out, message->topic.data, message->topic.len));
  HF_TRY(hf_buf_add(out, message->properties.data, message->properties.len));
  HF_TRY(hf_buf_add(out, message->payload.data, message->payload.len));
  uint8_t *record = out->data + start;
  put_u32(record, checksum(sequence, record + CHECKSUM_BYTES, len - CHECKSUM_BYTES));
  return HF_OK;
}

struct record_head {
  uint32_t checksum, topic, properties, payload;
  uint64_t received_ms;
  uint8_t flags, from, reason;
};

static hf_err take_head(struct hf_slice *in, struct record_head *head)
{
  HF_TRY(hf_take_u32(in, &head->checksum));
  HF_TRY(hf_take_u64(in, &head->received_ms));
  HF_TRY(hf_take_u8(in, &head->flags));
  HF_TRY(hf_take_u8(in, &head->from));
  HF_TRY(hf_take_u8(in, &head->reason));
  HF_TRY(hf_take_u32(in, &head->topic));
  HF_TRY(hf_take_u32(in, &head->properties));
  return hf_take_u32(in, &head->payload);
}

static hf_err damaged(const char *what)
{
  return hf_fail(HF_ERR_SPOOL_DAMAGED, "a message's record %s", what);
}

hf_err spool_record_measure(struct hf_slice in, size_t *ret_len)
{
  struct record_head head;
  if (hf_failed(take_head(&in, &head)))
    return damaged("is cut short");
  uint64_t len = (uint64_t)head.topic + head.properties + head.payload;
  if (head.topic == 0 || head.topic > SPOOL_TOPIC_MAX || len > SPOOL_MESSAGE_MAX || head.from >= SPOOL_QUEUES)
    return damaged("is not of the form");
  *ret_len = SPOOL_RECORD_HEAD + (size_t)len;
  return HF_OK;
}

int64_t spool_record_received_ms(struct hf_slice in)
{
  struct record_head head = { 0 };
  hf_ignore(take_head(&in, &head));
  return (int64_t)head.received_ms;
}

static hf_err take_part(struct hf_slice *in, uint32_t len, struct hf_slice *ret_part)
{
  HF_TRY(hf_take(in, len, &ret_part->data));
  ret_part->len = len;
  return HF_OK;
}

static hf_err take_parts(struct hf_slice *in, const struct record_head *head, struct spool_message *message)
{
  HF_TRY(take_part(in, head->topic, &message->topic));
  HF_TRY(take_part(in, head->properties, &message->properties));
  HF_TRY(take_part(in, head->payload, &message->payload));
  return hf_take_end(in);
}

hf_err spool_record_parse(struct hf_slice record, uint64_t sequence, struct spool_message *ret_message)
{
  size_t len;
  struct record_head head;
  struct hf_slice in = record;
  HF_TRY(spool_record_measure(record, &len));
  HF_TRY(take_head(&in, &head));
  struct spool_message message = { .sequence = sequence,
                                   .received_ms = (int64_t)head.received_ms,
                                   .qos = head.flags & FLAG_QOS,
                                   .retain = head.flags & FLAG_RETAIN,
                                   .from = head.from,
                                   .reason = head.reason };
  if (hf_failed(take_parts(&in, &head, &message)))
    return damaged("has the wrong length");
  if (checksum(sequence, record.data + CHECKSUM_BYTES, record.len - CHECKSUM_BYTES) != head.checksum)
    return damaged("has a wrong checksum");
  *ret_message = message;
  return HF_OK;
}

/* Counts */

hf_err spool_state_add(const struct spool_state *state, uint32_t format, struct hf_buf *out)
{
  size_t start = out->len;
  HF_TRY(hf_buf_add_u32(out, 0));
  HF_TRY(hf_buf_add_u32(out, format));
  for (size_t i = 0; i < SPOOL_QUEUES; i++) {
    const struct spool_queue_state *queue = &state->queues[i];
    const uint64_t numbers[] = { queue->next, queue->messages, queue->bytes, queue->dropped, queue->rejected };
    for (size_t n = 0; n < HF_ARRAY_LEN(numbers); n++)
      HF_TRY(hf_buf_add_u64(out, numbers[n]));
  }
  HF_TRY(hf_buf_add_u64(out, state->marks));
  uint8_t *record = out->data + start;
  put_u32(record, checksum(0, record + CHECKSUM_BYTES, out->len - start - CHECKSUM_BYTES));
  return HF_OK;
}

static hf_err take_state(struct hf_slice in, struct spool_state *state)
{
  for (size_t i = 0; i < SPOOL_QUEUES; i++) {
    struct spool_queue_state *queue = &state->queues[i];
    uint64_t *const numbers[] = { &queue->next, &queue->messages, &queue->bytes, &queue->dropped, &queue->rejected };
    for (size_t n = 0; n < HF_ARRAY_LEN(numbers); n++)
      HF_TRY(hf_take_u64(&in, numbers[n]));
  }
  HF_TRY(hf_take_u64(&in, &state->marks));
  return hf_take_end(&in);
}

hf_err spool_state_parse(struct hf_slice in, struct spool_state *ret_state)
{
  struct spool_state state;
  uint32_t sum, format;
  if (hf_failed(hf_take_u32(&in, &sum)) || sum != checksum(0, in.data, in.len) || hf_failed(hf_take_u32(&in, &format)))
    return hf_fail(HF_ERR_SPOOL_DAMAGED, "its counts have a wrong checksum");
  if (format > SPOOL_FORMAT)
    return hf_fail(HF_ERR_SPOOL_VERSION, "its format is %u, and this version knows %d", format, SPOOL_FORMAT);
  if (hf_failed(take_state(in, &state)))
    return hf_fail(HF_ERR_SPOOL_DAMAGED, "its counts are not of the form");
  *ret_state = state;
  return HF_OK;
}
