/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/configuration.h"

hf_err cli_config_load(const struct cli_args *args, struct config **ret_config)
{
  struct config *config;
  HF_TRY(config_load(cli_get(args, "config"), &config));
  if (config_warning(config))
    fprintf(stderr, "holdfast: warning: %s\n", config_warning(config));
  *ret_config = config;
  return HF_OK;
}
