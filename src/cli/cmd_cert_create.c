/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/certificate.h"
#include "cli/commands.h"
#include "cli/place.h"
#include "identity/install.h"
#include "identity/issue.h"

enum { DAY_S = 86400, DAYS_MAX = 36500 };

static hf_err find_lifetime(const struct cli_args *args, const struct config *config, uint64_t *ret_seconds)
{
  const char *text = cli_get(args, "days");
  char *end = NULL;
  unsigned long days = text ? strtoul(text, &end, 10) : 0;
  if (text && (text[0] < '0' || text[0] > '9' || *end || days < 1 || days > DAYS_MAX))
    return hf_fail(HF_ERR_USAGE, "--days must be 1 to %d", DAYS_MAX);
  *ret_seconds = text ? days * DAY_S : config_get_number(config, CONFIG_CERTIFICATE_VALIDITY_REQUESTED_DURATION);
  return HF_OK;
}

static hf_err refuse_to_replace(const struct cli_args *args, const struct config *config)
{
  bool exists = false;
  if (cli_has(args, "force"))
    return HF_OK;
  HF_TRY(install_exists(config, &exists));
  if (!exists)
    return HF_OK;
  return hf_hint(hf_fail(HF_ERR_EXISTS, "%s", config_get(config, CONFIG_DEVICE_CERT_PATH)),
                 "Look at it with 'holdfast cert show'; --force replaces it.");
}

/* A device that others verify by this very certificate: a client by default, which Cumulocity wants to be a CA's. */
static hf_err make(const struct cli_args *args, const struct cli_device *device, X509 **ret_certificate)
{
  HF_CLEANUP(cli_names_end) struct cli_names names = { 0 };
  HF_TRY(cli_names(args, device->config, &names));
  struct issue_options options = { .names = &names.names, .path_length = -1 };
  options.purpose = names.purpose == PROFILE_CLIENT ? PROFILE_SELF_SIGNED : names.purpose;
  HF_TRY(find_lifetime(args, device->config, &options.lifetime_s));
  return issue_self_signed(&options, device->key, ret_certificate);
}

static hf_err run(const struct cli_args *args)
{
  HF_CLEANUP(cli_device_end) struct cli_device device = { 0 };
  HF_CLEANUP(chain_freep) STACK_OF(X509) *chain = sk_X509_new_null();
  X509 *certificate = NULL;
  HF_TRY(cli_device_start(args, &device));
  HF_TRY(refuse_to_replace(args, device.config));
  HF_TRY(cli_device_key(args, &device));
  HF_TRY(make(args, &device, &certificate));
  if (!chain || sk_X509_push(chain, certificate) <= 0) {
    X509_free(certificate);
    return hf_fail(HF_ERR_NO_MEMORY, "the certificate");
  }
  HF_TRY(cli_place(args, &device, chain));
  HF_TRY(cli_device_keep_id(args, device.config));
  return cli_certificate_show(args, &device, config_get(device.config, CONFIG_DEVICE_CERT_PATH), chain);
}

static const struct cli_option options[] = {
  CLI_NAMES_OPTIONS,
  { "days", "DAYS", "how long it is valid (default: certificate.validity.requested_duration)" },
  { "force", NULL, "replace the certificate that is there" },
  CLI_PLACE_OPTIONS,
  CLI_JSON_OPTION,
  CLI_DEVICE_OPTIONS,
  CLI_END,
};

const struct cli_command cli_cert_create = {
  .name = "cert create",
  .help = "Create a self-signed certificate for the device, with its key in the HSM",
  .options = options,
  .details =
      "Writes it to device.cert_path, and keeps --device-id as device.id where none is set. Nobody trusts it before\n"
      "it was made known: 'holdfast cert upload c8y'. It may sign nothing but itself in practice, but says CA:TRUE,\n"
      "since Cumulocity takes no other.\n",
  .example = "holdfast cert create --device-id dev-1\n",
  .run = run,
};
