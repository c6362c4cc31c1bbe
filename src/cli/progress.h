/* SPDX-License-Identifier: Apache-2.0 */
/* What a command that takes its time says meanwhile, on standard error. */
#ifndef HF_CLI_PROGRESS_H
#define HF_CLI_PROGRESS_H

#include "cli/cli.h"
#include "identity/observer.h"

/* Steps and notes, a line each; on a terminal, what is waited for counts down on one line. Static; for the main thread. */
const struct observer *cli_progress(void);

/* A DURATION as the configuration has it ("30s", "10m"), or its default where it was not given. Fails with USAGE. */
hf_err cli_duration(const struct cli_args *args, const char *name, unsigned default_s, unsigned max_s,
                    unsigned *ret_seconds);

#endif
