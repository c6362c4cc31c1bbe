/* SPDX-License-Identifier: Apache-2.0 */
/* Asking the running agent, by its metrics socket. */
#ifndef HF_CLI_AGENT_STATUS_H
#define HF_CLI_AGENT_STATUS_H

#include "cli/cli.h"
#include "cli/json.h"

#define CLI_AGENT_SOCKET "/run/holdfast/metrics.sock"
#define CLI_METRICS_SOCKET_OPTION                                                          \
  {                                                                                        \
    "metrics-socket", "PATH", "the agent's metrics socket (default: " CLI_AGENT_SOCKET ")" \
  }

/* Fails with UNREACHABLE where no agent answers, TIMEOUT, PARSE. */
hf_err cli_agent_ask(const struct cli_args *args, json_t **ret_status);

#endif
