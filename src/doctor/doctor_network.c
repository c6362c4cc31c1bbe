/* SPDX-License-Identifier: Apache-2.0 */
/* What is away from the device: proxy, EST server and the clouds. */
#include "doctor/doctor_private.h"

#include "gateway/client.h"
#include "gateway/core_state.h"
#include "gateway/net.h"
#include "gateway/pidfile.h"
#include "identity/detached.h"
#include "identity/est.h"

static int64_t deadline(const struct doctor *d)
{
  return net_now_ms() + (int64_t)d->options->timeout_s * 1000;
}

bool doctor_has_proxy(const struct doctor *d)
{
  return config_is_set(d->config, CONFIG_PROXY_ADDRESS);
}

hf_err doctor_proxy(struct doctor *d)
{
  bool some = false;
  struct proxy proxy;
  HF_CLEANUP(net_addrinfo_freep) struct addrinfo *found = NULL;
  HF_CLEANUP(hf_closep) int fd = -1;
  doctor_detail(d, "%s", config_get(d->config, CONFIG_PROXY_ADDRESS));
  HF_TRY(cloud_proxy(d->config, &some, &proxy));
  HF_TRY(net_resolve(&proxy.address, &found));
  hf_err e = net_connect(found, deadline(d), &fd);
  return hf_failed(e) ? hf_hint(e, "Check that the proxy runs, and proxy.address.") : e;
}

bool doctor_has_est(const struct doctor *d)
{
  return config_is_set(d->config, CONFIG_EST_URL) || config_is_set(d->config, CONFIG_C8Y_URL) ||
         config_is_set(d->config, CONFIG_C8Y_HTTP);
}

/* Where only Cumulocity is configured, its CA may be switched off: that alone is no failure. */
hf_err doctor_est(struct doctor *d)
{
  struct est_server server;
  HF_CLEANUP(est_freep) struct est *est = NULL;
  HF_CLEANUP(chain_freep) STACK_OF(X509) *cas = NULL;
  HF_TRY(est_server_find(d->config, NULL, &server));
  const struct est_options options = { .config = d->config, .server = &server, .timeout_s = d->options->timeout_s };
  HF_TRY(est_open(&options, &est));
  hf_err e = est_cacerts(est, &cas);
  doctor_detail(d, "%s, CA certificates: %d", server.url, cas ? sk_X509_num(cas) : 0);
  if (!server.cumulocity)
    return e;
  doctor_warn(d, e);
  return HF_OK;
}

bool doctor_has_update_key(const struct doctor *d)
{
  return config_is_set(d->config, CONFIG_UPDATE_KEY_PATH);
}

hf_err doctor_update_key(struct doctor *d)
{
  HF_CLEANUP(openssl_pkey_freep) EVP_PKEY *key = NULL;
  doctor_detail(d, "%s", config_get(d->config, CONFIG_UPDATE_KEY_PATH));
  return detached_key_read(config_get(d->config, CONFIG_UPDATE_KEY_PATH), &key);
}

hf_err doctor_cloud_config(struct doctor *d)
{
  struct doctor_cloud *way = d->cloud;
  char id[CERTIFICATE_CN_MAX];
  HF_TRY(certificate_device_id(d->config, id));
  HF_TRY(cloud_link_options(way->cloud, d->config, id, &way->link));
  way->link.options.dial.identity.key = d->tls_key;
  doctor_detail(d, "%s", way->link.address);
  return cloud_check_roots(&way->link.options.dial);
}

hf_err doctor_cloud_dns(struct doctor *d)
{
  struct doctor_cloud *way = d->cloud;
  char addresses[DOCTOR_TEXT_MAX / 2];
  HF_TRY(net_resolve(dial_first_hop(&way->link.options.dial), &way->found));
  net_format_addresses(way->found, addresses, sizeof(addresses));
  doctor_detail(d, "%s%s", way->link.options.dial.proxy ? "the proxy's: " : "", addresses);
  return HF_OK;
}

hf_err doctor_cloud_tcp(struct doctor *d)
{
  struct doctor_cloud *way = d->cloud;
  HF_CLEANUP(hf_closep) int fd = -1;
  int64_t begin_ms = net_now_ms();
  HF_TRY(dial_reach(&way->link.options.dial, way->found, deadline(d), &fd));
  doctor_value(d, "ms", (double)(net_now_ms() - begin_ms));
  doctor_detail(d, "%s%s%s, %lld ms", way->link.address, way->link.proxy_address[0] ? " through the proxy " : "",
                way->link.proxy_address, (long long)(net_now_ms() - begin_ms));
  return HF_OK;
}

hf_err doctor_cloud_tls(struct doctor *d)
{
  struct doctor_cloud *way = d->cloud;
  char result[TLS_RESULT_MAX];
  int64_t begin_ms = net_now_ms();
  HF_TRY(dial_handshake(&way->link.options.dial, way->found, d->tls_key, way->link.address, deadline(d), result));
  doctor_value(d, "ms", (double)(net_now_ms() - begin_ms));
  doctor_detail(d, "%s, %lld ms", result, (long long)(net_now_ms() - begin_ms));
  return HF_OK;
}

/* A connection of ours would throw that of the bridge out: where there is one, it is asked. */
static hf_err ask_bridge(struct doctor *d, const struct core_state *state)
{
  if (state->up) {
    doctor_detail(d, "the bridge of holdfast-core is connected");
    return HF_OK;
  }
  if (hf_failed(state->cause.error))
    return hf_err_restore(&state->cause);
  return hf_hint(hf_fail(HF_ERR_NOT_CONNECTED, "the bridge of holdfast-core is not up"), "See 'holdfast core status'.");
}

hf_err doctor_cloud_mqtt(struct doctor *d)
{
  const struct doctor_cloud *way = d->cloud;
  struct core_state state = { .has_bridge = false };
  HF_CLEANUP(client_freep) struct client *client = NULL;
  pid_t pid = 0;
  HF_TRY(pidfile_read(d->config, &pid));
  if (pid && config_get_bool(d->config, way->cloud->config->bridge_enabled))
    HF_TRY(core_state_ask(d->config, way->cloud->config, &state));
  if (state.has_bridge)
    return ask_bridge(d, &state);
  HF_TRY(client_connect(&way->link.options, d->options->timeout_s, &client));
  client_leave_messages(client);
  doctor_detail(d, "MQTT %s, as '%s'", client_version(client), way->link.options.client_id);
  return HF_OK;
}
