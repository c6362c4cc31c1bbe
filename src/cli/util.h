/* SPDX-License-Identifier: Apache-2.0 */
/* softhsm2-util's own texts and exit statuses (0 or 1), over PKCS #11. Inside the util_*.c files only. */
#ifndef HF_CLI_UTIL_H
#define HF_CLI_UTIL_H

#include "base/secret.h"
#include "cli/cli.h"
#include "p11/session.h"

/* X(id, name, takes a value) */
#define UTIL_OPTION_TABLE(X)           \
  X(AES, "aes", 0)                     \
  X(DELETE_TOKEN, "delete-token", 0)   \
  X(FILE_PIN, "file-pin", 1)           \
  X(FORCE, "force", 0)                 \
  X(FREE, "free", 0)                   \
  X(HELP, "help", 0)                   \
  X(ID, "id", 1)                       \
  X(IMPORT, "import", 1)               \
  X(IMPORT_TYPE, "import-type", 1)     \
  X(INIT_TOKEN, "init-token", 0)       \
  X(LABEL, "label", 1)                 \
  X(MODULE, "module", 1)               \
  X(NO_PUBLIC_KEY, "no-public-key", 0) \
  X(PIN, "pin", 1)                     \
  X(SERIAL, "serial", 1)               \
  X(SHOW_CONFIG, "show-config", 1)     \
  X(SHOW_SLOTS, "show-slots", 0)       \
  X(SLOT, "slot", 1)                   \
  X(SO_PIN, "so-pin", 1)               \
  X(TOKEN, "token", 1)                 \
  X(VERSION, "version", 0)

enum util_option {
#define UTIL_OPTION_ENUM(id, name, value) UTIL_##id,
  UTIL_OPTION_TABLE(UTIL_OPTION_ENUM)
#undef UTIL_OPTION_ENUM
      UTIL_OPTION_COUNT
};

struct util {
  char *values[UTIL_OPTION_COUNT]; /* NULL where not given, "" for a flag */
  char module_path[4096];
  struct p11_module *module;
};

/* Prints "ERROR: ..." and returns 1. */
int util_fail(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* The same, with a second line: why, as the module or libcrypto tells. */
int util_fail_why(hf_err e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The PIN that was given if its length will do, else asked for on a terminal. False: none. */
bool util_pin(char *given, const char *title, const char *prompt, struct hf_secret **ret_pin);

/* --serial and --token fit their fields; else 1 after telling which does not. */
int util_check_lengths(const struct util *util);

/* By --slot, --free (where allowed), --serial and --token. 0, or 1 after telling why not. */
int util_find_slot(const struct util *util, bool free_allowed, CK_SLOT_ID *ret_slot);
/* The tokens that --serial and --token match; say(token, why) tells of each. */
hf_err util_match(const struct util *util, void (*say)(const struct p11_token *token, const char *why),
                  struct p11_token *ret_token, size_t *ret_count);

int util_show_slots(struct util *util);
int util_init_token(struct util *util);
int util_delete_token(struct util *util);
int util_import(struct util *util);

#endif
