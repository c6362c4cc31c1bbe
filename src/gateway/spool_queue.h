/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The messages of a queue in its table: one entry each, or, where a record is larger than a page takes, one for each piece of
 * it. Pieces of a page leave no gaps that only small messages fill. For src/gateway/spool*.c alone.
 */
#ifndef HF_GATEWAY_SPOOL_QUEUE_H
#define HF_GATEWAY_SPOOL_QUEUE_H

#include "gateway/spool_record.h"
#include "store/solo.h"

/* A queue's table has its number; these come after them. */
enum spool_table { SPOOL_TABLE_META = SPOOL_QUEUES, SPOOL_TABLE_MARKS, SPOOL_TABLE_RECEIVED };

extern const struct store_kind spool_kind;

/* What a record of this length takes on disk. */
uint64_t spool_queue_cost(const struct solo *store, size_t record_len);

/* The sequence number is larger than any there. */
hf_err spool_queue_append(struct solo *store, enum spool_queue queue, uint64_t sequence, struct hf_slice record);

/* The first message after that sequence number, and the beginning of its record. Fails with SPOOL_DAMAGED. */
hf_err spool_queue_find(struct solo *store, enum spool_queue queue, uint64_t after, bool *ret_found,
                        uint64_t *ret_sequence, struct hf_slice *ret_first);

/* The whole record; in gather, which is emptied before, where it is in pieces. */
hf_err spool_queue_load(struct solo *store, enum spool_queue queue, uint64_t sequence, struct hf_slice first,
                        struct hf_buf *gather, struct hf_slice *ret_record);

/* Fails with NOT_FOUND. */
hf_err spool_queue_erase(struct solo *store, enum spool_queue queue, uint64_t sequence, uint64_t *ret_cost);

#endif
