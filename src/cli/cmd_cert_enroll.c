/* SPDX-License-Identifier: Apache-2.0 */
/* holdfast cert enroll, and thin-edge.io's name for it. */
#include "cli/commands.h"
#include "cli/device.h"
#include "cli/json.h"
#include "cli/pin.h"
#include "cli/progress.h"
#include "identity/enroll.h"

enum { RETRY_MAX_S = 3600, MAX_TIMEOUT_MAX_S = 7 * 86400, TIMEOUT_MAX_S = 86400 };

#define PASSWORD "one-time-password"
#define PASSWORD_ENV "DEVICE_ONE_TIME_PASSWORD"

/* As given, else of the environment, which is thin-edge.io's, else of the configuration. */
static hf_err find_id(const struct cli_args *args, const struct config *config, const char **ret_id)
{
  const char *id = cli_get(args, "device-id"), *configured = config_get(config, CONFIG_DEVICE_ID);
  if (!id)
    id = getenv("DEVICE_ID");
  if (!id || !id[0])
    id = configured;
  if (!id)
    return hf_hint(hf_fail(HF_ERR_USAGE, "the device's id is not known"), "Give --device-id, or set device.id.");
  if (configured && strcmp(id, configured) != 0)
    return hf_hint(hf_fail(HF_ERR_USAGE, "the device's id is '%s', but device.id is '%s'", id, configured),
                   "Leave --device-id out, or correct device.id.");
  *ret_id = id;
  return HF_OK;
}

static hf_err find_password(const struct cli_args *args, struct hf_secret **ret_password)
{
  const char *set = getenv(PASSWORD_ENV);
  if (!cli_has(args, PASSWORD) && !cli_has(args, PASSWORD "-source") && set && set[0])
    return hf_secret_new(set, strlen(set), ret_password);
  return cli_pin_option(args, PASSWORD, "one-time password", false, ret_password);
}

static hf_err report(const struct cli_args *args, const struct config *config, const char *device_id)
{
  const char *path = config_get(config, CONFIG_DEVICE_CERT_PATH);
  if (!cli_has(args, "json")) {
    printf("The certificate of '%s' has been written to %s\n", device_id, path);
    return HF_OK;
  }
  HF_CLEANUP(json_decrefp) json_t *result = json_object();
  HF_TRY(cli_json_set(result, "device_id", device_id));
  HF_TRY(cli_json_set(result, "certificate", path));
  return cli_json_print(result);
}

/* Cumulocity's users register the device while it asks; with another CA one try tells. */
static hf_err parse_waits(const struct cli_args *args, struct enroll_options *options)
{
  unsigned max_s = options->cloud || cli_has(args, "retry-every") ? ENROLL_MAX_S : 0;
  HF_TRY(cli_duration(args, "timeout", 0, TIMEOUT_MAX_S, &options->timeout_s));
  HF_TRY(cli_duration(args, "retry-every", ENROLL_RETRY_S, RETRY_MAX_S, &options->retry_every_s));
  return cli_duration(args, "max-timeout", max_s, MAX_TIMEOUT_MAX_S, &options->max_timeout_s);
}

static hf_err run(const struct cli_args *args)
{
  HF_CLEANUP(cli_device_end) struct cli_device device = { 0 };
  HF_CLEANUP(hf_secret_freep) struct hf_secret *password = NULL;
  struct enroll_options options = {
    .cloud = args->operand_count ? args->operands[0] : NULL,
    .user = cli_get(args, "user"),
    .csr_path = cli_get(args, "csr-path"),
    .observer = cli_progress(),
  };
  HF_TRY(parse_waits(args, &options));
  HF_TRY(cli_device_start(args, &device));
  options.module_path = device.module_path;
  HF_TRY(find_id(args, device.config, &options.device_id));
  HF_TRY(find_password(args, &password));
  options.password = password;
  HF_TRY(enroll(device.config, &options));
  return report(args, device.config, options.device_id);
}

static const struct cli_option options[] = {
  { "device-id", "ID", "the certificate's CN (default: $DEVICE_ID, then device.id)" },
  { PASSWORD "-source", "SRC", "where the one-time password is: a file, env:NAME or credential:NAME" },
  { PASSWORD, "TEXT", "the password itself; other users may see it" },
  { "user", "NAME", "whom the password is for (default: the device's id)" },
  { "csr-path", "FILE", "a request that was made elsewhere, by the same key" },
  { "retry-every", "TIME", "how long to wait for the device to be registered (default: 30s)" },
  { "max-timeout", "TIME", "and for how long in all (default: 10m with c8y, else one try)" },
  { "timeout", "TIME", "how long one try may take, with the CA's own waits (default: 120s)" },
  CLI_JSON_OPTION,
  CLI_MODULE_OPTIONS,
  CLI_END,
};

#define DETAILS                                                                                                        \
  "Asks a CA for a certificate by EST (RFC 7030) for the key that device.key_uri names: it must be in the HSM, and\n"  \
  "never leaves it. Without c8y, the CA is est.url's. The one-time password is what the device was registered with;\n" \
  "without an option it is $" PASSWORD_ENV ", else asked for. The certificate goes to device.cert_path.\n"

const struct cli_command cli_cert_enroll = {
  .name = "cert enroll",
  .help = "Get the device's first certificate from a CA, by EST",
  .operands = "[c8y]",
  .operands_max = 1,
  .options = options,
  .details = DETAILS,
  .example = "holdfast config set est.url https://ca.example:9443\n"
             "holdfast cert enroll --device-id my-device --" PASSWORD "-source ./password\n",
  .run = run,
};

const struct cli_command cli_cert_download = {
  .name = "cert download",
  .help = "The same as 'cert enroll'",
  .operands = "[c8y]",
  .operands_max = 1,
  .options = options,
  .details = DETAILS,
  .example = "holdfast cert download c8y --device-id my-device\n",
  .hidden = true,
  .run = run,
};
