/* SPDX-License-Identifier: Apache-2.0 */
#include "mqtt/topic.h"

static bool has(struct hf_slice text, char c)
{
  return text.len > 0 && memchr(text.data, c, text.len);
}

bool mqtt_topic_is_name(struct hf_slice topic)
{
  return topic.len > 0 && mqtt_is_text(topic) && !has(topic, '+') && !has(topic, '#');
}

/* Takes a level off the front, and the '/' behind it; false where there was none left. *more: another level follows. */
static bool next_level(struct hf_slice *rest, bool *more, struct hf_slice *ret_level)
{
  if (!*more)
    return false;
  const uint8_t *slash = rest->len > 0 ? memchr(rest->data, '/', rest->len) : NULL;
  size_t len = slash ? (size_t)(slash - rest->data) : rest->len;
  *ret_level = hf_slice(rest->data, len);
  *more = slash;
  size_t step = slash ? len + 1 : len;
  *rest = hf_slice(rest->data + step, rest->len - step);
  return true;
}

static bool is(struct hf_slice level, char c)
{
  return level.len == 1 && level.data[0] == (uint8_t)c;
}

bool mqtt_topic_is_filter(struct hf_slice filter)
{
  if (filter.len == 0 || !mqtt_is_text(filter))
    return false;
  bool more = true;
  struct hf_slice level;
  while (next_level(&filter, &more, &level)) {
    if ((has(level, '+') && level.len != 1) || (has(level, '#') && (level.len != 1 || more)))
      return false;
  }
  return true;
}

bool mqtt_topic_matches(struct hf_slice filter, struct hf_slice topic)
{
  if (topic.data[0] == '$' && (filter.data[0] == '+' || filter.data[0] == '#'))
    return false;
  bool filter_more = true, topic_more = true;
  struct hf_slice wanted, level;
  while (next_level(&filter, &filter_more, &wanted)) {
    if (is(wanted, '#'))
      return true; /* the parent level, too */
    if (!next_level(&topic, &topic_more, &level) || (!is(wanted, '+') && !hf_slice_equal(wanted, level)))
      return false;
  }
  return !topic_more;
}
