/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/core_start.h"

#include "gateway/core_check.h"
#include "identity/program.h"

#include <limits.h>
#include <signal.h>

/* What is wrong with the file itself was told when it was read. */
static void tell(const struct core_check_result *result, void *arg)
{
  const struct config *config = arg;
  if (result->verdict == CORE_CHECK_WARNED &&
      strcmp(result->cause.context, config_warning(config) ? config_warning(config) : "") != 0)
    fprintf(stderr, "holdfast: warning: %s\n", result->cause.context);
}

static bool is_the_service_s(const struct config *config, const struct service_manager *manager)
{
  static const char credential[] = "credential:";
  const char *source = config_get(config, CONFIG_DEVICE_CRYPTOKI_PIN_SOURCE);
  return strcmp(manager->name, "systemd") == 0 &&
         (strcmp(config_get(config, CONFIG_DEVICE_CRYPTOKI_MODE), "socket") == 0 ||
          (source && strncmp(source, credential, strlen(credential)) == 0));
}

hf_err cli_core_check(const struct config *config, const struct service_manager *manager)
{
  char module_path[PATH_MAX];
  HF_TRY(config_usable(config));
  if (is_the_service_s(config, manager))
    return HF_OK;
  signal(SIGPIPE, SIG_IGN);
  HF_TRY(program_module(config, getenv("HOLDFAST_MODULE"), module_path, sizeof(module_path)));
  HF_TRY(program_start(config, module_path));
  return core_checks_pass(config, module_path, tell, (void *)config);
}
