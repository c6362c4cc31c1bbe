/* SPDX-License-Identifier: Apache-2.0 */
/* A bridge's options, checked and owned. */
#ifndef HF_GATEWAY_BRIDGE_SETTINGS_H
#define HF_GATEWAY_BRIDGE_SETTINGS_H

#include "config/rules.h"
#include "gateway/bridge.h"
#include "gateway/link_copy.h"

enum { BRIDGE_NAME_MAX = 64, BRIDGE_HEALTH_TOPIC_MAX = 160 };

struct bridge_settings {
  char name[BRIDGE_NAME_MAX];
  char health_topic[BRIDGE_HEALTH_TOPIC_MAX];
  struct link_options *links[BRIDGE_SIDES];
  struct topic_rules *rules;
  struct cloud_limits limits;
  unsigned window;
  int64_t reconnect_min_ms, reconnect_max_ms;
  struct spool_options spool;
  void (*on_subscribed)(void *arg);
  void *arg;
};

hf_err bridge_settings_new(const struct bridge_options *options, struct bridge_settings **ret_settings);
struct bridge_settings *bridge_settings_free(struct bridge_settings *settings);
HF_DEFINE_CLEANUP(struct bridge_settings, bridge_settings_free)

/* Retained, so that whoever comes later knows it; and the will. */
struct hf_slice bridge_health_payload(bool up);

/* Changes with the files of certificates that a link reads when it dials. */
uint64_t bridge_files_stamp(const struct link_options *options);

#endif
