/* SPDX-License-Identifier: Apache-2.0 */
/* What a side of a bridge subscribes to: its rules' filters, anew on each connection, for a broker may have lost some. */
#include "gateway/bridge_private.h"

#include "base/log.h"
#include "mqtt/reason.h"
#include "mqtt/subscribe.h"
#include "mqtt/topic.h"

/* Identifiers beyond those of messages: the n-th SUBSCRIBE's, and UNSUBSCRIBE's. */
enum { SUBSCRIBE_ID = FLIGHT_IDS + 1, UNSUBSCRIBE_ID = UINT16_MAX };

_Static_assert(SUBSCRIBE_ID + TOPIC_RULES_MAX < UNSUBSCRIBE_ID, "each filter could have a SUBSCRIBE of its own");

/* The rule's filter on this side, where it brings anything from there. */
static bool filter_of(const struct side *side, const struct topic_rule *rule, struct hf_slice *ret_filter)
{
  bool local = side->index == BRIDGE_LOCAL;
  *ret_filter = local ? rule->local : rule->remote;
  return rule->direction & (local ? TOPIC_OUT : TOPIC_IN);
}

/*
 * Whether what we have published ourselves is welcome when it comes back by this rule: one topic that becomes another, which no
 * rule sends back. Such a rule is AWS's test of a connection. Anything else would go round and round.
 */
static bool is_mirror(const struct side *side, const struct topic_rule *rule)
{
  const struct topic_rules *rules = side->bridge->settings->rules;
  bool local = side->index == BRIDGE_LOCAL;
  struct hf_slice target = local ? rule->remote : rule->local;
  if (!mqtt_topic_is_name(target))
    return false;
  for (size_t i = 0; i < topic_rules_count(rules); i++) {
    const struct topic_rule *back = topic_rules_get(rules, i);
    if ((back->direction & (local ? TOPIC_IN : TOPIC_OUT)) &&
        mqtt_topic_matches(local ? back->remote : back->local, target))
      return false;
  }
  return true;
}

bool side_drops_own(const struct side *side, struct hf_slice topic)
{
  const struct topic_rules *rules = side->bridge->settings->rules;
  for (size_t i = 0; i < topic_rules_count(rules); i++) {
    const struct topic_rule *rule = topic_rules_get(rules, i);
    struct hf_slice filter;
    if (filter_of(side, rule, &filter) && mqtt_topic_matches(filter, topic) && !is_mirror(side, rule))
      return true;
  }
  return false;
}

static hf_err add_filter(struct side *side, const struct topic_rule *rule, struct hf_slice filter, struct hf_buf *list)
{
  unsigned max = side->index == BRIDGE_CLOUD ? side->bridge->settings->limits.qos_max : 0;
  const struct mqtt_subscription subscription = {
    .filter = filter,
    .qos = max && rule->qos > max ? (uint8_t)max : rule->qos,
    .no_local = !is_mirror(side, rule),
    .retain_as_published = true,
    .retain_handling = MQTT_RETAINED_IF_NEW,
  };
  HF_TRY(bridge_filters_add(&side->filters, filter));
  return mqtt_subscription_add(list, &subscription, side_version(side));
}

static hf_err send(struct side *side, enum mqtt_type type, uint16_t packet_id, struct hf_buf *list)
{
  const struct mqtt_subscribe subscribe = { packet_id, { 0 }, { list->data, list->len } };
  HF_TRY(mqtt_subscribe_encode(type, &subscribe, side_version(side), link_out(side->link)));
  hf_buf_drop(list, list->len);
  side->unconfirmed++;
  return HF_OK;
}

/* As many filters a packet as the cloud takes. */
static hf_err subscribe(struct side *side)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf list = HF_BUF(BRIDGE_FILTERS_MAX);
  const struct bridge_settings *settings = side->bridge->settings;
  unsigned max = side->index == BRIDGE_CLOUD ? settings->limits.subscriptions_max : 0, count = 0;
  uint16_t packet_id = SUBSCRIBE_ID;
  for (size_t i = 0; i < topic_rules_count(settings->rules); i++) {
    const struct topic_rule *rule = topic_rules_get(settings->rules, i);
    struct hf_slice filter;
    if (!filter_of(side, rule, &filter) || bridge_filters_have(hf_slice(side->filters.data, side->filters.len), filter))
      continue;
    HF_TRY(add_filter(side, rule, filter, &list));
    if (++count == max) {
      HF_TRY(send(side, MQTT_SUBSCRIBE, packet_id++, &list));
      count = 0;
    }
  }
  return list.len > 0 ? send(side, MQTT_SUBSCRIBE, packet_id, &list) : HF_OK;
}

/* What a session that is kept brings, though no rule asks for it any more. */
static hf_err unsubscribe(struct side *side)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf list = HF_BUF(BRIDGE_FILTERS_MAX);
  const struct hf_buf *noted = &side->bridge->session.filters[side->index];
  struct hf_slice rest = hf_slice(noted->data, noted->len), filter;
  while (bridge_filters_next(&rest, &filter))
    if (!bridge_filters_have(hf_slice(side->filters.data, side->filters.len), filter))
      HF_TRY(mqtt_bytes_add(&list, filter));
  return list.len > 0 ? send(side, MQTT_UNSUBSCRIBE, UNSUBSCRIBE_ID, &list) : HF_OK;
}

hf_err side_subscribe(struct side *side)
{
  hf_buf_drop(&side->filters, side->filters.len);
  side->unconfirmed = 0;
  HF_TRY(subscribe(side));
  return unsubscribe(side);
}

/* The filter at that place among all that were subscribed to. */
static struct hf_slice filter_at(const struct side *side, size_t i)
{
  struct hf_slice rest = hf_slice(side->filters.data, side->filters.len), filter = { 0 };
  for (size_t k = 0; k <= i; k++)
    if (!bridge_filters_next(&rest, &filter))
      return hf_slice("?", 1);
  return filter;
}

static void check_reasons(struct side *side, const struct mqtt_suback *suback)
{
  unsigned max = side->index == BRIDGE_CLOUD ? side->bridge->settings->limits.subscriptions_max : 0;
  size_t first = (size_t)(suback->packet_id - SUBSCRIBE_ID) * max;
  for (size_t i = 0; i < suback->reasons.len; i++) {
    uint8_t reason = suback->reasons.data[i];
    if (reason < MQTT_REFUSED)
      continue;
    struct hf_slice filter = filter_at(side, first + i);
    hf_err e = hf_fail(HF_ERR_MQTT, "subscribing to %.*s: %s", (int)filter.len, (const char *)filter.data,
                       mqtt_reason_text(reason));
    side->cause = hf_err_save(e);
    hf_ignore(hf_log_err(e, side->bridge->settings->name));
  }
}

hf_err side_take_suback(struct side *side, const struct mqtt_packet *packet)
{
  struct mqtt_suback suback;
  HF_TRY(mqtt_suback_decode(packet, side_version(side), &suback));
  if (packet->type == MQTT_SUBACK)
    check_reasons(side, &suback);
  if (side->unconfirmed == 0 || --side->unconfirmed > 0)
    return HF_OK;
  hf_err e =
      bridge_session_subscribed(&side->bridge->session, side->index, hf_slice(side->filters.data, side->filters.len));
  if (hf_failed(e))
    hf_ignore(hf_log_err(e, "noting the subscriptions")); /* they are made; the next connection tries again */
  const struct bridge_settings *settings = side->bridge->settings;
  if (side->index == BRIDGE_LOCAL && settings->on_subscribed)
    settings->on_subscribed(settings->arg);
  return HF_OK;
}
