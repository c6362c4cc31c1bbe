/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The index: for each object one key for its class, its label and its id, so a look-up costs the same among ten objects
 * and a million. A private object's label and id enter as a keyed digest: the store tells nothing of them.
 */
#ifndef HF_TOKEN_STORE_INDEX_H
#define HF_TOKEN_STORE_INDEX_H

#include "token/store/record.h"
#include "token/store/tables.h"

hf_err index_add(struct store_txn *txn, const struct seal *seal, uint64_t id, const struct attrs *open);
hf_err index_remove(struct store_txn *txn, const struct seal *seal, uint64_t id, const struct attrs *open);

/* For the store: each entry has its checksum for a value; those of earlier releases have nothing. */
bool index_sound(struct hf_slice key, struct hf_slice value);

/* Whether look-ups by this attribute can use the index. */
bool index_covers(CK_ATTRIBUTE_TYPE type);

/* Calls each with the id of every object whose attribute may equal value: of public ones, and of private ones where the
 * seal has its key. The caller compares: digests are cut. */
hf_err index_find(struct store_txn *txn, const struct seal *seal, CK_ATTRIBUTE_TYPE type, struct hf_slice value,
                  hf_err (*each)(uint64_t id, void *arg), void *arg);

#endif
