/* SPDX-License-Identifier: Apache-2.0 */
/* Starting other programs. */
#ifndef HF_BASE_PROCESS_H
#define HF_BASE_PROCESS_H

#include "base/buf.h"

#include <stdbool.h>
#include <sys/types.h>

struct hf_spawn {
  const char *const *argv;    /* ends with NULL; argv[0] is a path, or is looked for in $PATH */
  const char *const *add_env; /* "NAME=value", ends with NULL; NULL: none */
  int out;                    /* its standard output and standard error; its standard input is /dev/null */
  bool ends_with_us;          /* SIGTERM when the thread that started it ends, however that comes */
  bool new_session;           /* of its own: no terminal's signals reach it */
};

/*
 * Starts it; no signal is blocked or ignored there, and of our descriptors only out is open. Fails with NOT_FOUND, PERMISSION where it cannot
 * be executed.
 */
hf_err hf_process_start(const struct hf_spawn *spawn, pid_t *ret_pid);

/*
 * Waits for its end: its exit status, 128 and the signal's number where a signal ended it. name is for texts. Fails with TIMEOUT;
 * it is killed then.
 */
hf_err hf_process_wait(pid_t pid, const char *name, unsigned timeout_s, int *ret_status);

/*
 * Runs it to its end and gives what it printed, and its exit status as hf_process_wait does. Fails with LIMIT where it prints
 * more than out may hold (it is killed then), TIMEOUT.
 */
hf_err hf_process_run(const char *const *argv, unsigned timeout_s, struct hf_buf *out, int *ret_status);

#endif
