/* SPDX-License-Identifier: Apache-2.0 */
/* The configuration for a command. */
#ifndef HF_CLI_CONFIGURATION_H
#define HF_CLI_CONFIGURATION_H

#include "cli/cli.h"
#include "config/config.h"

#define CLI_CONFIG_OPTION                                                                     \
  {                                                                                           \
    "config", "FILE", "configuration file (default: $HOLDFAST_CONFIG, then the usual places)" \
  }

/* Loads what --config names, else the usual file, and prints its warning on standard error. */
hf_err cli_config_load(const struct cli_args *args, struct config **ret_config);

#endif
