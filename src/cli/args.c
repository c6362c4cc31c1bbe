/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

static size_t option_count(const struct cli_command *command)
{
  size_t count = 0;
  while (command->options[count].name)
    count++;
  return count;
}

/* The row of the first len characters of name; -1 where there is none. */
static int find_option(const struct cli_command *command, const char *name, size_t len)
{
  for (size_t i = 0; command->options[i].name; i++)
    if (strlen(command->options[i].name) == len && strncmp(command->options[i].name, name, len) == 0)
      return (int)i;
  return -1;
}

static hf_err unknown_option(const struct cli_command *command, const char *name, size_t len)
{
  const char *names[CLI_OPTIONS_MAX + 1] = { NULL };
  for (size_t i = 0; i < option_count(command) && i < CLI_OPTIONS_MAX; i++)
    names[i] = command->options[i].name;
  char given[64];
  snprintf(given, sizeof(given), "%.*s", (int)len, name);
  const char *nearest = cli_nearest(given, names);
  hf_err e = hf_fail(HF_ERR_USAGE, "'%s' has no option --%s", command->name, given);
  return nearest ? hf_hint(e, "Did you mean --%s?", nearest) : hf_hint(e, "See 'holdfast %s --help'.", command->name);
}

/* argv[*at] begins with "--". */
static hf_err take_option(int argc, char **argv, int *at, struct cli_args *args)
{
  const struct cli_command *command = args->command;
  const char *name = argv[*at] + 2;
  size_t len = strcspn(name, "=");
  char *value = name[len] ? argv[*at] + 2 + len + 1 : NULL;
  int row = find_option(command, name, len);
  if (row < 0)
    return unknown_option(command, name, len);
  const struct cli_option *option = &command->options[row];
  if (args->values[row])
    return hf_fail(HF_ERR_USAGE, "--%s is given twice", option->name);
  if (!option->value) {
    if (value)
      return hf_fail(HF_ERR_USAGE, "--%s takes no value", option->name);
    value = argv[*at] + strlen(argv[*at]);
  } else if (!value) {
    if (*at + 1 >= argc)
      return hf_fail(HF_ERR_USAGE, "--%s needs a value: %s", option->name, option->value);
    value = argv[++*at];
  }
  args->values[row] = value;
  return HF_OK;
}

static hf_err check_operands(const struct cli_args *args)
{
  const struct cli_command *command = args->command;
  if (args->operand_count > command->operands_max)
    return hf_hint(
        hf_fail(HF_ERR_USAGE, "'%s' does not take \"%s\"", command->name, args->operands[command->operands_max]),
        "See 'holdfast %s --help'.", command->name);
  if (args->operand_count < command->operands_min)
    return hf_hint(hf_fail(HF_ERR_USAGE, "'%s' needs %s", command->name, command->operands),
                   "See 'holdfast %s --help'.", command->name);
  return HF_OK;
}

hf_err cli_parse(const struct cli_command *command, int argc, char **argv, struct cli_args *ret_args)
{
  if (option_count(command) > CLI_OPTIONS_MAX)
    abort();
  struct cli_args args = { .command = command, .operands = argv };
  bool options = true;
  for (int i = 0; i < argc; i++) {
    if (options && strcmp(argv[i], "--") == 0)
      options = false;
    else if (options && strncmp(argv[i], "--", 2) == 0)
      HF_TRY(take_option(argc, argv, &i, &args));
    else if (options && argv[i][0] == '-' && argv[i][1])
      return hf_hint(hf_fail(HF_ERR_USAGE, "'%s' has no option %s", command->name, argv[i]),
                     "Options begin with two dashes.");
    else
      argv[args.operand_count++] = argv[i];
  }
  HF_TRY(check_operands(&args));
  *ret_args = args;
  return HF_OK;
}

char *cli_get(const struct cli_args *args, const char *name)
{
  int row = find_option(args->command, name, strlen(name));
  if (row < 0)
    abort();
  return args->values[row];
}

bool cli_has(const struct cli_args *args, const char *name)
{
  return cli_get(args, name) != NULL;
}

const char *cli_operand(const struct cli_args *args, int number)
{
  return number < args->operand_count ? args->operands[number] : NULL;
}

hf_err cli_require(const struct cli_args *args, const char *name, char **ret_value)
{
  char *value = cli_get(args, name);
  if (!value)
    return hf_hint(hf_fail(HF_ERR_USAGE, "'%s' needs --%s", args->command->name, name), "See 'holdfast %s --help'.",
                   args->command->name);
  *ret_value = value;
  return HF_OK;
}
