/* SPDX-License-Identifier: Apache-2.0 */
/* greengrassd start|stop|restart, as a Greengrass core's scripts call it: /greengrass/ggc/core/greengrassd is a link to holdfast. */
#include "base/secret.h"
#include "cli/commands.h"
#include "cli/core_start.h"
#include "gateway/pidfile.h"

#include <limits.h>

static const char program[] = "greengrassd";

static const char usage[] =
    "Usage: greengrassd start|stop|restart\n\n"
    "Holdfast's gateway daemon by the name of Greengrass's: a link to holdfast. The configuration is\n"
    "config/config.json of the Greengrass folder that the link is in (from /greengrass/ggc/core,\n"
    "/greengrass/config/config.json); else $HOLDFAST_CONFIG, else the usual places. 'holdfast core' does the same,\n"
    "and more.\n\n"
    "Example:\n"
    "  ln -s /usr/bin/holdfast /greengrass/ggc/core/greengrassd\n"
    "  cd /greengrass/ggc/core && ./greengrassd start\n";

/* Upwards from the link's folder: Greengrass's own core is a link, too, so how far up is not known. */
static const char *find_config(const char *called_as, char *out, size_t size)
{
  enum { LEVELS = 5 };
  char folder[PATH_MAX], copy[PATH_MAX];
  const char *slash = strrchr(called_as, '/');
  if (!slash)
    return NULL;
  snprintf(copy, sizeof(copy), "%.*s", (int)(slash - called_as + 1), called_as);
  if (!realpath(copy, folder))
    return NULL;
  for (int i = 0; i < LEVELS; i++) {
    int len = snprintf(out, size, "%s/config/config.json", folder);
    if (len > 0 && (size_t)len < size && access(out, F_OK) == 0)
      return out;
    char *last = strrchr(folder, '/');
    if (!last)
      break;
    *last = '\0';
  }
  return NULL;
}

static hf_err start(const struct config *config, const struct service_manager *manager)
{
  pid_t pid = 0;
  HF_TRY(pidfile_read(config, &pid));
  if (pid != 0)
    return hf_hint(hf_fail(HF_ERR_BUSY, "Greengrass is running already, with PID: %d", (int)pid),
                   "To start it anew: 'greengrassd restart'.");
  puts("Setting up greengrass daemon\nValidating the configuration, the HSM and its keys");
  fflush(stdout);
  HF_TRY(cli_core_check(config, manager));
  puts("Waiting for up to 1m0s for Daemon to start");
  fflush(stdout);
  HF_TRY(manager->start(config));
  HF_TRY(pidfile_read(config, &pid));
  printf("\nGreengrass successfully started with PID: %d\n", (int)pid);
  return HF_OK;
}

static hf_err stop(const struct config *config, const struct service_manager *manager)
{
  HF_TRY(manager->stop(config));
  puts("Stopped greengrass daemon, exiting with success");
  return HF_OK;
}

static hf_err restart(const struct config *config, const struct service_manager *manager)
{
  HF_TRY(cli_core_check(config, manager));
  HF_TRY(stop(config, manager));
  return start(config, manager);
}

static const struct {
  const char *name;
  hf_err (*run)(const struct config *config, const struct service_manager *manager);
} verbs[] = { { "start", start }, { "stop", stop }, { "restart", restart } };

static hf_err run_verb(const char *called_as, const char *verb)
{
  char path[PATH_MAX];
  HF_CLEANUP(config_freep) struct config *config = NULL;
  for (size_t i = 0; i < HF_ARRAY_LEN(verbs); i++) {
    if (strcmp(verbs[i].name, verb) != 0)
      continue;
    HF_TRY(config_load(find_config(called_as, path, sizeof(path)), &config));
    if (config_warning(config))
      fprintf(stderr, "%s: warning: %s\n", program, config_warning(config));
    return verbs[i].run(config, service_manager_find(config));
  }
  return hf_hint(hf_fail(HF_ERR_USAGE, "'%s'", verb), "Use start, stop or restart.");
}

static int run_greengrassd(int argc, char **argv)
{
  if (argc == 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0))
    return fputs(usage, stdout) < 0;
  hf_err e = argc == 2 ? run_verb(argv[0], argv[1])
                       : hf_hint(hf_fail(HF_ERR_USAGE, "one command is needed"), "Use start, stop or restart.");
  if (fflush(stdout) != 0 && !hf_failed(e))
    e = hf_fail(HF_ERR_IO, "writing to standard output");
  if (hf_failed(e))
    hf_err_print(stderr, program, e);
  return hf_err_status(e);
}

static const struct cli_option options[] = { CLI_END };

const struct cli_command cli_greengrassd = {
  .name = "greengrassd",
  .help =
      "Start and stop the gateway as Greengrass's greengrassd does, which holdfast also is where a link calls it so",
  .operands = "start|stop|restart",
  .operands_min = 1,
  .operands_max = 1,
  .options = options,
  .details =
      "A link of the name greengrassd to holdfast does the same. It takes config/config.json of the Greengrass folder\n"
      "that the link is in; see docs/greengrass.md.\n",
  .example = "holdfast greengrassd start\n",
  .run_raw = run_greengrassd,
};
