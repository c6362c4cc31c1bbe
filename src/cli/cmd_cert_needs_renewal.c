/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/certificate.h"
#include "cli/commands.h"
#include "cli/json.h"

#include <time.h>

struct answer {
  const char *where;
  struct validity validity;
  enum validity_status status;
  int64_t now;
  bool yes;
};

static hf_err print_json(const struct answer *answer)
{
  HF_CLEANUP(json_decrefp) json_t *object = json_object();
  HF_TRY(cli_json_set(object, "certificate", answer->where));
  HF_TRY(cli_json_set_new(object, "needs_renewal", json_boolean(answer->yes)));
  HF_TRY(cli_json_set(object, "status", validity_status_name(answer->status)));
  HF_TRY(cli_json_set_new(object, "seconds_left", json_integer(answer->validity.until - answer->now)));
  return cli_json_print(object);
}

static hf_err print_text(const struct answer *answer)
{
  char status[CLI_STATUS_MAX];
  cli_validity_text(&answer->validity, answer->status, answer->now, status);
  cli_print_text(stdout, answer->where, strlen(answer->where));
  printf(": %s; %s\n", status, answer->yes ? "it needs renewal" : "it needs no renewal");
  return HF_OK;
}

static hf_err ask(const struct cli_args *args, bool *ret_yes)
{
  HF_CLEANUP(cli_device_end) struct cli_device device = { 0 };
  HF_CLEANUP(chain_freep) STACK_OF(X509) *chain = NULL;
  HF_TRY(cli_device_start(args, &device));
  uint64_t minimum_s = config_get_number(device.config, CONFIG_CERTIFICATE_VALIDITY_MINIMUM_DURATION);
  struct answer answer = { .where = cli_certificate_where(args, device.config), .now = time(NULL) };
  HF_TRY(cli_certificate_read(answer.where, &chain));
  HF_TRY(validity_of(sk_X509_value(chain, 0), &answer.validity));
  answer.status = validity_at(&answer.validity, minimum_s, answer.now);
  answer.yes = validity_needs_renewal(&answer.validity, minimum_s, answer.now);
  HF_TRY(cli_has(args, "json") ? print_json(&answer) : print_text(&answer));
  *ret_yes = answer.yes;
  return HF_OK;
}

static const struct cli_option options[] = { CLI_JSON_OPTION, CLI_MODULE_OPTIONS, CLI_END };

const struct cli_command cli_cert_needs_renewal = {
  .name = "cert needs-renewal",
  .help = "Tell whether the device's certificate is due for renewal: exit status 0 yes, 1 no, 2 unknown",
  .operands = "[FILE]",
  .operands_max = 1,
  .options = options,
  .details =
      "It is when less than certificate.validity.minimum_duration is left; where that is not set, or is longer than\n"
      "the certificate's whole lifetime, when less than a third of that is left.\n",
  .example = "holdfast cert needs-renewal && holdfast cert renew\n",
  .ask = ask,
};
