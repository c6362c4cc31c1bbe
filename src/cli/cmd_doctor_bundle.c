/* SPDX-License-Identifier: Apache-2.0 */
/* holdfast doctor bundle */
#include "cli/agent_status.h"
#include "cli/check_progress.h"
#include "cli/commands.h"
#include "cli/json.h"
#include "cli/progress.h"
#include "doctor/bundle.h"

#include <signal.h>

enum { TIMEOUT_MAX_S = 600, NAME_WIDTH = 17 };

static void print_file(const char *name, bool is_in, const char *what, void *arg)
{
  (void)arg;
  cli_check_end();
  printf("%-*s%s", NAME_WIDTH, name, is_in ? "" : "left out: ");
  cli_print_line("", 0, what);
}

static void keep_file(const char *name, bool is_in, const char *what, void *arg)
{
  cli_check_end();
  json_t *file = json_object();
  hf_ignore(cli_json_set(file, "name", name));
  hf_ignore(cli_json_set(file, is_in ? "what" : "left_out", what));
  hf_ignore(cli_json_append_new(arg, file));
}

static hf_err report(bool json, json_t *files, const char *path)
{
  if (!json) {
    printf("\n%s\n", path);
    return HF_OK;
  }
  HF_CLEANUP(json_decrefp) json_t *document = json_object();
  HF_TRY(cli_json_set(document, "bundle", path));
  HF_TRY(cli_json_set_new(document, "files", json_incref(files)));
  return cli_json_print(document);
}

static hf_err run(const struct cli_args *args)
{
  bool json = cli_has(args, "json");
  HF_CLEANUP(json_decrefp) json_t *agent = NULL, *files = json_array();
  HF_CLEANUP(hf_freep) char *path = NULL;
  hf_ignore(cli_agent_ask(args, &agent));
  struct bundle_options options = { .path = cli_get(args, "output"),
                                    .config_path = cli_get(args, "config"),
                                    .module_path = cli_get(args, "module"),
                                    .agent = agent,
                                    .begin = cli_check_begin,
                                    .file = json ? keep_file : print_file,
                                    .arg = files };
  if (!options.module_path)
    options.module_path = getenv("HOLDFAST_MODULE");
  HF_TRY(cli_duration(args, "timeout", DOCTOR_TIMEOUT_S, TIMEOUT_MAX_S, &options.timeout_s));
  signal(SIGPIPE, SIG_IGN);
  HF_TRY(bundle_make(&options, &path));
  return report(json, files, path);
}

static const struct cli_option options[] = {
  { "output", "FILE", "the archive (default: holdfast-bundle-HOST-TIME.tar.gz in the current directory)" },
  { "timeout", "TIME", "how long each server may take (default: 5s)" },
  CLI_METRICS_SOCKET_OPTION,
  CLI_JSON_OPTION,
  CLI_MODULE_OPTIONS,
  CLI_END,
};

const struct cli_command cli_doctor_bundle = {
  .name = "doctor bundle",
  .help = "Collect what a person needs who helps from afar; no secret is in it",
  .options = options,
  .details =
      "A .tar.gz (0600): what 'holdfast doctor' finds, versions, configuration, states, certificates, the ends of the "
      "logs.\n"
      "PINs, passwords and keys are taken out, the known ones and what looks like one; look it through all the same.\n",
  .example = "holdfast doctor bundle --output /tmp/holdfast.tar.gz\n",
  .run = run,
};
