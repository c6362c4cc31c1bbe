/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/cloud_link.h"

#include <errno.h>

/* libcurl's, which takes the same address. */
#define PROXY_PORT "1080"

enum { LOCAL_KEEPALIVE_S = 60 };

hf_err cloud_check_mode(const struct config *config)
{
  if (strcmp(config_get(config, CONFIG_DEVICE_CRYPTOKI_MODE), "off") == 0)
    return hf_hint(hf_fail(HF_ERR_CONFIG, "device.cryptoki.mode is off; a device connects with a key in an HSM"),
                   "Set it to module, or to socket for the key agent.");
  return HF_OK;
}

hf_err cloud_check_device(const struct config *config)
{
  HF_TRY(cloud_check_mode(config));
  if (!config_get_bool(config, CONFIG_MQTT_BRIDGE_BUILT_IN))
    return hf_hint(hf_fail(HF_ERR_CONFIG, "mqtt.bridge.built_in is false"),
                   "Holdfast connects by its own bridge: 'holdfast config set mqtt.bridge.built_in true'.");
  return HF_OK;
}

hf_err cloud_check_roots(const struct dial_options *dial)
{
  if (access(dial->identity.root_path, R_OK) != 0)
    return hf_hint(hf_fail_errno(errno, "%s", dial->identity.root_path),
                   "Set %s to the certificates that the cloud's is checked with.", dial->root_key);
  return HF_OK;
}

hf_err cloud_proxy(const struct config *config, bool *ret_some, struct proxy *ret_proxy)
{
  static const char scheme[] = "http://";
  char authority[CONFIG_HOST_MAX + 16];
  const char *url = config_get(config, CONFIG_PROXY_ADDRESS);
  struct proxy proxy = { .user = config_get(config, CONFIG_PROXY_USERNAME),
                         .password = config_get(config, CONFIG_PROXY_PASSWORD) };
  if (!url) {
    *ret_some = false;
    return HF_OK;
  }
  const char *host = url + sizeof(scheme) - 1;
  if (strncmp(url, scheme, sizeof(scheme) - 1) != 0)
    return hf_hint(hf_fail(HF_ERR_CONFIG, "proxy.address is %s", url),
                   "MQTT goes through a proxy that is reached by http://.");
  snprintf(authority, sizeof(authority), "%.*s", (int)strcspn(host, "/"), host);
  if (!config_address_parse(authority, PROXY_PORT, &proxy.address))
    return hf_fail(HF_ERR_CONFIG, "proxy.address is %s", url);
  *ret_some = true;
  *ret_proxy = proxy;
  return HF_OK;
}

static hf_err expand(const char *text, const struct cloud_values *values, char **ret_text)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf out = HF_BUF(CLOUD_TEXT_MAX);
  if (!text)
    return HF_OK;
  HF_TRY(cloud_expand(text, values, &out));
  char *copy = strdup(hf_buf_str(&out));
  if (!copy)
    return hf_fail(HF_ERR_NO_MEMORY, "connecting");
  *ret_text = copy;
  return HF_OK;
}

static hf_err fill_dial(const struct cloud *cloud, const struct config *config, struct cloud_link *link)
{
  struct dial_options *dial = &link->options.dial;
  bool proxied = false;
  HF_TRY(cloud_address(cloud, config, &dial->address));
  HF_TRY(cloud_proxy(config, &proxied, &link->proxy));
  HF_TRY(config_require(config, CONFIG_DEVICE_KEY_URI, &dial->key_uri));
  config_address_format(&dial->address, link->address, sizeof(link->address));
  if (proxied)
    config_address_format(&link->proxy.address, link->proxy_address, sizeof(link->proxy_address));
  dial->url_key = config_row(cloud->config->url)->key;
  dial->root_key = config_row(cloud->config->root_cert_path)->key;
  dial->tls = true;
  dial->identity.cert_path = config_get(config, CONFIG_DEVICE_CERT_PATH);
  dial->identity.root_path = config_get(config, cloud->config->root_cert_path);
  dial->alpn = cloud_alpn(cloud, &dial->address);
  return HF_OK;
}

/* What points into the struct itself, at the place where it is to stay. */
static void point_inside(struct cloud_link *link)
{
  link->options.dial.proxy = link->proxy_address[0] ? &link->proxy : NULL;
  link->options.client_id = link->client_id;
  link->options.user = link->user;
}

hf_err cloud_link_options(const struct cloud *cloud, const struct config *config, const char *device_id,
                          struct cloud_link *ret_link)
{
  HF_CLEANUP(cloud_link_free) struct cloud_link link = { 0 };
  HF_TRY(fill_dial(cloud, config, &link));
  const struct cloud_values values = { .id = device_id, .host = link.options.dial.address.host };
  HF_TRY(expand(cloud->client_id, &values, &link.client_id));
  HF_TRY(expand(cloud->user_name, &values, &link.user));
  link.options.version = cloud->mqtt5 ? MQTT_5 : MQTT_3_1_1;
  link.options.keepalive_s = cloud_keepalive(cloud, config);
  link.options.clean = cloud->clean_session;
  *ret_link = link;
  point_inside(ret_link);
  link = (struct cloud_link){ 0 };
  return HF_OK;
}

void cloud_link_free(struct cloud_link *link)
{
  free(link->client_id);
  free(link->user);
  *link = (struct cloud_link){ 0 };
}

struct link_options cloud_local_link(const struct config *config, const char *client_id)
{
  struct link_options options = { .dial = { .url_key = config_row(CONFIG_MQTT_BIND_ADDRESS)->key },
                                  .version = MQTT_5,
                                  .client_id = client_id,
                                  .keepalive_s = LOCAL_KEEPALIVE_S,
                                  .clean = true };
  snprintf(options.dial.address.host, sizeof(options.dial.address.host), "%s",
           config_get(config, CONFIG_MQTT_BIND_ADDRESS));
  snprintf(options.dial.address.port, sizeof(options.dial.address.port), "%s",
           config_get(config, CONFIG_MQTT_BIND_PORT));
  return options;
}
