/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/client.h"

#include "gateway/net.h"
#include "mqtt/reason.h"
#include "mqtt/subscribe.h"
#include "mqtt/topic.h"

enum { WAITING_MAX = 64, MESSAGE_MAX = 1 << 20, NO_ID = 0 };

/* What has come and nobody has asked for yet, oldest first; past WAITING_MAX the oldest goes. */
struct waiting {
  struct client_message messages[WAITING_MAX];
  size_t count;
};

struct client {
  struct link *link;
  char address[CONFIG_HOST_MAX + 16];
  unsigned timeout_s;
  uint16_t last_id;
  bool leaves; /* messages are not for us */
  struct waiting waiting;
};

void client_message_free(struct client_message *message)
{
  hf_buf_free(&message->topic);
  hf_buf_free(&message->payload);
}

hf_err client_connect(const struct link_options *options, unsigned timeout_s, struct client **ret_client)
{
  HF_CLEANUP(client_freep) struct client *client = calloc(1, sizeof(*client));
  if (!client)
    return hf_fail(HF_ERR_NO_MEMORY, "MQTT");
  client->timeout_s = timeout_s;
  config_address_format(&options->dial.address, client->address, sizeof(client->address));
  HF_TRY(link_open(options, net_now_ms() + (int64_t)timeout_s * 1000, &client->link));
  *ret_client = HF_TAKE(client);
  return HF_OK;
}

const char *client_version(const struct client *client)
{
  return link_version(client->link) == MQTT_5 ? "5" : "3.1.1";
}

static uint16_t next_id(struct client *client)
{
  if (++client->last_id == NO_ID)
    client->last_id = 1;
  return client->last_id;
}

static void drop_oldest(struct waiting *waiting)
{
  client_message_free(&waiting->messages[0]);
  waiting->count--;
  memmove(waiting->messages, waiting->messages + 1, waiting->count * sizeof(waiting->messages[0]));
}

static hf_err keep(struct waiting *waiting, const struct mqtt_publish *publish)
{
  HF_CLEANUP(client_message_free)
  struct client_message message = { HF_BUF(MQTT_TEXT_MAX), HF_BUF(MESSAGE_MAX) };
  HF_TRY(hf_buf_add(&message.topic, publish->topic.data, publish->topic.len));
  HF_TRY(hf_buf_add(&message.payload, publish->payload.data, publish->payload.len));
  if (waiting->count == WAITING_MAX)
    drop_oldest(waiting);
  waiting->messages[waiting->count++] = message;
  message = (struct client_message){ 0 };
  return HF_OK;
}

static hf_err take_publish(struct client *client, const struct mqtt_packet *packet)
{
  struct mqtt_publish publish;
  HF_TRY(mqtt_publish_decode(packet, link_version(client->link), &publish));
  if (client->leaves)
    return HF_OK;
  HF_TRY(keep(&client->waiting, &publish));
  if (publish.qos == 0)
    return HF_OK;
  const struct mqtt_ack ack = { .packet_id = publish.packet_id };
  return mqtt_ack_encode(publish.qos == 1 ? MQTT_PUBACK : MQTT_PUBREC, &ack, link_version(client->link),
                         link_out(client->link));
}

static hf_err take_release(struct client *client, const struct mqtt_packet *packet)
{
  struct mqtt_ack release;
  if (client->leaves)
    return HF_OK;
  HF_TRY(mqtt_ack_decode(packet, link_version(client->link), &release));
  return mqtt_ack_encode(MQTT_PUBCOMP, &(struct mqtt_ack){ .packet_id = release.packet_id }, link_version(client->link),
                         link_out(client->link));
}

/* The next packet that answers something; messages are put aside. */
static hf_err next_answer(struct client *client, int64_t deadline_ms, bool *ret_some, struct mqtt_packet *ret_packet)
{
  struct mqtt_packet packet;
  bool some = false;
  HF_TRY(link_next(client->link, &some, &packet));
  if (some && packet.type == MQTT_PUBLISH)
    HF_TRY(take_publish(client, &packet));
  else if (some && packet.type == MQTT_PUBREL)
    HF_TRY(take_release(client, &packet));
  else if (some)
    *ret_packet = packet;
  *ret_some = some && packet.type != MQTT_PUBLISH && packet.type != MQTT_PUBREL;
  HF_TRY(link_flush(client->link));
  if (some)
    return HF_OK;
  if (!link_pending(client->link)) {
    int64_t tick_ms = link_next_tick(client->link);
    hf_err e = net_wait(link_fd(client->link), link_events(client->link), tick_ms < deadline_ms ? tick_ms : deadline_ms,
                        client->address);
    if (hf_failed(e) && (e.code != HF_ERR_TIMEOUT || net_now_ms() >= deadline_ms))
      return e;
    HF_TRY(link_tick(client->link, net_now_ms()));
  }
  return link_fill(client->link);
}

/* The answer of this type to the packet of that identifier: its reasons. */
static hf_err await_answer(struct client *client, enum mqtt_type type, uint16_t packet_id, uint8_t *ret_reason)
{
  int64_t deadline_ms = net_now_ms() + (int64_t)client->timeout_s * 1000;
  for (;;) {
    struct mqtt_packet packet;
    struct mqtt_suback answer = { 0 };
    bool some = false;
    HF_TRY(next_answer(client, deadline_ms, &some, &packet));
    if (!some || packet.type != type)
      continue;
    if (type == MQTT_SUBACK) {
      HF_TRY(mqtt_suback_decode(&packet, link_version(client->link), &answer));
      *ret_reason = answer.reasons.data[0];
    } else {
      struct mqtt_ack ack;
      HF_TRY(mqtt_ack_decode(&packet, link_version(client->link), &ack));
      answer.packet_id = ack.packet_id;
      *ret_reason = ack.reason;
    }
    if (answer.packet_id == packet_id)
      return HF_OK;
  }
}

/* Sends what was encoded and waits for its answer. doing: "publishing on". */
static hf_err converse(struct client *client, enum mqtt_type type, uint16_t packet_id, const char *doing,
                       const char *topic)
{
  uint8_t reason = 0;
  hf_err e = await_answer(client, type, packet_id, &reason);
  if (e.code == HF_ERR_TIMEOUT)
    return hf_fail(HF_ERR_TIMEOUT, "%s: %s %s: no %s within %u s", client->address, doing, topic, mqtt_type_name(type),
                   client->timeout_s);
  if (e.code == HF_ERR_LOST)
    return hf_fail(HF_ERR_LOST, "%s, %s %s", client->address, doing, topic);
  HF_TRY(e);
  if (reason >= MQTT_REFUSED)
    return hf_fail(HF_ERR_MQTT, "%s: %s %s: %s", client->address, doing, topic, mqtt_reason_text(reason));
  return HF_OK;
}

hf_err client_publish(struct client *client, const char *topic, const char *payload)
{
  const struct mqtt_publish publish = {
    .topic = mqtt_text(topic), .payload = mqtt_text(payload), .qos = 1, .packet_id = next_id(client)
  };
  HF_TRY(mqtt_publish_encode(&publish, link_version(client->link), link_out(client->link)));
  return converse(client, MQTT_PUBACK, publish.packet_id, "publishing on", topic);
}

hf_err client_subscribe(struct client *client, const char *filter)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf filters = HF_BUF(MQTT_TEXT_MAX);
  const struct mqtt_subscription subscription = { .filter = mqtt_text(filter), .qos = 1 };
  HF_TRY(mqtt_subscription_add(&filters, &subscription, link_version(client->link)));
  const struct mqtt_subscribe subscribe = { next_id(client), { 0 }, { filters.data, filters.len } };
  HF_TRY(mqtt_subscribe_encode(MQTT_SUBSCRIBE, &subscribe, link_version(client->link), link_out(client->link)));
  return converse(client, MQTT_SUBACK, subscribe.packet_id, "subscribing to", filter);
}

/* Takes the oldest one that matches, and drops those before it. */
static bool take_waiting(struct waiting *waiting, struct hf_slice filter, struct client_message *ret_message)
{
  while (waiting->count > 0) {
    struct client_message *oldest = &waiting->messages[0];
    if (mqtt_topic_matches(filter, hf_slice(oldest->topic.data, oldest->topic.len))) {
      *ret_message = *oldest;
      *oldest = (struct client_message){ 0 };
      drop_oldest(waiting);
      return true;
    }
    drop_oldest(waiting);
  }
  return false;
}

hf_err client_receive(struct client *client, const char *filter, struct client_message *ret_message)
{
  int64_t deadline_ms = net_now_ms() + (int64_t)client->timeout_s * 1000;
  while (!take_waiting(&client->waiting, mqtt_text(filter), ret_message)) {
    struct mqtt_packet packet;
    bool some = false;
    hf_err e = next_answer(client, deadline_ms, &some, &packet);
    if (e.code == HF_ERR_TIMEOUT)
      return hf_fail(HF_ERR_TIMEOUT, "%s: no message on %s within %u s", client->address, filter, client->timeout_s);
    HF_TRY(e);
  }
  return HF_OK;
}

void client_leave_messages(struct client *client)
{
  client->leaves = true;
}

struct client *client_free(struct client *client)
{
  if (!client)
    return NULL;
  link_close(client->link);
  while (client->waiting.count > 0)
    drop_oldest(&client->waiting);
  free(client);
  return NULL;
}
