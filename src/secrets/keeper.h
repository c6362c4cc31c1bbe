/* SPDX-License-Identifier: Apache-2.0 */
/* The keys that wrap: found, proved, opened, and the one last used kept. Inside src/secrets only. */
#ifndef HF_SECRETS_KEEPER_H
#define HF_SECRETS_KEEPER_H

#include "secrets/secrets.h"
#include "secrets/vault.h"

#include <limits.h>
#include <pthread.h>

struct secrets {
  const struct config *config;
  char module_path[PATH_MAX];
  struct vault *vault;
  pthread_mutex_t lock; /* guards what follows */
  struct p11_key *key;  /* opened last */
  uint32_t key_id;
};

/*
 * The key of a configured URI, as the vault has it; made and proved where it has none. ret_unchecked: see secrets_made. Fails
 * with URI_NO_MATCH where the HSM has it no more.
 */
hf_err keeper_current(struct secrets *secrets, const char *uri, struct vault_key *ret_key,
                      struct hf_err_saved *ret_unchecked);

/* A version's data key, by whichever of its keys is there. */
hf_err keeper_unwrap(struct secrets *secrets, struct hf_slice context, const struct version_record *version,
                     struct hf_secret **ret_data_key);

enum { KEEPER_CONTEXT_MAX = SECRETS_NAME_MAX + 128 };

/* What a version's value and data key are bound to. */
hf_err keeper_context(const char *name, const uint8_t *version, struct hf_buf *out);

#endif
