/* SPDX-License-Identifier: Apache-2.0 */
#include "config/check.h"

#include "base/text.h"
#include "config/address.h"
#include "uri/uri.h"

#include <limits.h>

enum { ID_MAX = 64 /* ub-common-name: the id is a certificate's CN */, TOPIC_MAX = 256, PIN_MAX = 255 };

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

static bool is_pin(const char *value)
{
  return value[0] && strlen(value) <= PIN_MAX;
}

struct type_row {
  const char *name;
  bool (*allows)(const char *value);
  const char *must_be;
};

static const struct type_row types[CONFIG_TYPE_COUNT] = {
  [CONFIG_TYPE_ID] = { "id", is_id, "1 to 64 printable characters without '/', '+' and '#'" },
  [CONFIG_TYPE_PATH] = { "path", is_path, "an absolute path" },
  [CONFIG_TYPE_BOOL] = { "bool", is_bool, "true or false" },
  [CONFIG_TYPE_ENUM] = { "enum", NULL, NULL /* by the row's choices */ },
  [CONFIG_TYPE_URI] = { "uri", is_uri, "a PKCS #11 URI, like pkcs11:token=NAME;object=KEY;type=private" },
  [CONFIG_TYPE_ADDRESS] = { "address", is_address, "HOST, HOST:PORT or mqtts://HOST:PORT" },
  [CONFIG_TYPE_TOPIC] = { "topic", is_topic, "an MQTT topic without '+' and '#'" },
  [CONFIG_TYPE_PIN_SOURCE] = { "pin-source", is_pin_source, "an absolute path, env:NAME or credential:NAME" },
  [CONFIG_TYPE_PIN] = { "pin", is_pin, "1 to 255 bytes" },
};

const char *config_type_name(enum config_type type)
{
  return types[type].name;
}

const char *config_check(const struct config_row *row, const char *value)
{
  const struct type_row *type = &types[row->type];
  if (row->choices)
    return is_choice(row->choices, value) ? NULL : row->choices;
  return type->allows(value) ? NULL : type->must_be;
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
