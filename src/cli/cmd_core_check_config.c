/* SPDX-License-Identifier: Apache-2.0 */
/* holdfast core check-config */
#include "cli/commands.h"
#include "cli/configuration.h"
#include "cli/json.h"
#include "config/greengrass.h"

static const char *const names[] = {
  [GREENGRASS_ERROR] = "error",
  [GREENGRASS_REFUSED] = "error",
  [GREENGRASS_WARNING] = "warning",
  [GREENGRASS_NOTE] = "note",
};

static size_t count(const struct greengrass *greengrass, const char *name)
{
  size_t found = 0;
  for (size_t i = 0; greengrass && i < greengrass_problem_count(greengrass); i++)
    found += strcmp(names[greengrass_problem(greengrass, i)->severity], name) == 0;
  return found;
}

static void print_text(const char *text)
{
  cli_print_text(stdout, text, strlen(text));
}

static void print_problem(const struct greengrass_problem *problem)
{
  printf("line %u: %s: ", problem->line, names[problem->severity]);
  print_text(problem->key);
  putchar(' ');
  print_text(problem->text);
  putchar('\n');
  if (!problem->hint[0])
    return;
  fputs("  ", stdout);
  print_text(problem->hint);
  putchar('\n');
}

static void print(const struct config *config, const struct greengrass *greengrass)
{
  printf("%s: %s\n", config_path(config), greengrass ? "a Greengrass core's" : "Holdfast's own");
  for (size_t i = 0; greengrass && i < greengrass_problem_count(greengrass); i++)
    print_problem(greengrass_problem(greengrass, i));
  if (config_warning(config))
    printf("warning: %s\n", config_warning(config));
  printf("%zu errors, %zu warnings, %zu notes\n", count(greengrass, "error"),
         count(greengrass, "warning") + !!config_warning(config), count(greengrass, "note"));
}

static hf_err print_json(const struct config *config, const struct greengrass *greengrass)
{
  HF_CLEANUP(json_decrefp) json_t *problems = json_array();
  for (size_t i = 0; greengrass && i < greengrass_problem_count(greengrass); i++) {
    const struct greengrass_problem *problem = greengrass_problem(greengrass, i);
    HF_TRY(cli_json_append_new(problems, json_pack("{s:s, s:I, s:s, s:s, s:s}", "severity", names[problem->severity],
                                                   "line", (json_int_t)problem->line, "key", problem->key, "text",
                                                   problem->text, "hint", problem->hint)));
  }
  HF_CLEANUP(json_decrefp)
  json_t *all =
      json_pack("{s:s, s:s, s:s?, s:O}", "file", config_path(config), "format", greengrass ? "greengrass" : "holdfast",
                "warning", config_warning(config), "problems", problems);
  return all ? cli_json_print(all) : hf_fail(HF_ERR_NO_MEMORY, "the problems");
}

static hf_err run(const struct cli_args *args)
{
  HF_CLEANUP(config_freep) struct config *config = NULL;
  HF_TRY(config_examine(cli_operand(args, 0), !cli_has(args, "no-files"), &config));
  const struct greengrass *greengrass = config_greengrass(config);
  if (cli_has(args, "json"))
    HF_TRY(print_json(config, greengrass));
  else
    print(config, greengrass);
  size_t errors = count(greengrass, "error");
  if (errors == 0)
    return HF_OK;
  return hf_hint(hf_fail(HF_ERR_CONFIG, "%s has %zu error%s", config_path(config), errors, errors == 1 ? "" : "s"),
                 "What is named above keeps the gateway from starting.");
}

static const struct cli_option options[] = {
  CLI_JSON_OPTION,
  { "no-files", NULL, "do not look whether the files that it names are there: it is another machine's" },
  CLI_END,
};

const struct cli_command cli_core_check_config = {
  .name = "core check-config",
  .help = "Tell what is wrong with a configuration file, by line and key",
  .operands = "[FILE]",
  .operands_max = 1,
  .options = options,
  .details =
      "FILE is Holdfast's own or a Greengrass core's config.json; without it, the one that would be used. Errors keep\n"
      "the gateway from starting; warnings are keys that are unknown, with the nearest that is known; notes tell what\n"
      "becomes of keys that mean nothing here. Neither the HSM nor the network is asked: 'holdfast core start' does.\n",
  .example = "holdfast core check-config /greengrass/config/config.json\n",
  .run = run,
};
