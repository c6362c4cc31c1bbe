/* SPDX-License-Identifier: Apache-2.0 */
#include "mqtt/subscribe.h"

#include "mqtt/topic.h"

enum { QOS_MASK = 0x03, NO_LOCAL = 0x04, AS_PUBLISHED = 0x08, HANDLING_SHIFT = 4, RESERVED = 0xc0, FLAGS = 2 };

static uint8_t options_of(const struct mqtt_subscription *subscription, enum mqtt_version version)
{
  if (version == MQTT_3_1_1)
    return subscription->qos;
  return (uint8_t)(subscription->qos | (subscription->no_local ? NO_LOCAL : 0u) |
                   (subscription->retain_as_published ? AS_PUBLISHED : 0u) |
                   (unsigned)subscription->retain_handling << HANDLING_SHIFT);
}

hf_err mqtt_subscription_add(struct hf_buf *filters, const struct mqtt_subscription *subscription,
                             enum mqtt_version version)
{
  HF_TRY(mqtt_bytes_add(filters, subscription->filter));
  return hf_buf_add_u8(filters, options_of(subscription, version));
}

static hf_err check_options(uint8_t options, enum mqtt_version version)
{
  unsigned handling = (unsigned)options >> HANDLING_SHIFT & QOS_MASK;
  bool good = version == MQTT_3_1_1
                  ? options <= 2
                  : (options & QOS_MASK) <= 2 && handling <= MQTT_RETAINED_NEVER && !(options & RESERVED);
  return good ? HF_OK : hf_fail(HF_ERR_PARSE, "SUBSCRIBE with options 0x%02x", options);
}

hf_err mqtt_subscription_take(struct hf_slice *filters, enum mqtt_version version,
                              struct mqtt_subscription *ret_subscription)
{
  struct mqtt_subscription subscription = { 0 };
  uint8_t options = 0;
  HF_TRY(mqtt_text_take(filters, &subscription.filter));
  HF_TRY(hf_take_u8(filters, &options));
  HF_TRY(check_options(options, version));
  if (!mqtt_topic_is_filter(subscription.filter))
    return hf_fail(HF_ERR_PARSE, "SUBSCRIBE to what is no topic filter");
  subscription.qos = options & QOS_MASK;
  subscription.no_local = options & NO_LOCAL;
  subscription.retain_as_published = options & AS_PUBLISHED;
  subscription.retain_handling = (enum mqtt_retain_handling)(options >> HANDLING_SHIFT & QOS_MASK);
  *ret_subscription = subscription;
  return HF_OK;
}

/* What the four packets have in common: an identifier, properties, and a list. */
static hf_err encode(enum mqtt_type type, const struct mqtt_subscribe *packet, enum mqtt_version version, uint8_t flags,
                     struct hf_buf *out)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf body = HF_BUF(MQTT_VARINT_MAX);
  HF_TRY(hf_buf_add_u16(&body, packet->packet_id));
  if (version == MQTT_5)
    HF_TRY(mqtt_properties_add(&body, packet->properties));
  HF_TRY(hf_buf_add(&body, packet->filters.data, packet->filters.len));
  return mqtt_packet_add(out, type, flags, hf_slice(body.data, body.len));
}

static hf_err decode(const struct mqtt_packet *packet, enum mqtt_version version, struct mqtt_subscribe *ret_packet)
{
  struct mqtt_subscribe result = { 0 };
  struct hf_slice in = packet->body;
  HF_TRY(mqtt_packet_id_take(&in, &result.packet_id));
  if (version == MQTT_5)
    HF_TRY(mqtt_properties_take(&in, packet->type, &result.properties));
  result.filters = in;
  *ret_packet = result;
  return HF_OK;
}

hf_err mqtt_subscribe_encode(enum mqtt_type type, const struct mqtt_subscribe *subscribe, enum mqtt_version version,
                             struct hf_buf *out)
{
  return encode(type, subscribe, version, FLAGS, out);
}

hf_err mqtt_subscribe_decode(const struct mqtt_packet *packet, enum mqtt_version version,
                             struct mqtt_subscribe *ret_subscribe)
{
  struct mqtt_subscribe subscribe;
  HF_TRY(decode(packet, version, &subscribe));
  if (subscribe.filters.len == 0)
    return hf_fail(HF_ERR_PARSE, "%s without a topic filter", mqtt_type_name(packet->type));
  *ret_subscribe = subscribe;
  return HF_OK;
}

hf_err mqtt_suback_encode(enum mqtt_type type, const struct mqtt_suback *suback, enum mqtt_version version,
                          struct hf_buf *out)
{
  return encode(type, &(struct mqtt_subscribe){ suback->packet_id, suback->properties, suback->reasons }, version, 0,
                out);
}

hf_err mqtt_suback_decode(const struct mqtt_packet *packet, enum mqtt_version version, struct mqtt_suback *ret_suback)
{
  struct mqtt_subscribe result;
  HF_TRY(decode(packet, version, &result));
  bool bare = packet->type == MQTT_UNSUBACK && version == MQTT_3_1_1;
  if (bare != (result.filters.len == 0))
    return hf_fail(HF_ERR_PARSE, "%s with %zu reasons", mqtt_type_name(packet->type), result.filters.len);
  *ret_suback = (struct mqtt_suback){ result.packet_id, result.properties, result.filters };
  return HF_OK;
}
