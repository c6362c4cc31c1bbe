/* SPDX-License-Identifier: Apache-2.0 */
/* The tables of a token's store. */
#ifndef HF_TOKEN_STORE_TABLES_H
#define HF_TOKEN_STORE_TABLES_H

#include "store/store.h"

enum store_table {
  STORE_META,    /* the token's header */
  STORE_OBJECTS, /* object id (u64, big-endian) -> record */
  STORE_INDEX,   /* kind, digest of the value, object id -> a checksum of these */
};

extern const struct store_kind token_store_kind;

#endif
