/* SPDX-License-Identifier: Apache-2.0 */
#include "mqtt/property.h"

#define AT(where) (1u << (where))
#define AT_PUBLISH (AT(MQTT_PUBLISH) | AT(MQTT_WILL))
#define AT_BOTH_CONNECTS (AT(MQTT_CONNECT) | AT(MQTT_CONNACK))
#define AT_ACKS \
  (AT(MQTT_PUBACK) | AT(MQTT_PUBREC) | AT(MQTT_PUBREL) | AT(MQTT_PUBCOMP) | AT(MQTT_SUBACK) | AT(MQTT_UNSUBACK))

typedef hf_err (*take_fn)(struct hf_slice *in, struct mqtt_property *property);
typedef hf_err (*add_fn)(struct hf_buf *out, const struct mqtt_property *property);

static hf_err take_byte(struct hf_slice *in, struct mqtt_property *property)
{
  uint8_t value = 0;
  HF_TRY(hf_take_u8(in, &value));
  property->number = value;
  return HF_OK;
}

static hf_err add_byte(struct hf_buf *out, const struct mqtt_property *property)
{
  return hf_buf_add_u8(out, (uint8_t)property->number);
}

static hf_err take_two(struct hf_slice *in, struct mqtt_property *property)
{
  uint16_t value = 0;
  HF_TRY(hf_take_u16(in, &value));
  property->number = value;
  return HF_OK;
}

static hf_err add_two(struct hf_buf *out, const struct mqtt_property *property)
{
  return hf_buf_add_u16(out, (uint16_t)property->number);
}

static hf_err take_four(struct hf_slice *in, struct mqtt_property *property)
{
  return hf_take_u32(in, &property->number);
}

static hf_err add_four(struct hf_buf *out, const struct mqtt_property *property)
{
  return hf_buf_add_u32(out, property->number);
}

static hf_err take_varint(struct hf_slice *in, struct mqtt_property *property)
{
  return mqtt_varint_take(in, &property->number);
}

static hf_err add_varint(struct hf_buf *out, const struct mqtt_property *property)
{
  return mqtt_varint_add(out, property->number);
}

static hf_err take_text(struct hf_slice *in, struct mqtt_property *property)
{
  return mqtt_text_take(in, &property->text);
}

static hf_err take_bytes(struct hf_slice *in, struct mqtt_property *property)
{
  return mqtt_bytes_take(in, &property->text);
}

static hf_err add_bytes(struct hf_buf *out, const struct mqtt_property *property)
{
  return mqtt_bytes_add(out, property->text);
}

static hf_err take_pair(struct hf_slice *in, struct mqtt_property *property)
{
  HF_TRY(mqtt_text_take(in, &property->text));
  return mqtt_text_take(in, &property->value);
}

static hf_err add_pair(struct hf_buf *out, const struct mqtt_property *property)
{
  HF_TRY(mqtt_bytes_add(out, property->text));
  return mqtt_bytes_add(out, property->value);
}

static const struct type_row {
  take_fn take;
  add_fn add;
} byte = { take_byte, add_byte }, two = { take_two, add_two }, four = { take_four, add_four },
  varint = { take_varint, add_varint }, text = { take_text, add_bytes }, bytes = { take_bytes, add_bytes },
  pair = { take_pair, add_pair };

/* Table 2-4. */
static const struct property_row {
  const char *name;
  const struct type_row *type;
  unsigned where;
  uint32_t min, max; /* of a number */
} rows[MQTT_PROPERTY_COUNT] = {
  [MQTT_PAYLOAD_FORMAT] = { "payload format indicator", &byte, AT_PUBLISH, 0, 1 },
  [MQTT_MESSAGE_EXPIRY] = { "message expiry interval", &four, AT_PUBLISH, 0, UINT32_MAX },
  [MQTT_CONTENT_TYPE] = { "content type", &text, AT_PUBLISH },
  [MQTT_RESPONSE_TOPIC] = { "response topic", &text, AT_PUBLISH },
  [MQTT_CORRELATION_DATA] = { "correlation data", &bytes, AT_PUBLISH },
  [MQTT_SUBSCRIPTION_ID] = { "subscription identifier", &varint, AT(MQTT_PUBLISH) | AT(MQTT_SUBSCRIBE), 1,
                             MQTT_VARINT_MAX },
  [MQTT_SESSION_EXPIRY] = { "session expiry interval", &four, AT_BOTH_CONNECTS | AT(MQTT_DISCONNECT), 0, UINT32_MAX },
  [MQTT_ASSIGNED_CLIENT_ID] = { "assigned client identifier", &text, AT(MQTT_CONNACK) },
  [MQTT_SERVER_KEEP_ALIVE] = { "server keep alive", &two, AT(MQTT_CONNACK), 0, UINT16_MAX },
  [MQTT_AUTH_METHOD] = { "authentication method", &text, AT_BOTH_CONNECTS | AT(MQTT_AUTH) },
  [MQTT_AUTH_DATA] = { "authentication data", &bytes, AT_BOTH_CONNECTS | AT(MQTT_AUTH) },
  [MQTT_REQUEST_PROBLEM] = { "request problem information", &byte, AT(MQTT_CONNECT), 0, 1 },
  [MQTT_WILL_DELAY] = { "will delay interval", &four, AT(MQTT_WILL), 0, UINT32_MAX },
  [MQTT_REQUEST_RESPONSE] = { "request response information", &byte, AT(MQTT_CONNECT), 0, 1 },
  [MQTT_RESPONSE_INFORMATION] = { "response information", &text, AT(MQTT_CONNACK) },
  [MQTT_SERVER_REFERENCE] = { "server reference", &text, AT(MQTT_CONNACK) | AT(MQTT_DISCONNECT) },
  [MQTT_REASON_STRING] = { "reason string", &text, AT_ACKS | AT(MQTT_CONNACK) | AT(MQTT_DISCONNECT) | AT(MQTT_AUTH) },
  [MQTT_RECEIVE_MAXIMUM] = { "receive maximum", &two, AT_BOTH_CONNECTS, 1, UINT16_MAX },
  [MQTT_TOPIC_ALIAS_MAXIMUM] = { "topic alias maximum", &two, AT_BOTH_CONNECTS, 0, UINT16_MAX },
  [MQTT_TOPIC_ALIAS] = { "topic alias", &two, AT(MQTT_PUBLISH), 1, UINT16_MAX },
  [MQTT_MAXIMUM_QOS] = { "maximum QoS", &byte, AT(MQTT_CONNACK), 0, 1 },
  [MQTT_RETAIN_AVAILABLE] = { "retain available", &byte, AT(MQTT_CONNACK), 0, 1 },
  [MQTT_USER_PROPERTY] = { "user property", &pair, ~0u },
  [MQTT_MAXIMUM_PACKET_SIZE] = { "maximum packet size", &four, AT_BOTH_CONNECTS, 1, UINT32_MAX },
  [MQTT_WILDCARD_AVAILABLE] = { "wildcard subscription available", &byte, AT(MQTT_CONNACK), 0, 1 },
  [MQTT_SUBSCRIPTION_ID_AVAILABLE] = { "subscription identifiers available", &byte, AT(MQTT_CONNACK), 0, 1 },
  [MQTT_SHARED_AVAILABLE] = { "shared subscription available", &byte, AT(MQTT_CONNACK), 0, 1 },
};

_Static_assert(MQTT_PROPERTY_COUNT <= 64, "a set of properties fits 64 bits");

/* A user property may stand several times, and so may the identifiers of the subscriptions that a message matched. */
static bool may_repeat(uint8_t id, unsigned where)
{
  return id == MQTT_USER_PROPERTY || (id == MQTT_SUBSCRIPTION_ID && where == MQTT_PUBLISH);
}

static hf_err take_property(struct hf_slice *in, struct mqtt_property *ret_property)
{
  struct mqtt_property property = { 0 };
  HF_TRY(hf_take_u8(in, &property.id));
  if (property.id >= MQTT_PROPERTY_COUNT || !rows[property.id].name)
    return hf_fail(HF_ERR_PARSE, "an MQTT property of number 0x%02x", property.id);
  HF_TRY(rows[property.id].type->take(in, &property));
  *ret_property = property;
  return HF_OK;
}

static hf_err check_property(const struct mqtt_property *property, unsigned where, uint64_t *seen)
{
  const struct property_row *row = &rows[property->id];
  uint64_t bit = 1ull << property->id;
  if (!(row->where & AT(where)))
    return hf_fail(HF_ERR_PARSE, "the MQTT property %s in %s", row->name,
                   where == MQTT_WILL ? "a will" : mqtt_type_name(where));
  if ((*seen & bit) && !may_repeat(property->id, where))
    return hf_fail(HF_ERR_PARSE, "the MQTT property %s stands twice", row->name);
  if (row->max && (property->number < row->min || property->number > row->max))
    return hf_fail(HF_ERR_PARSE, "the MQTT property %s is %u", row->name, property->number);
  *seen |= bit;
  return HF_OK;
}

hf_err mqtt_properties_take(struct hf_slice *in, unsigned where, struct hf_slice *ret_properties)
{
  uint32_t len = 0;
  const uint8_t *data = NULL;
  HF_TRY(mqtt_varint_take(in, &len));
  HF_TRY(hf_take(in, len, &data));
  uint64_t seen = 0;
  for (struct hf_slice rest = hf_slice(data, len); rest.len > 0;) {
    struct mqtt_property property;
    HF_TRY(take_property(&rest, &property));
    HF_TRY(check_property(&property, where, &seen));
  }
  *ret_properties = hf_slice(data, len);
  return HF_OK;
}

hf_err mqtt_properties_add(struct hf_buf *out, struct hf_slice properties)
{
  HF_TRY(mqtt_varint_add(out, properties.len));
  return hf_buf_add(out, properties.data, properties.len);
}

bool mqtt_property_next(struct hf_slice *properties, struct mqtt_property *ret_property)
{
  return properties->len > 0 && !hf_failed(take_property(properties, ret_property));
}

bool mqtt_property_find(struct hf_slice properties, enum mqtt_property_id id, struct mqtt_property *ret_property)
{
  struct mqtt_property property;
  while (mqtt_property_next(&properties, &property))
    if (property.id == id) {
      *ret_property = property;
      return true;
    }
  return false;
}

uint32_t mqtt_property_number(struct hf_slice properties, enum mqtt_property_id id, uint32_t absent)
{
  struct mqtt_property property;
  return mqtt_property_find(properties, id, &property) ? property.number : absent;
}

hf_err mqtt_property_add(struct hf_buf *out, const struct mqtt_property *property)
{
  HF_TRY(hf_buf_add_u8(out, property->id));
  return rows[property->id].type->add(out, property);
}

hf_err mqtt_property_add_number(struct hf_buf *out, enum mqtt_property_id id, uint32_t number)
{
  return mqtt_property_add(out, &(struct mqtt_property){ .id = (uint8_t)id, .number = number });
}

hf_err mqtt_property_add_text(struct hf_buf *out, enum mqtt_property_id id, struct hf_slice value)
{
  return mqtt_property_add(out, &(struct mqtt_property){ .id = (uint8_t)id, .text = value });
}
