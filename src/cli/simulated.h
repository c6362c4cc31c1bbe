/* SPDX-License-Identifier: Apache-2.0 */
/* Simulated tokens of our own module: also those that are unplugged, which PKCS #11 does not show. */
#ifndef HF_CLI_SIMULATED_H
#define HF_CLI_SIMULATED_H

#include "cli/token.h"

struct cli_simulated {
  CK_SLOT_ID slot;
  struct holdfast_simulation state;
};

/* free() the array; count is 0 with another module, and where the token's configuration simulates none. */
hf_err cli_simulated_list(struct p11_module *module, struct cli_simulated **ret_list, size_t *ret_count);

/*
 * The one that --token names (by label or serial; the command has CLI_TOKEN_OPTION and CLI_MODULE_OPTIONS), or the only one
 * there is; and the module. Fails with TOKEN_NOT_FOUND, TOKEN_AMBIGUOUS, FUNCTION_NOT_SUPPORTED where none is simulated.
 */
hf_err cli_simulated_find(const struct cli_args *args, struct p11_module **ret_module, struct cli_simulated *ret_token);

/* Switches it: what and text as in holdfast/token-ext.h. */
hf_err cli_simulated_switch(struct p11_module *module, const struct cli_simulated *token, CK_ULONG what,
                            const char *text);

#endif
