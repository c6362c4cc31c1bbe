/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The topic rules of a bridge, in mosquitto's notation (mosquitto.conf(5), "topic"):
 *
 *   PATTERN [out|in|both [QOS [LOCAL-PREFIX [REMOTE-PREFIX]]]]
 *
 * with ';' between rules. What is left out is out, 0 and no prefix; "" is an empty word, and quotes hold one with blanks or ';' in
 * it. A topic at the local broker is LOCAL-PREFIX and what the pattern matches; at the cloud, REMOTE-PREFIX and the same. {id}
 * stands for the device's id.
 */
#ifndef HF_CONFIG_RULES_H
#define HF_CONFIG_RULES_H

#include "base/buf.h"
#include "base/cleanup.h"

enum { TOPIC_RULES_TEXT_MAX = 8192, TOPIC_RULES_MAX = 256 };

enum topic_direction { TOPIC_OUT = 1, TOPIC_IN = 2, TOPIC_BOTH = TOPIC_OUT | TOPIC_IN };

struct topic_rule {
  enum topic_direction direction;
  uint8_t qos;
  struct hf_slice local, remote; /* topic filters, prefix and pattern: what is subscribed to on either side */
  size_t local_prefix_len, remote_prefix_len; /* of these */
};

struct topic_rules;

/* Fails with CONFIG and names the rule; with no rule at all, too. */
hf_err topic_rules_parse(const char *text, const char *device_id, struct topic_rules **ret_rules);
struct topic_rules *topic_rules_free(struct topic_rules *rules);
HF_DEFINE_CLEANUP(struct topic_rules, topic_rules_free)

/* In the order of the text. */
size_t topic_rules_count(const struct topic_rules *rules);
const struct topic_rule *topic_rules_get(const struct topic_rules *rules, size_t i);

/*
 * Where a message goes: TOPIC_OUT, from the local topic to the cloud's; TOPIC_IN, the other way. The first rule that matches counts,
 * as with mosquitto; *ret_rule is NULL where none does. Replaces what is in out. Fails with LIMIT where the topic would be too long.
 */
hf_err topic_rules_map(const struct topic_rules *rules, enum topic_direction direction, struct hf_slice topic,
                       struct hf_buf *out, const struct topic_rule **ret_rule);

#endif
