/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/connect_private.h"
#include "gateway/mosquitto.h"
#include "gateway/net.h"

#include <stdarg.h>

void connect_detail(struct connect *c, const char *fmt, ...)
{
  va_list args;
  va_start(args, fmt);
  vsnprintf(c->detail, sizeof(c->detail), fmt, args);
  va_end(args);
}

void connect_wait(const struct connect *c, unsigned now, unsigned of, const char *unit)
{
  char text[64];
  snprintf(text, sizeof(text), "%u%s of %u%s", now, unit, of, unit);
  c->reporter->check_wait(c->step, text, c->reporter->arg);
}

void connect_wait_until(struct connect *c, int64_t deadline_ms)
{
  int64_t seconds = c->options->timeout_s - (deadline_ms - net_now_ms()) / 1000;
  if (seconds == c->told_s || seconds < 1)
    return;
  c->told_s = seconds;
  connect_wait(c, (unsigned)seconds, c->options->timeout_s, " s");
}

int64_t connect_deadline(const struct connect *c)
{
  return net_now_ms() + (int64_t)c->options->timeout_s * 1000;
}

/* A connection of the device's own would throw the bridge's out: a test leaves it alone. */
static bool is_no_test(const struct connect *c)
{
  return !c->options->test;
}

static bool creates(const struct connect *c)
{
  return is_no_test(c) && c->cloud->creation.topic;
}

static bool publishes(const struct connect *c)
{
  return is_no_test(c) && !c->cloud->creation.topic && !c->cloud->check.topic;
}

static bool starts_broker(const struct connect *c)
{
  return is_no_test(c) && connect_has_own_broker(c);
}

static bool starts_core_alone(const struct connect *c)
{
  return is_no_test(c) && !connect_has_own_broker(c);
}

static bool is_test(const struct connect *c)
{
  return c->options->test;
}

static const struct connect_check checks[] = {
  { "Checking the configuration", CONNECT_OF_NONE, "", NULL, connect_check_configuration },
  { "Checking the certificate", CONNECT_OF_NONE, "", NULL, connect_check_certificate },
  { "Checking that the device is not connected yet", CONNECT_OF_NONE, "", is_no_test, connect_look_for_bridge },
  { "Opening the HSM", CONNECT_OF_NONE, "", NULL, connect_open_hsm },
  { "Finding the key", CONNECT_OF_NONE, "", NULL, connect_find_key },
  { "Signing with the key, verified with the certificate", CONNECT_OF_NONE, "", NULL, connect_check_key },
  { "Resolving ", CONNECT_OF_HOST, "", NULL, connect_resolve },
  { "Reaching ", CONNECT_OF_ADDRESS, "", NULL, connect_reach },
  { "TLS handshake with the key in the HSM", CONNECT_OF_NONE, "", NULL, connect_handshake },
  { "Connecting by MQTT", CONNECT_OF_NONE, "", is_no_test, connect_mqtt },
  { "Creating device in ", CONNECT_OF_CLOUD, " cloud", creates, connect_create },
  { "Publishing a message and seeing its acknowledgement", CONNECT_OF_NONE, "", publishes, connect_publish },
  { "Starting mosquitto", CONNECT_OF_NONE, " by holdfast-core", starts_broker, connect_start_core },
  { "Starting holdfast-core", CONNECT_OF_NONE, "", starts_core_alone, connect_start_core },
  { "Waiting for mosquitto to be listening for connections", CONNECT_OF_NONE, "", is_no_test, connect_await_broker },
  { "Enabling the bridge to ", CONNECT_OF_CLOUD, "", is_no_test, connect_enable_bridge },
  { "Looking for the bridge to ", CONNECT_OF_CLOUD, "", is_test, connect_find_bridge },
  { "Verifying device is connected to cloud", CONNECT_OF_NONE, "", NULL, connect_verify },
};

static const struct connect_check goodbye[] = {
  { "Disabling the bridge to ", CONNECT_OF_CLOUD, "", NULL, connect_disable_bridge },
  { "Stopping holdfast-core", CONNECT_OF_NONE, "", connect_is_last, connect_stop_core },
};

static hf_err run_check(struct connect *c, const struct connect_check *check)
{
  const char *const of[] = {
    [CONNECT_OF_NONE] = "",
    [CONNECT_OF_CLOUD] = c->cloud->config->title,
    [CONNECT_OF_HOST] = c->address.host,
    [CONNECT_OF_ADDRESS] = c->address_text,
  };
  if (check->applies && !check->applies(c))
    return HF_OK;
  snprintf(c->step, sizeof(c->step), "%s%s%s", check->text, of[check->of], check->after);
  c->detail[0] = '\0';
  c->reporter->check_begin(c->step, c->reporter->arg);
  hf_err e = check->run(c);
  c->reporter->check_end(c->step, e, c->detail, c->reporter->arg);
  return e;
}

/* As far as the configuration goes; what is missing, the checks will say. */
static void prepare(struct connect *c)
{
  if (!hf_failed(cloud_address(c->cloud, c->config, &c->address)))
    config_address_format(&c->address, c->address_text, sizeof(c->address_text));
  c->cert_path = config_get(c->config, CONFIG_DEVICE_CERT_PATH);
  if (!hf_failed(certificate_read(c->cert_path, &c->certificate)))
    certificate_cn(c->certificate, c->cn);
  c->device_id = config_get(c->config, CONFIG_DEVICE_ID);
  if (!c->device_id)
    c->device_id = c->cn;
}

static hf_err summarise(const struct connect *c)
{
  const char *uri = config_get(c->config, CONFIG_DEVICE_KEY_URI),
             *mode = config_get(c->config, CONFIG_DEVICE_CRYPTOKI_MODE);
  HF_CLEANUP(hf_buf_free) struct hf_buf shown = HF_BUF(2 * URI_MAX);
  if (uri)
    HF_TRY(uri_redact(uri, &shown));
  char mosquitto[64];
  if (hf_failed(mosquitto_version(mosquitto, sizeof(mosquitto))))
    snprintf(mosquitto, sizeof(mosquitto), "<not installed>");
  const char *shown_uri = hf_buf_str(&shown), *proxy = config_get(c->config, CONFIG_PROXY_ADDRESS);
  const struct {
    const char *name, *value;
  } facts[] = {
    { "device id", c->device_id },
    { "cloud profile", "<none>" },
    { "cloud host", c->address_text },
    { "auth type", "Certificate" },
    { "certificate file", c->cert_path },
    { "cryptoki", strcmp(mode, "off") == 0 ? "false" : "true" },
    { "bridge", config_get_bool(c->config, CONFIG_MQTT_BRIDGE_BUILT_IN) ? "built-in" : "mosquitto" },
    { "service manager", c->manager->name },
    { "mosquitto version", mosquitto },
    { "cryptoki mode", mode },
    { "private key", shown_uri },
    { "proxy", proxy ? proxy : "<none>" },
    { "configuration", config_path(c->config) },
  };
  for (size_t i = 0; i < HF_ARRAY_LEN(facts); i++)
    c->reporter->fact(facts[i].name, facts[i].value && facts[i].value[0] ? facts[i].value : "<not set>",
                      c->reporter->arg);
  return HF_OK;
}

static void release(struct connect *c)
{
  const struct hf_err_saved kept = hf_err_save(c->result);
  connect_restore(c);
  hf_ignore(hf_err_restore(&kept));
  client_free(c->client);
  cloud_link_free(&c->link);
  if (c->found)
    freeaddrinfo(c->found);
  EVP_PKEY_free(c->tls_key);
  p11_key_unref(c->key);
  p11_module_unref(c->module);
  X509_free(c->certificate);
  uri_free(&c->uri);
}

static struct connect begin(const struct config *config, const struct gateway_connect_options *options,
                            const struct gateway_reporter *reporter)
{
  return (struct connect){ .config = config,
                           .options = options,
                           .reporter = reporter,
                           .cloud = options->cloud,
                           .manager = service_manager_find(config) };
}

static hf_err run_checks(struct connect *c, const struct connect_check *rows, size_t count)
{
  for (size_t i = 0; i < count && !hf_failed(c->result); i++)
    c->result = run_check(c, &rows[i]);
  return c->result;
}

hf_err gateway_connect(const struct config *config, const struct gateway_connect_options *options,
                       const struct gateway_reporter *reporter)
{
  HF_CLEANUP(release) struct connect c = begin(config, options, reporter);
  prepare(&c);
  HF_TRY(summarise(&c));
  return run_checks(&c, checks, HF_ARRAY_LEN(checks));
}

hf_err gateway_disconnect(const struct config *config, const struct gateway_connect_options *options,
                          const struct gateway_reporter *reporter)
{
  HF_CLEANUP(release) struct connect c = begin(config, options, reporter);
  return run_checks(&c, goodbye, HF_ARRAY_LEN(goodbye));
}
