/* SPDX-License-Identifier: Apache-2.0 */
/* PINs: from where the user says, else from the configuration, else asked for on a terminal, never elsewhere. */
#ifndef HF_CLI_PIN_H
#define HF_CLI_PIN_H

#include "base/secret.h"
#include "cli/cli.h"
#include "uri/uri.h"

/* The user PIN to log in with. uri may be NULL. Fails with PIN_MISSING where there is none and no terminal. */
hf_err cli_pin(const struct cli_args *args, const struct uri *uri, struct hf_secret **ret_pin);

/* The same for a token that is to be set up: where it is asked for, twice. */
hf_err cli_new_pin(const struct cli_args *args, struct hf_secret **ret_pin);

/*
 * The PIN that option NAME-source or NAME gives, else asked for under that title ("SO PIN"); a new one twice.
 * Fails with PIN_MISSING where there is none and no terminal.
 */
hf_err cli_pin_option(const struct cli_args *args, const char *name, const char *title, bool twice,
                      struct hf_secret **ret_pin);

/* Prompts on out, reads a line of standard input, which must be a terminal, with the echo off. */
hf_err cli_ask_secret(FILE *out, const char *prompt, struct hf_secret **ret_secret);

/*
 * A secret as standard input gives it: its first line, where that is no terminal; else asked for under that title. At most
 * 255 bytes.
 */
hf_err cli_secret_from_input(const char *title, struct hf_secret **ret_secret);

/* An argument as a secret; the argument itself is then overwritten, so that no process list shows it for long. */
hf_err cli_secret_from_arg(char *arg, struct hf_secret **ret_secret);

#endif
