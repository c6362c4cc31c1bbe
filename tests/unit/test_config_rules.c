/* SPDX-License-Identifier: Apache-2.0 */
#include "config/rules.h"

#include "hf_test.h"

static struct topic_rules *parse(const char *text)
{
  struct topic_rules *rules = NULL;
  assert_hf_ok(topic_rules_parse(text, "dev1", &rules));
  return rules;
}

static void assert_slice(const char *expected, struct hf_slice actual)
{
  assert_int_equal(strlen(expected), actual.len);
  assert_memory_equal(expected, actual.data, actual.len);
}

static void what_is_left_out_is_as_with_mosquitto(void **state)
{
  (void)state;
  HF_CLEANUP(topic_rules_freep) struct topic_rules *rules = parse("a/#; b in ;c both 1; d out 2 l/; e in 1 l/ r/;");
  assert_int_equal(5, topic_rules_count(rules));
  static const struct {
    enum topic_direction direction;
    uint8_t qos;
    const char *local, *remote;
  } expected[] = {
    { TOPIC_OUT, 0, "a/#", "a/#" }, { TOPIC_IN, 0, "b", "b" },     { TOPIC_BOTH, 1, "c", "c" },
    { TOPIC_OUT, 2, "l/d", "d" },   { TOPIC_IN, 1, "l/e", "r/e" },
  };
  for (size_t i = 0; i < HF_ARRAY_LEN(expected); i++) {
    const struct topic_rule *rule = topic_rules_get(rules, i);
    assert_int_equal(expected[i].direction, rule->direction);
    assert_int_equal(expected[i].qos, rule->qos);
    assert_slice(expected[i].local, rule->local);
    assert_slice(expected[i].remote, rule->remote);
  }
}

static void quotes_hold_blanks_semicolons_and_nothing(void **state)
{
  (void)state;
  HF_CLEANUP(topic_rules_freep)
  struct topic_rules *rules = parse("\"\" out 1 a/test \"b/{id} x;y/{id}\"; \"s s/#\" in 0 \"\" r/");
  assert_int_equal(2, topic_rules_count(rules));
  assert_slice("a/test", topic_rules_get(rules, 0)->local);
  assert_slice("b/dev1 x;y/dev1", topic_rules_get(rules, 0)->remote);
  assert_slice("s s/#", topic_rules_get(rules, 1)->local);
  assert_slice("r/s s/#", topic_rules_get(rules, 1)->remote);
}

static void a_wrong_rule_is_named(void **state)
{
  (void)state;
  static const struct {
    const char *text, *says;
  } cases[] = {
    { "", "no topic rule" },
    { " ; ;", "no topic rule" },
    { "a/#; b sideways 1", "rule 2, 'b sideways 1': the direction" },
    { "a out 3", "rule 1, 'a out 3': the QoS" },
    { "a out 11", "the QoS" },
    { "a out 1 l/ r/ more", "more than five words" },
    { "a out 1 l/# r/", "a prefix holds no" },
    { "a out 1 l/ r/+/", "a prefix holds no" },
    { "a/#/b", "no topic filter" },
    { "+/a out 1 l r/", "no topic filter" },
    { "\"\" out 1", "an empty pattern needs both prefixes" },
    { "\"\" out 1 l/", "an empty pattern needs both prefixes" },
    { "a;\"b out 1", "rule 2, '\"b out 1': a quotation mark" },
  };
  struct topic_rules *rules;
  for (size_t i = 0; i < HF_ARRAY_LEN(cases); i++) {
    assert_hf_err(topic_rules_parse(cases[i].text, "dev1", &rules), CONFIG);
    assert_contains(hf_err_context(), cases[i].says);
  }
}

static void too_much_is_refused(void **state)
{
  (void)state;
  struct topic_rules *rules;
  char *text = malloc(TOPIC_RULES_TEXT_MAX + 2);
  memset(text, 'a', TOPIC_RULES_TEXT_MAX + 1);
  text[TOPIC_RULES_TEXT_MAX + 1] = '\0';
  assert_hf_err(topic_rules_parse(text, "dev1", &rules), CONFIG);
  for (size_t i = 0; i < TOPIC_RULES_TEXT_MAX; i += 2)
    memcpy(text + i, "a;", 2);
  text[2 * TOPIC_RULES_MAX] = '\0';
  HF_CLEANUP(topic_rules_freep) struct topic_rules *most = parse(text);
  assert_int_equal(TOPIC_RULES_MAX, topic_rules_count(most));
  text[2 * TOPIC_RULES_MAX] = 'a';
  text[2 * TOPIC_RULES_MAX + 2] = '\0';
  assert_hf_err(topic_rules_parse(text, "dev1", &rules), CONFIG);
  assert_contains(hf_err_context(), "rule 257");
  free(text);
}

static void topics_are_mapped_by_the_first_rule_that_matches(void **state)
{
  (void)state;
  HF_CLEANUP(topic_rules_freep)
  struct topic_rules *rules =
      parse("td/# out 1 aws/ thinedge/{id}/; shadow/# both 1 aws/ $aws/things/{id}/; cmd/# in 1 aws/ t/;"
            "\"\" out 2 aws/test-connection check/{id}; # out 0 aws/ rest/; +/x out 1 \"\" \"\"");
  static const struct {
    enum topic_direction direction;
    const char *from, *to; /* NULL: nowhere */
    int qos;
  } cases[] = {
    { TOPIC_OUT, "aws/td/a/b", "thinedge/dev1/td/a/b", 1 },
    { TOPIC_OUT, "aws/td", "thinedge/dev1/td", 1 },
    { TOPIC_OUT, "aws/test-connection", "check/dev1", 2 },
    { TOPIC_OUT, "aws/other", "rest/other", 0 },
    { TOPIC_OUT, "aws/", "rest/", 0 },
    { TOPIC_OUT, "aws", NULL, 0 }, /* "aws/#" matches it, but it lacks the prefix */
    { TOPIC_OUT, "y/x", "y/x", 1 },
    { TOPIC_OUT, "other", NULL, 0 },
    { TOPIC_IN, "$aws/things/dev1/shadow/get", "aws/shadow/get", 1 },
    { TOPIC_OUT, "aws/shadow/get", "$aws/things/dev1/shadow/get", 1 },
    { TOPIC_IN, "t/cmd/1", "aws/cmd/1", 1 },
    { TOPIC_IN, "thinedge/dev1/td/a", NULL, 0 },
    { TOPIC_IN, "", NULL, 0 },
  };
  HF_CLEANUP(hf_buf_free) struct hf_buf out = HF_BUF(1 << 17);
  for (size_t i = 0; i < HF_ARRAY_LEN(cases); i++) {
    const struct topic_rule *rule;
    struct hf_slice from = hf_slice(cases[i].from, strlen(cases[i].from));
    assert_hf_ok(topic_rules_map(rules, cases[i].direction, from, &out, &rule));
    if (!cases[i].to) {
      assert_null(rule);
      continue;
    }
    assert_non_null(rule);
    assert_slice(cases[i].to, hf_slice(out.data, out.len));
    assert_int_equal(cases[i].qos, rule->qos);
  }
}

static void a_topic_that_would_be_empty_goes_nowhere(void **state)
{
  (void)state;
  HF_CLEANUP(topic_rules_freep) struct topic_rules *rules = parse("# out 1 to/ \"\"");
  HF_CLEANUP(hf_buf_free) struct hf_buf out = HF_BUF(1 << 17);
  const struct topic_rule *rule;
  assert_hf_ok(topic_rules_map(rules, TOPIC_OUT, hf_slice("to/", 3), &out, &rule));
  assert_null(rule);
}

static void a_topic_that_would_be_too_long_is_refused(void **state)
{
  (void)state;
  HF_CLEANUP(topic_rules_freep) struct topic_rules *rules = parse("# out 1 \"\" a-prefix/");
  HF_CLEANUP(hf_buf_free) struct hf_buf out = HF_BUF(1 << 17);
  static char topic[65535];
  const struct topic_rule *rule;
  memset(topic, 'a', sizeof(topic));
  assert_hf_err(topic_rules_map(rules, TOPIC_OUT, hf_slice(topic, sizeof(topic)), &out, &rule), LIMIT);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(what_is_left_out_is_as_with_mosquitto),
    cmocka_unit_test(quotes_hold_blanks_semicolons_and_nothing),
    cmocka_unit_test(a_wrong_rule_is_named),
    cmocka_unit_test(too_much_is_refused),
    cmocka_unit_test(topics_are_mapped_by_the_first_rule_that_matches),
    cmocka_unit_test(a_topic_that_would_be_empty_goes_nowhere),
    cmocka_unit_test(a_topic_that_would_be_too_long_is_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
