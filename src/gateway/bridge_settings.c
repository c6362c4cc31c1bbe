/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/bridge_settings.h"

#include "base/file.h"
#include "gateway/net.h"
#include "uri/uri.h"

struct hf_slice bridge_health_payload(bool up)
{
  return mqtt_text(up ? "{\"status\":\"up\"}" : "{\"status\":\"down\"}");
}

/* Strict order means one at a time on both ways of a message: what was not acknowledged comes again behind what followed it. */
static unsigned receive_maximum(const struct bridge_options *options)
{
  return options->window == 1 ? 1 : 0;
}

/* The local link's: a bridge that dies is seen to be down, and what the broker has for it waits. */
static hf_err copy_local(const struct bridge_options *options, struct bridge_settings *settings)
{
  const struct mqtt_will will = { mqtt_text(settings->health_topic), bridge_health_payload(false), { 0 }, 1, true };
  struct link_options local = options->links[BRIDGE_LOCAL];
  local.will = &will;
  local.clean = false;
  local.receive_maximum = receive_maximum(options);
  return link_copy_new(&local, &settings->links[BRIDGE_LOCAL]);
}

hf_err bridge_settings_new(const struct bridge_options *options, struct bridge_settings **ret_settings)
{
  HF_CLEANUP(bridge_settings_freep) struct bridge_settings *settings = calloc(1, sizeof(*settings));
  if (!settings)
    return hf_fail(HF_ERR_NO_MEMORY, "the bridge");
  if ((size_t)snprintf(settings->name, sizeof(settings->name), "%s", options->name) >= sizeof(settings->name))
    return hf_fail(HF_ERR_LIMIT, "the bridge's name");
  snprintf(settings->health_topic, sizeof(settings->health_topic),
           "te/device/main/service/holdfast-bridge-%s/status/health", settings->name);
  settings->limits = options->limits;
  settings->window = options->window;
  settings->reconnect_min_ms = options->reconnect_min_ms;
  settings->reconnect_max_ms = options->reconnect_max_ms;
  settings->spool = options->spool;
  settings->on_subscribed = options->on_subscribed;
  settings->arg = options->arg;
  HF_TRY(topic_rules_parse(options->topics, options->device_id, &settings->rules));
  HF_TRY(copy_local(options, settings));
  struct link_options cloud = options->links[BRIDGE_CLOUD];
  cloud.receive_maximum = receive_maximum(options);
  HF_TRY(link_copy_new(&cloud, &settings->links[BRIDGE_CLOUD]));
  *ret_settings = HF_TAKE(settings);
  return HF_OK;
}

struct bridge_settings *bridge_settings_free(struct bridge_settings *settings)
{
  if (!settings)
    return NULL;
  for (size_t i = 0; i < BRIDGE_SIDES; i++)
    link_copy_free(settings->links[i]);
  topic_rules_free(settings->rules);
  free(settings);
  return NULL;
}

/* A certificate in a token may have changed at any time. */
static uint64_t stamp(const char *path)
{
  if (path && uri_is_pkcs11(path))
    return (uint64_t)net_now_ms();
  return path ? hf_file_stamp(path) : 0;
}

uint64_t bridge_files_stamp(const struct link_options *options)
{
  return stamp(options->dial.identity.cert_path) * 3 + stamp(options->dial.identity.root_path);
}
