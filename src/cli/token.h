/* SPDX-License-Identifier: Apache-2.0 */
/* Which module, which token: the same for all commands. */
#ifndef HF_CLI_TOKEN_H
#define HF_CLI_TOKEN_H

#include "cli/cli.h"
#include "p11/session.h"

/* --module, else $HOLDFAST_MODULE, else the configuration's, else our own. The command has CLI_MODULE_OPTIONS. */
hf_err cli_module_open(const struct cli_args *args, struct p11_module **ret_module);

hf_err cli_module_path(const struct cli_args *args, char *out, size_t size);

/*
 * The token and what is wanted in it. --token is a label or a URI; operand is a URI or NULL. Without either, it is the
 * configuration's device.cryptoki.uri, else the only token. ret_uri gets all attributes that were given.
 */
hf_err cli_token_find(const struct cli_args *args, struct p11_module *module, const char *operand, struct uri *ret_uri,
                      struct p11_token *ret_token);

/* The module, the token and a session in it, logged in where the token asks for it. End it with cli_login_end. */
struct cli_login {
  struct p11_module *module;
  struct p11_token token;
  struct uri uri; /* what the operand and --token said */
  struct p11_session *session;
};
hf_err cli_login(const struct cli_args *args, const char *operand, enum p11_mode mode, struct cli_login *ret_login);
void cli_login_end(struct cli_login *login);

#endif
