/* SPDX-License-Identifier: Apache-2.0 */
#include "mqtt/topic.h"

#include "hf_test.h"
#include "mqtt/reason.h"

/* Section 4.7.1 to 4.7.3, their examples and what they leave between the lines. */
static const struct {
  const char *filter, *topic;
  bool matches;
} matches[] = {
  { "sport/tennis/player1/#", "sport/tennis/player1", true },
  { "sport/tennis/player1/#", "sport/tennis/player1/ranking", true },
  { "sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon", true },
  { "sport/tennis/player1/#", "sport/tennis/player2", false },
  { "sport/#", "sport", true },
  { "sport/#", "sports", false },
  { "#", "sport/tennis", true },
  { "#", "/", true },
  { "#", "$SYS/uptime", false },
  { "sport/tennis/+", "sport/tennis/player1", true },
  { "sport/tennis/+", "sport/tennis/player1/ranking", false },
  { "sport/+", "sport", false },
  { "sport/+", "sport/", true },
  { "+/+", "/finance", true },
  { "/+", "/finance", true },
  { "+", "/finance", false },
  { "+/monitor/Clients", "$SYS/monitor/Clients", false },
  { "$SYS/#", "$SYS/uptime", true },
  { "$SYS/monitor/+", "$SYS/monitor/Clients", true },
  { "a/+/c", "a/b/c", true },
  { "a/+/c", "a//c", true },
  { "a/+/c", "a/b/d", false },
  { "a/b", "a/b", true },
  { "a/b", "a/B", false },
  { "a/b", "a/b/c", false },
  { "a/b/c", "a/b", false },
  { "a/", "a", false },
  { "a", "a/", false },
  { "\xc3\xa4/+", "\xc3\xa4/\xf0\x9f\x94\x91", true },
  { "a b/#", "a b/$x", true },
};

static void a_filter_matches_as_the_standard_says(void **state)
{
  (void)state;
  for (size_t i = 0; i < HF_ARRAY_LEN(matches); i++) {
    if (mqtt_topic_matches(mqtt_text(matches[i].filter), mqtt_text(matches[i].topic)) == matches[i].matches)
      continue;
    print_error("%s on %s\n", matches[i].filter, matches[i].topic);
    fail();
  }
}

static const struct {
  const char *text;
  bool filter, name;
} texts[] = {
  { "", false, false },         { "/", true, true },        { "a/b", true, true },    { "a b", true, true },
  { "#", true, false },         { "a/#", true, false },     { "a#", false, false },   { "a/#/b", false, false },
  { "+", true, false },         { "+/a/+", true, false },   { "a+", false, false },   { "a/b+/c", false, false },
  { "\xc3\x28", false, false }, { "a/\xed\xa0\x80", 0, 0 }, { "$SYS/a", true, true }, { "a//b", true, true },
  { "a/+/#", true, false },     { "##", false, false },     { "+#", false, false },   { "/#", true, false },
};

static void names_and_filters(void **state)
{
  (void)state;
  for (size_t i = 0; i < HF_ARRAY_LEN(texts); i++) {
    struct hf_slice text = mqtt_text(texts[i].text);
    if (mqtt_topic_is_filter(text) == texts[i].filter && mqtt_topic_is_name(text) == texts[i].name)
      continue;
    print_error("%s\n", texts[i].text);
    fail();
  }
  assert_false(mqtt_topic_is_name(hf_slice("a\0b", 3)));
  assert_false(mqtt_topic_is_filter(hf_slice("a\0b", 3)));
}

static void a_topic_has_at_most_65535_bytes(void **state)
{
  (void)state;
  static char text[MQTT_TEXT_MAX + 1];
  memset(text, 'a', sizeof(text));
  assert_true(mqtt_topic_is_name(hf_slice(text, MQTT_TEXT_MAX)));
  assert_false(mqtt_topic_is_name(hf_slice(text, sizeof(text))));
}

static void reasons_have_words(void **state)
{
  (void)state;
  assert_string_equal(mqtt_reason_text(MQTT_NOT_AUTHORIZED), "not authorized");
  assert_string_equal(mqtt_reason_text(MQTT_QUOTA_EXCEEDED), "quota exceeded");
  assert_string_equal(mqtt_reason_text(0xff), "an error without a name");
  assert_string_equal(mqtt_connack_text(MQTT_3_1_1, 2), "client identifier not valid");
  assert_string_equal(mqtt_connack_text(MQTT_3_1_1, 0x87), "an error without a name");
  assert_string_equal(mqtt_connack_text(MQTT_5, 0x87), "not authorized");
}

int main(void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_filter_matches_as_the_standard_says),
    cmocka_unit_test(names_and_filters),
    cmocka_unit_test(a_topic_has_at_most_65535_bytes),
    cmocka_unit_test(reasons_have_words),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
