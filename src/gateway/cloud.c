/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/cloud.h"

#define PORT_TLS "8883"

enum { KIB = 1024 };

#define AWS_OUT(topic) topic " out 1 aws/ $aws/things/{id}/;"
#define AWS_IN(topic) topic " in 1 aws/ $aws/things/{id}/;"
/* The shadow's topics one by one: a "both" of shadow/# would send back what comes from the cloud. */
#define AWS_SHADOW_OUT(name) AWS_OUT(name "get") AWS_OUT(name "update") AWS_OUT(name "delete")
#define AWS_SHADOW_IN(name) \
  AWS_IN(name "+/accepted") AWS_IN(name "+/rejected") AWS_IN(name "update/delta") AWS_IN(name "update/documents")
#define AWS_SHADOW(name) AWS_SHADOW_OUT(name) AWS_SHADOW_IN(name)

#define C8Y_IN(topic) topic " in 2 c8y/ \"\";"
#define C8Y_OUT(topic) topic " out 2 c8y/ \"\";"
/* SmartREST: persistent, transient, quiescent and CPU-intensive processing. */
#define C8Y_MODES(topic) C8Y_OUT("s/" topic) C8Y_OUT("t/" topic) C8Y_OUT("q/" topic) C8Y_OUT("c/" topic)
#define C8Y_JSON(topic) C8Y_OUT(topic "/create") C8Y_OUT(topic "/createBulk")

const struct cloud clouds[CONFIG_CLOUD_COUNT] = {
  [CONFIG_CLOUD_C8Y] = {
    .config = &config_clouds[CONFIG_CLOUD_C8Y],
    .port = PORT_TLS,
    .client_id = "{id}",
    .limits = { .qos_max = 2, .payload_max = 16 * KIB },
    /* SmartREST's static template 100: name and type. */
    .creation = { .topic = "s/us", .payload = "100,{id},holdfast", .qos = 1 },
    .check = { .topic = "c8y/s/uat", .payload = "", .answer_filter = "c8y/s/dat", .answer_topic = "c8y/s/dat",
               .answer_payload = "71," },
    .prefix = "c8y/",
    .topics = C8Y_IN("s/dt") C8Y_IN("s/ds") "s/e in 0 c8y/ \"\";" C8Y_IN("s/dat")
              C8Y_IN("devicecontrol/notifications") C8Y_IN("error")
              C8Y_IN("s/dc/+") C8Y_IN("s/ol/+") C8Y_IN("s/dl/+")
              C8Y_OUT("s/ut/#") C8Y_MODES("us/#") C8Y_MODES("uc/#") C8Y_OUT("s/uat")
              C8Y_OUT("inventory/managedObjects/update/#")
              C8Y_JSON("measurement/measurements") C8Y_JSON("event/events") C8Y_JSON("alarm/alarms"),
  },
  [CONFIG_CLOUD_AWS] = {
    .config = &config_clouds[CONFIG_CLOUD_AWS],
    .port = PORT_TLS,
    .alpn = "x-amzn-mqtt-ca",
    .client_id = "{id}",
    .any_cn = true, /* what AWS itself issues is for "AWS IoT Certificate" */
    .mqtt5 = true,
    .limits = { .qos_max = 1, .payload_max = 128 * KIB, .topic_max = 256, .slashes_max = 7, .subscriptions_max = 8,
                .keepalive_min_s = 30, .keepalive_max_s = 1200 },
    /* What goes out comes back in: the device is subscribed to its own topic. */
    .check = { .topic = "aws/test-connection", .payload = "{nonce}", .answer_filter = "aws/connection-success",
               .answer_topic = "aws/connection-success", .answer_payload = "{nonce}" },
    .prefix = "aws/",
    .topics = "td/# out 1 aws/ thinedge/{id}/;"
              "cmd/# in 1 aws/ thinedge/{id}/;"
              AWS_SHADOW("shadow/") AWS_SHADOW("shadow/name/+/")
              "\"\" out 1 aws/test-connection thinedge/devices/{id}/test-connection;"
              "\"\" in 1 aws/connection-success thinedge/devices/{id}/test-connection",
  },
  [CONFIG_CLOUD_AZ] = {
    .config = &config_clouds[CONFIG_CLOUD_AZ],
    .port = PORT_TLS,
    .client_id = "{id}",
    .user_name = "{host}/{id}/?api-version=2021-04-12",
    .limits = { .qos_max = 1, .payload_max = 256 * KIB, .keepalive_max_s = 1767 },
    .check = { .topic = "az/twin/GET/?$rid={nonce}", .payload = "", .answer_filter = "az/twin/res/#",
               .answer_topic = "az/twin/res/200/?$rid={nonce}", .answer_payload = "" },
    .prefix = "az/",
    .topics = "messages/events/# out 1 az/ devices/{id}/;"
              "messages/devicebound/# in 1 az/ devices/{id}/;"
              "methods/POST/# in 1 az/ $iothub/;"
              "methods/res/# out 1 az/ $iothub/;"
              "twin/res/# in 1 az/ $iothub/;"
              "twin/GET/# out 1 az/ $iothub/;"
              "twin/PATCH/properties/reported/# out 1 az/ $iothub/;"
              "twin/PATCH/properties/desired/# in 1 az/ $iothub/",
  },
  [CONFIG_CLOUD_MQTT] = {
    .config = &config_clouds[CONFIG_CLOUD_MQTT],
    .port = PORT_TLS,
    .client_id = "{id}",
    .mqtt5 = true,
    .limits = { .qos_max = 2 },
    .prefix = "mqtt/",
    .topics = "td/# out 2 mqtt/ holdfast/{id}/;"
              "cmd/# in 2 mqtt/ holdfast/{id}/",
  },
};

hf_err cloud_find(const char *name, const struct cloud **ret_cloud)
{
  const struct config_cloud *found;
  HF_TRY(config_cloud_find(name, &found));
  *ret_cloud = &clouds[found - config_clouds];
  return HF_OK;
}

hf_err cloud_address(const struct cloud *cloud, const struct config *config, struct config_address *ret_address)
{
  const char *text;
  HF_TRY(config_require(config, cloud->config->url, &text));
  return config_address_parse(text, cloud->port, ret_address)
             ? HF_OK
             : hf_fail(HF_ERR_CONFIG, "%s: %s", config_row(cloud->config->url)->key, text);
}

const char *cloud_alpn(const struct cloud *cloud, const struct config_address *address)
{
  return strcmp(address->port, "443") == 0 ? cloud->alpn : NULL;
}

unsigned cloud_keepalive(const struct cloud *cloud, const struct config *config)
{
  enum { MQTT_MAX_S = UINT16_MAX }; /* MQTT 3.1.1, section 3.1.2.10 */
  uint64_t wanted = config_get_number(config, CONFIG_MQTT_BRIDGE_KEEPALIVE_INTERVAL);
  unsigned max = cloud->limits.keepalive_max_s ? cloud->limits.keepalive_max_s : MQTT_MAX_S;
  unsigned seconds = wanted > max ? max : (unsigned)wanted;
  return seconds < cloud->limits.keepalive_min_s ? cloud->limits.keepalive_min_s : seconds;
}

/* How many bytes of text the braces at its front take; 0 where none that we know stand there. */
static size_t placeholder(const char *text, const struct cloud_values *values, const char **ret_value)
{
  const struct {
    const char *name, *value;
  } rows[] = { { "{id}", values->id }, { "{host}", values->host }, { "{nonce}", values->nonce } };
  for (size_t i = 0; i < HF_ARRAY_LEN(rows); i++)
    if (rows[i].value && strncmp(text, rows[i].name, strlen(rows[i].name)) == 0) {
      *ret_value = rows[i].value;
      return strlen(rows[i].name);
    }
  return 0;
}

hf_err cloud_expand(const char *text, const struct cloud_values *values, struct hf_buf *out)
{
  while (*text) {
    const char *value = NULL;
    size_t taken = placeholder(text, values, &value);
    HF_TRY(taken ? hf_buf_add_str(out, value) : hf_buf_add(out, text, 1));
    text += taken ? taken : 1;
  }
  return HF_OK;
}
