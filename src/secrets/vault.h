/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where secrets lie: an LMDB environment that several processes may use at once. A change is one durable transaction. Nothing
 * here is decrypted. Inside src/secrets only.
 */
#ifndef HF_SECRETS_VAULT_H
#define HF_SECRETS_VAULT_H

#include "secrets/record.h"
#include "store/store.h"

struct vault;

/*
 * create: made where it is missing, readable by its owner alone; root's belongs to the owner of the directory above. Else fails
 * with NOT_FOUND where there is none. SECRETS and SECRETS_VERSION where it is damaged, or a newer release's.
 */
hf_err vault_open(const char *dir, bool create, struct vault **ret_vault);
struct vault *vault_close(struct vault *vault);
HF_DEFINE_CLEANUP(struct vault, vault_close)

/* What was read, as copies. Start with {0}; each has its own bytes. */
struct vault_key {
  uint32_t id;
  struct key_record record; /* within bytes */
  struct hf_buf bytes;
};
void vault_key_free(struct vault_key *key);

struct vault_version {
  uint8_t id[SECRETS_ID_BYTES];
  struct version_record record; /* within bytes */
  struct hf_buf bytes;
};
void vault_version_free(struct vault_version *version);

/* Keys */

/* Those that which says; *ret_found false where none is. */
typedef bool (*vault_key_which)(const struct key_record *key, const void *arg);
hf_err vault_key_find(struct vault *vault, vault_key_which which, const void *arg, bool *ret_found,
                      struct vault_key *ret_key);
/* Fails with SECRETS where it is not there. */
hf_err vault_key_get(struct vault *vault, uint32_t id, struct vault_key *ret_key);
/* Adds one, or replaces what has the same public key; its number. */
hf_err vault_key_put(struct vault *vault, const struct key_record *key, uint32_t *ret_id);

/* Secrets */

/* Fails with NOT_FOUND, naming it. */
hf_err vault_head(struct vault *vault, const char *name, struct head_record *ret_head);
hf_err vault_version(struct vault *vault, const char *name, const uint8_t id[SECRETS_ID_BYTES],
                     struct vault_version *ret_version);

/* What a new version gets. */
struct vault_put {
  const char *name;
  const uint8_t *id;
  const struct version_record *version;
  const char *const *stages; /* labels that move to it; with AWSCURRENT, AWSPREVIOUS goes to the one that had that */
  size_t stage_count;
};
/* A version that no label is left for goes. Fails with BUSY where a key that wraps it is not there any more, LIMIT. */
hf_err vault_put(struct vault *vault, const struct vault_put *put);

/* Fails with NOT_FOUND. */
hf_err vault_delete(struct vault *vault, const char *name);

/* In no order; each may stop it by failing. */
hf_err vault_each(struct vault *vault, hf_err (*each)(const struct head_record *head, void *arg), void *arg);

/* Moving to another key */

struct vault_place {
  char name[SECRETS_NAME_MAX + 1];
  uint8_t id[SECRETS_ID_BYTES];
};
/* A version without a wrap by this key; *ret_left: how many there are. *ret_found false: none. */
hf_err vault_unmoved(struct vault *vault, uint32_t key, bool *ret_found, struct vault_place *ret_place,
                     uint64_t *ret_left);
/* Adds a wrap to a version; one that is gone meanwhile is fine. */
hf_err vault_wrap_add(struct vault *vault, const struct vault_place *place, const struct wrap_record *wrap);
/*
 * Drops all wraps and keys but this one's, in one step, where every version has one by it; *ret_done false where one has not
 * (then nothing was changed).
 */
hf_err vault_keep_only(struct vault *vault, uint32_t key, bool *ret_done);

#endif
