/* SPDX-License-Identifier: Apache-2.0 */
/* What decodes must encode, decode again and encode to the same; nothing may crash or leak. The first byte picks the version. */
#include "mqtt/connect.h"
#include "mqtt/publish.h"
#include "mqtt/subscribe.h"
#include "mqtt/topic.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MAX = 1 << 20 };

typedef hf_err (*again_fn)(const struct mqtt_packet *packet, enum mqtt_version version, struct hf_buf *out);

static hf_err connect_again(const struct mqtt_packet *packet, enum mqtt_version version, struct hf_buf *out)
{
  (void)version;
  struct mqtt_connect connect;
  struct mqtt_will will;
  HF_TRY(mqtt_connect_decode(packet, &connect, &will));
  return mqtt_connect_encode(&connect, out);
}

static hf_err connack_again(const struct mqtt_packet *packet, enum mqtt_version version, struct hf_buf *out)
{
  struct mqtt_connack connack;
  HF_TRY(mqtt_connack_decode(packet, version, &connack));
  return mqtt_connack_encode(&connack, out);
}

static hf_err publish_again(const struct mqtt_packet *packet, enum mqtt_version version, struct hf_buf *out)
{
  struct mqtt_publish publish;
  HF_TRY(mqtt_publish_decode(packet, version, &publish));
  if (publish.topic.len > 0 && !mqtt_topic_matches(publish.topic, publish.topic))
    abort();
  HF_TRY(mqtt_publish_encode(&publish, version, out));
  if (out->len != mqtt_publish_size(&publish, version))
    abort();
  return HF_OK;
}

static hf_err ack_again(const struct mqtt_packet *packet, enum mqtt_version version, struct hf_buf *out)
{
  struct mqtt_ack ack;
  HF_TRY(mqtt_ack_decode(packet, version, &ack));
  return mqtt_ack_encode(packet->type, &ack, version, out);
}

static hf_err subscribe_again(const struct mqtt_packet *packet, enum mqtt_version version, struct hf_buf *out)
{
  struct mqtt_subscribe subscribe;
  HF_CLEANUP(hf_buf_free) struct hf_buf filters = HF_BUF(MAX);
  HF_TRY(mqtt_subscribe_decode(packet, version, &subscribe));
  while (subscribe.filters.len > 0) {
    struct mqtt_subscription subscription;
    HF_TRY(mqtt_subscription_take(&subscribe.filters, version, &subscription));
    mqtt_topic_matches(subscription.filter, mqtt_text("a/b"));
    HF_TRY(mqtt_subscription_add(&filters, &subscription, version));
  }
  subscribe.filters = hf_slice(filters.data, filters.len);
  return mqtt_subscribe_encode(packet->type, &subscribe, version, out);
}

static hf_err suback_again(const struct mqtt_packet *packet, enum mqtt_version version, struct hf_buf *out)
{
  struct mqtt_suback suback;
  HF_TRY(mqtt_suback_decode(packet, version, &suback));
  return mqtt_suback_encode(packet->type, &suback, version, out);
}

static hf_err disconnect_again(const struct mqtt_packet *packet, enum mqtt_version version, struct hf_buf *out)
{
  struct mqtt_disconnect disconnect;
  HF_TRY(mqtt_disconnect_decode(packet, version, &disconnect));
  return mqtt_disconnect_encode(&disconnect, version, out);
}

static const again_fn rows[MQTT_TYPE_COUNT] = {
  [MQTT_CONNECT] = connect_again,
  [MQTT_CONNACK] = connack_again,
  [MQTT_PUBLISH] = publish_again,
  [MQTT_PUBACK] = ack_again,
  [MQTT_PUBREC] = ack_again,
  [MQTT_PUBREL] = ack_again,
  [MQTT_PUBCOMP] = ack_again,
  [MQTT_SUBSCRIBE] = subscribe_again,
  [MQTT_SUBACK] = suback_again,
  [MQTT_UNSUBACK] = suback_again,
  [MQTT_DISCONNECT] = disconnect_again,
};

static void check(const struct mqtt_packet *packet, enum mqtt_version version)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf once = HF_BUF(MAX), twice = HF_BUF(MAX);
  if (!rows[packet->type] || hf_failed(rows[packet->type](packet, version, &once)))
    return;
  struct hf_slice in = hf_slice(once.data, once.len);
  struct mqtt_packet again;
  bool whole = false;
  if (hf_failed(mqtt_packet_take(&in, MAX, &whole, &again)) || !whole || in.len > 0 || again.type != packet->type ||
      hf_failed(rows[packet->type](&again, version, &twice)) ||
      !hf_slice_equal(hf_slice(once.data, once.len), hf_slice(twice.data, twice.len)))
    abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  if (size < 1)
    return 0;
  enum mqtt_version version = data[0] & 1 ? MQTT_5 : MQTT_3_1_1;
  struct hf_slice in = hf_slice(data + 1, size - 1);
  struct mqtt_packet packet;
  for (bool whole = true; whole;) {
    if (hf_failed(mqtt_packet_take(&in, MAX, &whole, &packet)))
      return 0;
    if (whole)
      check(&packet, version);
  }
  return 0;
}
