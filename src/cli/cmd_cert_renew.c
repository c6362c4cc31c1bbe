/* SPDX-License-Identifier: Apache-2.0 */
/* holdfast cert renew */
#include "cli/commands.h"
#include "cli/device.h"
#include "cli/json.h"
#include "cli/progress.h"
#include "gateway/trial.h"
#include "identity/renew.h"
#include "identity/validity.h"

enum { TIMEOUT_MAX_S = 86400 };

static const char *const outcomes[] = {
  [RENEW_DONE] = "renewed",
  [RENEW_NOT_DUE] = "not-due",
  [RENEW_CLOCK] = "clock",
};

static void report_text(const struct config *config, const struct renew_result *result)
{
  char from[VALIDITY_TIME_MAX], until[VALIDITY_TIME_MAX];
  validity_time_text(result->from, from);
  validity_time_text(result->until, until);
  if (result->outcome == RENEW_CLOCK)
    printf("Not renewed: the certificate is valid from %s, so the clock is wrong. Waiting for the clock.\n", from);
  else if (result->outcome == RENEW_NOT_DUE)
    printf("Not renewed: the certificate is good until %s, and not due yet.\n", until);
  else
    printf("The certificate has been renewed: %s, good until %s\n", config_get(config, CONFIG_DEVICE_CERT_PATH), until);
  if (result->rotated)
    printf("The device's key is now %s\n", config_get(config, CONFIG_DEVICE_KEY_URI));
}

static hf_err report_json(const struct config *config, const struct renew_result *result)
{
  char until[VALIDITY_TIME_MAX];
  HF_CLEANUP(json_decrefp) json_t *json = json_object();
  validity_time_text(result->until, until);
  HF_TRY(cli_json_set(json, "outcome", outcomes[result->outcome]));
  HF_TRY(cli_json_set(json, "certificate", config_get(config, CONFIG_DEVICE_CERT_PATH)));
  HF_TRY(cli_json_set(json, "key_uri", config_get(config, CONFIG_DEVICE_KEY_URI)));
  HF_TRY(cli_json_set(json, "until", until));
  HF_TRY(cli_json_set_new(json, "rotated", json_boolean(result->rotated)));
  HF_TRY(cli_json_set_new(json, "tried", json_boolean(result->tried)));
  return cli_json_print(json);
}

/* What is configured now: the key may be another. */
static hf_err report(const struct cli_args *args, const struct renew_result *result)
{
  HF_CLEANUP(config_freep) struct config *config = NULL;
  HF_TRY(config_load(cli_get(args, "config"), &config));
  if (cli_has(args, "json"))
    return report_json(config, result);
  report_text(config, result);
  return HF_OK;
}

static hf_err run(const struct cli_args *args)
{
  struct renew_result result;
  HF_CLEANUP(cli_device_end) struct cli_device device = { 0 };
  struct trial_options trial = { .observer = cli_progress() };
  struct renew_options options = {
    .module_path = device.module_path,
    .cloud = args->operand_count ? args->operands[0] : NULL,
    .csr_path = cli_get(args, "csr-path"),
    .self_signed = cli_has(args, "self-signed"),
    .if_needed = cli_has(args, "if-needed"),
    .rotate_key = cli_has(args, "rotate-key"),
    .delete_old_key = cli_has(args, "delete-old-key"),
    .observer = cli_progress(),
    .try_connect = cli_has(args, "no-try") ? NULL : trial_connect,
    .try_arg = &trial,
  };
  HF_TRY(cli_duration(args, "timeout", 0, TIMEOUT_MAX_S, &options.timeout_s));
  HF_TRY(cli_device_start(args, &device));
  HF_TRY(identity_renew(device.config, &options, &result));
  return report(args, &result);
}

static const struct cli_option options[] = {
  { "rotate-key", NULL, "make a new key in the HSM, too (see certificate.renewal.rotate_key)" },
  { "delete-old-key", NULL, "delete the old key at once, not at the next renewal" },
  { "if-needed", NULL, "only where it is due (see 'holdfast cert needs-renewal')" },
  { "self-signed", NULL, "sign it with the device's own key" },
  { "csr-path", "FILE", "a request that was made elsewhere, by the present key" },
  { "no-try", NULL, "take it without having connected with it" },
  { "timeout", "TIME", "how long it may take, with the CA's own waits (default: 120s)" },
  CLI_JSON_OPTION,
  CLI_MODULE_OPTIONS,
  CLI_END,
};

const struct cli_command cli_cert_renew = {
  .name = "cert renew",
  .help = "Renew the device's certificate, and perhaps its key",
  .operands = "[c8y]",
  .operands_max = 1,
  .options = options,
  .details = "By EST, with the present certificate and key; a self-signed one is signed anew. The new certificate is "
             "tried on a\n"
             "connection to the cloud before it takes the old one's place; where that fails, all is as it was. A new "
             "key is made\n"
             "beside the old one, which is deleted at the next renewal. Whatever cuts a renewal, the device has a "
             "certificate\n"
             "and the key that belongs to it: the next command, or holdfast-core, finishes or undoes it.\n",
  .example = "holdfast cert renew\n"
             "holdfast cert renew c8y --rotate-key\n",
  .run = run,
};
