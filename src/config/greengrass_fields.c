/* SPDX-License-Identifier: Apache-2.0 */
/* The keys of Greengrass's config.json, a row each. */
#include "config/check.h"
#include "config/greengrass_private.h"
#include "uri/uri.h"

enum { LABEL_MAX = 32, SPOOL_MIN = 262144 };
#define SPOOL_MEMORY "2621440" /* 2.5 MiB, Greengrass's own */

typedef const struct greengrass_field field_t;

static hf_err wrong(struct greengrass *gg, field_t *field, const char *hint, const char *must_be)
{
  return greengrass_tell(gg, GREENGRASS_ERROR, field->path, hint, "%s", must_be);
}

/* Paths */

static hf_err set_path(struct greengrass *gg, field_t *field, const char *folder, const char *below, const char *path)
{
  char whole[PATH_MAX];
  int len = snprintf(whole, sizeof(whole), "%s%s%s", folder, below, path);
  if (len < 0 || (size_t)len >= sizeof(whole))
    return wrong(gg, field, NULL, "is too long for a path");
  return greengrass_set(gg, field, field->key, whole);
}

/* file:///path; file://path, from Greengrass's root on. */
static hf_err take_file(struct greengrass *gg, field_t *field, const json_t *value)
{
  static const char scheme[] = "file://";
  const char *text = json_string_value(value);
  if (text[0] == '/') {
    HF_TRY(greengrass_tell(gg, GREENGRASS_WARNING, field->path, NULL, "should be a URI: \"file://%s\"", text));
    return greengrass_set(gg, field, field->key, text);
  }
  if (strncmp(text, scheme, strlen(scheme)) != 0 || !text[strlen(scheme)])
    return wrong(gg, field, NULL,
                 "must be a file's URI: \"file:///PATH\", or \"file://PATH\" from Greengrass's folder on");
  const char *path = text + strlen(scheme);
  return path[0] == '/' ? greengrass_set(gg, field, field->key, path) : set_path(gg, field, gg->folder, "/", path);
}

static hf_err take_certificate(struct greengrass *gg, field_t *field, const json_t *value)
{
  const char *text = json_string_value(value);
  return uri_is_pkcs11(text) ? greengrass_set(gg, field, field->key, text) : take_file(gg, field, value);
}

/* As it was before crypto: a name in the folder certs. */
static hf_err take_old_path(struct greengrass *gg, field_t *field, const json_t *value)
{
  const char *text = json_string_value(value);
  if (strncmp(text, "file://", strlen("file://")) == 0)
    return take_file(gg, field, value);
  return text[0] == '/' ? greengrass_set(gg, field, field->key, text)
                        : set_path(gg, field, gg->folder, "/certs/", text);
}

static hf_err take_plain_path(struct greengrass *gg, field_t *field, const json_t *value)
{
  return greengrass_set(gg, field, field->key, json_string_value(value));
}

static hf_err take_folder(struct greengrass *gg, field_t *field, const json_t *value)
{
  return set_path(gg, field, json_string_value(value), "/", "holdfast");
}

/* Keys */

/* The key stays where it is; nothing here ever uses it. */
static hf_err refuse_file(struct greengrass *gg, field_t *field)
{
  char hint[HF_HINT_MAX];
  const char *path = gg->values[field->key], *label = json_string_value(greengrass_find(gg, "crypto.PKCS11.slotLabel"));
  if (!path)
    return HF_OK;
  snprintf(hint, sizeof(hint),
           "Bring it into a token: 'holdfast key import %s --token %s --label iotkey'; then %s \"%s\".", path,
           label ? label : "greengrass", gg->crypto ? "write here" : "add \"crypto\", where its privateKeyPath is",
           "pkcs11:object=iotkey;type=private");
  return greengrass_tell(gg, GREENGRASS_REFUSED, field->path, hint,
                         "is a key in a file, where every program can take it: Holdfast connects with a key in an HSM");
}

static hf_err take_old_key(struct greengrass *gg, field_t *field, const json_t *value)
{
  HF_TRY(take_old_path(gg, field, value));
  return refuse_file(gg, field);
}

/* What keeps a URI from being a principal's key; NULL: nothing. */
static const char *what_is_wrong(struct uri *uri, const char *label)
{
  const char *type = uri_get(uri, URI_TYPE), *token = uri_get(uri, URI_TOKEN);
  if (uri_get(uri, URI_PIN_VALUE))
    return "has a PIN in it, which every log may show: the PIN's place is crypto.PKCS11.slotUserPin";
  if (type && strcmp(type, "private") != 0)
    return "must have type=private, or no type";
  if (!uri_get(uri, URI_OBJECT) && !uri->attrs[URI_ID].present)
    return "must name the key: object=LABEL";
  if (token && label && strcmp(token, label) != 0)
    return "names another token than crypto.PKCS11.slotLabel";
  return NULL;
}

/* The same key, within the token that slotLabel names. */
static hf_err set_uri(struct greengrass *gg, field_t *field, enum config_key key, const char *text)
{
  HF_CLEANUP(uri_free) struct uri uri = { 0 };
  HF_CLEANUP(hf_buf_free) struct hf_buf out = HF_BUF(4 * URI_MAX);
  const char *label = json_string_value(greengrass_find(gg, "crypto.PKCS11.slotLabel"));
  hf_err e = uri_parse(text, &uri);
  if (hf_failed(e))
    return e.code == HF_ERR_NO_MEMORY
               ? e
               : wrong(gg, field, NULL,
                       "must be a PKCS #11 URI (RFC 7512), like \"pkcs11:object=iotkey;type=private\"");
  const char *bad = what_is_wrong(&uri, label);
  if (bad)
    return wrong(gg, field, NULL, bad);
  if (label)
    HF_TRY(uri_set(&uri, URI_TOKEN, label, strlen(label)));
  HF_TRY(uri_set(&uri, URI_TYPE, "private", strlen("private")));
  HF_TRY(uri_format(&uri, &out));
  return hf_buf_str(&out) ? greengrass_set(gg, field, key, hf_buf_str(&out))
                          : hf_fail(HF_ERR_NO_MEMORY, "%s", gg->path);
}

static hf_err take_iot_key(struct greengrass *gg, field_t *field, const json_t *value)
{
  const char *text = json_string_value(value);
  if (uri_is_pkcs11(text))
    return set_uri(gg, field, CONFIG_DEVICE_KEY_URI, text);
  HF_TRY(take_file(gg, field, value));
  return refuse_file(gg, field);
}

/* Where the guide allows a file, so do we. */
static hf_err take_key(struct greengrass *gg, field_t *field, const json_t *value)
{
  const char *text = json_string_value(value);
  return uri_is_pkcs11(text) ? set_uri(gg, field, field->key, text) : take_file(gg, field, value);
}

static hf_err take_label(struct greengrass *gg, field_t *field, const json_t *value)
{
  HF_CLEANUP(uri_free) struct uri uri = { 0 };
  HF_CLEANUP(hf_buf_free) struct hf_buf out = HF_BUF(URI_MAX);
  const char *text = json_string_value(value);
  if (strlen(text) > LABEL_MAX)
    return wrong(gg, field, NULL, "is longer than a token's label, 32 bytes");
  HF_TRY(uri_set(&uri, URI_TOKEN, text, strlen(text)));
  HF_TRY(uri_format(&uri, &out));
  return hf_buf_str(&out) ? greengrass_set(gg, field, field->key, hf_buf_str(&out))
                          : hf_fail(HF_ERR_NO_MEMORY, "%s", gg->path);
}

static hf_err take_pin(struct greengrass *gg, field_t *field, const json_t *value)
{
  return greengrass_set(gg, field, field->key, json_string_value(value));
}

/* One that is missing may come from elsewhere. */
static hf_err take_pkcs11(struct greengrass *gg, field_t *field, const json_t *value)
{
  (void)field;
  if (!gg->pkcs11 || json_object_get(value, "slotUserPin") ||
      greengrass_find(gg, GREENGRASS_OWN ".device.cryptoki.pin_source"))
    return HF_OK;
  return greengrass_tell(gg, GREENGRASS_WARNING, "crypto.PKCS11.slotUserPin",
                         "Or tell where it is: \"" GREENGRASS_OWN
                         "\": {\"device\": {\"cryptoki\": {\"pin_source\": \"/PATH\"}}}.",
                         "is missing, and few tokens need no PIN");
}

/* The cloud */

static hf_err take_arn(struct greengrass *gg, field_t *field, const json_t *value)
{
  const char *text = json_string_value(value), *name = strstr(text, ":thing/");
  if (strncmp(text, "arn:", 4) != 0 || !name || config_check(config_row(field->key), name + strlen(":thing/")))
    return wrong(gg, field, NULL, "must be a thing's ARN: \"arn:PARTITION:iot:REGION:ACCOUNT:thing/NAME\"");
  return greengrass_set(gg, field, field->key, name + strlen(":thing/"));
}

static hf_err take_host(struct greengrass *gg, field_t *field, const json_t *value)
{
  char url[PATH_MAX];
  const char *text = json_string_value(value);
  const json_t *port = greengrass_find(gg, "coreThing.iotMqttPort");
  if (config_check(config_row(CONFIG_MQTT_BIND_ADDRESS), text) || strchr(text, ':'))
    return wrong(gg, field, NULL, "must be a host's name, like \"host-prefix-ats.iot.region.amazonaws.com\"");
  json_int_t number = json_is_integer(port) ? json_integer_value(port) : 0;
  if (number >= 1 && number <= UINT16_MAX)
    snprintf(url, sizeof(url), "%s:%d", text, (int)number);
  else
    snprintf(url, sizeof(url), "%s", text);
  return greengrass_set(gg, field, field->key, url);
}

static hf_err take_cloud_port(struct greengrass *gg, field_t *field, const json_t *value)
{
  json_int_t port = json_integer_value(value);
  if (port == 8883 || port == 443)
    return HF_OK;
  return greengrass_tell(gg, GREENGRASS_WARNING, field->path, NULL,
                         "is neither 8883 nor 443, where AWS IoT Core listens");
}

static hf_err take_port(struct greengrass *gg, field_t *field, const json_t *value)
{
  char port[8];
  snprintf(port, sizeof(port), "%d", (int)json_integer_value(value));
  return greengrass_set(gg, field, field->key, port);
}

static hf_err take_seconds(struct greengrass *gg, field_t *field, const json_t *value)
{
  char text[24];
  snprintf(text, sizeof(text), "%llds", (long long)json_integer_value(value));
  return greengrass_set(gg, field, field->key, text);
}

static hf_err take_proxy_url(struct greengrass *gg, field_t *field, const json_t *value)
{
  const char *text = json_string_value(value);
  if (config_check(config_row(field->key), text))
    return wrong(gg, field, "A user and password have keys of their own: username and password.",
                 "must be http://HOST:PORT or https://HOST:PORT");
  return greengrass_set(gg, field, field->key, text);
}

static hf_err take_text(struct greengrass *gg, field_t *field, const json_t *value)
{
  return greengrass_set(gg, field, field->key, json_string_value(value));
}

/* The spooler */

static const struct storage {
  const char *name, *durability, *max_size;
} storages[] = { { "Memory", "process", SPOOL_MEMORY }, { "FileSystem", "power", NULL } };

static hf_err take_storage(struct greengrass *gg, field_t *field, const json_t *value)
{
  for (size_t i = 0; i < HF_ARRAY_LEN(storages); i++) {
    const struct storage *storage = &storages[i];
    if (strcmp(json_string_value(value), storage->name) != 0)
      continue;
    if (storage->max_size)
      HF_TRY(greengrass_set(gg, field, CONFIG_MQTT_BRIDGE_SPOOL_MAX_SIZE, storage->max_size));
    HF_TRY(greengrass_set(gg, field, CONFIG_MQTT_BRIDGE_SPOOL_OVERFLOW, "drop-oldest"));
    return greengrass_set(gg, field, CONFIG_MQTT_BRIDGE_SPOOL_DURABILITY, storage->durability);
  }
  return wrong(gg, field, NULL, "must be \"Memory\" or \"FileSystem\"");
}

/* In the group's file it is a variable of the environment: a string. */
static hf_err take_spool_size(struct greengrass *gg, field_t *field, const json_t *value)
{
  char text[24] = "";
  uint64_t size = 0;
  if (json_is_integer(value))
    snprintf(text, sizeof(text), "%lld", (long long)json_integer_value(value));
  else if (json_is_string(value) && json_string_length(value) < sizeof(text))
    snprintf(text, sizeof(text), "%s", json_string_value(value));
  bool digits = text[0] && text[strspn(text, "0123456789")] == '\0';
  if (!digits || !config_number(CONFIG_TYPE_SIZE, text, &size) || size < SPOOL_MIN)
    return wrong(gg, field, NULL, "must be a number of bytes, 262144 or more");
  HF_TRY(greengrass_set(gg, field, CONFIG_MQTT_BRIDGE_SPOOL_OVERFLOW, "drop-oldest"));
  return greengrass_set(gg, field, field->key, text);
}

/* The rows. Their order is that of reading: what sets a key later goes before what set it earlier. */

#define NONE CONFIG_KEY_COUNT
#define LAMBDA "is for Lambda functions, which Holdfast does not run"
#define OBJECT(path, need, take)                                       \
  {                                                                    \
    path, GREENGRASS_OBJECT, GREENGRASS_##need, take, NONE, 0, 0, NULL \
  }
#define STRING(path, need, take, key)                                 \
  {                                                                   \
    path, GREENGRASS_STRING, GREENGRASS_##need, take, key, 0, 0, NULL \
  }
#define NUMBER(path, take, key, min, max)                                   \
  {                                                                         \
    path, GREENGRASS_NUMBER, GREENGRASS_OPTIONAL, take, key, min, max, NULL \
  }
#define IGNORED(path, shape, note)                                                 \
  {                                                                                \
    path, GREENGRASS_##shape, GREENGRASS_OPTIONAL, NULL, NONE, 0, UINT32_MAX, note \
  }
#define PRINCIPAL(name) "crypto.principals." name
#define PROXY(name) "coreThing.networkProxy." name

/* clang-format off */
const struct greengrass_field greengrass_fields[] = {
  OBJECT("coreThing", REQUIRED, NULL),
  STRING("coreThing.thingArn", REQUIRED, take_arn, CONFIG_DEVICE_ID),
  STRING("coreThing.iotHost", REQUIRED, take_host, CONFIG_AWS_URL),
  NUMBER("coreThing.iotMqttPort", take_cloud_port, NONE, 1, UINT16_MAX),
  NUMBER("coreThing.keepAlive", take_seconds, CONFIG_MQTT_BRIDGE_KEEPALIVE_INTERVAL, 30, 1200),
  NUMBER("coreThing.ggMqttPort", take_port, CONFIG_MQTT_SERVER_BIND_PORT, 1024, UINT16_MAX),
  STRING("coreThing.caPath", WITHOUT_CRYPTO, take_old_path, CONFIG_AWS_ROOT_CERT_PATH),
  STRING("coreThing.certPath", WITHOUT_CRYPTO, take_old_path, CONFIG_DEVICE_CERT_PATH),
  STRING("coreThing.keyPath", WITHOUT_CRYPTO, take_old_key, CONFIG_DEVICE_KEY_PATH),
  IGNORED("coreThing.ggHost", STRING,
          "means nothing here: groups are deployed by Greengrass's cloud; devices ask this core's own discovery"),
  IGNORED("coreThing.iotHttpPort", NUMBER, "means nothing here: the cloud is spoken to by MQTT alone"),
  IGNORED("coreThing.ggHttpPort", NUMBER, "means nothing here: the cloud is spoken to by MQTT alone"),
  IGNORED("coreThing.mqttOperationTimeout", NUMBER, "means nothing here: what is not acknowledged stays in the spool"),
  IGNORED("coreThing.ggDaemonPort", NUMBER, LAMBDA),
  IGNORED("coreThing.systemComponentAuthTimeout", NUMBER, LAMBDA),
  OBJECT("coreThing.networkProxy", OPTIONAL, NULL),
  IGNORED(PROXY("noProxyAddresses"), STRING, "means nothing here: all that leaves the device goes through the proxy"),
  OBJECT(PROXY("proxy"), OPTIONAL, NULL),
  STRING(PROXY("proxy.url"), OPTIONAL, take_proxy_url, CONFIG_PROXY_ADDRESS),
  STRING(PROXY("proxy.username"), OPTIONAL, take_text, CONFIG_PROXY_USERNAME),
  STRING(PROXY("proxy.password"), OPTIONAL, take_text, CONFIG_PROXY_PASSWORD),
  OBJECT("runtime", OPTIONAL, NULL),
  OBJECT("runtime.cgroup", OPTIONAL, NULL),
  IGNORED("runtime.cgroup.useSystemd", YES_NO, NULL),
  IGNORED("runtime.maxWorkItemCount", NUMBER, LAMBDA),
  IGNORED("runtime.maxConcurrentLimit", NUMBER, LAMBDA),
  IGNORED("runtime.lruSize", NUMBER, LAMBDA),
  IGNORED("runtime.schedulingFrequency", NUMBER, LAMBDA),
  IGNORED("runtime.mountAllBlockDevices", YES_NO, LAMBDA),
  IGNORED("runtime.allowFunctionsToRunAsRoot", YES_NO, LAMBDA),
  IGNORED("runtime.postStartHealthCheckTimeout", NUMBER,
          "means nothing here: 'holdfast core start' returns when the core is ready, or tells why it is not"),
  STRING("runtime.GG_CONFIG_STORAGE_TYPE", OPTIONAL, take_storage, CONFIG_MQTT_BRIDGE_SPOOL_DURABILITY),
  { "runtime.GG_CONFIG_MAX_SIZE_BYTES", GREENGRASS_ANY, GREENGRASS_OPTIONAL, take_spool_size,
    CONFIG_MQTT_BRIDGE_SPOOL_MAX_SIZE, 0, 0, NULL },
  IGNORED("runtime.GG_CONFIG_SUBSCRIPTION_QUALITY", ANY,
          "means nothing here: the session at the cloud is always a persistent one, at least once"),
  OBJECT("crypto", OPTIONAL, NULL),
  STRING("crypto.caPath", WITH_CRYPTO, take_file, CONFIG_AWS_ROOT_CERT_PATH),
  OBJECT("crypto.PKCS11", WITH_PKCS11, take_pkcs11),
  STRING("crypto.PKCS11.P11Provider", WITH_PKCS11, take_plain_path, CONFIG_DEVICE_CRYPTOKI_MODULE_PATH),
  STRING("crypto.PKCS11.slotLabel", WITH_PKCS11, take_label, CONFIG_DEVICE_CRYPTOKI_URI),
  STRING("crypto.PKCS11.slotUserPin", OPTIONAL, take_pin, CONFIG_DEVICE_CRYPTOKI_PIN),
  IGNORED("crypto.PKCS11.OpenSSLEngine", STRING,
          "is not needed: OpenSSL comes to the HSM by Holdfast's own provider, for updates and all else"),
  OBJECT("crypto.principals", WITH_CRYPTO, NULL),
  OBJECT(PRINCIPAL("IoTCertificate"), WITH_CRYPTO, NULL),
  STRING(PRINCIPAL("IoTCertificate.privateKeyPath"), WITH_CRYPTO, take_iot_key, CONFIG_DEVICE_KEY_PATH),
  STRING(PRINCIPAL("IoTCertificate.certificatePath"), WITH_CRYPTO, take_certificate, CONFIG_DEVICE_CERT_PATH),
  OBJECT(PRINCIPAL("MQTTServerCertificate"), OPTIONAL, NULL),
  STRING(PRINCIPAL("MQTTServerCertificate.privateKeyPath"), OPTIONAL, take_key, CONFIG_MQTT_SERVER_KEY_URI),
  OBJECT(PRINCIPAL("SecretsManager"), OPTIONAL, NULL),
  STRING(PRINCIPAL("SecretsManager.privateKeyPath"), OPTIONAL, take_key, CONFIG_SECRETS_KEY_URI),
  NUMBER("mqttMaxConnectionRetryInterval", take_seconds, CONFIG_MQTT_BRIDGE_RECONNECT_MAXIMUM, 1, 86400),
  IGNORED("managedRespawn", BOOL, NULL),
  STRING("writeDirectory", OPTIONAL, take_folder, CONFIG_DATA_PATH),
  STRING("pidFileDirectory", OPTIONAL, take_folder, CONFIG_RUN_PATH),
  OBJECT(GREENGRASS_OWN, OPTIONAL, NULL),
  { NULL, GREENGRASS_ANY, GREENGRASS_OPTIONAL, NULL, NONE, 0, 0, NULL },
};
/* clang-format on */
