/* SPDX-License-Identifier: Apache-2.0 */
/* holdfast core run|start|stop|restart */
#include "cli/beside.h"
#include "cli/commands.h"
#include "cli/configuration.h"
#include "cli/core_start.h"
#include "gateway/pidfile.h"

/* Whoever starts it by hand is told at once what is wrong; see core_main.c. */
static int run_core(int argc, char **argv)
{
  char check[] = "--check";
  HF_CLEANUP(hf_freep) char **all = calloc((size_t)argc + 2, sizeof(*all));
  if (!all)
    return hf_err_status((hf_err){ HF_ERR_NO_MEMORY });
  all[0] = argv[0];
  all[1] = check;
  for (int i = 1; i < argc; i++)
    all[i + 1] = argv[i];
  return cli_become("holdfast-core", "../gateway/", "the gateway daemon", all);
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
  else if (!cli_has(args, "no-check"))
    HF_TRY(cli_core_check(config, manager));
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
  if (!cli_has(args, "no-check"))
    HF_TRY(cli_core_check(config, manager));
  HF_TRY(manager->restart(config));
  return report(config, manager);
}

static const struct cli_option run_options[] = { CLI_END }; /* the daemon reads its own */
static const struct cli_option options[] = { CLI_CONFIG_OPTION, CLI_END };
static const struct cli_option start_options[] = {
  CLI_CONFIG_OPTION,
  { "no-check", NULL, "start although the HSM, a key or the certificate is not there yet: they are waited for" },
  CLI_END,
};

#define CHECKED                                                                                                       \
  "Before it starts, the configuration, the certificates, the HSM, its PIN and each key are put to the trial: what\n" \
  "is wrong is told as the error, and nothing is started. At boot, what is not there yet is waited for.\n"

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
  .options = start_options,
  .details = CHECKED
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
  .options = start_options,
  .details = CHECKED "Where something is, what runs goes on.\n",
  .example = "holdfast core restart\n",
  .run = run_restart,
};
