/* SPDX-License-Identifier: Apache-2.0 */
/* On this device: holdfast-core, the local broker and the bridge. */
#include "gateway/connect_private.h"
#include "gateway/core_state.h"
#include "gateway/net.h"

#include <poll.h>

enum { POLL_MS = 100, TRY_MS = 2000 };

static bool is_enabled(const struct config *config, const struct cloud *cloud)
{
  return config_get_bool(config, cloud->config->bridge_enabled);
}

/* In the file, for all who read it; others' changes to it stay. */
static hf_err set_enabled(const struct connect *c, bool enabled)
{
  HF_CLEANUP(config_freep) struct config *config = NULL;
  HF_TRY(config_open(config_path(c->config), &config));
  if (is_enabled(config, c->cloud) == enabled)
    return HF_OK;
  enum config_key key = c->cloud->config->bridge_enabled;
  /* Of a Greengrass file, enabled is what it says without a word of ours. */
  HF_TRY(enabled || config_greengrass(config) ? config_set(config, key, enabled ? "true" : "false")
                                              : config_unset(config, key));
  return config_save(config);
}

static hf_err take_up(const struct connect *c)
{
  bool active = false;
  HF_TRY(c->manager->is_active(c->config, &active));
  return active ? c->manager->reload(c->config) : HF_OK;
}

/* Until the bridge is as it should be. The last state that was seen, and false where the time was over. */
static hf_err await_bridge(struct connect *c, bool (*is_so)(const struct core_state *state, uint64_t than),
                           uint64_t than, struct core_state *ret_state, bool *ret_so)
{
  int64_t until_ms = connect_deadline(c);
  for (;;) {
    HF_TRY(core_state_ask(c->config, c->cloud->config, ret_state));
    *ret_so = is_so(ret_state, than);
    if (*ret_so || net_now_ms() >= until_ms)
      return HF_OK;
    connect_wait_until(c, until_ms);
    poll(NULL, 0, POLL_MS);
  }
}

static bool is_up(const struct core_state *state, uint64_t than)
{
  (void)than;
  return state->up;
}

static bool is_gone(const struct core_state *state, uint64_t than)
{
  (void)than;
  return !state->has_bridge;
}

static bool has_acknowledged(const struct core_state *state, uint64_t than)
{
  return state->up && state->acknowledged > than;
}

static hf_err down(const struct connect *c, const struct core_state *state)
{
  if (hf_failed(state->cause.error))
    return hf_err_restore(&state->cause);
  return hf_hint(
      hf_fail(HF_ERR_TIMEOUT, "the bridge to %s is not up after %u s", c->cloud->config->title, c->options->timeout_s),
      "See 'holdfast core status', or give it more --timeout.");
}

/* One that is there and does not come up is taken away for the checks: it would throw them out, and they it. */
hf_err connect_look_for_bridge(struct connect *c)
{
  bool active = false, gone = false;
  struct core_state state;
  c->was_enabled = is_enabled(c->config, c->cloud);
  HF_TRY(c->manager->is_active(c->config, &active));
  if (!c->was_enabled || !active)
    return HF_OK;
  HF_TRY(core_state_ask(c->config, c->cloud->config, &state));
  if (state.up)
    return hf_hint(hf_fail(HF_ERR_CONNECTED, "its bridge to %s is up", c->cloud->config->title),
                   "'holdfast reconnect %s' connects anew, 'holdfast disconnect %s' ends it.", c->cloud->config->name,
                   c->cloud->config->name);
  HF_TRY(set_enabled(c, false));
  c->taken_away = true;
  HF_TRY(take_up(c));
  HF_TRY(await_bridge(c, is_gone, 0, &state, &gone));
  connect_detail(c, "there is a bridge, but it is down");
  return HF_OK;
}

/* As it was, as far as that can be: something has failed already. */
void connect_restore(struct connect *c)
{
  if (c->taken_away && !hf_failed(set_enabled(c, c->was_enabled)))
    hf_ignore(take_up(c));
  if (c->started)
    hf_ignore(c->manager->stop(c->config));
}

bool connect_has_own_broker(const struct connect *c)
{
  return strcmp(config_get(c->config, CONFIG_MQTT_BROKER), "managed") == 0;
}

hf_err connect_start_core(struct connect *c)
{
  bool active = false;
  HF_TRY(c->manager->is_active(c->config, &active));
  connect_detail(c, "%s", active ? "it runs already" : "");
  if (active)
    return HF_OK;
  c->started = true; /* even where it says that it failed: what is left of it is ended */
  return c->manager->start(c->config);
}

/* It speaks MQTT. */
hf_err connect_await_broker(struct connect *c)
{
  int64_t until_ms = connect_deadline(c);
  const struct link_options options = cloud_local_link(c->config, "holdfast-connect");
  char address[CONFIG_HOST_MAX + 16];
  config_address_format(&options.dial.address, address, sizeof(address));
  connect_detail(c, "%s", address);
  for (;;) {
    HF_CLEANUP(link_freep) struct link *link = NULL;
    hf_err e = link_open(&options, net_now_ms() + TRY_MS, &link);
    if (!hf_failed(e))
      link = link_close(link);
    if (!hf_failed(e) || net_now_ms() >= until_ms)
      return e;
    connect_wait_until(c, until_ms);
    poll(NULL, 0, POLL_MS);
  }
}

hf_err connect_enable_bridge(struct connect *c)
{
  struct core_state state = { .up = false };
  bool up = false;
  HF_TRY(set_enabled(c, true));
  c->taken_away = true; /* until it is up, what was before is what failure leads back to */
  HF_TRY(c->manager->reload(c->config));
  HF_TRY(await_bridge(c, is_up, 0, &state, &up));
  if (!up)
    return down(c, &state);
  c->taken_away = c->started = false;
  return c->manager->enable(c->config);
}

hf_err connect_find_bridge(struct connect *c)
{
  struct core_state state = { .up = false };
  bool up = false;
  if (!is_enabled(c->config, c->cloud))
    return hf_hint(hf_fail(HF_ERR_NOT_CONNECTED, "it has no bridge to %s", c->cloud->config->title),
                   "Connect it: 'holdfast connect %s'.", c->cloud->config->name);
  HF_TRY(await_bridge(c, is_up, 0, &state, &up));
  return up ? HF_OK : down(c, &state);
}

/* A message through the bridge: that it has left is what the cloud's acknowledgement tells. */
hf_err connect_send_through_bridge(struct connect *c, const char *topic, const char *payload)
{
  struct core_state state = { .up = false };
  bool acknowledged = false;
  const struct link_options options = cloud_local_link(c->config, "holdfast-connect");
  HF_TRY(core_state_ask(c->config, c->cloud->config, &state));
  uint64_t before = state.acknowledged;
  c->client = client_free(c->client);
  HF_TRY(client_connect(&options, c->options->timeout_s, &c->client));
  HF_TRY(client_publish(c->client, topic, payload));
  HF_TRY(await_bridge(c, has_acknowledged, before, &state, &acknowledged));
  if (acknowledged)
    return HF_OK;
  HF_TRY(hf_failed(state.cause.error) ? hf_err_restore(&state.cause) : HF_OK);
  return hf_fail(HF_ERR_TIMEOUT, "%s did not acknowledge a message within %u s", c->cloud->config->title,
                 c->options->timeout_s);
}

/* Disconnecting */

hf_err connect_disable_bridge(struct connect *c)
{
  bool active = false, gone = false;
  struct core_state state;
  if (!is_enabled(c->config, c->cloud))
    connect_detail(c, "there was none");
  HF_TRY(set_enabled(c, false));
  HF_TRY(c->manager->is_active(c->config, &active));
  if (!active)
    return HF_OK;
  HF_TRY(c->manager->reload(c->config));
  HF_TRY(await_bridge(c, is_gone, 0, &state, &gone));
  return gone ? HF_OK : hf_fail(HF_ERR_TIMEOUT, "the bridge to %s has not ended", c->cloud->config->title);
}

bool connect_is_last(const struct connect *c)
{
  bool active = false;
  if (c->options->keep_core || hf_failed(c->manager->is_active(c->config, &active)) || !active)
    return false;
  for (size_t i = 0; i < CONFIG_CLOUD_COUNT; i++)
    if (&clouds[i] != c->cloud && is_enabled(c->config, &clouds[i]))
      return false;
  return true;
}

hf_err connect_stop_core(struct connect *c)
{
  return c->manager->stop(c->config);
}
