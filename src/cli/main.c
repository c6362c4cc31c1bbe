/* SPDX-License-Identifier: Apache-2.0 */
#include "base/secret.h"
#include "cli/commands.h"

static const char program[] = "holdfast";

const struct cli_command *const cli_commands[] = {
#define CLI_ROW(id) &cli_##id,
  CLI_COMMANDS(CLI_ROW)
#undef CLI_ROW
      NULL,
};

static int report(hf_err e)
{
  if (fflush(stdout) != 0 && !hf_failed(e))
    e = hf_fail(HF_ERR_IO, "writing to standard output");
  if (hf_failed(e))
    hf_err_print(stderr, program, e);
  return hf_err_status(e);
}

static bool asks_help(int argc, char **argv)
{
  for (int i = 0; i < argc && strcmp(argv[i], "--") != 0; i++)
    if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
      return true;
  return false;
}

static int run_question(const struct cli_args *args)
{
  bool yes = false;
  int status = report(args->command->ask(args, &yes));
  return status ? hf_err_status((hf_err){ HF_ERR_USAGE }) : !yes;
}

static int run_command(const struct cli_command *command, int argc, char **argv)
{
  if (command->run_raw) {
    argv[-1] = (char *)(uintptr_t)command->name;
    return command->run_raw(argc + 1, argv - 1);
  }
  if (asks_help(argc, argv)) {
    cli_help_command(stdout, command);
    return report(HF_OK);
  }
  struct cli_args args;
  hf_err e = cli_parse(command, argc, argv, &args);
  if (!hf_failed(e) && command->ask)
    return run_question(&args);
  return report(hf_failed(e) ? e : command->run(&args));
}

static const struct cli_command *find_command(const char *name)
{
  for (const struct cli_command *const *c = cli_commands; *c; c++)
    if (strcmp((*c)->name, name) == 0)
      return *c;
  return NULL;
}

static const struct cli_command *find_in_group(const char *group, const char *word)
{
  char name[64];
  snprintf(name, sizeof(name), "%s %s", group, word);
  return find_command(name);
}

/* Words that could stand where the user's did: groups for the first, all of a group's names for both. */
static hf_err unknown_command(const char *given)
{
  enum { COMMANDS_MAX = 128 };
  static char groups[COMMANDS_MAX][32];
  const char *names[2 * COMMANDS_MAX + 1] = { NULL };
  size_t count = 0;
  for (size_t i = 0; cli_commands[i] && i < COMMANDS_MAX; i++) {
    if (cli_commands[i]->hidden)
      continue;
    names[count++] = cli_commands[i]->name;
    snprintf(groups[i], sizeof(groups[i]), "%.*s", (int)strcspn(cli_commands[i]->name, " "), cli_commands[i]->name);
    names[count++] = groups[i];
  }
  hf_err e = hf_fail(HF_ERR_USAGE, "there is no command '%s'", given);
  const char *nearest = cli_nearest(given, names);
  return nearest ? hf_hint(e, "Did you mean 'holdfast %s'?", nearest) : hf_hint(e, "See 'holdfast --help'.");
}

/* A word may be a command, too: "doctor", and "doctor bundle". */
static int run_group(const char *group, int argc, char **argv)
{
  const struct cli_command *alone = find_command(group);
  if (alone && !(argc && find_in_group(group, argv[0])))
    return run_command(alone, argc, argv);
  if (asks_help(argc ? 1 : 0, argv)) {
    cli_help_group(stdout, group);
    return report(HF_OK);
  }
  if (argc == 0)
    return report(hf_hint(hf_fail(HF_ERR_USAGE, "'%s' needs a command", group), "See 'holdfast %s --help'.", group));
  const struct cli_command *command = find_in_group(group, argv[0]);
  if (command)
    return run_command(command, argc - 1, argv + 1);
  char name[64];
  snprintf(name, sizeof(name), "%s %s", group, argv[0]);
  return report(unknown_command(name));
}

static int dispatch(int argc, char **argv)
{
  if (argc < 2) {
    cli_help_all(stderr);
    return hf_err_status((hf_err){ HF_ERR_USAGE });
  }
  if (strcmp(argv[1], "--version") == 0) {
    printf("%s %s\n", program, HF_VERSION);
    return report(HF_OK);
  }
  if (asks_help(1, argv + 1) || strcmp(argv[1], "help") == 0) {
    cli_help_all(stdout);
    return report(HF_OK);
  }
  if (cli_is_group(argv[1]))
    return run_group(argv[1], argc - 2, argv + 2);
  const struct cli_command *command = find_command(argv[1]);
  return command ? run_command(command, argc - 2, argv + 2) : report(unknown_command(argv[1]));
}

int main(int argc, char **argv)
{
  hf_secret_harden_process();
  const char *slash = argc > 0 ? strrchr(argv[0], '/') : NULL;
  const char *base = slash ? slash + 1 : argc > 0 ? argv[0] : program;
  static const struct cli_command *const others[] = { &cli_softhsm2_util, &cli_greengrassd };
  for (size_t i = 0; i < HF_ARRAY_LEN(others); i++)
    if (strcmp(base, others[i]->name) == 0)
      return others[i]->run_raw(argc, argv);
  return dispatch(argc, argv);
}
