/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the gateway daemon needs, looked at before it starts: a row each, for 'holdfast core start', which stops at the first that fails,
 * and for whoever wants them one by one. Nothing is changed, and no PIN is tried that may lock the token.
 */
#ifndef HF_GATEWAY_CORE_CHECK_H
#define HF_GATEWAY_CORE_CHECK_H

#include "config/config.h"

enum core_check_scope {
  CORE_CHECK_START, /* what is used as soon as it starts */
  CORE_CHECK_ALL,   /* what is configured and not used yet, too; and ports, which the daemon minds itself */
};

enum core_check_verdict {
  CORE_CHECK_PASSED,
  CORE_CHECK_WARNED, /* it starts all the same */
  CORE_CHECK_FAILED,
  CORE_CHECK_SKIPPED, /* one that it needs did not pass; detail names it */
  CORE_CHECK_UNUSED,  /* concerns nothing that is configured */
};

enum { CORE_CHECK_DETAIL_MAX = 256 };

/* Static. */
struct core_check_row {
  const char *code;  /* stable: "token-found", "iot-key-signs" */
  const char *title; /* "The token is there" */
};

struct core_check_result {
  const struct core_check_row *row;
  enum core_check_verdict verdict;
  struct hf_err_saved cause;          /* of WARNED and FAILED: error, context and hint */
  char detail[CORE_CHECK_DETAIL_MAX]; /* what was found; may be "" */
};

/* What the checks find, each for those after it. Borrows config. */
struct core_checks;

/* After program_start, with module_path as program_module gave it. */
hf_err core_checks_new(const struct config *config, const char *module_path, enum core_check_scope scope,
                       struct core_checks **ret_checks);
struct core_checks *core_checks_free(struct core_checks *checks);
HF_DEFINE_CLEANUP(struct core_checks, core_checks_free)

size_t core_checks_count(void);
const struct core_check_row *core_checks_row(size_t i);

/* Runs number i, once; those before it have run. */
void core_checks_run(struct core_checks *checks, size_t i, struct core_check_result *ret_result);

/* All of them, told one by one where tell is not NULL, up to the first that fails, whose error it returns. */
typedef void (*core_check_tell)(const struct core_check_result *result, void *arg);
hf_err core_checks_pass(const struct config *config, const char *module_path, core_check_tell tell, void *arg);

#endif
