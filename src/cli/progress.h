/* SPDX-License-Identifier: Apache-2.0 */
/* What a command that takes its time says meanwhile, on standard error. */
#ifndef HF_CLI_PROGRESS_H
#define HF_CLI_PROGRESS_H

#include "cli/cli.h"
#include "identity/observer.h"

/* Steps and notes, a line each; on a terminal, what is waited for counts down on one line. Static; for the main thread. */
const struct observer *cli_progress(void);

/* So much of a file is here (size 0: it is not known of how much): a bar, on a terminal alone, on one line. */
void cli_progress_bytes(uint64_t have, uint64_t size, void *arg);

/* So many things of a whole are done: the same bar. */
void cli_progress_items(const char *what, size_t done, size_t count);

/* A DURATION as the configuration has it ("30s", "10m"), or its default where it was not given. Fails with USAGE. */
hf_err cli_duration(const struct cli_args *args, const char *name, unsigned default_s, unsigned max_s,
                    unsigned *ret_seconds);

#endif
