/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The durable spool of a bridge: what one side has handed over and the other has not taken yet. One LMDB environment a bridge;
 * see docs/adr/0008-spool.md.
 *
 * All calls on one spool come from one thread at a time. Writing calls work within one open transaction, which the first of
 * them begins and spool_commit or spool_abort ends. SPOOL_FULL, LIMIT, NOT_FOUND and a DISK_FULL of spool_put leave that
 * transaction as it was. After any other failure it is lost, and until the end of it each call gives that failure again,
 * spool_commit too: so whoever looks at spool_commit alone knows all.
 */
#ifndef HF_GATEWAY_SPOOL_H
#define HF_GATEWAY_SPOOL_H

#include "base/buf.h"
#include "base/cleanup.h"

#include <stdbool.h>

enum spool_queue {
  SPOOL_OUT,      /* to the cloud */
  SPOOL_IN,       /* to the local broker */
  SPOOL_REJECTED, /* what a peer would not take: for a person to look at */
  SPOOL_QUEUES
};

enum {
  SPOOL_TOPIC_MAX = 65535,           /* MQTT 5, section 1.5.4 */
  SPOOL_MESSAGE_MAX = 16 << 20,      /* topic, properties and payload together */
  SPOOL_SIZE_MIN = 64 << 10,         /* of max_size */
  SPOOL_REJECTED_MESSAGES_MAX = 1000 /* and no more than an eighth of max_size; the oldest go first */
};

enum spool_overflow { SPOOL_REFUSE_NEWEST, SPOOL_DROP_OLDEST };

enum spool_durability {
  SPOOL_POWER,  /* a committed message survives a power cut: each commit is synced */
  SPOOL_PROCESS /* it survives the end of the process, however it comes, but not the system's */
};

struct spool_options {
  uint64_t max_size; /* bytes over SPOOL_OUT and SPOOL_IN as they lie on disk, overhead included */
  enum spool_overflow overflow;
  enum spool_durability durability;
};

struct spool_message {
  uint64_t sequence;          /* from 1, in the order of spool_put; never given twice. spool_put ignores it */
  int64_t received_ms;        /* since the epoch */
  struct hf_slice topic;      /* at least one byte */
  struct hf_slice properties; /* of MQTT 5, as the caller encodes them; may be empty */
  struct hf_slice payload;
  uint8_t qos;
  bool retain;
  /* What spool_mark last said; zeros before. spool_put ignores these. */
  uint16_t packet_id;
  uint8_t state;
  /* Of SPOOL_REJECTED alone. */
  enum spool_queue from;
  uint8_t reason;
};

/* Of one queue. bytes: as max_size counts. dropped, rejected: since the spool was made. */
struct spool_stats {
  uint64_t messages, bytes, dropped, rejected;
  int64_t oldest_ms; /* when the oldest one was received; 0 where there is none */
};

struct spool;

/*
 * Opens the spool in dir, and makes it there (0700) where there is none. One that is there is read through first, by a child
 * process. Fails with BUSY where another process has it open; SPOOL_DAMAGED where it is damaged or no spool (what LMDB does
 * not see, a checksum does); SPOOL_VERSION where a newer release wrote it; DISK_FULL, PERMISSION, IO.
 */
hf_err spool_open(const char *dir, const struct spool_options *options, struct spool **ret_spool);

/* Drops an open transaction. NULL is fine. Returns NULL. */
struct spool *spool_close(struct spool *spool);
HF_DEFINE_CLEANUP(struct spool, spool_close)

/* From now on. What is there stays, also where it is more than max_size. Not within a transaction. */
hf_err spool_configure(struct spool *spool, const struct spool_options *options);

/*
 * Moves a spool that cannot be opened out of the way, as a whole: to DIR.damaged-TIME, whose path it gives; the next spool_open
 * makes a new one. Fails with NOT_FOUND, BUSY.
 */
hf_err spool_move_aside(const char *dir, char *ret_path, size_t size);

/*
 * Appends to SPOOL_OUT or SPOOL_IN. Fails with LIMIT where a message is larger than SPOOL_MESSAGE_MAX or max_size; SPOOL_FULL
 * where there is no room for it (with SPOOL_DROP_OLDEST: where all that is there is on its way); DISK_FULL.
 */
hf_err spool_put(struct spool *spool, enum spool_queue queue, const struct spool_message *message,
                 uint64_t *ret_sequence);

/*
 * The first message after that sequence number (0: the first of all), be it committed already or not. *ret_message is valid
 * until the next call that writes, ends the transaction, or reads.
 */
hf_err spool_read(struct spool *spool, enum spool_queue queue, uint64_t after, bool *ret_found,
                  struct spool_message *ret_message);

/* Notes how far a message on its way has come; zeros: not on its way. Fails with NOT_FOUND. */
hf_err spool_mark(struct spool *spool, enum spool_queue queue, uint64_t sequence, uint16_t packet_id, uint8_t state);

/*
 * What is at most this sequence number is on its way and not to be dropped; neither is what has a mark. In memory alone: after
 * spool_open nothing is on its way but by its mark.
 */
void spool_hold(struct spool *spool, enum spool_queue queue, uint64_t sequence);

/* Fails with NOT_FOUND. */
hf_err spool_remove(struct spool *spool, enum spool_queue queue, uint64_t sequence);

/* Moves a message of SPOOL_OUT or SPOOL_IN to SPOOL_REJECTED; reason: MQTT 5's, section 2.4. Fails with NOT_FOUND. */
hf_err spool_reject(struct spool *spool, enum spool_queue queue, uint64_t sequence, uint8_t reason);

/* Counts a message that was not taken at all (LIMIT, or SPOOL_FULL where its sender will not send it again) as dropped. */
hf_err spool_count_dropped(struct spool *spool, enum spool_queue queue);

/* The packet ids of QoS 2 messages that a peer has sent into this queue and not released yet (MQTT 5, section 4.3.3). */
hf_err spool_received_add(struct spool *spool, enum spool_queue queue, uint16_t packet_id); /* again is fine */
hf_err spool_received_has(struct spool *spool, enum spool_queue queue, uint16_t packet_id, bool *ret_has);
hf_err spool_received_remove(struct spool *spool, enum spool_queue queue, uint16_t packet_id); /* none is fine */
hf_err spool_received_clear(struct spool *spool, enum spool_queue queue);

/*
 * Makes all since the last one durable, as one step. On failure all is as it was before the transaction, statistics too, and
 * the caller may do it again: DISK_FULL apart from IO. Without an open transaction: nothing, HF_OK.
 */
hf_err spool_commit(struct spool *spool);
void spool_abort(struct spool *spool);

/* Whether there is something to commit. */
bool spool_dirty(const struct spool *spool);

/* Of the open transaction, where there is one. Costs the same however much is there. */
struct spool_stats spool_statistics(const struct spool *spool, enum spool_queue queue);

#endif
