/* SPDX-License-Identifier: Apache-2.0 */
#include "mqtt/packet.h"

#include "base/text.h"

enum { DIGIT_BITS = 7, MORE = 0x80, DIGITS_MAX = 4, TYPE_SHIFT = 4, FLAGS_MASK = 0x0f, ANY_FLAGS = 0xff };

/* Section 2.1.3: the flags that each type must bear; PUBLISH uses them. */
static const struct type_row {
  const char *name;
  uint8_t flags;
} types[MQTT_TYPE_COUNT] = {
  [MQTT_CONNECT] = { "CONNECT", 0 },
  [MQTT_CONNACK] = { "CONNACK", 0 },
  [MQTT_PUBLISH] = { "PUBLISH", ANY_FLAGS },
  [MQTT_PUBACK] = { "PUBACK", 0 },
  [MQTT_PUBREC] = { "PUBREC", 0 },
  [MQTT_PUBREL] = { "PUBREL", 2 },
  [MQTT_PUBCOMP] = { "PUBCOMP", 0 },
  [MQTT_SUBSCRIBE] = { "SUBSCRIBE", 2 },
  [MQTT_SUBACK] = { "SUBACK", 0 },
  [MQTT_UNSUBSCRIBE] = { "UNSUBSCRIBE", 2 },
  [MQTT_UNSUBACK] = { "UNSUBACK", 0 },
  [MQTT_PINGREQ] = { "PINGREQ", 0 },
  [MQTT_PINGRESP] = { "PINGRESP", 0 },
  [MQTT_DISCONNECT] = { "DISCONNECT", 0 },
  [MQTT_AUTH] = { "AUTH", 0 },
};

const char *mqtt_type_name(unsigned type)
{
  return type < MQTT_TYPE_COUNT && types[type].name ? types[type].name : "?";
}

static hf_err check_first_byte(uint8_t first)
{
  unsigned type = first >> TYPE_SHIFT;
  if (type >= MQTT_TYPE_COUNT || !types[type].name)
    return hf_fail(HF_ERR_PARSE, "an MQTT packet of type %u", type);
  if (types[type].flags != ANY_FLAGS && types[type].flags != (first & FLAGS_MASK))
    return hf_fail(HF_ERR_PARSE, "%s with flags %u", types[type].name, first & FLAGS_MASK);
  return HF_OK;
}

/* *ret_whole tells whether the number ends within in. */
static hf_err take_digits(struct hf_slice *in, bool *ret_whole, uint32_t *ret_value)
{
  uint32_t value = 0;
  for (size_t i = 0; i < DIGITS_MAX && i < in->len; i++) {
    uint8_t byte = in->data[i];
    value |= (uint32_t)(byte & (MORE - 1)) << (DIGIT_BITS * i);
    if (byte & MORE)
      continue;
    if (byte == 0 && i > 0)
      return hf_fail(HF_ERR_PARSE, "an MQTT length that has a shorter form");
    *in = hf_slice(in->data + i + 1, in->len - i - 1);
    *ret_whole = true;
    *ret_value = value;
    return HF_OK;
  }
  if (in->len >= DIGITS_MAX)
    return hf_fail(HF_ERR_PARSE, "an MQTT length of more than %d bytes", DIGITS_MAX);
  *ret_whole = false;
  return HF_OK;
}

hf_err mqtt_packet_take(struct hf_slice *in, size_t max, bool *ret_whole, struct mqtt_packet *ret_packet)
{
  struct hf_slice rest = *in;
  uint8_t first = 0;
  uint32_t len = 0;
  bool whole = false;
  if (in->len > 0) {
    HF_TRY(hf_take_u8(&rest, &first));
    HF_TRY(check_first_byte(first));
    HF_TRY(take_digits(&rest, &whole, &len));
  }
  if (whole && (size_t)(rest.data - in->data) + len > max)
    return hf_fail(HF_ERR_LIMIT, "%s of %u bytes; %zu are allowed", types[first >> TYPE_SHIFT].name, len, max);
  *ret_whole = whole && rest.len >= len;
  if (!*ret_whole)
    return HF_OK;
  *ret_packet = (struct mqtt_packet){ (enum mqtt_type)(first >> TYPE_SHIFT), first & FLAGS_MASK, { rest.data, len } };
  *in = hf_slice(rest.data + len, rest.len - len);
  return HF_OK;
}

hf_err mqtt_header_add(struct hf_buf *out, enum mqtt_type type, uint8_t flags, size_t body_len)
{
  HF_TRY(hf_buf_add_u8(out, (uint8_t)(type << TYPE_SHIFT | flags)));
  return mqtt_varint_add(out, body_len);
}

hf_err mqtt_packet_add(struct hf_buf *out, enum mqtt_type type, uint8_t flags, struct hf_slice body)
{
  HF_TRY(mqtt_header_add(out, type, flags, body.len));
  return hf_buf_add(out, body.data, body.len);
}

size_t mqtt_varint_len(size_t value)
{
  size_t len = 1;
  for (; value >= MORE; value >>= DIGIT_BITS)
    len++;
  return len;
}

hf_err mqtt_varint_add(struct hf_buf *out, size_t value)
{
  uint8_t bytes[DIGITS_MAX];
  size_t len = 0;
  if (value > MQTT_VARINT_MAX)
    return hf_fail(HF_ERR_LIMIT, "%zu bytes in an MQTT packet", value);
  for (; value >= MORE; value >>= DIGIT_BITS)
    bytes[len++] = (uint8_t)(value | MORE);
  bytes[len++] = (uint8_t)value;
  return hf_buf_add(out, bytes, len);
}

hf_err mqtt_varint_take(struct hf_slice *in, uint32_t *ret_value)
{
  bool whole = false;
  uint32_t value = 0;
  HF_TRY(take_digits(in, &whole, &value));
  if (!whole)
    return hf_fail(HF_ERR_PARSE, "an MQTT number is cut short");
  *ret_value = value;
  return HF_OK;
}

hf_err mqtt_bytes_add(struct hf_buf *out, struct hf_slice bytes)
{
  if (bytes.len > MQTT_TEXT_MAX)
    return hf_fail(HF_ERR_LIMIT, "%zu bytes in an MQTT text", bytes.len);
  HF_TRY(hf_buf_add_u16(out, (uint16_t)bytes.len));
  return hf_buf_add(out, bytes.data, bytes.len);
}

hf_err mqtt_bytes_take(struct hf_slice *in, struct hf_slice *ret_bytes)
{
  struct hf_slice rest = *in;
  uint16_t len = 0;
  const uint8_t *data = NULL;
  HF_TRY(hf_take_u16(&rest, &len));
  HF_TRY(hf_take(&rest, len, &data));
  *in = rest;
  *ret_bytes = hf_slice(data, len);
  return HF_OK;
}

bool mqtt_is_text(struct hf_slice bytes)
{
  return bytes.len <= MQTT_TEXT_MAX && (bytes.len == 0 || !memchr(bytes.data, 0, bytes.len)) && hf_is_utf8(bytes);
}

hf_err mqtt_text_take(struct hf_slice *in, struct hf_slice *ret_text)
{
  struct hf_slice rest = *in, text = { 0 };
  HF_TRY(mqtt_bytes_take(&rest, &text));
  if (!mqtt_is_text(text))
    return hf_fail(HF_ERR_PARSE, "an MQTT text that is not UTF-8, or holds U+0000");
  *in = rest;
  *ret_text = text;
  return HF_OK;
}

hf_err mqtt_packet_id_take(struct hf_slice *in, uint16_t *ret_packet_id)
{
  uint16_t packet_id = 0;
  HF_TRY(hf_take_u16(in, &packet_id));
  if (packet_id == 0)
    return hf_fail(HF_ERR_PARSE, "packet identifier 0");
  *ret_packet_id = packet_id;
  return HF_OK;
}
