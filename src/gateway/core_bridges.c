/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/core_bridges.h"

#include "base/log.h"
#include "gateway/cloud_link.h"
#include "identity/certificate.h"

#include <limits.h>

enum { CLIENT_ID_MAX = 64 };

hf_err core_device_id(const struct config *config, char *out, size_t size)
{
  const char *id = config_get(config, CONFIG_DEVICE_ID);
  char cn[CERTIFICATE_CN_MAX];
  HF_CLEANUP(certificate_freep) X509 *certificate = NULL;
  if (!id) {
    HF_TRY(certificate_read(config_get(config, CONFIG_DEVICE_CERT_PATH), &certificate));
    certificate_cn(certificate, cn);
    id = cn;
  }
  if (!id[0])
    return hf_hint(hf_fail(HF_ERR_CONFIG, "the device has no id: device.id is not set, and its certificate has no CN"),
                   "Set it: 'holdfast config set device.id NAME'.");
  return (size_t)snprintf(out, size, "%s", id) < size ? HF_OK : hf_fail(HF_ERR_LIMIT, "the device's id %s", id);
}

static struct spool_options spool_options(const struct config *config)
{
  bool refuse = strcmp(config_get(config, CONFIG_MQTT_BRIDGE_SPOOL_OVERFLOW), "refuse-newest") == 0;
  bool power = strcmp(config_get(config, CONFIG_MQTT_BRIDGE_SPOOL_DURABILITY), "power") == 0;
  return (struct spool_options){ .max_size = config_get_number(config, CONFIG_MQTT_BRIDGE_SPOOL_MAX_SIZE),
                                 .overflow = refuse ? SPOOL_REFUSE_NEWEST : SPOOL_DROP_OLDEST,
                                 .durability = power ? SPOOL_POWER : SPOOL_PROCESS };
}

static int64_t milliseconds(const struct config *config, enum config_key key)
{
  return (int64_t)config_get_number(config, key) * 1000;
}

static hf_err spool_dir(const struct config *config, const char *name, char out[PATH_MAX])
{
  char data[PATH_MAX];
  HF_TRY(config_data_path(config, data, sizeof(data)));
  return (size_t)snprintf(out, PATH_MAX, "%s/spool/%s", data, name) < PATH_MAX
             ? HF_OK
             : hf_fail(HF_ERR_LIMIT, "the path %.64s...", data);
}

/* Starts the cloud's bridge, or has the one that runs take up what changed. */
static hf_err apply(struct core_bridges *bridges, size_t i, const struct config *config)
{
  const struct cloud *cloud = &clouds[i];
  const char *name = cloud->config->name, *topics = config_get(config, cloud->config->bridge_topics);
  char id[CERTIFICATE_CN_MAX], dir[PATH_MAX], client_id[CLIENT_ID_MAX];
  HF_CLEANUP(cloud_link_free) struct cloud_link link = { 0 };
  HF_TRY(core_device_id(config, id, sizeof(id)));
  HF_TRY(cloud_link_options(cloud, config, id, &link));
  HF_TRY(spool_dir(config, name, dir));
  snprintf(client_id, sizeof(client_id), "holdfast-bridge-%s", name);
  const struct bridge_options options = {
    .name = name,
    .device_id = id,
    .topics = topics ? topics : cloud->topics,
    .links = { [BRIDGE_LOCAL] = cloud_local_link(config, client_id), [BRIDGE_CLOUD] = link.options },
    .limits = cloud->limits,
    .window = (unsigned)config_get_number(config, CONFIG_MQTT_BRIDGE_WINDOW),
    .reconnect_min_ms = milliseconds(config, CONFIG_MQTT_BRIDGE_RECONNECT_MINIMUM),
    .reconnect_max_ms = milliseconds(config, CONFIG_MQTT_BRIDGE_RECONNECT_MAXIMUM),
    .spool_dir = dir,
    .spool = spool_options(config),
  };
  return bridges->running[i] ? bridge_reload(bridges->running[i], &options)
                             : bridge_start(&options, &bridges->running[i]);
}

hf_err core_bridges_apply(struct core_bridges *bridges, const struct config *config)
{
  struct hf_err_saved first = { .error = HF_OK };
  for (size_t i = 0; i < CONFIG_CLOUD_COUNT; i++) {
    const struct config_cloud *cloud = clouds[i].config;
    if (!config_get_bool(config, cloud->bridge_enabled)) {
      if (bridges->running[i])
        hf_log(HF_LOG_INFO, "the bridge to %s ends", cloud->title);
      bridges->running[i] = bridge_stop(bridges->running[i]);
      continue;
    }
    hf_err e = apply(bridges, i, config);
    if (hf_failed(e) && !hf_failed(first.error))
      first = hf_err_save(e);
  }
  return hf_failed(first.error) ? hf_err_restore(&first) : HF_OK;
}

void core_bridges_stop(struct core_bridges *bridges)
{
  for (size_t i = 0; i < CONFIG_CLOUD_COUNT; i++)
    bridges->running[i] = bridge_stop(bridges->running[i]);
}
