/* SPDX-License-Identifier: Apache-2.0 */
/* The manual page, for the build to install. */
#include "cli/commands.h"

/* roff reads a leading '.' or ''' as a request, '\' as an escape, and '-' as a hyphen. */
static void print_roff(const char *text)
{
  bool line_start = true;
  for (const char *p = text; *p; p++) {
    if (line_start && (*p == '.' || *p == '\''))
      fputs("\\&", stdout);
    if (*p == '\\')
      fputs("\\e", stdout);
    else if (*p == '-')
      fputs("\\-", stdout);
    else
      putchar(*p);
    line_start = *p == '\n';
  }
}

static void print_block(const char *text)
{
  puts(".PP\n.nf");
  print_roff(text);
  puts(".fi");
}

static void print_command(const struct cli_command *command)
{
  fputs(".SS \"holdfast ", stdout);
  print_roff(command->name);
  printf("%s%s\"\n", command->operands ? " " : "", command->operands ? command->operands : "");
  print_roff(command->help);
  puts(".");
  if (command->details) {
    puts(".PP");
    print_roff(command->details);
  }
  for (const struct cli_option *o = command->options; o->name; o++) {
    fputs(".TP\n.B \\-\\-", stdout);
    print_roff(o->name);
    printf("%s%s\n", o->value ? " " : "", o->value ? o->value : "");
    print_roff(o->help);
    putchar('\n');
  }
  print_block(command->example);
}

static hf_err run(const struct cli_args *args)
{
  (void)args;
  printf(".TH HOLDFAST 1 \"\" \"holdfast %s\" \"Holdfast\"\n", HF_VERSION);
  puts(".SH NAME\nholdfast \\- keys in an HSM, and a device's connection with them\n"
       ".SH SYNOPSIS\n.B holdfast\nCOMMAND [OPTIONS]\n.SH DESCRIPTION");
  cli_help_notes(print_block);
  puts(".SH COMMANDS");
  for (const struct cli_command *const *c = cli_commands; *c; c++)
    if (!(*c)->hidden)
      print_command(*c);
  return HF_OK;
}

static const struct cli_option options[] = { CLI_END };

const struct cli_command cli_man = {
  .name = "man",
  .help = "Print the manual page in roff",
  .options = options,
  .example = "holdfast man | man -l -\n",
  .hidden = true,
  .run = run,
};
