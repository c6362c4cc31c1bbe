/* SPDX-License-Identifier: Apache-2.0 */
/* holdfast core run|start|stop|restart */
#include "cli/beside.h"
#include "cli/commands.h"
#include "cli/configuration.h"
#include "gateway/pidfile.h"
#include "gateway/service.h"

static int run_core(int argc, char **argv)
{
  (void)argc;
  return cli_become("holdfast-core", "../gateway/", "the gateway daemon", argv);
}

static hf_err report(const struct config *config, const struct service_manager *manager)
{
  pid_t pid = 0;
  HF_TRY(pidfile_read(config, &pid));
  printf("holdfast-core is running with PID: %d (service manager: %s)\n", (int)pid, manager->name);
  return HF_OK;
}

static hf_err run_start(const struct cli_args *args)
{
  HF_CLEANUP(config_freep) struct config *config = NULL;
  HF_TRY(cli_config_load(args, &config));
  const struct service_manager *manager = service_manager_find(config);
  bool active = false;
  HF_TRY(manager->is_active(config, &active));
  if (active)
    puts("It was running already.");
  HF_TRY(manager->start(config));
  return report(config, manager);
}

static hf_err run_stop(const struct cli_args *args)
{
  HF_CLEANUP(config_freep) struct config *config = NULL;
  HF_TRY(cli_config_load(args, &config));
  const struct service_manager *manager = service_manager_find(config);
  bool active = false;
  HF_TRY(manager->is_active(config, &active));
  HF_TRY(manager->stop(config));
  puts(active ? "holdfast-core has stopped." : "No holdfast-core was running.");
  return HF_OK;
}

static hf_err run_restart(const struct cli_args *args)
{
  HF_CLEANUP(config_freep) struct config *config = NULL;
  HF_TRY(cli_config_load(args, &config));
  const struct service_manager *manager = service_manager_find(config);
  HF_TRY(manager->restart(config));
  return report(config, manager);
}

static const struct cli_option run_options[] = { CLI_END }; /* the daemon reads its own */
static const struct cli_option options[] = { CLI_CONFIG_OPTION, CLI_END };

const struct cli_command cli_core_run = {
  .name = "core run",
  .help = "Run the gateway daemon in the foreground: see 'holdfast core run --help'",
  .options = run_options,
  .example = "holdfast core run\n",
  .run_raw = run_core,
};

const struct cli_command cli_core_start = {
  .name = "core start",
  .help = "Start the gateway daemon, and wait until it is ready",
  .options = options,
  .details =
      "With systemd, as root and with the system's configuration, it is the service holdfast-core; else a process of\n"
      "its own, whose log is core.log in data.path. What keeps it from starting is told as its error.\n",
  .example = "holdfast core start\n",
  .run = run_start,
};

const struct cli_command cli_core_stop = {
  .name = "core stop",
  .help = "End the gateway daemon; what is not at the cloud yet stays on disk",
  .options = options,
  .example = "holdfast core stop\n",
  .run = run_stop,
};

const struct cli_command cli_core_restart = {
  .name = "core restart",
  .help = "End the gateway daemon and start it again",
  .options = options,
  .example = "holdfast core restart\n",
  .run = run_restart,
};
