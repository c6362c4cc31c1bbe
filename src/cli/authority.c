/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/authority.h"

#include "ca/reason.h"
#include "cli/configuration.h"
#include "cli/token.h"
#include "config/check.h"
#include "identity/chain.h"
#include "identity/program.h"

#include <limits.h>
#include <time.h>

hf_err cli_ca_open(const struct cli_args *args, enum cli_ca_need need, struct cli_ca *ret_ca)
{
  HF_CLEANUP(cli_ca_close) struct cli_ca ca = { 0 };
  char path[PATH_MAX];
  HF_TRY(cli_config_load(args, &ca.config));
  HF_TRY(authority_path(ca.config, path, sizeof(path)));
  HF_TRY(registry_open(path, &ca.registry));
  if (need == CLI_CA_KEY) {
    HF_TRY(cli_module_path(args, path, sizeof(path)));
    HF_TRY(program_start(ca.config, path));
    HF_TRY(authority_open(ca.config, ca.registry, &ca.authority));
  }
  *ret_ca = ca;
  ca = (struct cli_ca){ 0 };
  return HF_OK;
}

void cli_ca_close(struct cli_ca *ca)
{
  authority_unref(ca->authority);
  registry_close(ca->registry);
  config_free(ca->config);
}

hf_err cli_ca_check_id(const char *id)
{
  const char *must_be = config_check(config_row(CONFIG_DEVICE_ID), id);
  return must_be ? hf_hint(hf_fail(HF_ERR_USAGE, "the device's id '%.80s'", id), "An id is %s.", must_be) : HF_OK;
}

void cli_ca_time(int64_t when, char out[CLI_TIME_MAX])
{
  time_t time = (time_t)when;
  struct tm tm;
  if (!gmtime_r(&time, &tm) || strftime(out, CLI_TIME_MAX, "%Y-%m-%d %H:%M:%S UTC", &tm) == 0)
    snprintf(out, CLI_TIME_MAX, "%lld", (long long)when);
}

const char *cli_ca_state(const struct registry_certificate *certificate)
{
  if (certificate->revoked)
    return "revoked";
  return certificate->not_after <= (int64_t)time(NULL) ? "expired" : "valid";
}

const char *cli_ca_kind(enum registry_kind kind)
{
  static const char *const names[] = {
    [REGISTRY_DEVICE] = "device", [REGISTRY_SERVER] = "server", [REGISTRY_AUTHORITY] = "authority"
  };
  return names[kind];
}

static hf_err set_time(json_t *out, const char *name, int64_t when)
{
  char text[CLI_TIME_MAX];
  cli_ca_time(when, text);
  return cli_json_set(out, name, text);
}

hf_err cli_ca_json(const struct registry_certificate *certificate, json_t *out)
{
  char serial[2 * REGISTRY_SERIAL_MAX + 1];
  registry_serial_format(&certificate->serial, serial);
  HF_TRY(cli_json_set(out, "serial", serial));
  HF_TRY(cli_json_set(out, "device", certificate->device));
  HF_TRY(cli_json_set(out, "kind", cli_ca_kind(certificate->kind)));
  HF_TRY(cli_json_set(out, "state", cli_ca_state(certificate)));
  HF_TRY(set_time(out, "issued", certificate->issued));
  HF_TRY(set_time(out, "not_before", certificate->not_before));
  HF_TRY(set_time(out, "not_after", certificate->not_after));
  if (!certificate->revoked)
    return HF_OK;
  HF_TRY(set_time(out, "revoked", certificate->revoked));
  return cli_json_set(out, "reason", reason_name(certificate->reason));
}

hf_err cli_ca_pem(struct hf_slice der, struct hf_buf *out)
{
  HF_CLEANUP(chain_freep) STACK_OF(X509) *one = NULL;
  HF_TRY(chain_parse(der, "the registry's certificate", &one));
  return chain_pem(one, out);
}
