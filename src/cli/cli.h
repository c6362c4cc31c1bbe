/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The frame of the holdfast command. A command is one row (struct cli_command) in a file of its own, named in the table
 * of commands.h; parsing, --help, completion and the man page come from the rows.
 */
#ifndef HF_CLI_CLI_H
#define HF_CLI_CLI_H

#include "base/buf.h"
#include "base/error.h"

#include <stdbool.h>

struct cli_option {
  const char *name;  /* without its dashes */
  const char *value; /* what stands for its value in the help; NULL: a flag, takes none */
  const char *help;
};

enum { CLI_OPTIONS_MAX = 20 };

/* Valid as long as main's argv. */
struct cli_args {
  const struct cli_command *command;
  char *values[CLI_OPTIONS_MAX]; /* by the option's row; NULL where it was not given */
  char **operands;
  int operand_count;
};

struct cli_command {
  const char *name;     /* "token init" */
  const char *help;     /* one line, no full stop */
  const char *operands; /* "FILE", "[URI]"; NULL: takes none */
  int operands_min, operands_max;
  const struct cli_option *options;           /* ends with CLI_END; --help goes without saying */
  const char *details;                        /* whole lines; may be NULL */
  const char *example;                        /* whole lines, without indent */
  bool hidden;                                /* left out of listings */
  hf_err (*run)(const struct cli_args *args); /* its error is printed, and becomes the exit status */
  hf_err (*ask)(const struct cli_args *args,
                bool *ret_yes);          /* in place of run: exit status 0 is yes, 1 no, 2 an error */
  int (*run_raw)(int argc, char **argv); /* in place of run: does all of this itself; argv[0] is the name */
};

/* clang-format off */
#define CLI_END { NULL, NULL, NULL }

/* Rows that several commands share. */
#define CLI_MODULE_OPTIONS                                                                  \
  { "module", "PATH", "PKCS #11 module to use (see 'holdfast --help' for the default)" },   \
  { "config", "FILE", "configuration file (default: $HOLDFAST_CONFIG, then the usual places)" }
#define CLI_TOKEN_OPTION { "token", "TOKEN", "the token: its label, or a pkcs11: URI" }
#define CLI_PIN_OPTIONS                                                                     \
  { "pin-source", "SRC", "where the user PIN is: a file, env:NAME or credential:NAME" },    \
  { "pin", "PIN", "the user PIN itself; other users may see it, so prefer --pin-source" }
#define CLI_SO_PIN_OPTIONS                                                                  \
  { "so-pin-source", "SRC", "where the SO PIN is: a file, env:NAME or credential:NAME" },   \
  { "so-pin", "PIN", "the SO PIN itself; other users may see it" }
#define CLI_JSON_OPTION { "json", NULL, "print JSON" }
#define CLI_YES_OPTION { "yes", NULL, "do not ask" }
/* clang-format on */

/* The option's value ("" for a flag), or NULL where it was not given. Aborts where the command has no such row. */
char *cli_get(const struct cli_args *args, const char *name);
bool cli_has(const struct cli_args *args, const char *name);
/* NULL where there are not so many. */
const char *cli_operand(const struct cli_args *args, int number);
/* Fails with USAGE. */
hf_err cli_require(const struct cli_args *args, const char *name, char **ret_value);

/* Fails with USAGE, naming the nearest. argv holds what comes after the command's name. */
hf_err cli_parse(const struct cli_command *command, int argc, char **argv, struct cli_args *ret_args);

/* All commands; ends with NULL. */
extern const struct cli_command *const cli_commands[];

/* Help, from the rows. */
void cli_help_all(FILE *out);
void cli_help_group(FILE *out, const char *group); /* "token" */
void cli_help_command(FILE *out, const struct cli_command *command);
/* What holds for all commands: each a block of whole lines. */
void cli_help_notes(void (*print)(const char *text));
bool cli_is_group(const char *word);

/* The name in a NULL-ended list that was most likely meant; NULL where none is near. */
const char *cli_nearest(const char *given, const char *const *names);

/* Text of a token or a file on its way to a terminal: control characters become \xNN. */
void cli_print_text(FILE *out, const char *text, size_t len);

/* A line of a report on standard output: the name, filled up to width columns, and the text, as cli_print_text shows it. */
void cli_print_line(const char *name, int width, const char *text);

/* Writes a result where --out says (0644), else, or where that is "-", to standard output. */
hf_err cli_output(const struct cli_args *args, struct hf_slice data);

/* Asks for a line on the terminal, with its echo. Fails with USAGE, naming the option to give, where there is no terminal. */
hf_err cli_ask_line(const char *prompt, const char *option, char *out, size_t size);

/*
 * For what cannot be undone: goes on with --yes, or after "yes" on a terminal. Fails with USAGE where there is
 * none, and where the answer is another.
 */
hf_err cli_confirm(const struct cli_args *args, const char *question, ...) __attribute__((format(printf, 2, 3)));

#endif
