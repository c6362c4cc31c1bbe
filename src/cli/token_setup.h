/* SPDX-License-Identifier: Apache-2.0 */
/* Setting up a token: what 'token init', 'hsm init' and 'hsm create-key' share. */
#ifndef HF_CLI_TOKEN_SETUP_H
#define HF_CLI_TOKEN_SETUP_H

#include "cli/token.h"

/* clang-format off */
#define CLI_SETUP_OPTIONS                                                               \
  CLI_SO_PIN_OPTIONS,                                                                   \
  { "make-pins", NULL, "make the PIN files that do not exist yet, with random PINs" }
/* clang-format on */

/* The one slot without a token that the URI allows. Fails with TOKEN_NOT_FOUND, and TOKEN_AMBIGUOUS naming them. */
hf_err cli_setup_slot(struct p11_module *module, const struct uri *uri, struct p11_token *ret_slot);

/*
 * Sets up the token: the SO PIN by option or asked for, the user PIN by option, from the configuration, or asked for; none
 * has a default. *ret_pin is the user PIN, NULL where the key agent has it (ret_pin may be NULL). With --make-pins, random ones where the files named for them are missing. All is checked before anything
 * is changed. The command has CLI_SETUP_OPTIONS, CLI_PIN_OPTIONS and CLI_MODULE_OPTIONS.
 */
hf_err cli_setup_token(const struct cli_args *args, struct p11_module *module, const struct p11_token *slot,
                       const char *label, struct p11_token *ret_token, struct hf_secret **ret_pin);

#endif
