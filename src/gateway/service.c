/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/service.h"

#include "base/process.h"
#include "gateway/service_process.h"

#include <sys/stat.h>

enum { SYSTEMCTL_TIMEOUT_S = 100, /* longer than systemd's own */ OUTPUT_MAX = 64 * 1024 };

/* systemd */

static hf_err systemctl(const char *verb, const char *option, struct hf_buf *out, int *ret_status)
{
  const char *const argv[] = { "systemctl", verb, SERVICE_UNIT, option, NULL };
  return hf_process_run(argv, SYSTEMCTL_TIMEOUT_S, out, ret_status);
}

/* What the core itself last said of its state says more than systemctl does. */
static hf_err failed(const char *verb, struct hf_buf *said)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf status_text = HF_BUF(OUTPUT_MAX);
  int status;
  const char *text = hf_buf_str(said);
  if (!hf_failed(systemctl("show", "--property=StatusText", &status_text, &status)) && status == 0) {
    const char *value = hf_buf_str(&status_text);
    value = value ? strchr(value, '=') : NULL;
    if (value && value[1] && value[1] != '\n')
      text = value + 1;
  }
  return hf_fail(HF_ERR_SERVICE, "systemctl %s " SERVICE_UNIT ": %.*s", verb, text ? (int)strcspn(text, "\n") : 0,
                 text ? text : "");
}

static hf_err run_systemctl(const char *verb)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf out = HF_BUF(OUTPUT_MAX);
  int status = 0;
  HF_TRY(systemctl(verb, NULL, &out, &status));
  return status == 0 ? HF_OK : failed(verb, &out);
}

static hf_err systemd_start(const struct config *config)
{
  (void)config;
  return run_systemctl("start");
}

static hf_err systemd_stop(const struct config *config)
{
  (void)config;
  return run_systemctl("stop");
}

static hf_err systemd_restart(const struct config *config)
{
  (void)config;
  return run_systemctl("restart");
}

static hf_err systemd_reload(const struct config *config)
{
  (void)config;
  return run_systemctl("reload");
}

static hf_err systemd_enable(const struct config *config)
{
  (void)config;
  return run_systemctl("enable");
}

static hf_err systemd_is_active(const struct config *config, bool *ret_active)
{
  (void)config;
  HF_CLEANUP(hf_buf_free) struct hf_buf out = HF_BUF(OUTPUT_MAX);
  int status = 0;
  HF_TRY(systemctl("is-active", NULL, &out, &status));
  *ret_active = status == 0;
  return HF_OK;
}

static bool has_unit(void)
{
  static const char *const folders[] = { "/etc", "/run", "/usr/local/lib", "/usr/lib", "/lib" };
  for (size_t i = 0; i < HF_ARRAY_LEN(folders); i++) {
    char path[128];
    snprintf(path, sizeof(path), "%s/systemd/system/" SERVICE_UNIT, folders[i]);
    if (access(path, F_OK) == 0)
      return true;
  }
  return false;
}

static bool is_systemd_s(const struct config *config)
{
  struct stat st;
  /* sd_booted(3) */
  return lstat("/run/systemd/system", &st) == 0 && S_ISDIR(st.st_mode) && geteuid() == 0 &&
         strcmp(config_path(config), CONFIG_SYSTEM_FILE) == 0 && has_unit();
}

static bool is_any(const struct config *config)
{
  (void)config;
  return true;
}

/* The first that is here counts. */
static const struct {
  bool (*is_here)(const struct config *config);
  struct service_manager manager;
} managers[] = {
  { is_systemd_s,
    { .name = "systemd",
      .start = systemd_start,
      .stop = systemd_stop,
      .restart = systemd_restart,
      .reload = systemd_reload,
      .is_active = systemd_is_active,
      .enable = systemd_enable } },
  { is_any,
    { .name = "none",
      .start = service_process_start,
      .stop = service_process_stop,
      .restart = service_process_restart,
      .reload = service_process_reload,
      .is_active = service_process_is_active,
      .enable = service_process_enable } },
};

const struct service_manager *service_manager_find(const struct config *config)
{
  size_t i = 0;
  while (!managers[i].is_here(config))
    i++;
  return &managers[i].manager;
}
