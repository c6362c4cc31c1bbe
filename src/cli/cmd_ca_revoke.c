/* SPDX-License-Identifier: Apache-2.0 */
/* holdfast ca revoke */
#include "ca/reason.h"
#include "cli/authority.h"
#include "cli/commands.h"
#include "cli/configuration.h"

#include <time.h>

static hf_err count_one(const struct registry_certificate *certificate, void *arg)
{
  (void)certificate;
  *(bool *)arg = true;
  return HF_OK;
}

static hf_err is_device(struct registry *registry, const char *name, bool *ret_is)
{
  struct registry_device device;
  bool found = false, has_certificate = false;
  HF_TRY(registry_device_get(registry, name, &found, &device));
  HF_TRY(registry_certificate_of(registry, name, count_one, &has_certificate));
  *ret_is = found || has_certificate;
  return HF_OK;
}

static hf_err is_serial(struct registry *registry, const char *name, struct registry_serial *serial, bool *ret_is)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf der = HF_BUF(REGISTRY_DER_MAX);
  struct registry_certificate certificate;
  *ret_is = false;
  if (hf_failed(registry_serial_parse(name, serial)))
    return HF_OK;
  return registry_certificate_get(registry, serial, ret_is, &certificate, &der);
}

static hf_err revoke_it(struct registry *registry, const char *name, int reason, size_t *ret_count, bool *ret_device)
{
  struct registry_serial serial;
  bool device = false, certificate = false;
  int64_t now = (int64_t)time(NULL);
  HF_TRY(is_device(registry, name, &device));
  HF_TRY(is_serial(registry, name, &serial, &certificate));
  if (device && certificate)
    return hf_hint(hf_fail(HF_ERR_USAGE, "'%s' is both a device and a serial number", name),
                   "Write a serial number with colons between its bytes, or the device's certificates one by one.");
  *ret_device = !certificate;
  return certificate ? registry_revoke(registry, &serial, reason, now, ret_count)
                     : registry_revoke_device(registry, name, reason, now, ret_count);
}

static hf_err run(const struct cli_args *args)
{
  HF_CLEANUP(cli_ca_close) struct cli_ca ca = { 0 };
  const char *reason_text = cli_get(args, "reason");
  int reason = 0;
  size_t count = 0;
  bool device = false;
  if (reason_text)
    HF_TRY(reason_parse(reason_text, &reason));
  HF_TRY(cli_ca_open(args, CLI_CA_REGISTRY, &ca));
  HF_TRY(revoke_it(ca.registry, cli_operand(args, 0), reason, &count, &device));
  if (count == 0)
    puts(device ? "It has no valid certificate; its password, if it had one, is void." : "It was revoked before.");
  else
    printf("%zu certificate%s revoked; the CRL and OCSP tell it from now on.\n", count, count == 1 ? " was" : "s were");
  return HF_OK;
}

static const struct cli_option options[] = {
  { "reason", "REASON",
    "unspecified (default), key-compromise, affiliation-changed, superseded, cessation-of-operation or "
    "privilege-withdrawn" },
  CLI_CONFIG_OPTION,
  CLI_END,
};

const struct cli_command cli_ca_revoke = {
  .name = "ca revoke",
  .help = "Revoke a certificate, or all of a device and its password",
  .operands = "SERIAL|DEVICE",
  .operands_min = 1,
  .operands_max = 1,
  .options = options,
  .details =
      "For good. It cannot renew its certificate from then on; a new one-time password lets the device in again.\n",
  .example = "holdfast ca revoke device-1 --reason key-compromise\n",
  .run = run,
};
