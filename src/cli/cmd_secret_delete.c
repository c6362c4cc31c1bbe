/* SPDX-License-Identifier: Apache-2.0 */
/* holdfast secret delete */
#include "cli/commands.h"
#include "cli/secret.h"

static hf_err run(const struct cli_args *args)
{
  HF_CLEANUP(cli_secrets_close) struct cli_secrets secrets = { 0 };
  struct secrets_info info;
  const char *name = cli_operand(args, 0);
  HF_TRY(secrets_name_check(name));
  HF_TRY(cli_secrets_open(args, false, &secrets));
  HF_TRY(secrets_info(secrets.secrets, name, &info));
  HF_TRY(cli_confirm(args, "Delete the secret %s, all its versions?", name));
  HF_TRY(secrets_delete(secrets.secrets, name));
  printf("The secret %s is deleted.\n", name);
  return HF_OK;
}

static const struct cli_option options[] = { CLI_YES_OPTION, CLI_MODULE_OPTIONS, CLI_END };

const struct cli_command cli_secret_delete = {
  .name = "secret delete",
  .help = "Delete a secret with all its versions",
  .operands = "NAME",
  .operands_min = 1,
  .operands_max = 1,
  .options = options,
  .example = "holdfast secret delete plc/password --yes\n",
  .run = run,
};
