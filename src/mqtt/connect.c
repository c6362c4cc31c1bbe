/* SPDX-License-Identifier: Apache-2.0 */
#include "mqtt/connect.h"

#include "mqtt/topic.h"

static const char protocol_name[] = "MQTT";

/* Section 3.1.2.3. */
enum {
  RESERVED = 0x01,
  CLEAN = 0x02,
  HAS_WILL = 0x04,
  WILL_QOS_SHIFT = 3,
  WILL_QOS_MASK = 3,
  WILL_RETAIN = 0x20,
  HAS_PASSWORD = 0x40,
  HAS_USER = 0x80
};

static uint8_t flags_of(const struct mqtt_connect *connect)
{
  unsigned flags = connect->clean ? CLEAN : 0;
  if (connect->will)
    flags |= HAS_WILL | (unsigned)connect->will->qos << WILL_QOS_SHIFT | (connect->will->retain ? WILL_RETAIN : 0u);
  if (connect->user.data)
    flags |= HAS_USER;
  if (connect->password.data)
    flags |= HAS_PASSWORD;
  return (uint8_t)flags;
}

static hf_err add_will(const struct mqtt_will *will, enum mqtt_version version, struct hf_buf *body)
{
  if (version == MQTT_5)
    HF_TRY(mqtt_properties_add(body, will->properties));
  HF_TRY(mqtt_bytes_add(body, will->topic));
  return mqtt_bytes_add(body, will->payload);
}

static hf_err add_body(const struct mqtt_connect *connect, struct hf_buf *body)
{
  HF_TRY(mqtt_bytes_add(body, mqtt_text(protocol_name)));
  HF_TRY(hf_buf_add_u8(body, (uint8_t)connect->version));
  HF_TRY(hf_buf_add_u8(body, flags_of(connect)));
  HF_TRY(hf_buf_add_u16(body, connect->keep_alive_s));
  if (connect->version == MQTT_5)
    HF_TRY(mqtt_properties_add(body, connect->properties));
  HF_TRY(mqtt_bytes_add(body, connect->client_id));
  if (connect->will)
    HF_TRY(add_will(connect->will, connect->version, body));
  if (connect->user.data)
    HF_TRY(mqtt_bytes_add(body, connect->user));
  return connect->password.data ? mqtt_bytes_add(body, connect->password) : HF_OK;
}

hf_err mqtt_connect_encode(const struct mqtt_connect *connect, struct hf_buf *out)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf body = HF_BUF(MQTT_VARINT_MAX);
  HF_TRY(add_body(connect, &body));
  return mqtt_packet_add(out, MQTT_CONNECT, 0, hf_slice(body.data, body.len));
}

static hf_err take_protocol(struct hf_slice *in, struct mqtt_connect *connect)
{
  struct hf_slice name = { 0 };
  uint8_t level = 0;
  HF_TRY(mqtt_text_take(in, &name));
  HF_TRY(hf_take_u8(in, &level));
  if (!hf_slice_equal(name, mqtt_text(protocol_name)) || (level != MQTT_3_1_1 && level != MQTT_5))
    return hf_fail(HF_ERR_PARSE, "CONNECT of protocol '%.*s', level %u", (int)name.len, (const char *)name.data, level);
  connect->version = (enum mqtt_version)level;
  return HF_OK;
}

static hf_err take_will(struct hf_slice *in, uint8_t flags, enum mqtt_version version, struct mqtt_will *will)
{
  will->qos = flags >> WILL_QOS_SHIFT & WILL_QOS_MASK;
  will->retain = flags & WILL_RETAIN;
  if (version == MQTT_5)
    HF_TRY(mqtt_properties_take(in, MQTT_WILL, &will->properties));
  HF_TRY(mqtt_text_take(in, &will->topic));
  if (will->qos > 2 || !mqtt_topic_is_name(will->topic))
    return hf_fail(HF_ERR_PARSE, "CONNECT with a will that nobody can publish");
  return mqtt_bytes_take(in, &will->payload);
}

static hf_err check_flags(uint8_t flags, enum mqtt_version version)
{
  bool will_without = !(flags & HAS_WILL) && (flags & (WILL_RETAIN | WILL_QOS_MASK << WILL_QOS_SHIFT));
  bool password_alone = version == MQTT_3_1_1 && (flags & HAS_PASSWORD) && !(flags & HAS_USER);
  if ((flags & RESERVED) || will_without || password_alone)
    return hf_fail(HF_ERR_PARSE, "CONNECT with flags 0x%02x", flags);
  return HF_OK;
}

static hf_err take_payload(struct hf_slice *in, uint8_t flags, struct mqtt_connect *connect, struct mqtt_will *will)
{
  HF_TRY(mqtt_text_take(in, &connect->client_id));
  if (flags & HAS_WILL)
    HF_TRY(take_will(in, flags, connect->version, will));
  if (flags & HAS_USER)
    HF_TRY(mqtt_text_take(in, &connect->user));
  if (flags & HAS_PASSWORD)
    HF_TRY(mqtt_bytes_take(in, &connect->password));
  return hf_take_end(in);
}

hf_err mqtt_connect_decode(const struct mqtt_packet *packet, struct mqtt_connect *ret_connect,
                           struct mqtt_will *ret_will)
{
  struct mqtt_connect connect = { 0 };
  struct mqtt_will will = { 0 };
  struct hf_slice in = packet->body;
  uint8_t flags = 0;
  HF_TRY(take_protocol(&in, &connect));
  HF_TRY(hf_take_u8(&in, &flags));
  HF_TRY(check_flags(flags, connect.version));
  HF_TRY(hf_take_u16(&in, &connect.keep_alive_s));
  if (connect.version == MQTT_5)
    HF_TRY(mqtt_properties_take(&in, MQTT_CONNECT, &connect.properties));
  HF_TRY(take_payload(&in, flags, &connect, &will));
  connect.clean = flags & CLEAN;
  connect.will = flags & HAS_WILL ? ret_will : NULL;
  *ret_connect = connect;
  *ret_will = will;
  return HF_OK;
}

enum { SESSION_PRESENT = 1, CONNACK_3_1_1_LEN = 2 };

hf_err mqtt_connack_decode(const struct mqtt_packet *packet, enum mqtt_version version,
                           struct mqtt_connack *ret_connack)
{
  struct mqtt_connack connack = { .version = packet->body.len == CONNACK_3_1_1_LEN ? MQTT_3_1_1 : version };
  struct hf_slice in = packet->body;
  uint8_t flags = 0;
  HF_TRY(hf_take_u8(&in, &flags));
  HF_TRY(hf_take_u8(&in, &connack.reason));
  if (connack.version == MQTT_5)
    HF_TRY(mqtt_properties_take(&in, MQTT_CONNACK, &connack.properties));
  if (flags & ~SESSION_PRESENT)
    return hf_fail(HF_ERR_PARSE, "CONNACK with flags 0x%02x", flags);
  HF_TRY(hf_take_end(&in));
  connack.session_present = flags & SESSION_PRESENT;
  *ret_connack = connack;
  return HF_OK;
}

hf_err mqtt_connack_encode(const struct mqtt_connack *connack, struct hf_buf *out)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf body = HF_BUF(MQTT_VARINT_MAX);
  HF_TRY(hf_buf_add_u8(&body, connack->session_present ? SESSION_PRESENT : 0));
  HF_TRY(hf_buf_add_u8(&body, connack->reason));
  if (connack->version == MQTT_5)
    HF_TRY(mqtt_properties_add(&body, connack->properties));
  return mqtt_packet_add(out, MQTT_CONNACK, 0, hf_slice(body.data, body.len));
}

hf_err mqtt_disconnect_decode(const struct mqtt_packet *packet, enum mqtt_version version,
                              struct mqtt_disconnect *ret_disconnect)
{
  struct mqtt_disconnect disconnect = { 0 };
  struct hf_slice in = packet->body;
  if (version == MQTT_5 && in.len > 0)
    HF_TRY(hf_take_u8(&in, &disconnect.reason));
  if (version == MQTT_5 && in.len > 0)
    HF_TRY(mqtt_properties_take(&in, MQTT_DISCONNECT, &disconnect.properties));
  HF_TRY(hf_take_end(&in));
  *ret_disconnect = disconnect;
  return HF_OK;
}

hf_err mqtt_disconnect_encode(const struct mqtt_disconnect *disconnect, enum mqtt_version version, struct hf_buf *out)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf body = HF_BUF(MQTT_VARINT_MAX);
  if (version == MQTT_5 && (disconnect->reason || disconnect->properties.len))
    HF_TRY(hf_buf_add_u8(&body, disconnect->reason));
  if (version == MQTT_5 && disconnect->properties.len)
    HF_TRY(mqtt_properties_add(&body, disconnect->properties));
  return mqtt_packet_add(out, MQTT_DISCONNECT, 0, hf_slice(body.data, body.len));
}
