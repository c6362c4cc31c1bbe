/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All that must hold for the gateway to run and to reach its clouds, looked at one by one. Nothing is changed, and no token is
 * brought nearer to its lock than one wrong PIN, where nothing says that one was given before.
 */
#ifndef HF_DOCTOR_DOCTOR_H
#define HF_DOCTOR_DOCTOR_H

#include "base/error.h"

#include <stdbool.h>

enum doctor_verdict { DOCTOR_OK, DOCTOR_WARN, DOCTOR_FAIL, DOCTOR_SKIP, DOCTOR_VERDICTS };

/* "ok", "warn", "fail", "skip". */
const char *doctor_verdict_name(enum doctor_verdict verdict);

enum { DOCTOR_CODE_MAX = 32, DOCTOR_TEXT_MAX = 600, DOCTOR_VALUES_MAX = 6, DOCTOR_TIMEOUT_S = 5 };

/* A number that was measured, for programs. */
struct doctor_value {
  const char *name;
  double value;
};

/* What one check found. code, which stays the same from version to version, and title are the check's: "token.pin", "PIN". */
struct doctor_finding {
  char code[DOCTOR_CODE_MAX];
  const char *title;
  enum doctor_verdict verdict;
  char detail[DOCTOR_TEXT_MAX];  /* what was seen; may be "" */
  struct hf_err_saved error;     /* of WARN and FAIL */
  char because[DOCTOR_CODE_MAX]; /* of SKIP: the check that failed */
  struct doctor_value values[DOCTOR_VALUES_MAX];
  size_t value_count;
};

struct doctor_reporter {
  void (*begin)(const char *code, const char *title, void *arg);
  void (*end)(const struct doctor_finding *finding, void *arg);
  void *arg;
};

/* Borrowed. */
struct doctor_options {
  const char *config_path; /* NULL: the usual places */
  const char *module_path; /* NULL: the configuration's */
  const char *cloud;       /* "c8y": this one alone; NULL: all that have a url */
  unsigned timeout_s;      /* of each check that waits for a server */
  bool quick;              /* a few signatures show how fast the token is, in place of a second of them */
  const struct doctor_reporter *reporter;
};

struct doctor_summary {
  unsigned counts[DOCTOR_VERDICTS];
};

/*
 * Before any thread. The program ignores SIGPIPE. What is wrong is told to the reporter and is no failure of this; fails with USAGE
 * for a cloud that there is not.
 */
hf_err doctor_run(const struct doctor_options *options, struct doctor_summary *ret_summary);

#endif
