/* SPDX-License-Identifier: Apache-2.0 */
/* holdfast doctor */
#include "cli/check_progress.h"
#include "cli/commands.h"
#include "cli/json.h"
#include "cli/progress.h"
#include "doctor/doctor.h"
#include "doctor/doctor_report.h"

#include <signal.h>

enum { TIMEOUT_MAX_S = 600, INDENT = 7 + CLI_CHECK_CODE_WIDTH };

/* The error in the place of the detail: it says what was looked at, too. */
static void print_finding(const struct doctor_finding *finding, void *arg)
{
  (void)arg;
  char line[HF_CONTEXT_MAX + 256];
  cli_check_end();
  printf("%-7s%-*s%s", doctor_verdict_name(finding->verdict), CLI_CHECK_CODE_WIDTH, finding->code, finding->title);
  snprintf(line, sizeof(line), "%s%s", finding->because[0] ? "skipped because of " : "",
           finding->because[0] ? finding->because : finding->detail);
  if (hf_failed(finding->error.error)) {
    hf_ignore(hf_err_restore(&finding->error));
    hf_err_format(finding->error.error, line, sizeof(line));
  }
  cli_print_line(line[0] ? ": " : "", 0, line);
  if (finding->error.hint[0])
    cli_print_line("", INDENT, finding->error.hint);
  fflush(stdout);
}

static void keep_finding(const struct doctor_finding *finding, void *arg)
{
  cli_check_end();
  hf_ignore(doctor_report_add(arg, finding));
}

static hf_err do_json(struct doctor_options options, struct doctor_summary *summary)
{
  HF_CLEANUP(json_decrefp) json_t *report = doctor_report_new();
  const struct doctor_reporter reporter = { cli_check_begin, keep_finding, report };
  options.reporter = &reporter;
  HF_TRY(doctor_run(&options, summary));
  HF_TRY(doctor_report_end(report, summary));
  return cli_json_print(report);
}

static hf_err do_text(struct doctor_options options, struct doctor_summary *summary)
{
  const struct doctor_reporter reporter = { cli_check_begin, print_finding, NULL };
  options.reporter = &reporter;
  HF_TRY(doctor_run(&options, summary));
  printf("%u ok, %u warned of, %u failed, %u skipped\n", summary->counts[DOCTOR_OK], summary->counts[DOCTOR_WARN],
         summary->counts[DOCTOR_FAIL], summary->counts[DOCTOR_SKIP]);
  return HF_OK;
}

static hf_err run(const struct cli_args *args)
{
  struct doctor_options options = { .config_path = cli_get(args, "config"),
                                    .module_path = cli_get(args, "module"),
                                    .cloud = cli_operand(args, 0),
                                    .quick = cli_has(args, "quick") };
  struct doctor_summary summary;
  if (!options.module_path)
    options.module_path = getenv("HOLDFAST_MODULE");
  HF_TRY(cli_duration(args, "timeout", DOCTOR_TIMEOUT_S, TIMEOUT_MAX_S, &options.timeout_s));
  signal(SIGPIPE, SIG_IGN);
  HF_TRY(cli_has(args, "json") ? do_json(options, &summary) : do_text(options, &summary));
  return summary.counts[DOCTOR_FAIL] ? hf_fail(HF_ERR_UNHEALTHY, "%u in all", summary.counts[DOCTOR_FAIL]) : HF_OK;
}

static const struct cli_option options[] = {
  CLI_JSON_OPTION,
  { "quick", NULL, "measure the token's rate by a few signatures, not for a second" },
  { "timeout", "TIME", "how long each server may take (default: 5s)" },
  CLI_MODULE_OPTIONS,
  CLI_END,
};

const struct cli_command cli_doctor = {
  .name = "doctor",
  .help = "Look at all that the gateway needs, one by one, and change nothing",
  .operands = "[c8y|aws|az|mqtt]",
  .operands_max = 1,
  .options = options,
  .details = "Configuration, PIN, module, token, key, certificate, TLS, directories, ports, and the way to each cloud "
             "that has a\n"
             "url. What fails says what to do; what depends on it is skipped. A PIN is tried once, and not where a "
             "wrong one was\n"
             "given lately. Exit status 0: nothing fails, though there may be warnings. 6: something does.\n"
             "'holdfast doctor bundle' collects what a person needs who helps from afar.\n",
  .example = "holdfast doctor\n"
             "holdfast doctor --json mqtt\n",
  .run = run,
};
