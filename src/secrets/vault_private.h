/* SPDX-License-Identifier: Apache-2.0 */
/* What the vault's files share. */
#ifndef HF_SECRETS_VAULT_PRIVATE_H
#define HF_SECRETS_VAULT_PRIVATE_H

#include "secrets/vault.h"

enum vault_table {
  TABLE_META,     /* "format", "next-key": u64 */
  TABLE_KEYS,     /* number (u32, big-endian) -> key_record */
  TABLE_SECRETS,  /* SHA-256 of the name: LMDB's keys are shorter than names -> head_record */
  TABLE_VERSIONS, /* SHA-256 of the name, version -> version_record */
};

enum { VAULT_HASH_BYTES = 32, VAULT_VERSION_KEY = VAULT_HASH_BYTES + SECRETS_ID_BYTES, VAULT_KEY_KEY = 4 };

struct vault {
  struct store *store;
};

void vault_key_key(uint32_t id, uint8_t key[VAULT_KEY_KEY]);
hf_err vault_name_key(const char *name, uint8_t key[VAULT_HASH_BYTES]);
hf_err vault_version_key(const char *name, const uint8_t *id, uint8_t key[VAULT_VERSION_KEY]);

hf_err vault_number_get(struct store_txn *txn, const char *name, uint64_t *ret_number);
hf_err vault_number_put(struct store_txn *txn, const char *name, uint64_t number);

hf_err vault_head_read(struct store_txn *txn, const char *name, bool *ret_found, struct head_record *ret_head);

#endif
