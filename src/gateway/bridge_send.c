/* SPDX-License-Identifier: Apache-2.0 */
/* From the spool to a side: in order, within the window, and what the side answers. */
#include "gateway/bridge_private.h"

#include "base/log.h"
#include "gateway/net.h"
#include "gateway/pass.h"
#include "mqtt/reason.h"

enum { TOPIC_INVALID = 0x90, PACKET_ID_IN_USE = 0x91, MS_PER_S = 1000 };

/* A broker without its session does not know PUBREC any more: the message is sent again. */
static void drop_releases(struct flow *flow)
{
  size_t kept = 0;
  for (size_t i = 0; i < flow->todo_count; i++)
    if (flow->todo[i].kind != TODO_RELEASE)
      flow->todo[kept++] = flow->todo[i];
  flow->todo_count = kept;
}

void flow_restart(struct flow *flow)
{
  if (!link_session_present(flow->to->link))
    drop_releases(flow);
  flights_clear(&flow->flights);
  flow->taken = 0;
  flow->progress = false;
}

/* Whoever ends connections gets one message at a time, so that it is known which. */
static unsigned window_of(const struct flow *flow)
{
  if (flow->strikes > 0)
    return 1;
  unsigned window = flow->bridge->settings->window;
  uint32_t allowed = link_limits(flow->to->link)->receive_maximum;
  return window < allowed ? window : (unsigned)allowed;
}

/* The cloud's own, where the flow leads there; a cloud of MQTT 3.1.1 has no way to announce them. */
static const struct cloud_limits *cloud_limits_of(const struct flow *flow)
{
  static const struct cloud_limits none = { 0 };
  return flow->queue == SPOOL_OUT ? &flow->bridge->settings->limits : &none;
}

static uint8_t qos_for(const struct flow *flow, uint8_t qos)
{
  unsigned announced = link_limits(flow->to->link)->maximum_qos, own = cloud_limits_of(flow)->qos_max;
  unsigned max = own && own < announced ? own : announced;
  return qos < max ? qos : (uint8_t)max;
}

/* Why a message cannot be sent to this side at all; MQTT_SUCCESS where it can. */
static uint8_t objection(const struct flow *flow, const struct mqtt_publish *publish)
{
  const struct cloud_limits *limits = cloud_limits_of(flow);
  if (mqtt_publish_size(publish, side_version(flow->to)) > link_limits(flow->to->link)->maximum_packet_size ||
      (limits->payload_max && publish->payload.len > limits->payload_max))
    return MQTT_PACKET_TOO_LARGE;
  unsigned slashes = 0;
  for (size_t i = 0; i < publish->topic.len; i++)
    slashes += publish->topic.data[i] == '/';
  if ((limits->topic_max && publish->topic.len > limits->topic_max) ||
      (limits->slashes_max && slashes > limits->slashes_max))
    return TOPIC_INVALID;
  return MQTT_SUCCESS;
}

static void reject(struct flow *flow, uint64_t sequence, uint8_t reason)
{
  struct spool_message message = { 0 };
  bool found = false;
  if (hf_failed(spool_read(flow->bridge->spool, flow->queue, sequence - 1, &found, &message)) || !found)
    message.topic = hf_slice("?", 1);
  hf_log(HF_LOG_ERROR, "bridge %s: %s does not take a message on %.*s (%zu bytes): %s; it is put aside",
         flow->bridge->settings->name, flow->queue == SPOOL_OUT ? "the cloud" : "the local broker",
         (int)message.topic.len, (const char *)message.topic.data, message.payload.len, mqtt_reason_text(reason));
  flow->counts.rejected++;
  flow_todo(flow, &(struct todo){ .sequence = sequence, .kind = TODO_REJECT, .reason = reason });
}

/* Whether it may have been sent before: in this process, or by the one before it. */
static bool may_be_repeated(struct flow *flow, uint64_t sequence)
{
  if (!link_session_present(flow->to->link))
    return false;
  if (sequence <= flow->attempted)
    return true;
  bool old = !flow->first_own || sequence < flow->first_own;
  return old && flow->doubtful > 0 && flow->doubtful--;
}

/* Seconds that a message has waited. Those of an earlier process count from this one's start: its clock may have been another. */
static int64_t waited_s(const struct bridge *bridge, int64_t received_ms)
{
  int64_t since_ms = received_ms > bridge->start_wall_ms ? received_ms : bridge->start_wall_ms;
  int64_t waited_ms = bridge_wall_ms(bridge) - since_ms;
  return waited_ms > 0 ? waited_ms / MS_PER_S : 0;
}

static hf_err send_publish(struct flow *flow, const struct spool_message *message, struct mqtt_publish *publish)
{
  struct link *link = flow->to->link;
  struct side *to = flow->to;
  publish->dup = publish->qos > 0 && may_be_repeated(flow, message->sequence);
  HF_TRY(mqtt_publish_encode(publish, link_version(link), link_out(link)));
  if (to->echoes && side_drops_own(to, publish->topic))
    echoes_expect(to->echoes, publish->topic, publish->payload, net_now_ms());
  flow->counts.sent++;
  if (message->sequence > flow->attempted)
    flow->attempted = message->sequence;
  return flights_add(&flow->flights, &(struct flight){ .sequence = message->sequence,
                                                       .end = link_sent(link) + link_unsent(link),
                                                       .packet_id = publish->packet_id,
                                                       .qos = publish->qos,
                                                       .state = FLIGHT_SENT });
}

static hf_err send_message(struct flow *flow, const struct spool_message *message)
{
  struct bridge *bridge = flow->bridge;
  bool expired = false;
  hf_buf_drop(&bridge->properties, bridge->properties.len);
  HF_TRY(pass_expiry(message->properties, waited_s(bridge, message->received_ms), &bridge->properties, &expired));
  struct mqtt_publish publish = {
    .topic = message->topic,
    .properties = hf_slice(bridge->properties.data, bridge->properties.len),
    .payload = message->payload,
    .qos = qos_for(flow, message->qos),
    .retain = message->retain && link_limits(flow->to->link)->retain_available,
  };
  publish.packet_id = publish.qos > 0 ? flight_packet_id(message->sequence, bridge->session.salt) : 0;
  uint8_t reason = objection(flow, &publish);
  if (reason == MQTT_SUCCESS && !expired)
    return send_publish(flow, message, &publish);
  if (!expired) {
    reject(flow, message->sequence, reason);
    return HF_OK;
  }
  flow->counts.expired++;
  flow_todo(flow, &(struct todo){ .sequence = message->sequence, .kind = TODO_REMOVE });
  return HF_OK;
}

/* PUBREL was sent, or may have been: nothing but PUBREL may follow. */
static hf_err send_release(struct flow *flow, const struct spool_message *message)
{
  struct link *link = flow->to->link;
  HF_TRY(mqtt_ack_encode(MQTT_PUBREL, &(struct mqtt_ack){ .packet_id = message->packet_id }, link_version(link),
                         link_out(link)));
  return flights_add(&flow->flights, &(struct flight){ .sequence = message->sequence,
                                                       .packet_id = message->packet_id,
                                                       .qos = 2,
                                                       .state = FLIGHT_RELEASED });
}

hf_err flow_pump(struct flow *flow)
{
  struct link *link = flow->to->link;
  /* What was acknowledged on the last connection, and is not noted yet, must not be sent again; in strict order, none ever. */
  bool noted_first = flow->taken == 0 || flow->bridge->settings->window == 1;
  if (!link || flow->to->forget || (noted_first && flow->todo_count > 0))
    return HF_OK;
  while (link_unsent(link) < BRIDGE_UNSENT_MAX && flow->flights.open < window_of(flow)) {
    struct spool_message message;
    bool found = false;
    HF_TRY(spool_read(flow->bridge->spool, flow->queue, flow->taken, &found, &message));
    if (!found || !flights_fit(&flow->flights, message.sequence))
      break;
    flow->taken = message.sequence;
    HF_TRY(message.state == FLIGHT_RELEASED ? send_release(flow, &message) : send_message(flow, &message));
  }
  spool_hold(flow->bridge->spool, flow->queue, flow->taken);
  return HF_OK;
}

static void done(uint64_t sequence, void *arg)
{
  struct flow *flow = arg;
  flow->counts.acknowledged++;
  flow_todo(flow, &(struct todo){ .sequence = sequence, .kind = TODO_REMOVE });
}

void flow_settle_written(struct flow *flow)
{
  flights_settle_sent(&flow->flights, link_sent(flow->to->link), done, flow);
}

/* Answers */

static void progressed(struct flow *flow)
{
  flow->progress = true;
  flow->strikes = 0;
}

static void settle(struct flow *flow, struct flight *flight, uint8_t reason)
{
  progressed(flow);
  if (reason < MQTT_REFUSED)
    done(flight->sequence, flow);
  else
    reject(flow, flight->sequence, reason);
  flights_settle(&flow->flights, flight);
}

/* What may be taken later: the connection begins anew, after a while, with the same message. */
static bool is_for_now(uint8_t reason)
{
  return reason == MQTT_QUOTA_EXCEEDED || reason == PACKET_ID_IN_USE;
}

static hf_err not_now(struct flow *flow, struct flight *flight, uint8_t reason)
{
  /* Alone, and refused so several times: then for good. */
  if (flow->strikes >= BRIDGE_TRIES) {
    settle(flow, flight, reason);
    return HF_OK;
  }
  flow->strikes++;
  return hf_fail(HF_ERR_MQTT, "publishing: %s", mqtt_reason_text(reason));
}

/* PUBREC that belongs to nothing, or again: the sender of it waits for PUBREL all the same. */
static hf_err release_again(struct flow *flow, uint16_t packet_id, bool known)
{
  struct link *link = flow->to->link;
  const struct mqtt_ack release = { .packet_id = packet_id, .reason = known ? MQTT_SUCCESS : MQTT_PACKET_ID_NOT_FOUND };
  return mqtt_ack_encode(MQTT_PUBREL, &release, link_version(link), link_out(link));
}

static hf_err take_received(struct flow *flow, struct flight *flight)
{
  if (flight->state == FLIGHT_RELEASED)
    return release_again(flow, flight->packet_id, true);
  if (flight->state == FLIGHT_RECEIVED)
    return HF_OK;
  progressed(flow);
  flight->state = FLIGHT_RECEIVED;
  flow_todo(flow, &(struct todo){ .sequence = flight->sequence, .packet_id = flight->packet_id, .kind = TODO_RELEASE });
  return HF_OK;
}

/* Whether this answer is one to what was sent: PUBACK to QoS 1, PUBCOMP to PUBREL. */
static bool completes(enum mqtt_type type, const struct flight *flight)
{
  return type == MQTT_PUBACK ? flight->qos == 1 : flight->state == FLIGHT_RELEASED;
}

hf_err flow_take_ack(struct flow *flow, const struct mqtt_packet *packet)
{
  struct mqtt_ack ack;
  HF_TRY(mqtt_ack_decode(packet, side_version(flow->to), &ack));
  struct flight *flight = flights_find(&flow->flights, ack.packet_id);
  if (!flight)
    return packet->type == MQTT_PUBREC ? release_again(flow, ack.packet_id, false) : HF_OK;
  if (ack.reason >= MQTT_REFUSED && packet->type != MQTT_PUBCOMP) {
    if (is_for_now(ack.reason))
      return not_now(flow, flight, ack.reason);
    settle(flow, flight, ack.reason);
    return HF_OK;
  }
  if (packet->type == MQTT_PUBREC)
    return take_received(flow, flight);
  if (completes(packet->type, flight))
    settle(flow, flight, MQTT_SUCCESS);
  return HF_OK;
}

/* Losses */

void flow_judge_loss(struct flow *flow, bool blamed, uint8_t reason)
{
  const struct flight *oldest = flights_oldest(&flow->flights);
  if (!blamed || flow->progress || flow->flights.open == 0 || !oldest)
    return;
  if (++flow->strikes <= BRIDGE_TRIES || oldest->state != FLIGHT_SENT)
    return;
  flow->strikes = 1; /* who knows what is next */
  reject(flow, oldest->sequence, reason ? reason : MQTT_REFUSED);
}
