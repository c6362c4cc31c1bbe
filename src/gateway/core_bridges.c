/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/core_bridges.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "config/rules.h"
#include "gateway/cloud_link.h"
#include "gateway/net.h"
#include "gateway/server_material.h"
#include "identity/certificate.h"

#include <errno.h>
#include <limits.h>
#include <sys/eventfd.h>

enum { CLIENT_ID_MAX = 64, RETRY_MS = 10000 };

static struct spool_options spool_options(const struct config *config)
{
  bool refuse = strcmp(config_get(config, CONFIG_MQTT_BRIDGE_SPOOL_OVERFLOW), "refuse-newest") == 0;
  bool power = strcmp(config_get(config, CONFIG_MQTT_BRIDGE_SPOOL_DURABILITY), "power") == 0;
  return (struct spool_options){ .max_size = config_get_number(config, CONFIG_MQTT_BRIDGE_SPOOL_MAX_SIZE),
                                 .overflow = refuse ? SPOOL_REFUSE_NEWEST : SPOOL_DROP_OLDEST,
                                 .durability = power ? SPOOL_POWER : SPOOL_PROCESS };
}

hf_err core_bridges_init(struct core_bridges *bridges)
{
  bridges->subscribed = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  return bridges->subscribed >= 0 ? HF_OK : hf_fail_errno(errno, "an eventfd");
}

static void on_subscribed(void *arg)
{
  const struct core_bridges *bridges = arg;
  eventfd_write(bridges->subscribed, 1);
}

bool core_bridges_subscribed(struct core_bridges *bridges)
{
  eventfd_t count;
  return eventfd_read(bridges->subscribed, &count) == 0;
}

static int64_t milliseconds(const struct config *config, enum config_key key)
{
  return (int64_t)config_get_number(config, key) * 1000;
}

hf_err core_spool_dir(const struct config *config, const struct config_cloud *cloud, char *out, size_t size)
{
  char data[PATH_MAX];
  HF_TRY(config_data_path(config, data, sizeof(data)));
  int len = snprintf(out, size, "%s/spool/%s", data, cloud->name);
  return len >= 0 && (size_t)len < size ? HF_OK : hf_fail(HF_ERR_LIMIT, "the path %.64s...", data);
}

/* As a rule of the bridge's (config/rules.h), once. */
static hf_err add_route(const struct group_route *route, struct hf_buf *topics)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf rule = HF_BUF(TOPIC_RULES_TEXT_MAX);
  bool out = strcmp(route->target, GROUP_CLOUD) == 0;
  if ((!out && strcmp(route->source, GROUP_CLOUD) != 0) || strcmp(route->source, route->target) == 0)
    return HF_OK;
  HF_TRY(hf_buf_addf(&rule, ";\"%s\" %s 1", route->topic, out ? "out" : "in"));
  return strstr(hf_buf_str(topics), hf_buf_str(&rule)) ? HF_OK : hf_buf_add(topics, rule.data, rule.len);
}

/* The cloud's own topics, and what the group's routes lead to the cloud and from it. A group that is wrong adds nothing. */
static hf_err add_topics(const struct config *config, const char *own, struct hf_buf *topics)
{
  HF_CLEANUP(group_freep) struct group *group = NULL;
  HF_TRY(hf_buf_add_str(topics, own));
  if (!config_get_bool(config, CONFIG_MQTT_SERVER_ENABLED) || hf_failed(server_group_load(config, &group)))
    return HF_OK;
  for (size_t i = 0; i < group_route_count(group); i++)
    HF_TRY(add_route(group_route(group, i), topics));
  return HF_OK;
}

/* Starts the cloud's bridge, or has the one that runs take up what changed. */
static hf_err apply(struct core_bridges *bridges, size_t i, const struct config *config)
{
  const struct cloud *cloud = &clouds[i];
  const char *name = cloud->config->name, *topics = config_get(config, cloud->config->bridge_topics);
  char id[CERTIFICATE_CN_MAX], dir[PATH_MAX], client_id[CLIENT_ID_MAX];
  HF_CLEANUP(cloud_link_free) struct cloud_link link = { 0 };
  HF_TRY(certificate_device_id(config, id));
  HF_TRY(cloud_link_options(cloud, config, id, &link));
  HF_CLEANUP(hf_buf_free) struct hf_buf rules = HF_BUF(TOPIC_RULES_TEXT_MAX);
  HF_TRY(add_topics(config, topics ? topics : cloud->topics, &rules));
  HF_TRY(core_spool_dir(config, cloud->config, dir, sizeof(dir)));
  snprintf(client_id, sizeof(client_id), "holdfast-bridge-%s", name);
  const struct bridge_options options = {
    .name = name,
    .device_id = id,
    .topics = hf_buf_str(&rules),
    .links = { [BRIDGE_LOCAL] = cloud_local_link(config, client_id), [BRIDGE_CLOUD] = link.options },
    .limits = cloud->limits,
    .window = (unsigned)config_get_number(config, CONFIG_MQTT_BRIDGE_WINDOW),
    .reconnect_min_ms = milliseconds(config, CONFIG_MQTT_BRIDGE_RECONNECT_MINIMUM),
    .reconnect_max_ms = milliseconds(config, CONFIG_MQTT_BRIDGE_RECONNECT_MAXIMUM),
    .spool_dir = dir,
    .spool = spool_options(config),
    .on_subscribed = on_subscribed,
    .arg = bridges,
  };
  return bridges->running[i] ? bridge_reload(bridges->running[i], &options)
                             : bridge_start(&options, &bridges->running[i]);
}

/* What the configuration does not say and time may mend: the others go on without this one. */
static bool is_the_disk_s(hf_err e)
{
  static const enum hf_code codes[] = {
    HF_ERR_SPOOL_DAMAGED, HF_ERR_SPOOL_VERSION, HF_ERR_BUSY, HF_ERR_DISK_FULL, HF_ERR_IO, HF_ERR_NO_MEMORY
  };
  for (size_t i = 0; i < HF_ARRAY_LEN(codes); i++)
    if (e.code == codes[i])
      return true;
  return false;
}

static hf_err start_or_change(struct core_bridges *bridges, size_t i, const struct config *config)
{
  struct hf_err_saved *cause = &bridges->causes[i];
  bool ran = bridges->running[i];
  hf_err e = apply(bridges, i, config);
  enum hf_code before = cause->error.code;
  *cause = hf_failed(e) && !ran ? hf_err_save(e) : (struct hf_err_saved){ .error = HF_OK };
  if (hf_failed(cause->error) && is_the_disk_s(e)) {
    if (before != e.code)
      hf_ignore(hf_log_err(e, "a bridge cannot start yet"));
    return HF_OK;
  }
  if (before != HF_ERR_OK && !hf_failed(e))
    hf_log(HF_LOG_INFO, "the bridge to %s has started now", clouds[i].config->title);
  return e;
}

static void end(struct core_bridges *bridges, size_t i)
{
  if (bridges->running[i])
    hf_log(HF_LOG_INFO, "the bridge to %s ends", clouds[i].config->title);
  bridges->running[i] = bridge_stop(bridges->running[i]);
  bridges->causes[i] = (struct hf_err_saved){ .error = HF_OK };
}

hf_err core_bridges_apply(struct core_bridges *bridges, const struct config *config)
{
  struct hf_err_saved first = { .error = HF_OK };
  for (size_t i = 0; i < CONFIG_CLOUD_COUNT; i++) {
    if (!config_get_bool(config, clouds[i].config->bridge_enabled)) {
      end(bridges, i);
      continue;
    }
    hf_err e = start_or_change(bridges, i, config);
    if (hf_failed(e) && !hf_failed(first.error))
      first = hf_err_save(e);
  }
  bridges->retry_ms = net_now_ms() + RETRY_MS;
  return hf_failed(first.error) ? hf_err_restore(&first) : HF_OK;
}

void core_bridges_retry(struct core_bridges *bridges, const struct config *config)
{
  if (net_now_ms() < bridges->retry_ms)
    return;
  bridges->retry_ms = net_now_ms() + RETRY_MS;
  for (size_t i = 0; i < CONFIG_CLOUD_COUNT; i++)
    if (hf_failed(bridges->causes[i].error))
      hf_ignore(start_or_change(bridges, i, config)); /* its cause is noted */
}

void core_bridges_stop(struct core_bridges *bridges)
{
  for (size_t i = 0; i < CONFIG_CLOUD_COUNT; i++)
    bridges->running[i] = bridge_stop(bridges->running[i]);
  hf_closep(&bridges->subscribed);
}
