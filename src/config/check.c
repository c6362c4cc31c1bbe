/* SPDX-License-Identifier: Apache-2.0 */
#include "config/check.h"

#include "base/text.h"
#include "config/address.h"
#include "config/rules.h"
#include "uri/uri.h"

#include <arpa/inet.h>
#include <limits.h>

enum {
  ID_MAX = 64 /* ub-common-name: the id is a certificate's CN */,
  TOPIC_MAX = 256,
  SECRET_MAX = 255,
  TEXT_MAX = 64,
  HOSTS_MAX = 1024
};

static bool is_printable(const char *value)
{
  for (; *value; value++)
    if ((unsigned char)*value < 0x20 || *value == 0x7f)
      return false;
  return true;
}

static bool is_id(const char *value)
{
  return value[0] && strlen(value) <= ID_MAX && !strpbrk(value, "/+#") && is_printable(value);
}

static bool is_path(const char *value)
{
  return value[0] == '/' && strlen(value) < PATH_MAX && is_printable(value);
}

static bool is_bool(const char *value)
{
  return strcmp(value, "true") == 0 || strcmp(value, "false") == 0;
}

static bool is_choice(const char *choices, const char *value)
{
  size_t len = strlen(value);
  for (const char *at = choices; len > 0 && at; at = strchr(at, '|') ? strchr(at, '|') + 1 : NULL)
    if (strcspn(at, "|") == len && memcmp(at, value, len) == 0)
      return true;
  return false;
}

static bool is_uri(const char *value)
{
  HF_CLEANUP(uri_free) struct uri uri = { 0 };
  return uri_is_pkcs11(value) && !hf_failed(uri_parse(value, &uri));
}

static bool is_certificate(const char *value)
{
  HF_CLEANUP(uri_free) struct uri uri = { 0 };
  if (!uri_is_pkcs11(value))
    return is_path(value);
  if (hf_failed(uri_parse(value, &uri)))
    return false;
  const char *type = uri_get(&uri, URI_TYPE);
  return !uri_get(&uri, URI_PIN_VALUE) && (!type || strcmp(type, "cert") == 0);
}

static bool is_key(const char *value)
{
  return is_path(value) || is_uri(value);
}

static bool is_address(const char *value)
{
  struct config_address address;
  return config_address_parse(value, "8883", &address);
}

static bool is_topic(const char *value)
{
  return value[0] && strlen(value) <= TOPIC_MAX && !strpbrk(value, "+#") && is_printable(value);
}

static bool is_pin_source(const char *value)
{
  static const char *const schemes[] = { "env:", "credential:", "file:" };
  for (size_t i = 0; i < HF_ARRAY_LEN(schemes); i++)
    if (strncmp(value, schemes[i], strlen(schemes[i])) == 0)
      return value[strlen(schemes[i])] && is_printable(value);
  return is_path(value);
}

static bool is_secret(const char *value)
{
  return value[0] && strlen(value) <= SECRET_MAX;
}

static bool is_text(const char *value)
{
  return value[0] && strlen(value) <= TEXT_MAX && is_printable(value);
}

static bool is_url(const char *value)
{
  static const char *const schemes[] = { "http://", "https://" };
  for (size_t i = 0; i < HF_ARRAY_LEN(schemes); i++) {
    size_t len = strlen(schemes[i]);
    char authority[CONFIG_HOST_MAX + 16];
    struct config_address address;
    if (strncmp(value, schemes[i], len) != 0)
      continue;
    int n = snprintf(authority, sizeof(authority), "%.*s", (int)strcspn(value + len, "/"), value + len);
    return n > 0 && (size_t)n < sizeof(authority) && config_address_parse(authority, "443", &address) &&
           strlen(value) < PATH_MAX && is_printable(value) && !strpbrk(value, " ?#@");
  }
  return false;
}

static bool is_host(const char *value)
{
  struct in6_addr v6;
  struct config_address address;
  if (strchr(value, ':'))
    return inet_pton(AF_INET6, value, &v6) == 1;
  return value[0] != '[' && config_address_parse(value, "1", &address) && strcmp(address.host, value) == 0;
}

static bool is_hosts(const char *value)
{
  if (strlen(value) > HOSTS_MAX)
    return false;
  for (const char *at = value;; at++) {
    char host[CONFIG_HOST_MAX + 1];
    size_t len = strcspn(at, ",");
    if (len >= sizeof(host))
      return false;
    snprintf(host, sizeof(host), "%.*s", (int)len, at);
    if (!is_host(host))
      return false;
    at += len;
    if (!*at)
      return true;
  }
}

static bool is_topics(const char *value)
{
  HF_CLEANUP(topic_rules_freep) struct topic_rules *rules = NULL;
  return is_printable(value) && !hf_failed(topic_rules_parse(value, "id", &rules));
}

/* The units of each type whose values are numbers; a number without a unit is taken as it is where "" is one. */
static const struct unit_row {
  enum config_type type;
  const char *name;
  uint64_t factor;
  uint64_t max; /* after the factor */
} units[] = {
  { CONFIG_TYPE_PORT, "", 1, 65535 },
  { CONFIG_TYPE_NUMBER, "", 1, 65535 },
  { CONFIG_TYPE_DURATION, "s", 1, UINT32_MAX },
  { CONFIG_TYPE_DURATION, "m", 60, UINT32_MAX },
  { CONFIG_TYPE_DURATION, "h", 3600, UINT32_MAX },
  { CONFIG_TYPE_DURATION, "d", 86400, UINT32_MAX },
  { CONFIG_TYPE_SIZE, "", 1, UINT64_C(1) << 40 },
  { CONFIG_TYPE_SIZE, "KiB", 1 << 10, UINT64_C(1) << 40 },
  { CONFIG_TYPE_SIZE, "MiB", 1 << 20, UINT64_C(1) << 40 },
  { CONFIG_TYPE_SIZE, "GiB", 1 << 30, UINT64_C(1) << 40 },
};

bool config_number(enum config_type type, const char *value, uint64_t *ret_number)
{
  enum { DIGITS_MAX = 12 };
  size_t digits = strspn(value, "0123456789");
  if (digits == 0 || digits > DIGITS_MAX)
    return false;
  uint64_t number = strtoull(value, NULL, 10);
  for (size_t i = 0; i < HF_ARRAY_LEN(units); i++) {
    if (units[i].type != type || strcmp(units[i].name, value + digits) != 0)
      continue;
    if (number < 1 || number > units[i].max / units[i].factor)
      return false;
    *ret_number = number * units[i].factor;
    return true;
  }
  return false;
}

struct type_row {
  const char *name;
  bool (*allows)(const char *value);
  const char *must_be;
};

static const struct type_row types[CONFIG_TYPE_COUNT] = {
  [CONFIG_TYPE_ID] = { "id", is_id, "1 to 64 printable characters without '/', '+' and '#'" },
  [CONFIG_TYPE_PATH] = { "path", is_path, "an absolute path" },
  [CONFIG_TYPE_CERTIFICATE] = { "certificate", is_certificate,
                                "an absolute path, or a PKCS #11 URI like pkcs11:token=NAME;object=KEY;type=cert" },
  [CONFIG_TYPE_KEY] = { "key", is_key,
                        "a PKCS #11 URI, like pkcs11:token=NAME;object=KEY;type=private, or an absolute path" },
  [CONFIG_TYPE_BOOL] = { "bool", is_bool, "true or false" },
  [CONFIG_TYPE_ENUM] = { "enum", NULL, NULL /* by the row's choices */ },
  [CONFIG_TYPE_URI] = { "uri", is_uri, "a PKCS #11 URI, like pkcs11:token=NAME;object=KEY;type=private" },
  [CONFIG_TYPE_ADDRESS] = { "address", is_address, "HOST, HOST:PORT or mqtts://HOST:PORT" },
  [CONFIG_TYPE_TOPIC] = { "topic", is_topic, "an MQTT topic without '+' and '#'" },
  [CONFIG_TYPE_PIN_SOURCE] = { "pin-source", is_pin_source, "an absolute path, env:NAME or credential:NAME" },
  [CONFIG_TYPE_SECRET] = { "secret", is_secret, "1 to 255 bytes" },
  [CONFIG_TYPE_TEXT] = { "text", is_text, "1 to 64 printable characters" },
  [CONFIG_TYPE_URL] = { "url", is_url, "http://HOST[:PORT][/PATH] or https://HOST[:PORT][/PATH]" },
  [CONFIG_TYPE_HOST] = { "host", is_host, "a host's name or IP address" },
  [CONFIG_TYPE_HOSTS] = { "hosts", is_hosts, "hosts' names and IP addresses, ',' between them" },
  [CONFIG_TYPE_PORT] = { "port", NULL, "a port, 1 to 65535" },
  [CONFIG_TYPE_NUMBER] = { "number", NULL, "a number, 1 to 65535" },
  [CONFIG_TYPE_DURATION] = { "duration", NULL, "a number and its unit, s, m, h or d, like 30d" },
  [CONFIG_TYPE_SIZE] = { "size", NULL, "bytes, or a number and KiB, MiB or GiB, like 256MiB" },
  [CONFIG_TYPE_TOPICS] = { "topics", is_topics,
                           "mosquitto's topic lines, like 'td/# out 1 aws/ thinedge/{id}/', with ';' between them" },
};

const char *config_type_name(enum config_type type)
{
  return types[type].name;
}

/* Of several rules, the one that is wrong is to be named. */
static const char *topics_must_be(const char *value, const char *must_be)
{
  HF_CLEANUP(topic_rules_freep) struct topic_rules *rules = NULL;
  if (!hf_failed(topic_rules_parse(value, "id", &rules)))
    return must_be;
  hf_ignore(hf_fail(HF_ERR_CONFIG, "%s; %s", must_be, hf_err_context()));
  return hf_err_context();
}

const char *config_check(const struct config_row *row, const char *value)
{
  const struct type_row *type = &types[row->type];
  if (row->choices)
    return is_choice(row->choices, value) ? NULL : row->choices;
  uint64_t number;
  bool allowed = type->allows ? type->allows(value) : config_number(row->type, value, &number);
  if (allowed)
    return NULL;
  return row->type == CONFIG_TYPE_TOPICS ? topics_must_be(value, type->must_be) : type->must_be;
}

const char *config_nearest(const char *name)
{
  size_t best = SIZE_MAX;
  const char *nearest = config_row(0)->key;
  for (enum config_key key = 0; key < CONFIG_KEY_COUNT; key++) {
    size_t d = hf_text_distance(name, config_row(key)->key);
    if (d < best) {
      best = d;
      nearest = config_row(key)->key;
    }
  }
  return nearest;
}
