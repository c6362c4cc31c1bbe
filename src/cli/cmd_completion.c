/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/commands.h"

static void print_first_words(void)
{
  const char *last = "";
  for (const struct cli_command *const *c = cli_commands; *c; c++) {
    size_t len = strcspn((*c)->name, " ");
    if (!(*c)->hidden && (strncmp(last, (*c)->name, len) != 0 || (last[len] && last[len] != ' ')))
      printf(" %.*s", (int)len, (*c)->name);
    last = (*c)->name;
  }
}

static void print_group_words(void)
{
  const char *last = "";
  for (const struct cli_command *const *c = cli_commands; *c; c++) {
    size_t len = strcspn((*c)->name, " ");
    if (!(*c)->name[len])
      continue;
    if (strncmp(last, (*c)->name, len + 1) == 0)
      printf(" %s", (*c)->name + len + 1);
    else
      printf("%s    '%.*s') words='%s", *last ? "' ;;\n" : "", (int)len, (*c)->name, (*c)->name + len + 1);
    last = (*c)->name;
  }
  puts("' ;;");
}

static void print_options(void)
{
  for (const struct cli_command *const *c = cli_commands; *c; c++) {
    if ((*c)->hidden)
      continue;
    printf("    '%s'*) words='--help", (*c)->name);
    for (const struct cli_option *o = (*c)->options; o->name; o++)
      printf(" --%s", o->name);
    puts("' ;;");
  }
}

static hf_err run(const struct cli_args *args)
{
  if (strcmp(args->operands[0], "bash") != 0)
    return hf_hint(hf_fail(HF_ERR_USAGE, "no completion for '%s'", args->operands[0]), "There is one for bash.");
  puts("_holdfast() {\n"
       "  local word=\"${COMP_WORDS[COMP_CWORD]}\" words=''");
  fputs("  if [ \"$COMP_CWORD\" -eq 1 ]; then\n    words='--help --version", stdout);
  print_first_words();
  puts("'\n  elif [ \"$COMP_CWORD\" -eq 2 ] && [ \"${word#-}\" = \"$word\" ]; then\n    case \"${COMP_WORDS[1]}\" in");
  print_group_words();
  puts("    esac\n"
       "  elif [ \"${word#-}\" != \"$word\" ]; then\n"
       "    case \"${COMP_WORDS[1]} ${COMP_WORDS[2]}\" in");
  print_options();
  puts("    esac\n"
       "  fi\n"
       "  COMPREPLY=($(compgen -W \"$words\" -- \"$word\"))\n"
       "}\n"
       "complete -o default -F _holdfast holdfast");
  return HF_OK;
}

static const struct cli_option options[] = { CLI_END };

const struct cli_command cli_completion = {
  .name = "completion",
  .help = "Print the completion script for a shell",
  .operands = "bash",
  .operands_min = 1,
  .operands_max = 1,
  .options = options,
  .example = "holdfast completion bash > /usr/share/bash-completion/completions/holdfast\n",
  .run = run,
};
