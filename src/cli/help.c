/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

static const char exit_statuses[] = "Exit status:\n"
                                    "  0  done\n"
                                    "  1  failed\n"
                                    "  2  wrong usage\n"
                                    "  3  not found, or not present: module, token, key\n"
                                    "  4  PIN or other credential\n"
                                    "  5  network\n"
                                    "  6  'holdfast doctor' found something that fails\n";

static const char which_module[] =
    "Which PKCS #11 module: --module PATH, else $HOLDFAST_MODULE, else device.cryptoki.module_path of the\n"
    "configuration, else Holdfast's own token.\n"
    "Which PIN: --pin-source, else --pin, else the URI's pin-source, else the configuration, else a question on\n"
    "the terminal.\n";

static bool in_group(const struct cli_command *command, const char *group)
{
  size_t len = strlen(group);
  return strncmp(command->name, group, len) == 0 && command->name[len] == ' ';
}

void cli_help_notes(void (*print)(const char *text))
{
  print(which_module);
  print(exit_statuses);
}

bool cli_is_group(const char *word)
{
  for (const struct cli_command *const *c = cli_commands; *c; c++)
    if (in_group(*c, word))
      return true;
  return false;
}

static void list_commands(FILE *out, const char *group)
{
  fputs("Commands:\n", out);
  for (const struct cli_command *const *c = cli_commands; *c; c++)
    if (!(*c)->hidden && (!group || in_group(*c, group)))
      fprintf(out, "  %-18s  %s\n", (*c)->name, (*c)->help);
}

void cli_help_all(FILE *out)
{
  fputs("Usage: holdfast COMMAND [OPTIONS]\n\n"
        "Keeps a device's private keys in an HSM, or in a software HSM of its own, and connects it to its cloud.\n\n",
        out);
  list_commands(out, NULL);
  fprintf(out,
          "\nOptions:\n"
          "  --help      show this, or a command's own help\n"
          "  --version   show the version\n\n"
          "%s\n%s\n"
          "Example:\n"
          "  holdfast token init --label my-token\n"
          "  holdfast key generate --token my-token --label my-key --id 01\n"
          "  holdfast key list --token my-token\n",
          which_module, exit_statuses);
}

void cli_help_group(FILE *out, const char *group)
{
  fprintf(out, "Usage: holdfast %s COMMAND [OPTIONS]\n\n", group);
  list_commands(out, group);
  for (const struct cli_command *const *c = cli_commands; *c; c++)
    if (in_group(*c, group)) {
      fprintf(out, "\nExample:\n  %.*s\n", (int)strcspn((*c)->example, "\n"), (*c)->example);
      return;
    }
}

static void print_indented(FILE *out, const char *lines)
{
  for (const char *p = lines; p && *p; p += strcspn(p, "\n") + 1)
    fprintf(out, "  %.*s\n", (int)strcspn(p, "\n"), p);
}

void cli_help_command(FILE *out, const struct cli_command *command)
{
  fprintf(out, "Usage: holdfast %s%s%s%s\n\n%s.\n", command->name, command->options[0].name ? " [OPTIONS]" : "",
          command->operands ? " " : "", command->operands ? command->operands : "", command->help);
  if (command->details)
    fprintf(out, "\n%s", command->details);
  fputs("\nOptions:\n", out);
  for (const struct cli_option *o = command->options; o->name; o++) {
    char left[64];
    snprintf(left, sizeof(left), "--%s%s%s", o->name, o->value ? " " : "", o->value ? o->value : "");
    fprintf(out, "  %-24s  %s\n", left, o->help);
  }
  fprintf(out, "  %-24s  %s\n\nExample:\n", "--help", "show this");
  print_indented(out, command->example);
}
