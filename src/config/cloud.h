/* SPDX-License-Identifier: Apache-2.0 */
/* The clouds that a device connects to, a row each: the words of 'holdfast connect' and their rows of the configuration. */
#ifndef HF_CONFIG_CLOUD_H
#define HF_CONFIG_CLOUD_H

#include "config/config.h"

struct config_cloud {
  const char *name;  /* "c8y": what the user types, and what its configuration keys begin with */
  const char *title; /* "Cumulocity" */
  enum config_key url, root_cert_path, bridge_enabled, bridge_topics;
};

enum config_cloud_index { CONFIG_CLOUD_C8Y, CONFIG_CLOUD_AWS, CONFIG_CLOUD_AZ, CONFIG_CLOUD_MQTT, CONFIG_CLOUD_COUNT };

/* All of them, by their index; ends with a row whose name is NULL. */
extern const struct config_cloud config_clouds[];

/* Fails with USAGE and names the clouds there are. */
hf_err config_cloud_find(const char *name, const struct config_cloud **ret_cloud);

#endif
