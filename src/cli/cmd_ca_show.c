/* SPDX-License-Identifier: Apache-2.0 */
/* holdfast ca show */
#include "ca/reason.h"
#include "cli/authority.h"
#include "cli/commands.h"
#include "cli/configuration.h"

static hf_err print_json(const struct registry_certificate *certificate, struct hf_buf *pem)
{
  HF_CLEANUP(json_decrefp) json_t *json = json_object();
  HF_TRY(cli_ca_json(certificate, json));
  HF_TRY(cli_json_set(json, "pem", hf_buf_str(pem)));
  return cli_json_print(json);
}

static void print_time(const char *name, int64_t when)
{
  char text[CLI_TIME_MAX];
  cli_ca_time(when, text);
  printf("%-9s %s\n", name, text);
}

static void print_text(const struct registry_certificate *certificate, struct hf_buf *pem)
{
  char serial[2 * REGISTRY_SERIAL_MAX + 1];
  registry_serial_format(&certificate->serial, serial);
  printf("Serial:   %s\nDevice:   ", serial);
  cli_print_text(stdout, certificate->device, strlen(certificate->device));
  printf("\nKind:     %s\nState:    %s\n", cli_ca_kind(certificate->kind), cli_ca_state(certificate));
  print_time("Issued:", certificate->issued);
  print_time("Valid:", certificate->not_before);
  print_time("Until:", certificate->not_after);
  if (certificate->revoked) {
    print_time("Revoked:", certificate->revoked);
    printf("Reason:   %s\n", reason_name(certificate->reason));
  }
  fputs(hf_buf_str(pem), stdout);
}

static hf_err run(const struct cli_args *args)
{
  HF_CLEANUP(cli_ca_close) struct cli_ca ca = { 0 };
  HF_CLEANUP(hf_buf_free) struct hf_buf der = HF_BUF(REGISTRY_DER_MAX), pem = HF_BUF(2 * REGISTRY_DER_MAX);
  struct registry_certificate certificate;
  struct registry_serial serial;
  bool found = false;
  HF_TRY(registry_serial_parse(cli_operand(args, 0), &serial));
  HF_TRY(cli_ca_open(args, CLI_CA_REGISTRY, &ca));
  HF_TRY(registry_certificate_get(ca.registry, &serial, &found, &certificate, &der));
  if (!found)
    return hf_hint(hf_fail(HF_ERR_NOT_FOUND, "no certificate has the serial number %s", cli_operand(args, 0)),
                   "'holdfast ca list' shows them.");
  HF_TRY(cli_ca_pem(certificate.der, &pem));
  if (cli_has(args, "json"))
    return print_json(&certificate, &pem);
  print_text(&certificate, &pem);
  return HF_OK;
}

static const struct cli_option options[] = { CLI_JSON_OPTION, CLI_CONFIG_OPTION, CLI_END };

const struct cli_command cli_ca_show = {
  .name = "ca show",
  .help = "Show a certificate that the authority has issued, and its state",
  .operands = "SERIAL",
  .operands_min = 1,
  .operands_max = 1,
  .options = options,
  .example = "holdfast ca show 715e0cc06d38c54e23e02a71bb65b726dd122975\n",
  .run = run,
};
