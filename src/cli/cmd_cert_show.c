/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/certificate.h"
#include "cli/commands.h"
#include "identity/journal.h"

/* --new: the one that a renewal has got and not yet taken. */
static hf_err find(const struct cli_args *args, const struct config *config, struct journal_paths *paths,
                   const char **ret_where)
{
  if (!cli_has(args, "new")) {
    *ret_where = cli_certificate_where(args, config);
    return HF_OK;
  }
  if (cli_operand(args, 0))
    return hf_fail(HF_ERR_USAGE, "--new is for the configured certificate: it goes without a file");
  HF_TRY(journal_paths(config, paths));
  *ret_where = paths->staged;
  return HF_OK;
}

static hf_err run(const struct cli_args *args)
{
  HF_CLEANUP(cli_device_end) struct cli_device device = { 0 };
  HF_CLEANUP(chain_freep) STACK_OF(X509) *chain = NULL;
  struct journal_paths paths;
  const char *where = NULL;
  HF_TRY(cli_device_start(args, &device));
  HF_TRY(find(args, device.config, &paths, &where));
  HF_TRY(cli_certificate_read(where, &chain));
  return cli_certificate_show(args, &device, where, chain);
}

static const struct cli_option options[] = {
  { "new", NULL, "show the one that a renewal is trying, device.cert_path.new" },
  CLI_JSON_OPTION,
  CLI_DEVICE_OPTIONS,
  CLI_END,
};

const struct cli_command cli_cert_show = {
  .name = "cert show",
  .help = "Show the device's certificate, or another one, and whether it is for the device's key",
  .operands = "[FILE]",
  .operands_max = 1,
  .options = options,
  .details =
      "FILE is a file (PEM or DER), '-' for standard input, or a pkcs11: URI of a certificate in a token; without it,\n"
      "device.cert_path. EXPIRES SOON stands for one that 'holdfast cert needs-renewal' says yes to.\n",
  .example = "holdfast cert show\n"
             "holdfast cert show 'pkcs11:token=my-token;object=my-key;type=cert' --json\n",
  .run = run,
};
