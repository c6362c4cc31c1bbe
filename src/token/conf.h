/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The token's configuration: softhsm2.conf's syntax and keys, plus ours. Read from $HOLDFAST_TOKEN_CONF, else
 * $SOFTHSM2_CONF, else the first that exists of ~/.config/holdfast/token.conf, ~/.config/softhsm2/softhsm2.conf,
 * /etc/holdfast/token.conf and /etc/softhsm/softhsm2.conf. A file that a variable names, or that is ours, must be readable.
 * Where there is none, the tokens lie in /var/lib/holdfast/tokens (root) or ~/.local/share/holdfast/tokens, made when first needed.
 */
#ifndef HF_TOKEN_CONF_H
#define HF_TOKEN_CONF_H

#include "base/buf.h"
#include "base/log.h"
#include "holdfast/pkcs11.h"
#include "token/simulation/settings.h"

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

enum { CONF_MECHANISMS_MAX = 512 };

struct token_conf {
  char path[PATH_MAX];     /* the file that was read; "" where there is none */
  char tokendir[PATH_MAX]; /* directories.tokendir */
  bool tokendir_default;   /* nobody configured it: it may be made */
  enum hf_log_level log_level;
  bool removable;     /* slots.removable: CKF_REMOVABLE_DEVICE */
  unsigned umask;     /* objectstore.umask, octal */
  uint32_t pin_tries; /* pin.tries: wrong PINs until it locks, 2 to 255 */
  /* What a new PIN's derivation costs; an old one's that is cheaper is made anew when the PIN is given. */
  uint32_t kdf_memory;  /* pin.kdf_memory: Argon2id's, KiB, 8 to 1048576 */
  uint32_t kdf_passes;  /* pin.kdf_passes: Argon2id's, 1 to 1000 */
  bool mechanisms_deny; /* slots.mechanisms began with "-" */
  bool mechanisms_all;
  size_t mechanism_count;
  CK_MECHANISM_TYPE mechanisms[CONF_MECHANISMS_MAX];
  struct simulation_settings simulation; /* simulation.* */
};

/* mechanism_of resolves a name such as CKM_ECDSA; false where the token has no such mechanism. */
hf_err conf_load(bool (*mechanism_of)(const char *name, CK_MECHANISM_TYPE *ret_type), struct token_conf *ret_conf);

/* What the lines of a file say, over what conf holds; its path names it in errors. Cuts text up. Fails with CONFIG. */
hf_err conf_parse(struct hf_buf *text, bool (*mechanism_of)(const char *name, CK_MECHANISM_TYPE *ret_type),
                  struct token_conf *conf);

/* Whether slots.mechanisms lets this one through. */
bool conf_allows(const struct token_conf *conf, CK_MECHANISM_TYPE type);

#endif
