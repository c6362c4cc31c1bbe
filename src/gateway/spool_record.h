/* SPDX-License-Identifier: Apache-2.0 */
/* A spooled message, and the spool's counts, as bytes: each with a checksum. For src/gateway/spool*.c alone. */
#ifndef HF_GATEWAY_SPOOL_RECORD_H
#define HF_GATEWAY_SPOOL_RECORD_H

#include "gateway/spool.h"

enum {
  SPOOL_FORMAT = 1,
  SPOOL_RECORD_HEAD = 4 + 8 + 1 + 1 + 1 + 4 + 4 + 4,
  SPOOL_STATE_MAX = 256,
  SPOOL_MARK_KEY = 1 + 8,     /* queue, sequence number */
  SPOOL_MARK_BYTES = 2 + 1,   /* packet id, state */
  SPOOL_RECEIVED_KEY = 1 + 2, /* queue, packet id */
  SPOOL_RECORD_MAX = SPOOL_RECORD_HEAD + SPOOL_MESSAGE_MAX
};

struct spool_queue_state {
  uint64_t next; /* sequence number */
  uint64_t messages, bytes, dropped, rejected;
};

struct spool_state {
  struct spool_queue_state queues[SPOOL_QUEUES];
  uint64_t marks;
};

size_t spool_record_len(const struct spool_message *message);

/* Appends it, for that sequence number. */
hf_err spool_record_add(const struct spool_message *message, uint64_t sequence, struct hf_buf *out);

/* How long the record is that begins so. Fails with SPOOL_DAMAGED. */
hf_err spool_record_measure(struct hf_slice head, size_t *ret_len);

/* When the message of the record that begins so was received; it has been measured. */
int64_t spool_record_received_ms(struct hf_slice head);

/* A view into a whole record. Fails with SPOOL_DAMAGED where its form or its checksum is wrong. */
hf_err spool_record_parse(struct hf_slice record, uint64_t sequence, struct spool_message *ret_message);

/* format: SPOOL_FORMAT. */
hf_err spool_state_add(const struct spool_state *state, uint32_t format, struct hf_buf *out);
/* Fails with SPOOL_DAMAGED, SPOOL_VERSION. */
hf_err spool_state_parse(struct hf_slice bytes, struct spool_state *ret_state);

#endif
