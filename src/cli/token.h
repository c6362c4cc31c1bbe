/* SPDX-License-Identifier: Apache-2.0 */
/* Which module, which token: the same for all commands. */
#ifndef HF_CLI_TOKEN_H
#define HF_CLI_TOKEN_H

#include "cli/cli.h"
#include "p11/object.h"
#include "p11/session.h"

/*
 * --module, else what the URI's module-path and module-name lead to (uri may be NULL), else $HOLDFAST_MODULE, else the
 * configuration's, else our own. The command has CLI_MODULE_OPTIONS.
 */
hf_err cli_module_open(const struct cli_args *args, const struct uri *uri, struct p11_module **ret_module);

/* The same where no URI is. */
hf_err cli_module_path(const struct cli_args *args, char *out, size_t size);

/* A token's label, or a URI. */
hf_err cli_token_parse(const char *text, struct uri *ret_uri);

/*
 * All that the command line says of token and object: operand (a URI, or NULL) and --token (a label or a URI), which must
 * not contradict each other. Where neither names a token, that of device.cryptoki.uri is added; never an object of it.
 */
hf_err cli_uri(const struct cli_args *args, const char *operand, struct uri *ret_uri);
/* The same where the operand is a token: a label will do. */
hf_err cli_token_uri(const struct cli_args *args, const char *operand, struct uri *ret_uri);

/* p11_token_find and p11_object_find for commands: where an error has no room for all candidates, they are listed before. */
struct cli_login;
hf_err cli_token_find(struct p11_module *module, const struct uri *uri, struct p11_token *ret_token);
hf_err cli_object_find(const struct cli_login *login, const struct uri *uri, struct p11_object *ret_object);

/* The module, the token and a session in it, logged in where the token asks for it. End it with cli_login_end. */
struct cli_login {
  struct p11_module *module;
  struct p11_token token;
  struct uri uri; /* see cli_uri */
  struct p11_session *session;
};
hf_err cli_login(const struct cli_args *args, const char *operand, enum p11_mode mode, struct cli_login *ret_login);
/* The same with what cli_uri has given, or more; and with this PIN, where it is not NULL. */
hf_err cli_login_to(const struct cli_args *args, const struct uri *uri, enum p11_mode mode, struct hf_secret *pin,
                    struct cli_login *ret_login);
void cli_login_end(struct cli_login *login);

#endif
