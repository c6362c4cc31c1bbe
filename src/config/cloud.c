/* SPDX-License-Identifier: Apache-2.0 */
#include "config/cloud.h"

#define CLOUD(C, name, title)                         \
  [CONFIG_CLOUD_##C] = { name,                        \
                         title,                       \
                         CONFIG_##C##_URL,            \
                         CONFIG_##C##_ROOT_CERT_PATH, \
                         CONFIG_##C##_BRIDGE_ENABLED, \
                         CONFIG_##C##_BRIDGE_TOPICS }

const struct config_cloud config_clouds[] = {
  CLOUD(C8Y, "c8y", "Cumulocity"),
  CLOUD(AWS, "aws", "AWS IoT Core"),
  CLOUD(AZ, "az", "Azure IoT Hub"),
  CLOUD(MQTT, "mqtt", "the MQTT broker"),
  [CONFIG_CLOUD_COUNT] = { NULL, NULL, CONFIG_KEY_COUNT, CONFIG_KEY_COUNT, CONFIG_KEY_COUNT, CONFIG_KEY_COUNT },
};

hf_err config_cloud_find(const char *name, const struct config_cloud **ret_cloud)
{
  for (const struct config_cloud *cloud = config_clouds; cloud->name; cloud++)
    if (strcmp(cloud->name, name) == 0) {
      *ret_cloud = cloud;
      return HF_OK;
    }
  return hf_hint(hf_fail(HF_ERR_USAGE, "there is no cloud '%s'", name),
                 "Clouds are c8y, aws, az and mqtt (any other broker).");
}
