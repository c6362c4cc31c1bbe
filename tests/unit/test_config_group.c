/* SPDX-License-Identifier: Apache-2.0 */
#include "config/group.h"

#include "hf_test.h"

#define NUMBER "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

static const char sample[] =
    "{ \"name\": \"plant-7\", \"things\": [ \"sensor\", { \"name\": \"lamp\" }, { \"name\": \"old\", \"certificate\": "
    "\"" NUMBER "\" } ],"
    "  \"routes\": [ { \"source\": \"sensor\", \"target\": \"lamp\", \"topic\": \"light/+/on\" },"
    "              { \"source\": \"sensor\", \"target\": \"cloud\", \"topic\": \"t/#\" },"
    "              { \"source\": \"local\", \"target\": \"sensor\", \"topic\": \"#\" } ] }";

static struct group *parse(const char *text)
{
  struct group *group = NULL;
  assert_hf_ok(group_new(&group));
  assert_hf_ok(group_parse(hf_slice(text, strlen(text)), "group.json", group));
  return group;
}

static void who_is_let_in(void **state)
{
  (void)state;
  HF_CLEANUP(group_freep) struct group *group = parse(sample);
  assert_string_equal("plant-7", group_name(group));
  assert_int_equal(3, group_thing_count(group));
  assert_true(group_admits(group, "sensor", "sensor", NUMBER));
  assert_true(group_admits(group, "lamp", "lamp", ""));
  assert_false(group_admits(group, "lamp", "sensor", ""));
  assert_false(group_admits(group, "stranger", "stranger", ""));
  assert_false(group_admits(group, "", "", ""));
  assert_true(group_admits(group, "old", "any CN", NUMBER));
  assert_false(group_admits(group, "old", "old", "00"));
}

static void what_goes_where(void **state)
{
  (void)state;
  HF_CLEANUP(group_freep) struct group *group = parse(sample);
  static const struct {
    bool (*may)(const struct group *group, const char *thing, const char *topic);
    const char *thing, *topic;
    bool expected;
  } cases[] = {
    { group_may_publish, "sensor", "light/1/on", true },
    { group_may_publish, "sensor", "light/1/off", false },
    { group_may_publish, "sensor", "t", true },
    { group_may_publish, "sensor", "t/a/b", true },
    { group_may_publish, "lamp", "light/1/on", false },
    { group_may_publish, "stranger", "t", false },
    { group_may_publish, "cloud", "t", false },
    { group_may_publish, "local", "x", false },
    { group_may_receive, "lamp", "light/1/on", true },
    { group_may_receive, "lamp", "t", false },
    { group_may_receive, "sensor", "anything", true },
    { group_may_receive, "sensor", "$SYS/broker/version", false },
    { group_may_subscribe, "lamp", "light/1/on", true },
    { group_may_subscribe, "lamp", "light/#", true },
    { group_may_subscribe, "lamp", "light", false },
    { group_may_subscribe, "lamp", "+/+/on", true },
    { group_may_subscribe, "lamp", "+/+/off", false },
    { group_may_subscribe, "lamp", "light/1/on/#", true },
    { group_may_subscribe, "lamp", "light/1/on/more", false },
    { group_may_subscribe, "lamp", "#", true },
    { group_may_subscribe, "lamp", "dark/#", false },
    { group_may_subscribe, "sensor", "a/b", true },
    { group_may_subscribe, "sensor", "$SYS/#", false },
    { group_may_subscribe, "stranger", "#", false },
  };
  for (size_t i = 0; i < HF_ARRAY_LEN(cases); i++)
    if (cases[i].may(group, cases[i].thing, cases[i].topic) != cases[i].expected)
      fail_msg("%s, %s: not %d", cases[i].thing, cases[i].topic, cases[i].expected);
}

static void it_is_written_as_it_was_read(void **state)
{
  (void)state;
  HF_CLEANUP(group_freep) struct group *group = parse(sample);
  HF_CLEANUP(hf_buf_free) struct hf_buf text = HF_BUF(1 << 16), again = HF_BUF(1 << 16);
  assert_hf_ok(group_format(group, &text));
  HF_CLEANUP(group_freep) struct group *second = parse(hf_buf_str(&text));
  assert_hf_ok(group_format(second, &again));
  assert_string_equal(hf_buf_str(&text), hf_buf_str(&again));
  assert_int_equal(3, group_route_count(second));
  assert_string_equal("cloud", group_route(second, 1)->target);
}

static void what_is_wrong_is_named(void **state)
{
  (void)state;
  static const struct {
    const char *text, *says;
  } cases[] = {
    { "", "line 1" },
    { "{ \"things\": [ \"a\",\n ] }", "line 2" },
    { "[]", "an object" },
    { "{ \"thing\": [] }", "there is no 'thing'" },
    { "{ \"things\": {} }", "things must be a list" },
    { "{ \"name\": 1 }", "name must be" },
    { "{ \"things\": [ \"a\", \"a\" ] }", "'a' stands there twice" },
    { "{ \"things\": [ \"a\", \"b/c\" ] }", "things, number 2: its name" },
    { "{ \"things\": [ \"cloud\" ] }", "its name" },
    { "{ \"things\": [ \"holdfast-bridge-mqtt\" ] }", "its name" },
    { "{ \"things\": [ 7 ] }", "its name" },
    { "{ \"things\": [ \"\" ] }", "its name" },
    { "{ \"things\": [ { \"name\": \"a\", \"certificate\": \"00\" } ] }", "its certificate" },
    { "{ \"things\": [ { \"name\": \"a\", \"key\": \"00\" } ] }", "its members" },
    { "{ \"things\": [ \"a\" ], \"routes\": [ 1 ] }", "routes, number 1: its members" },
    { "{ \"things\": [ \"a\" ], \"routes\": [ { \"source\": \"b\", \"target\": \"a\", \"topic\": \"t\" } ] }",
      "its source" },
    { "{ \"things\": [ \"a\" ], \"routes\": [ { \"source\": \"a\", \"target\": \"b\", \"topic\": \"t\" } ] }",
      "its target" },
    { "{ \"things\": [ \"a\" ], \"routes\": [ { \"source\": \"a\", \"target\": \"a\", \"topic\": \"t/#/x\" } ] }",
      "its topic" },
    { "{ \"things\": [ \"a\" ], \"routes\": [ { \"source\": \"a\", \"target\": \"a\", \"topic\": \"$SYS/#\" } ] }",
      "its topic" },
    { "{ \"things\": [ \"a\" ], \"routes\": [ { \"source\": \"a\", \"target\": \"a\" } ] }", "its topic" },
  };
  for (size_t i = 0; i < HF_ARRAY_LEN(cases); i++) {
    HF_CLEANUP(group_freep) struct group *group = NULL;
    assert_hf_ok(group_new(&group));
    assert_hf_err(group_parse(hf_slice(cases[i].text, strlen(cases[i].text)), "group.json", group), CONFIG);
    assert_contains(hf_err_context(), "group.json");
    assert_contains(hf_err_context(), cases[i].says);
  }
}

static const char *told;
static void note(const char *thing)
{
  assert_null(told);
  told = thing;
}

static void who_has_left_is_told(void **state)
{
  (void)state;
  HF_CLEANUP(group_freep) struct group *all = parse("{ \"things\": [ \"a\", \"b\" ] }");
  HF_CLEANUP(group_freep) struct group *fewer = parse("{ \"things\": [ \"b\", \"c\" ] }");
  HF_CLEANUP(group_freep)
  struct group *other = parse("{ \"things\": [ \"a\", { \"name\": \"b\", \"certificate\": \"" NUMBER "\" } ] }");
  told = NULL;
  group_compare(all, fewer, note);
  assert_string_equal("a", told);
  told = NULL;
  group_compare(all, other, note);
  assert_string_equal("b", told);
  told = NULL;
  group_compare(all, all, note);
  assert_null(told);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(who_is_let_in),
    cmocka_unit_test(what_goes_where),
    cmocka_unit_test(it_is_written_as_it_was_read),
    cmocka_unit_test(what_is_wrong_is_named),
    cmocka_unit_test(who_has_left_is_told),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
