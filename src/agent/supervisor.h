/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the sockets and keeps one worker alive behind them. */
#ifndef HF_AGENT_SUPERVISOR_H
#define HF_AGENT_SUPERVISOR_H

#include "agent/options.h"

/* Until SIGTERM or SIGINT. SIGHUP reads the policy, --env-file and the configuration again. */
hf_err supervisor_run(struct options_given *given);

#endif
