/* SPDX-License-Identifier: Apache-2.0 */
/* What a token is: names, flags, and the PINs' wraps of the master key with their counts of failures. */
#ifndef HF_TOKEN_STORE_HEADER_H
#define HF_TOKEN_STORE_HEADER_H

#include "token/store/record.h"
#include "token/store/tables.h"

enum { LABEL_BYTES = 32, SERIAL_CHARS = 16, MASTER_BYTES = CRYPTO_KEY_BYTES };

/* The master key under Argon2id(PIN). */
struct wrap {
  bool set;
  uint8_t salt[CRYPTO_SALT_BYTES];
  struct crypto_cost cost;
  uint8_t sealed[MASTER_BYTES + CRYPTO_SEAL_OVERHEAD];
  uint32_t failures; /* wrong PINs since the last right one */
};

enum { WRAP_SO, WRAP_USER, WRAP_COUNT };

struct header {
  uint8_t uuid[TOKEN_UUID_BYTES];
  uint8_t epoch[16]; /* another one after each C_InitToken: what was cached before is void */
  char serial[SERIAL_CHARS + 1];
  uint8_t label[LABEL_BYTES]; /* blank-padded */
  bool deleted;               /* its directory is going: other processes must let go */
  struct wrap wraps[WRAP_COUNT];
};

/* The label without its padding, for messages: use as "%.*s". */
#define HEADER_LABEL(header) header_label_len(header), (const char *)(header)->label
int header_label_len(const struct header *header);

/* Fails with TOKEN_STORE, TOKEN_STORE_VERSION. */
hf_err header_parse(struct hf_slice bytes, struct header *ret_header);
hf_err header_read(struct store_txn *txn, struct header *ret_header);
hf_err header_write(struct store_txn *txn, const struct header *header);

/* The next free object id; never given twice. */
hf_err header_next_id(struct store_txn *txn, uint64_t *ret_id);

#endif
