/* SPDX-License-Identifier: Apache-2.0 */
/* Rules that parse give filters, and topics that they map are topics, there and back again. The input: a topic, a line feed, rules. */
#include "config/rules.h"
#include "mqtt/topic.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_map(const struct topic_rules *rules, enum topic_direction direction, struct hf_slice topic)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf mapped = HF_BUF(1 << 18), back = HF_BUF(1 << 18);
  const struct topic_rule *rule, *other;
  if (hf_failed(topic_rules_map(rules, direction, topic, &mapped, &rule)) || !rule)
    return;
  struct hf_slice to = hf_slice(mapped.data, mapped.len);
  if (!mqtt_topic_is_name(to) || !(rule->direction & direction))
    abort();
  enum topic_direction opposite = direction == TOPIC_OUT ? TOPIC_IN : TOPIC_OUT;
  if (topic_rules_count(rules) == 1 && rule->direction == TOPIC_BOTH &&
      !hf_failed(topic_rules_map(rules, opposite, to, &back, &other)) && other &&
      !hf_slice_equal(topic, hf_slice(back.data, back.len)))
    abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf text = HF_BUF(1 << 20);
  const uint8_t *end = size ? memchr(data, '\n', size) : NULL;
  if (!end || hf_failed(hf_buf_add(&text, end + 1, size - (size_t)(end + 1 - data))))
    return 0;
  HF_CLEANUP(topic_rules_freep) struct topic_rules *rules = NULL;
  if (hf_failed(topic_rules_parse(hf_buf_str(&text), "device-1", &rules)))
    return 0;
  for (size_t i = 0; i < topic_rules_count(rules); i++)
    if (!mqtt_topic_is_filter(topic_rules_get(rules, i)->local) ||
        !mqtt_topic_is_filter(topic_rules_get(rules, i)->remote))
      abort();
  struct hf_slice topic = hf_slice(data, (size_t)(end - data));
  if (!mqtt_topic_is_name(topic))
    return 0;
  check_map(rules, TOPIC_OUT, topic);
  check_map(rules, TOPIC_IN, topic);
  return 0;
}
