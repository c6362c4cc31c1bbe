/* SPDX-License-Identifier: Apache-2.0 */
#include "identity/est.h"

#include "config/address.h"

#define WELL_KNOWN "/.well-known/est"

static const char https[] = "https://";

static hf_err put_url(struct est_server *server, const char *host, const char *path)
{
  int len = snprintf(server->url, sizeof(server->url), "%s%s", host, path);
  return len > 0 && (size_t)len < sizeof(server->url) ? HF_OK : hf_fail(HF_ERR_LIMIT, "the URL %.64s...", host);
}

static hf_err find_cumulocity(const struct config *config, struct est_server *server)
{
  const char *http = config_get(config, CONFIG_C8Y_HTTP), *url = config_get(config, CONFIG_C8Y_URL);
  struct config_address address;
  char text[CONFIG_HOST_MAX + 16], host[CONFIG_HOST_MAX + 32];
  if (!http && !url)
    return config_require(config, CONFIG_C8Y_URL, &url);
  if (!config_address_parse(http ? http : url, "443", &address))
    return hf_fail(HF_ERR_CONFIG, "%s", config_row(http ? CONFIG_C8Y_HTTP : CONFIG_C8Y_URL)->key);
  /* The port of c8y.url is MQTT's. */
  if (!http)
    memcpy(address.port, "443", sizeof("443"));
  config_address_format(&address, text, sizeof(text));
  snprintf(host, sizeof(host), "%s%s", https, text);
  server->url_key = http ? CONFIG_C8Y_HTTP : CONFIG_C8Y_URL;
  server->root_key = CONFIG_C8Y_ROOT_CERT_PATH;
  server->cumulocity = true;
  return put_url(server, host, WELL_KNOWN);
}

static hf_err find_est(const char *url, struct est_server *server)
{
  char trimmed[EST_URL_MAX];
  size_t len = strlen(url);
  while (len > 0 && url[len - 1] == '/')
    len--;
  if (strncmp(url, https, sizeof(https) - 1) != 0)
    return hf_hint(hf_fail(HF_ERR_CONFIG, "est.url is %s", url),
                   "EST is spoken over TLS alone: write it with https://.");
  if (len >= sizeof(trimmed))
    return hf_fail(HF_ERR_LIMIT, "est.url");
  snprintf(trimmed, sizeof(trimmed), "%.*s", (int)len, url);
  server->url_key = CONFIG_EST_URL;
  server->root_key = CONFIG_EST_ROOT_CERT_PATH;
  return put_url(server, trimmed, strchr(trimmed + sizeof(https) - 1, '/') ? "" : WELL_KNOWN);
}

static hf_err none(void)
{
  return hf_hint(hf_fail(HF_ERR_CONFIG, "no CA is configured: neither est.url nor c8y.url is set"),
                 "Set est.url to your EST server's, or c8y.url for Cumulocity's.");
}

hf_err est_server_find(const struct config *config, const char *cloud, struct est_server *ret_server)
{
  struct est_server server = { 0 };
  const char *url = config_get(config, CONFIG_EST_URL);
  bool cumulocity = cloud ? strcmp(cloud, "c8y") == 0 : !url;
  if (cloud && !cumulocity)
    return hf_hint(hf_fail(HF_ERR_USAGE, "'%s' issues no certificates by EST", cloud),
                   "Name c8y, or nothing for the server of est.url.");
  if (!cloud && !url && !config_is_set(config, CONFIG_C8Y_URL) && !config_is_set(config, CONFIG_C8Y_HTTP))
    return none();
  HF_TRY(cumulocity ? find_cumulocity(config, &server) : find_est(url, &server));
  *ret_server = server;
  return HF_OK;
}
