/* SPDX-License-Identifier: Apache-2.0 */
/* The device itself: its clock, directories and ports, and the gateway that runs on it, or is to. */
#include "doctor/doctor_private.h"

#include "gateway/core_state.h"
#include "gateway/mosquitto.h"
#include "gateway/net.h"
#include "gateway/pidfile.h"
#include "gateway/port_owner.h"

#include <errno.h>
#include <libgen.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/timex.h>
#include <time.h>

enum { FIRST_YEAR = 2025, DAY_S = 86400, LITTLE_MIB = 16 };

static int64_t configured_at(const struct doctor *d)
{
  struct stat st;
  return d->config && stat(config_path(d->config), &st) == 0 ? (int64_t)st.st_mtime : 0;
}

/* A wrong clock makes good certificates bad ones. */
hf_err doctor_clock(struct doctor *d)
{
  char text[32] = "?";
  struct timex timex = { .modes = 0 };
  time_t now = time(NULL);
  struct tm tm = { 0 };
  if (gmtime_r(&now, &tm))
    strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S UTC", &tm);
  int state = adjtimex(&timex);
  bool synchronised = state < 0 || (state != TIME_ERROR && !(timex.status & STA_UNSYNC)); /* may be kept from us */
  doctor_detail(d, "%s", text);
  if (tm.tm_year + 1900 < FIRST_YEAR || (int64_t)now + DAY_S < configured_at(d))
    return hf_hint(hf_fail(HF_ERR_CLOCK, "it says %s", text),
                   "Set the clock, and have it kept by NTP: 'timedatectl set-ntp true'.");
  if (!synchronised)
    doctor_warn(d, hf_hint(hf_fail(HF_ERR_CLOCK, "%s, not synchronised", text),
                           "Have it kept by NTP: 'timedatectl set-ntp true'."));
  return HF_OK;
}

/* The directory, or the one above it in which it will be made. */
static void nearest_there(const char *path, char out[PATH_MAX])
{
  snprintf(out, PATH_MAX, "%s", path);
  while (access(out, F_OK) != 0 && errno == ENOENT && strcmp(out, "/") != 0)
    memmove(out, dirname(out), strlen(dirname(out)) + 1);
}

static hf_err check_directory(struct doctor *d, const char *path, enum config_key key)
{
  char there[PATH_MAX];
  struct stat st;
  nearest_there(path, there);
  doctor_detail(d, "%s%s", path, strcmp(path, there) == 0 ? "" : ", which will be made");
  if (stat(there, &st) != 0)
    return hf_fail_errno(errno, "%s", there);
  if (!S_ISDIR(st.st_mode))
    return hf_hint(hf_fail(HF_ERR_IO, "%s is no directory", there), "Correct %s.", config_row(key)->key);
  if (strcmp(path, there) == 0 && (st.st_mode & S_IWOTH))
    return hf_hint(hf_fail(HF_ERR_PERMISSION, "%s can be written by everyone", path), "'chmod o-w %s'.", path);
  if (access(there, W_OK | X_OK) == 0)
    return HF_OK;
  return hf_hint(hf_fail_errno(errno, "%s", there),
                 "Run as the user of the gateway, have them own the directory, or set %s.", config_row(key)->key);
}

/* What the bridges may keep must have its place. */
static hf_err check_room(struct doctor *d, const char *path)
{
  char there[PATH_MAX];
  struct statvfs fs;
  nearest_there(path, there);
  if (statvfs(there, &fs) != 0 || fs.f_blocks == 0)
    return HF_OK;
  unsigned long long free_mib = (unsigned long long)fs.f_bavail * fs.f_frsize >> 20,
                     wanted_mib = config_get_number(d->config, CONFIG_MQTT_BRIDGE_SPOOL_MAX_SIZE) >> 20;
  doctor_value(d, "free_mib", (double)free_mib);
  doctor_detail(d, "%s, %llu MiB free", path, free_mib);
  if (free_mib < LITTLE_MIB || (fs.f_files && fs.f_favail == 0))
    return hf_hint(hf_fail(HF_ERR_DISK_FULL, "%s: %llu MiB are free", there, free_mib), "Free some space.");
  if (free_mib < wanted_mib)
    doctor_warn(d, hf_hint(hf_fail(HF_ERR_DISK_FULL, "%s: %llu MiB are free, and a bridge may keep %llu MiB", there,
                                   free_mib, wanted_mib),
                           "Free some space, or lower mqtt.bridge.spool.max_size."));
  return HF_OK;
}

hf_err doctor_data_directory(struct doctor *d)
{
  char path[PATH_MAX];
  HF_TRY(config_data_path(d->config, path, sizeof(path)));
  HF_TRY(check_directory(d, path, CONFIG_DATA_PATH));
  return check_room(d, path);
}

hf_err doctor_run_directory(struct doctor *d)
{
  char path[PATH_MAX];
  HF_TRY(config_run_path(d->config, path, sizeof(path)));
  return check_directory(d, path, CONFIG_RUN_PATH);
}

bool doctor_has_own_broker(const struct doctor *d)
{
  return strcmp(config_get(d->config, CONFIG_MQTT_BROKER), "managed") == 0;
}

bool doctor_has_other_broker(const struct doctor *d)
{
  return !doctor_has_own_broker(d);
}

hf_err doctor_broker_program(struct doctor *d)
{
  char version[64];
  HF_TRY(mosquitto_version(version, sizeof(version)));
  doctor_detail(d, "version %s", version);
  return HF_OK;
}

hf_err doctor_broker_answers(struct doctor *d)
{
  const struct link_options options = cloud_local_link(d->config, "holdfast-doctor");
  char address[CONFIG_HOST_MAX + 16];
  config_address_format(&options.dial.address, address, sizeof(address));
  doctor_detail(d, "%s", address);
  struct link *link = NULL;
  HF_TRY(link_open(&options, net_now_ms() + (int64_t)d->options->timeout_s * 1000, &link));
  link_close(link);
  return HF_OK;
}

static pid_t core_pid(const struct doctor *d)
{
  pid_t pid = 0;
  hf_ignore(pidfile_read(d->config, &pid));
  return pid;
}

/* Free, or what holdfast-core's mosquitto answers on: it does not start where another one has it. */
hf_err doctor_broker_port(struct doctor *d)
{
  const char *address = config_get(d->config, CONFIG_MQTT_BIND_ADDRESS),
             *port = config_get(d->config, CONFIG_MQTT_BIND_PORT);
  hf_err e = port_check_free(address, port);
  if (e.code == HF_ERR_BUSY && core_pid(d))
    e = doctor_broker_answers(d);
  else if (e.code == HF_ERR_BUSY)
    return hf_hint(e, "End it, or set mqtt.bind.port to another one; with mqtt.broker external, Holdfast uses it.");
  HF_TRY(e);
  doctor_detail(d, "%s at %s is %s", port, address, core_pid(d) ? "holdfast-core's" : "free");
  return HF_OK;
}

static bool is_wanted(const struct doctor *d)
{
  for (size_t i = 0; i < CONFIG_CLOUD_COUNT; i++)
    if (config_get_bool(d->config, clouds[i].config->bridge_enabled))
      return true;
  return false;
}

hf_err doctor_core(struct doctor *d)
{
  pid_t pid = core_pid(d);
  if (pid)
    doctor_detail(d, "it runs, process %d", (int)pid);
  else
    doctor_detail(d, "it does not run");
  if (!pid && is_wanted(d))
    doctor_warn(d, hf_hint(hf_fail(HF_ERR_SERVICE, "a bridge is enabled, but no holdfast-core runs"),
                           "Start it: 'holdfast core start'."));
  return HF_OK;
}
