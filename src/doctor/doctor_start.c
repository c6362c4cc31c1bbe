/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The checks of the daemon's start that none of ours stands for: of the local MQTT server and of the secrets. Those before them, which they
 * need, run untold: the token is logged in to by now, and gets no PIN.
 */
#include "doctor/doctor_private.h"

#include "gateway/core_check.h"

static const struct start_row {
  const char *begins;  /* a code, or what one begins with */
  enum config_key key; /* what must be set for it to matter */
} start_rows[] = {
  { "server-", CONFIG_MQTT_SERVER_ENABLED },
  { "secrets-", CONFIG_SECRETS_KEY_URI },
};

static bool matters(const struct doctor *d, const char *code)
{
  for (size_t i = 0; i < HF_ARRAY_LEN(start_rows); i++)
    if (strncmp(code, start_rows[i].begins, strlen(start_rows[i].begins)) == 0)
      return config_is_set(d->config, start_rows[i].key);
  return false;
}

/* What one of them says, as a finding of ours. */
static void take(const struct core_check_result *result, struct doctor_finding *finding)
{
  static const enum doctor_verdict verdicts[] = {
    [CORE_CHECK_PASSED] = DOCTOR_OK,
    [CORE_CHECK_WARNED] = DOCTOR_WARN,
    [CORE_CHECK_FAILED] = DOCTOR_FAIL,
    [CORE_CHECK_SKIPPED] = DOCTOR_SKIP,
  };
  finding->verdict = verdicts[result->verdict];
  if (result->verdict == CORE_CHECK_WARNED || result->verdict == CORE_CHECK_FAILED)
    finding->error = result->cause;
  if (result->verdict != CORE_CHECK_SKIPPED)
    snprintf(finding->detail, sizeof(finding->detail), "%s", result->detail);
}

/* The root of a chain of them: the last that failed before. */
static void run_one(struct doctor *d, struct core_checks *checks, size_t i, char failed[DOCTOR_CODE_MAX],
                    struct doctor_summary *summary)
{
  const struct core_check_row *row = core_checks_row(i);
  struct core_check_result result;
  core_checks_run(checks, i, &result);
  if (result.verdict == CORE_CHECK_FAILED)
    snprintf(failed, DOCTOR_CODE_MAX, "%s", row->code);
  if (!matters(d, row->code) || result.verdict == CORE_CHECK_UNUSED)
    return;
  struct doctor_finding *finding = doctor_begin(d, row->code, row->title);
  take(&result, finding);
  if (result.verdict == CORE_CHECK_SKIPPED)
    snprintf(finding->because, sizeof(finding->because), "%s", failed);
  doctor_end(d, summary);
}

static void skip_all(struct doctor *d, const char *because, struct doctor_summary *summary)
{
  for (size_t i = 0; i < core_checks_count(); i++)
    if (matters(d, core_checks_row(i)->code)) {
      doctor_begin(d, core_checks_row(i)->code, core_checks_row(i)->title);
      doctor_skip(d, because);
      doctor_end(d, summary);
    }
}

void doctor_run_start(struct doctor *d, struct doctor_summary *summary)
{
  HF_CLEANUP(core_checks_freep) struct core_checks *checks = NULL;
  char failed[DOCTOR_CODE_MAX] = "";
  if (!d->config)
    return;
  const char *missing = doctor_missing(d, "token.pin provider.load");
  if (missing) {
    skip_all(d, missing, summary);
    return;
  }
  if (hf_failed(core_checks_new(d->config, d->module_path, CORE_CHECK_ALL, &checks)))
    return;
  for (size_t i = 0; i < core_checks_count(); i++)
    run_one(d, checks, i, failed, summary);
}
