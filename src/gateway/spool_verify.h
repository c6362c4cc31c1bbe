/* SPDX-License-Identifier: Apache-2.0 */
/* Reading a spool through before it is used. For src/gateway/spool*.c alone. */
#ifndef HF_GATEWAY_SPOOL_VERIFY_H
#define HF_GATEWAY_SPOOL_VERIFY_H

#include "gateway/spool_queue.h"

/* The key of the counts in SPOOL_TABLE_META. */
struct hf_slice spool_state_key(void);
hf_err spool_state_read(struct solo *store, struct spool_state *ret_state);

/*
 * Reads all of it in a child process: LMDB trusts its pages and crashes on damaged ones. Nobody else may have it open. Fails
 * with SPOOL_DAMAGED, SPOOL_VERSION, as it is; PERMISSION, NO_MEMORY, IO.
 */
hf_err spool_verify(const char *dir, uint64_t map_bytes);

#endif
