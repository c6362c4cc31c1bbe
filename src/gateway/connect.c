/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/connect.h"

#include "base/file.h"
#include "gateway/client.h"
#include "gateway/net.h"
#include "identity/certificate.h"
#include "identity/key.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <time.h>

#define DEFAULT_PORT "8883"

enum { TEXT_MAX = 600, TOPIC_MAX = 512, KEEP_ALIVE_S = 60 };

/* What the checks find, each for those after it. */
struct connect {
  const struct config *config;
  const struct gateway_connect_options *options;
  struct config_address address;
  char address_text[CONFIG_HOST_MAX + 16];
  const char *device_id;
  char cn[CERTIFICATE_CN_MAX];
  const char *cert_path;
  const char *key_uri;
  struct uri uri;
  X509 *certificate;
  struct p11_module *module;
  struct p11_key *key;
  EVP_PKEY *tls_key;
  struct addrinfo *found;
  struct client *client;
  char detail[TEXT_MAX];
};

static void detail(struct connect *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void detail(struct connect *c, const char *fmt, ...)
{
  va_list args;
  va_start(args, fmt);
  vsnprintf(c->detail, sizeof(c->detail), fmt, args);
  va_end(args);
}

static int64_t deadline(const struct connect *c)
{
  return net_now_ms() + (int64_t)c->options->timeout_s * 1000;
}

static struct tls_identity identity(const struct connect *c)
{
  return (struct tls_identity){ .cert_path = c->cert_path,
                                .key = c->tls_key,
                                .root_path = config_get(c->config, CONFIG_MQTT_ROOT_CERT_PATH) };
}

static struct tls_server tls_server(const struct connect *c)
{
  return (struct tls_server){ .host = c->address.host,
                              .peer = { c->address_text, config_row(CONFIG_MQTT_URL)->key,
                                        config_row(CONFIG_MQTT_ROOT_CERT_PATH)->key, DEFAULT_PORT } };
}

static hf_err check_mode(const struct connect *c)
{
  const char *mode = config_get(c->config, CONFIG_DEVICE_CRYPTOKI_MODE);
  if (strcmp(mode, "off") != 0)
    return HF_OK;
  return hf_hint(hf_fail(HF_ERR_CONFIG, "device.cryptoki.mode is off; a device connects with a key in an HSM"),
                 "Set it to module, or to socket for the key agent.");
}

static hf_err check_configuration(struct connect *c)
{
  const char *url;
  HF_TRY(check_mode(c));
  HF_TRY(config_require(c->config, CONFIG_MQTT_URL, &url));
  HF_TRY(config_require(c->config, CONFIG_DEVICE_KEY_URI, &c->key_uri));
  HF_TRY(uri_parse(c->key_uri, &c->uri));
  if (!c->certificate)
    HF_TRY(certificate_read(c->cert_path, &c->certificate));
  const char *root = config_get(c->config, CONFIG_MQTT_ROOT_CERT_PATH);
  if (access(root, R_OK) != 0)
    return hf_hint(hf_fail_errno(errno, "%s", root),
                   "Set mqtt.root_cert_path to the certificates that the broker's is checked with.");
  return HF_OK;
}

static hf_err check_certificate(struct connect *c)
{
  HF_TRY(certificate_check(c->certificate, c->cert_path, c->device_id));
  detail(c, "%s", c->cn);
  return HF_OK;
}

static hf_err open_hsm(struct connect *c)
{
  char path[PATH_MAX];
  HF_TRY(p11_module_of_uri(&c->uri, c->options->module_path, path, sizeof(path)));
  HF_TRY(p11_module_open(path, &c->module));
  struct p11_token token;
  HF_TRY(p11_token_find(c->module, &c->uri, &token));
  detail(c, "token '%s', %s", token.label, token.model);
  return HF_OK;
}

/* The URI's own PIN, else the configuration's; none where there is none, since a token may need none. */
static hf_err find_pin(struct connect *c, struct hf_secret **ret_pin)
{
  const char *value = uri_get(&c->uri, URI_PIN_VALUE), *source = uri_get(&c->uri, URI_PIN_SOURCE);
  if (value)
    return hf_secret_new(value, strlen(value), ret_pin);
  if (source)
    return hf_pin_source_read(source, ret_pin);
  if (!config_get(c->config, CONFIG_DEVICE_CRYPTOKI_PIN_SOURCE) && !config_get(c->config, CONFIG_DEVICE_CRYPTOKI_PIN))
    return HF_OK;
  return config_pin(c->config, ret_pin);
}

static hf_err find_key(struct connect *c)
{
  HF_CLEANUP(hf_secret_freep) struct hf_secret *pin = NULL;
  HF_TRY(find_pin(c, &pin));
  HF_TRY(p11_key_open(c->module, &c->uri, pin, &c->key));
  const struct p11_public *public = p11_key_public(c->key);
  if (public->type == CKK_RSA)
    detail(c, "RSA, %zu bits", p11_public_bits(public));
  else
    detail(c, "%s, %s", p11_key_type_name(public->type), public->curve);
  return HF_OK;
}

static hf_err check_key(struct connect *c)
{
  return certificate_check_key(c->certificate, c->cert_path, c->key);
}

static hf_err resolve(struct connect *c)
{
  HF_TRY(net_resolve(&c->address, &c->found));
  net_format_addresses(c->found, c->detail, sizeof(c->detail));
  return HF_OK;
}

static hf_err reach(struct connect *c)
{
  HF_CLEANUP(hf_closep) int fd = -1;
  return net_connect(c->found, deadline(c), &fd);
}

static hf_err handshake(struct connect *c)
{
  HF_TRY(identity_key_load(c->key_uri, &c->tls_key));
  HF_CLEANUP(hf_closep) int fd = -1;
  int64_t until = deadline(c);
  HF_TRY(net_connect(c->found, until, &fd));
  const struct tls_identity ours = identity(c);
  const struct tls_server theirs = tls_server(c);
  char result[TLS_RESULT_MAX];
  HF_TRY(tls_handshake(fd, &ours, &theirs, until, result));
  detail(c, "%s", result);
  return HF_OK;
}

static hf_err connect_mqtt(struct connect *c)
{
  const struct link_options options = {
    .dial = { .address = c->address,
              .url_key = config_row(CONFIG_MQTT_URL)->key,
              .root_key = config_row(CONFIG_MQTT_ROOT_CERT_PATH)->key,
              .tls = true,
              .identity = identity(c) },
    .version = MQTT_5,
    .client_id = c->device_id,
    .keepalive_s = KEEP_ALIVE_S,
    .clean = true,
  };
  HF_TRY(client_connect(&options, c->options->timeout_s, &c->client));
  detail(c, "MQTT %s", client_version(c->client));
  return HF_OK;
}

/* The topic with each {id} replaced. */
static hf_err topic_of(const struct connect *c, struct hf_buf *out)
{
  static const char placeholder[] = "{id}";
  const char *at = config_get(c->config, CONFIG_MQTT_CONNECT_TOPIC);
  for (const char *next; (next = strstr(at, placeholder)); at = next + sizeof(placeholder) - 1) {
    HF_TRY(hf_buf_add(out, at, (size_t)(next - at)));
    HF_TRY(hf_buf_add_str(out, c->device_id));
  }
  return hf_buf_add_str(out, at);
}

static hf_err publish(struct connect *c)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf topic = HF_BUF(TOPIC_MAX);
  HF_TRY(topic_of(c, &topic));
  const char *topic_text = hf_buf_str(&topic);
  char payload[64];
  time_t now = time(NULL);
  struct tm tm;
  if (!topic_text || !gmtime_r(&now, &tm) ||
      !strftime(payload, sizeof(payload), "{\"time\":\"%Y-%m-%dT%H:%M:%SZ\"}", &tm))
    return hf_fail(HF_ERR_NO_MEMORY, "the message");
  HF_TRY(client_publish(c->client, topic_text, payload));
  detail(c, "on %s", topic_text);
  return HF_OK;
}

enum check_of { OF_NONE, OF_HOST, OF_ADDRESS };

static const struct check_row {
  const char *text;
  enum check_of of; /* what stands after the text */
  hf_err (*run)(struct connect *c);
} checks[] = {
  { "Checking the configuration", OF_NONE, check_configuration },
  { "Checking the certificate", OF_NONE, check_certificate },
  { "Opening the HSM", OF_NONE, open_hsm },
  { "Finding the key", OF_NONE, find_key },
  { "Signing with the key, verified with the certificate", OF_NONE, check_key },
  { "Resolving", OF_HOST, resolve },
  { "Reaching", OF_ADDRESS, reach },
  { "TLS handshake with the key in the HSM", OF_NONE, handshake },
  { "Connecting by MQTT", OF_NONE, connect_mqtt },
  { "Publishing a message and seeing its acknowledgement", OF_NONE, publish },
};

static hf_err run_check(struct connect *c, const struct check_row *row, const struct gateway_reporter *reporter)
{
  char text[TEXT_MAX];
  const char *of = row->of == OF_HOST ? c->address.host : row->of == OF_ADDRESS ? c->address_text : "";
  snprintf(text, sizeof(text), "%s%s%s", row->text, of[0] ? " " : "", of);
  c->detail[0] = '\0';
  reporter->check_begin(text, reporter->arg);
  hf_err e = row->run(c);
  reporter->check_end(text, e, c->detail, reporter->arg);
  return e;
}

/* As far as the configuration goes; what is missing, the checks will say. */
static void prepare(struct connect *c)
{
  const char *url = config_get(c->config, CONFIG_MQTT_URL);
  if (url && config_address_parse(url, DEFAULT_PORT, &c->address))
    config_address_format(&c->address, c->address_text, sizeof(c->address_text));
  c->cert_path = config_get(c->config, CONFIG_DEVICE_CERT_PATH);
  if (!hf_failed(certificate_read(c->cert_path, &c->certificate)))
    certificate_cn(c->certificate, c->cn);
  c->device_id = config_get(c->config, CONFIG_DEVICE_ID);
  if (!c->device_id)
    c->device_id = c->cn;
}

static hf_err summarise(const struct connect *c, const struct gateway_reporter *reporter)
{
  const char *uri = config_get(c->config, CONFIG_DEVICE_KEY_URI);
  HF_CLEANUP(hf_buf_free) struct hf_buf shown = HF_BUF(2 * URI_MAX);
  if (uri)
    HF_TRY(uri_redact(uri, &shown));
  const char *shown_uri = hf_buf_str(&shown);
  const struct {
    const char *name, *value;
  } facts[] = {
    { "device id", c->device_id },
    { "cloud host", c->address_text },
    { "auth type", "Certificate" },
    { "certificate file", c->cert_path },
    { "private key", shown_uri },
    { "cryptoki", config_get(c->config, CONFIG_DEVICE_CRYPTOKI_MODE) },
    { "configuration", config_path(c->config) },
  };
  for (size_t i = 0; i < HF_ARRAY_LEN(facts); i++)
    reporter->fact(facts[i].name, facts[i].value && facts[i].value[0] ? facts[i].value : "<not set>", reporter->arg);
  return HF_OK;
}

static void release(struct connect *c)
{
  client_free(c->client);
  net_addrinfo_freep(&c->found);
  EVP_PKEY_free(c->tls_key);
  p11_key_unref(c->key);
  p11_module_unref(c->module);
  X509_free(c->certificate);
  uri_free(&c->uri);
}

hf_err gateway_connect(const struct config *config, const struct gateway_connect_options *options,
                       const struct gateway_reporter *reporter)
{
  HF_CLEANUP(release) struct connect c = { .config = config, .options = options };
  prepare(&c);
  HF_TRY(summarise(&c, reporter));
  for (size_t i = 0; i < HF_ARRAY_LEN(checks); i++)
    HF_TRY(run_check(&c, &checks[i], reporter));
  return HF_OK;
}
