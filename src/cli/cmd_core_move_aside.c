/* SPDX-License-Identifier: Apache-2.0 */
/* holdfast core move-aside */
#include "cli/commands.h"
#include "cli/configuration.h"
#include "gateway/core_bridges.h"
#include "gateway/service.h"

#include <limits.h>

static hf_err run(const struct cli_args *args)
{
  char dir[PATH_MAX], aside[PATH_MAX];
  const struct config_cloud *cloud;
  HF_CLEANUP(config_freep) struct config *config = NULL;
  HF_TRY(config_cloud_find(args->operands[0], &cloud));
  HF_TRY(cli_config_load(args, &config));
  HF_TRY(core_spool_dir(config, cloud, dir, sizeof(dir)));
  HF_TRY(spool_move_aside(dir, aside, sizeof(aside)));
  printf("The spool of the bridge to %s is now %s.\n", cloud->title, aside);
  const struct service_manager *manager = service_manager_find(config);
  bool active = false;
  HF_TRY(manager->is_active(config, &active));
  return active ? manager->reload(config) : HF_OK;
}

static const struct cli_option options[] = { CLI_CONFIG_OPTION, CLI_END };

const struct cli_command cli_core_move_aside = {
  .name = "core move-aside",
  .help = "Move a bridge's spool out of the way, with all that waits in it",
  .operands = "c8y|aws|az|mqtt",
  .operands_min = 1,
  .operands_max = 1,
  .options = options,
  .details = "For a spool that is damaged: its bridge does not start until it is out of the way. The gateway makes a "
             "new one,\n"
             "at once where it runs; the old one is kept beside it. A spool that is in use stays where it is.\n",
  .example = "holdfast core move-aside c8y\n",
  .run = run,
};
