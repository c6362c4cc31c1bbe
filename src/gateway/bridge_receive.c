/* SPDX-License-Identifier: Apache-2.0 */
/* What a side sends us: into the spool; it is answered once that is committed. */
#include "gateway/bridge_private.h"

#include "base/log.h"
#include "gateway/net.h"
#include "gateway/pass.h"

static hf_err answer(struct side *side, enum mqtt_type type, uint16_t packet_id)
{
  return mqtt_ack_encode(type, &(struct mqtt_ack){ .packet_id = packet_id }, side_version(side), &side->answers);
}

static hf_err acknowledge(struct side *side, const struct mqtt_publish *publish)
{
  if (publish->qos == 0)
    return HF_OK;
  return answer(side, publish->qos == 1 ? MQTT_PUBACK : MQTT_PUBREC, publish->packet_id);
}

/*
 * A message with QoS 2 that is here already, and whose PUBREC the sender has not seen: sent again, it has DUP (MQTT 5, 3.3.1.1).
 * One without is another: its sender was killed, and has come back with a session from before it used that id.
 */
static bool is_repeated(struct side *side, const struct mqtt_publish *publish)
{
  bool has = false;
  if (publish->qos != 2 || !publish->dup)
    return false;
  hf_err e = spool_received_has(side->bridge->spool, side->receives->queue, publish->packet_id, &has);
  return !hf_failed(e) && has;
}

static hf_err store(struct side *side, const struct mqtt_publish *publish, const struct topic_rule *rule)
{
  struct bridge *bridge = side->bridge;
  struct flow *flow = side->receives;
  hf_buf_drop(&bridge->properties, bridge->properties.len);
  HF_TRY(pass_properties(publish->properties, &bridge->properties));
  const struct spool_message message = {
    .received_ms = bridge_wall_ms(bridge),
    .topic = hf_slice(bridge->topic.data, bridge->topic.len),
    .properties = hf_slice(bridge->properties.data, bridge->properties.len),
    .payload = publish->payload,
    .qos = publish->qos < rule->qos ? publish->qos : rule->qos,
    .retain = publish->retain,
  };
  uint64_t sequence = 0;
  HF_TRY(spool_put(bridge->spool, flow->queue, &message, &sequence));
  if (publish->qos == 2)
    HF_TRY(spool_received_add(bridge->spool, flow->queue, publish->packet_id));
  if (!flow->first_own)
    flow->first_own = sequence;
  flow->counts.received++;
  return HF_OK;
}

/* It never will fit, so it must not come again and again. */
static hf_err drop_oversize(struct side *side, const struct mqtt_publish *publish)
{
  hf_log(HF_LOG_ERROR, "bridge %s: a message of %zu bytes on %.*s is larger than the spool takes: it is dropped",
         side->bridge->settings->name, publish->payload.len, (int)publish->topic.len,
         (const char *)publish->topic.data);
  side->receives->counts.dropped++;
  hf_ignore(spool_count_dropped(side->bridge->spool, side->receives->queue));
  return acknowledge(side, publish);
}

/* What the sender does not send again is lost with it. */
static hf_err drop_refused(struct side *side, const struct mqtt_publish *publish)
{
  if (publish->qos == 0)
    side->receives->counts.dropped++;
  return HF_OK;
}

static hf_err take_publish(struct side *side, const struct mqtt_packet *packet)
{
  struct mqtt_publish publish;
  const struct topic_rule *rule = NULL;
  struct bridge *bridge = side->bridge;
  HF_TRY(mqtt_publish_decode(packet, side_version(side), &publish));
  if (publish.topic.len == 0)
    return hf_fail(HF_ERR_PARSE, "PUBLISH with a topic alias, which we do not allow");
  if (is_repeated(side, &publish)) {
    side->receives->counts.repeated++;
    return acknowledge(side, &publish);
  }
  if (side->shedding)
    return drop_refused(side, &publish);
  if (side->echoes && echoes_take(side->echoes, publish.topic, publish.payload, net_now_ms()))
    return acknowledge(side, &publish);
  hf_err e = topic_rules_map(bridge->settings->rules, side->index == BRIDGE_LOCAL ? TOPIC_OUT : TOPIC_IN, publish.topic,
                             &bridge->topic, &rule);
  if (hf_failed(e) || !rule) {
    side->receives->counts.unmatched++;
    return acknowledge(side, &publish);
  }
  e = store(side, &publish, rule);
  if (e.code == HF_ERR_LIMIT)
    return drop_oversize(side, &publish);
  if (!hf_failed(e))
    return acknowledge(side, &publish);
  side_shed(side, e);
  return drop_refused(side, &publish);
}

static hf_err take_release(struct side *side, const struct mqtt_packet *packet)
{
  struct mqtt_ack release;
  HF_TRY(mqtt_ack_decode(packet, side_version(side), &release));
  hf_err e = spool_received_remove(side->bridge->spool, side->receives->queue, release.packet_id);
  if (hf_failed(e))
    side_shed(side, e); /* without an answer PUBREL comes again */
  return hf_failed(e) ? HF_OK : answer(side, MQTT_PUBCOMP, release.packet_id);
}

static hf_err take_ack(struct side *side, const struct mqtt_packet *packet)
{
  return flow_take_ack(side->sends, packet);
}

static hf_err (*const takers[MQTT_TYPE_COUNT])(struct side *side, const struct mqtt_packet *packet) = {
  [MQTT_PUBLISH] = take_publish,      [MQTT_PUBREL] = take_release, [MQTT_PUBACK] = take_ack,
  [MQTT_PUBREC] = take_ack,           [MQTT_PUBCOMP] = take_ack,    [MQTT_SUBACK] = side_take_suback,
  [MQTT_UNSUBACK] = side_take_suback,
};

hf_err side_take_packet(struct side *side, const struct mqtt_packet *packet)
{
  if (!takers[packet->type])
    return hf_fail(HF_ERR_PARSE, "%s, which a client does not get", mqtt_type_name(packet->type));
  return takers[packet->type](side, packet);
}
