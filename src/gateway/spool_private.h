/* SPDX-License-Identifier: Apache-2.0 */
/* What the spool's parts share. For src/gateway/spool*.c alone. */
#ifndef HF_GATEWAY_SPOOL_PRIVATE_H
#define HF_GATEWAY_SPOOL_PRIVATE_H

#include "gateway/spool_queue.h"

#include <limits.h>

struct spool {
  char dir[PATH_MAX];
  int lock;
  struct spool_options options;
  struct solo *store;
  struct spool_state committed, now;
  uint64_t held[SPOOL_QUEUES];
  uint64_t growth; /* bytes put in this transaction */
  hf_err lost;     /* why the open transaction is lost */
  char lost_text[HF_CONTEXT_MAX];
  struct hf_buf gather; /* what spool_read gave last, where it was in pieces */
  struct hf_buf record; /* the one that is being written */
};

/* Every change begins so. */
hf_err spool_begin(struct spool *spool);

/* What a change ends with once it has touched the store: where it failed half-way, the transaction is lost. Returns e. */
hf_err spool_changed(struct spool *spool, hf_err e);

/* The message's mark, into its packet_id and state. */
hf_err spool_mark_get(struct spool *spool, enum spool_queue queue, uint64_t sequence, bool *ret_found,
                      struct spool_message *message);
hf_err spool_mark_drop(struct spool *spool, enum spool_queue queue, uint64_t sequence);

#endif
