/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/commands.h"
#include "cli/device.h"
#include "identity/install.h"

static hf_err run(const struct cli_args *args)
{
  HF_CLEANUP(cli_device_end) struct cli_device device = { 0 };
  bool there = false, removed = false;
  HF_TRY(cli_device_start(args, &device));
  const char *where = config_get(device.config, CONFIG_DEVICE_CERT_PATH);
  HF_TRY(install_exists(device.config, &there));
  if (there) {
    HF_TRY(cli_confirm(args, "The device's certificate %s will be removed; its key stays.", where));
    HF_TRY(install_remove(device.config, device.module_path, &removed));
  }
  printf(removed ? "Removed %s\n" : "There is no certificate to remove: %s\n", where);
  return HF_OK;
}

static const struct cli_option options[] = { CLI_YES_OPTION, CLI_MODULE_OPTIONS, CLI_END };

const struct cli_command cli_cert_remove = {
  .name = "cert remove",
  .help = "Remove the device's certificate, not its key",
  .options = options,
  .details = "Removes what device.cert_path names: a file, or a certificate in the token.\n",
  .example = "holdfast cert remove --yes\n",
  .run = run,
};
