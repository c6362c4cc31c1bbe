/* SPDX-License-Identifier: Apache-2.0 */
#include "mqtt/publish.h"

#include "mqtt/topic.h"

enum { RETAIN = 1, QOS_SHIFT = 1, QOS_MASK = 3, DUP = 8, TWO_BYTES = 2, REL_FLAGS = 2 };

static hf_err decode_flags(uint8_t flags, struct mqtt_publish *publish)
{
  publish->qos = flags >> QOS_SHIFT & QOS_MASK;
  publish->dup = flags & DUP;
  publish->retain = flags & RETAIN;
  if (publish->qos > 2 || (publish->dup && publish->qos == 0))
    return hf_fail(HF_ERR_PARSE, "PUBLISH with flags %u", flags);
  return HF_OK;
}

hf_err mqtt_publish_decode(const struct mqtt_packet *packet, enum mqtt_version version,
                           struct mqtt_publish *ret_publish)
{
  struct mqtt_publish publish = { 0 };
  struct hf_slice in = packet->body;
  HF_TRY(decode_flags(packet->flags, &publish));
  HF_TRY(mqtt_text_take(&in, &publish.topic));
  if (publish.qos)
    HF_TRY(mqtt_packet_id_take(&in, &publish.packet_id));
  if (version == MQTT_5)
    HF_TRY(mqtt_properties_take(&in, MQTT_PUBLISH, &publish.properties));
  bool aliased = mqtt_property_number(publish.properties, MQTT_TOPIC_ALIAS, 0);
  if (!(publish.topic.len == 0 && aliased) && !mqtt_topic_is_name(publish.topic))
    return hf_fail(HF_ERR_PARSE, "PUBLISH on what is no topic name");
  publish.payload = in;
  *ret_publish = publish;
  return HF_OK;
}

static size_t body_size(const struct mqtt_publish *publish, enum mqtt_version version)
{
  size_t size = TWO_BYTES + publish->topic.len + publish->payload.len;
  if (publish->qos)
    size += TWO_BYTES;
  if (version == MQTT_5)
    size += mqtt_varint_len(publish->properties.len) + publish->properties.len;
  return size;
}

size_t mqtt_publish_size(const struct mqtt_publish *publish, enum mqtt_version version)
{
  size_t body = body_size(publish, version);
  return 1 + mqtt_varint_len(body) + body;
}

hf_err mqtt_publish_encode(const struct mqtt_publish *publish, enum mqtt_version version, struct hf_buf *out)
{
  unsigned flags = (publish->dup ? DUP : 0u) | (unsigned)publish->qos << QOS_SHIFT | (publish->retain ? RETAIN : 0u);
  HF_TRY(mqtt_header_add(out, MQTT_PUBLISH, (uint8_t)flags, body_size(publish, version)));
  HF_TRY(mqtt_bytes_add(out, publish->topic));
  if (publish->qos)
    HF_TRY(hf_buf_add_u16(out, publish->packet_id));
  if (version == MQTT_5)
    HF_TRY(mqtt_properties_add(out, publish->properties));
  return hf_buf_add(out, publish->payload.data, publish->payload.len);
}

/* Reason and properties may be left out from the end on (section 3.4.2.1). */
hf_err mqtt_ack_decode(const struct mqtt_packet *packet, enum mqtt_version version, struct mqtt_ack *ret_ack)
{
  struct mqtt_ack ack = { 0 };
  struct hf_slice in = packet->body;
  HF_TRY(mqtt_packet_id_take(&in, &ack.packet_id));
  if (version == MQTT_5 && in.len > 0)
    HF_TRY(hf_take_u8(&in, &ack.reason));
  if (version == MQTT_5 && in.len > 0)
    HF_TRY(mqtt_properties_take(&in, packet->type, &ack.properties));
  HF_TRY(hf_take_end(&in));
  *ret_ack = ack;
  return HF_OK;
}

hf_err mqtt_ack_encode(enum mqtt_type type, const struct mqtt_ack *ack, enum mqtt_version version, struct hf_buf *out)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf body = HF_BUF(MQTT_TEXT_MAX);
  HF_TRY(hf_buf_add_u16(&body, ack->packet_id));
  if (version == MQTT_5 && (ack->reason || ack->properties.len))
    HF_TRY(hf_buf_add_u8(&body, ack->reason));
  if (version == MQTT_5 && ack->properties.len)
    HF_TRY(mqtt_properties_add(&body, ack->properties));
  return mqtt_packet_add(out, type, type == MQTT_PUBREL ? REL_FLAGS : 0, hf_slice(body.data, body.len));
}
