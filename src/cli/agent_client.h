/* SPDX-License-Identifier: Apache-2.0 */
/* Asking the key agent by its signing socket for what its PKCS #11 socket does not give: see docs/agent-signing.md. */
#ifndef HF_CLI_AGENT_CLIENT_H
#define HF_CLI_AGENT_CLIENT_H

#include "base/secret.h"
#include "cli/cli.h"
#include "p11/module.h"
#include "uri/uri.h"

/* Whether this module leads to an agent, which has the PIN and lets nobody log in as SO. */
bool cli_agent_serves(const struct p11_module *module);

/*
 * Initialises a token in the free slot that uri leaves; pin NULL: the agent's own. Fails as the agent says, with the agent's
 * own code, and with UNREACHABLE.
 */
hf_err cli_agent_init_token(const struct cli_args *args, const struct uri *uri, const char *label,
                            struct hf_secret *so_pin, struct hf_secret *pin);

/* Sets the user PIN by the old one (NULL: the agent's own), or, with an SO PIN, by that. */
hf_err cli_agent_change_pin(const struct cli_args *args, const struct uri *uri, struct hf_secret *old_pin,
                            struct hf_secret *so_pin, struct hf_secret *new_pin);

#endif
