/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The device's secrets, readable offline: each version is sealed by a data key of its own (AES-256-GCM, bound to the secret's
 * name and the version), which a key in the HSM wraps (wrap.h). Putting needs that key's public half, reading the HSM. Any
 * thread may call; several processes may use the same secrets. docs/adr/0016-secrets.md
 */
#ifndef HF_SECRETS_SECRETS_H
#define HF_SECRETS_SECRETS_H

#include "config/config.h"
#include "secrets/name.h"
#include "secrets/wrap.h"

struct secrets;

/* <data.path>/secrets. */
hf_err secrets_dir(const struct config *config, char *out, size_t size);

/*
 * module_path: what program_module gave. create: made where there are none yet; else NOT_FOUND. The configuration must outlive
 * it.
 */
hf_err secrets_open(const struct config *config, const char *module_path, bool create, struct secrets **ret_secrets);
struct secrets *secrets_close(struct secrets *secrets);
HF_DEFINE_CLEANUP(struct secrets, secrets_close)

/* A staging label and the version that has it. */
struct secrets_stage {
  char label[SECRETS_STAGE_MAX + 1];
  uint8_t version[SECRETS_ID_BYTES];
};

struct secrets_info {
  char name[SECRETS_NAME_MAX + 1];
  int64_t created, changed; /* Unix seconds */
  struct secrets_stage stages[SECRETS_STAGES_MAX];
  size_t stage_count;
};

/* In no order. */
hf_err secrets_each(struct secrets *secrets, hf_err (*each)(const struct secrets_info *info, void *arg), void *arg);
hf_err secrets_info(struct secrets *secrets, const char *name, struct secrets_info *ret_info);

struct secrets_new {
  const char *name;
  struct hf_slice value;
  const char *const *stages; /* NULL: AWSCURRENT alone */
  size_t stage_count;
};

struct secrets_made {
  uint8_t version[SECRETS_ID_BYTES];
  enum wrap_method method;
  struct hf_err_saved unchecked; /* an error: why the HSM was not asked whether it still has the key */
};

/*
 * A new version. The labels move to it; from AWSCURRENT's version AWSPREVIOUS goes on; a version without a label goes. The first one
 * under a key proves, in the HSM, that it opens what it closes, and so needs the PIN. Later ones need none: then the key
 * is looked at where that can be done. Fails with USAGE, LIMIT, CONFIG (no key, a key file, a key that renewal would take
 * away), as p11_key_open and wrap_prove do; then nothing has changed.
 */
hf_err secrets_put(struct secrets *secrets, const struct secrets_new *new, struct secrets_made *ret_made);

struct secrets_value {
  struct hf_secret *value;
  uint8_t version[SECRETS_ID_BYTES];
  int64_t created;
  struct secrets_info info;
};
/* Start with {0}. */
void secrets_value_free(struct secrets_value *value);

/* version (may be NULL) goes before stage (NULL: AWSCURRENT). Fails with NOT_FOUND, SECRETS, as p11_key_open and wrap_open. */
hf_err secrets_get(struct secrets *secrets, const char *name, const char *stage, const uint8_t *version,
                   struct secrets_value *ret_value);

/* With all its versions. Fails with NOT_FOUND. */
hf_err secrets_delete(struct secrets *secrets, const char *name);

/* Moving to another key */

struct secrets_move {
  const char *key_uri; /* where to */
  /* The next: called once all that is there can be read by either key; makes the new one what is used from then on. */
  hf_err (*adopt)(void *arg);
  void (*progress)(uint64_t done, uint64_t total, void *arg); /* after each version; may be NULL */
  void *arg;
};

/*
 * Wraps every data key by the new key, too; adopts it; then drops what the old one wrapped. Cut at any point, all can be
 * read, and a second call goes on. *ret_moved: the versions that it wrapped.
 */
hf_err secrets_rewrap(struct secrets *secrets, const struct secrets_move *move, uint64_t *ret_moved);

/* The key that is configured: secrets.key_uri, else device.key_uri. Fails with CONFIG, and says how to import a key file. */
hf_err secrets_key_uri(const struct config *config, const char **ret_uri);

#endif
