/* SPDX-License-Identifier: Apache-2.0 */
#include "config/rules.h"

#include "mqtt/topic.h"

enum { WORDS_MAX = 5, SHOWN_MAX = 80 };

struct topic_rules {
  size_t count;
  struct topic_rule rows[TOPIC_RULES_MAX];
  struct hf_buf texts[TOPIC_RULES_MAX][2]; /* what local and remote of a row point at */
};

/* The words of one rule, quotes and all. */
struct words {
  size_t count;
  struct hf_slice list[WORDS_MAX];
  struct hf_slice text; /* the rule as it stands there */
  size_t number;        /* from 1 */
};

static hf_err wrong(const struct words *words, const char *what)
{
  int len = (int)(words->text.len < SHOWN_MAX ? words->text.len : SHOWN_MAX);
  return hf_hint(
      hf_fail(HF_ERR_CONFIG, "rule %zu, '%.*s': %s", words->number, len, (const char *)words->text.data, what),
      "Write it like: td/# out 1 aws/ thinedge/{id}/");
}

static bool is_blank(char c)
{
  return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static const char *skip_blanks(const char *at)
{
  while (is_blank(*at))
    at++;
  return at;
}

/* Takes a word off the front; false where the rule ends. *ret_closed: not within quotes. */
static bool next_word(const char **at, struct hf_slice *ret_word, bool *ret_closed)
{
  const char *start = *at = skip_blanks(*at);
  *ret_closed = true;
  if (!*start || *start == ';')
    return false;
  if (*start == '"') {
    const char *end = strchr(start + 1, '"');
    *ret_closed = end;
    *ret_word = hf_slice(start + 1, end ? (size_t)(end - start) - 1 : strlen(start + 1));
    *at = end ? end + 1 : start + strlen(start);
    return true;
  }
  while (**at && **at != ';' && !is_blank(**at))
    ++*at;
  *ret_word = hf_slice(start, (size_t)(*at - start));
  return true;
}

/* One rule off the front, and the ';' behind it. */
static hf_err take_words(const char **at, struct words *words)
{
  struct hf_slice word;
  bool closed;
  *at = skip_blanks(*at);
  words->text = hf_slice(*at, strcspn(*at, ";"));
  words->count = 0;
  while (next_word(at, &word, &closed)) {
    if (!closed)
      return wrong(words, "a quotation mark is missing");
    if (words->count == WORDS_MAX)
      return wrong(words, "there are more than five words");
    words->list[words->count++] = word;
  }
  if (**at == ';')
    ++*at;
  return HF_OK;
}

static bool is_word(struct hf_slice word, const char *text)
{
  return hf_slice_equal(word, hf_slice(text, strlen(text)));
}

static hf_err parse_direction(const struct words *words, enum topic_direction *ret_direction)
{
  static const struct {
    const char *name;
    enum topic_direction direction;
  } rows[] = { { "out", TOPIC_OUT }, { "in", TOPIC_IN }, { "both", TOPIC_BOTH } };
  for (size_t i = 0; i < HF_ARRAY_LEN(rows); i++)
    if (is_word(words->list[1], rows[i].name)) {
      *ret_direction = rows[i].direction;
      return HF_OK;
    }
  return wrong(words, "the direction, its second word, must be out, in or both");
}

/* Prefix and pattern, {id} replaced; *ret_prefix_len counts the first. */
static hf_err join(struct hf_slice prefix, struct hf_slice pattern, const char *device_id, struct hf_buf *out,
                   size_t *ret_prefix_len)
{
  static const char id[] = "{id}";
  const struct hf_slice parts[] = { prefix, pattern };
  for (size_t p = 0; p < HF_ARRAY_LEN(parts); p++) {
    struct hf_slice rest = parts[p];
    while (rest.len > 0) {
      bool is_id = rest.len >= sizeof(id) - 1 && memcmp(rest.data, id, sizeof(id) - 1) == 0;
      size_t taken = is_id ? sizeof(id) - 1 : 1;
      HF_TRY(is_id ? hf_buf_add_str(out, device_id) : hf_buf_add(out, rest.data, 1));
      rest = hf_slice(rest.data + taken, rest.len - taken);
    }
    if (p == 0)
      *ret_prefix_len = out->len;
  }
  return HF_OK;
}

static hf_err set_side(const struct words *words, struct hf_slice prefix, const char *device_id, struct hf_buf *text,
                       struct hf_slice *ret_filter, size_t *ret_prefix_len)
{
  HF_TRY(join(prefix, words->list[0], device_id, text, ret_prefix_len));
  *ret_filter = hf_slice(text->data, text->len);
  if (*ret_prefix_len > 0 && !mqtt_topic_is_name(hf_slice(text->data, *ret_prefix_len)))
    return wrong(words, "a prefix holds no '+' and no '#'");
  if (text->len == 0)
    return wrong(words, "an empty pattern needs both prefixes");
  if (!mqtt_topic_is_filter(*ret_filter))
    return wrong(words, "prefix and pattern make no topic filter: '+' fills a level, '#' the last one");
  return HF_OK;
}

static hf_err add_rule(struct topic_rules *rules, const struct words *words, const char *device_id)
{
  if (rules->count == TOPIC_RULES_MAX)
    return wrong(words, "there are more than 256 rules");
  const struct hf_slice none = { (const uint8_t *)"", 0 };
  struct topic_rule *rule = &rules->rows[rules->count];
  struct hf_buf *texts = rules->texts[rules->count++];
  texts[0] = texts[1] = HF_BUF(MQTT_TEXT_MAX);
  *rule = (struct topic_rule){ .direction = TOPIC_OUT };
  if (words->count > 1)
    HF_TRY(parse_direction(words, &rule->direction));
  if (words->count > 2) {
    struct hf_slice qos = words->list[2];
    if (qos.len != 1 || qos.data[0] < '0' || qos.data[0] > '2')
      return wrong(words, "the QoS, its third word, must be 0, 1 or 2");
    rule->qos = (uint8_t)(qos.data[0] - '0');
  }
  HF_TRY(set_side(words, words->count > 3 ? words->list[3] : none, device_id, &texts[0], &rule->local,
                  &rule->local_prefix_len));
  return set_side(words, words->count > 4 ? words->list[4] : none, device_id, &texts[1], &rule->remote,
                  &rule->remote_prefix_len);
}

hf_err topic_rules_parse(const char *text, const char *device_id, struct topic_rules **ret_rules)
{
  if (strlen(text) > TOPIC_RULES_TEXT_MAX)
    return hf_fail(HF_ERR_CONFIG, "more than %d bytes of topic rules", TOPIC_RULES_TEXT_MAX);
  HF_CLEANUP(topic_rules_freep) struct topic_rules *rules = calloc(1, sizeof(*rules));
  if (!rules)
    return hf_fail(HF_ERR_NO_MEMORY, "topic rules");
  struct words words = { .number = 1 };
  for (const char *at = text; *at; words.number++) {
    HF_TRY(take_words(&at, &words));
    if (words.count > 0)
      HF_TRY(add_rule(rules, &words, device_id));
  }
  if (rules->count == 0)
    return hf_fail(HF_ERR_CONFIG, "there is no topic rule");
  *ret_rules = HF_TAKE(rules);
  return HF_OK;
}

struct topic_rules *topic_rules_free(struct topic_rules *rules)
{
  for (size_t i = 0; rules && i < rules->count; i++) {
    hf_buf_free(&rules->texts[i][0]);
    hf_buf_free(&rules->texts[i][1]);
  }
  free(rules);
  return NULL;
}

size_t topic_rules_count(const struct topic_rules *rules)
{
  return rules->count;
}

const struct topic_rule *topic_rules_get(const struct topic_rules *rules, size_t i)
{
  return &rules->rows[i];
}

/* One side of a rule. */
struct side {
  struct hf_slice filter;
  size_t prefix_len;
};

static void sides_of(const struct topic_rule *rule, enum topic_direction direction, struct side *ret_from,
                     struct side *ret_to)
{
  const struct side local = { rule->local, rule->local_prefix_len }, remote = { rule->remote, rule->remote_prefix_len };
  *ret_from = direction == TOPIC_OUT ? local : remote;
  *ret_to = direction == TOPIC_OUT ? remote : local;
}

/* "a/#" matches "a", too, where nothing is left for a prefix "a/"; and a topic is never empty. */
static bool applies(const struct side *from, const struct side *to, struct hf_slice topic)
{
  return topic.len >= from->prefix_len && topic.len - from->prefix_len + to->prefix_len > 0 &&
         mqtt_topic_matches(from->filter, topic);
}

hf_err topic_rules_map(const struct topic_rules *rules, enum topic_direction direction, struct hf_slice topic,
                       struct hf_buf *out, const struct topic_rule **ret_rule)
{
  for (size_t i = 0; i < rules->count; i++) {
    struct side from, to;
    sides_of(&rules->rows[i], direction, &from, &to);
    if (!(rules->rows[i].direction & direction) || topic.len == 0 || !applies(&from, &to, topic))
      continue;
    out->len = 0;
    HF_TRY(hf_buf_add(out, to.filter.data, to.prefix_len));
    HF_TRY(hf_buf_add(out, topic.data + from.prefix_len, topic.len - from.prefix_len));
    if (out->len > MQTT_TEXT_MAX)
      return hf_fail(HF_ERR_LIMIT, "a topic of %zu bytes", out->len);
    *ret_rule = &rules->rows[i];
    return HF_OK;
  }
  *ret_rule = NULL;
  return HF_OK;
}
