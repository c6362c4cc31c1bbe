/* SPDX-License-Identifier: Apache-2.0 */
/* A plan of faults: how it is written, and which calls it strikes. */
#include "hf_test.h"

#include "base/cleanup.h"
#include "token/simulation/plan.h"

#include <string.h>

#define S 1000000000ULL

static struct fault fault(const char *text)
{
  struct fault fault;
  assert_hf_ok(fault_parse(text, &fault));
  return fault;
}

static void test_words(void **state)
{
  (void)state;
  struct fault f = fault("  C_Sign every=100   device-error ");
  assert_string_equal("C_Sign every=100   device-error", f.text);
  assert_string_equal("C_Sign", f.function);
  assert_int_equal(FAULT_ANSWER, f.kind);
  assert_int_equal(HF_ERR_DEVICE_ERROR, f.code);
  assert_int_equal(100, f.every);
  f = fault("unplug after=30s for=1.5s");
  assert_int_equal(FAULT_UNPLUG, f.kind);
  assert_int_equal(30 * S, f.after);
  assert_int_equal(3 * S / 2, f.lasting);
  f = fault("every=2m unplug for=500ms");
  assert_int_equal(120 * S, f.period);
  assert_int_equal(0, f.every);
  f = fault("chance=0.25 seed=42 session-lost times=3");
  assert_true(f.chance > 0.24 && f.chance < 0.26);
  assert_int_equal(42, f.seed);
  assert_int_equal(3, f.times);
  f = fault("C_Login CKR_FUNCTION_FAILED");
  assert_int_equal(HF_ERR_FUNCTION_FAILED, f.code);
  f = fault("slow=200us");
  assert_int_equal(FAULT_SLOW, f.kind);
  assert_int_equal(200000, f.slowness);
  assert_string_equal("C_Sign", fault("corrupt nth=2").function);
}

/* A fault that is wrong, and what the error must name. */
static const struct {
  const char *text, *named;
} bad[] = {
  { "", "what happens" },
  { "C_Sign nth=3", "what happens" },
  { "C_Sgin hang", "\"C_Sgin\" (expected a function" },
  { "C_Sign C_Verify hang", "\"C_Verify\" (expected one function" },
  { "hang unplug", "\"unplug\" (expected one thing" },
  { "slow=1s hang", "not two" },
  { "slow", "\"slow\"" },
  { "slow=1", "a time like" },
  { "slow=-1s", "a time like" },
  { "slow=25h", "at most 24h" },
  { "slow=1.5.5s", "a time like" },
  { "C_Sign nth=0 hang", "a number from 1" },
  { "C_Sign nth=-1 hang", "a number from 1" },
  { "C_Sign nth=1x hang", "a number from 1" },
  { "C_Sign nth= hang", "a number from 1" },
  { "C_Sign every= hang", "a number from 1" },
  { "every=0s unplug", "a number of calls, or a time" },
  { "nth=1 every=2 hang", "one of nth=" },
  { "every=2 chance=0.5 hang", "one of nth=" },
  { "chance=1.5 hang", "a probability" },
  { "chance=0 hang", "a probability" },
  { "chance=nan hang", "a probability" },
  { "seed=3 hang", "seed= only with chance=" },
  { "for=0s hang", "longer" },
  { "every=5s for=5s unplug", "shorter" },
  { "CKR_OK", "CKR_OK" },
  { "CKR_NO_SUCH", "\"CKR_NO_SUCH\"" },
  { "CKR_", "\"CKR_\"" },
  { "C_Login corrupt", "corrupt with C_Sign" },
  { "whatever", "a condition (nth=" },
  { "what=ever hang", "\"what\"" },
};

static void test_bad_words(void **state)
{
  (void)state;
  char text[FAULT_TEXT_MAX + 8];
  struct fault kept = { .nth = 77 };
  for (size_t i = 0; i < HF_ARRAY_LEN(bad); i++) {
    assert_hf_err(fault_parse(bad[i].text, &kept), PARSE);
    assert_contains(hf_err_context(), bad[i].named);
  }
  memset(text, 'x', sizeof(text));
  text[sizeof(text) - 1] = '\0';
  assert_hf_err(fault_parse(text, &kept), PARSE);
  assert_int_equal(77, kept.nth);
}

static void test_list(void **state)
{
  (void)state;
  struct plan plan = { .count = 0 };
  assert_hf_ok(plan_parse("C_Sign nth=1 hang, ,unplug\nC_Login pin-locked\n", &plan));
  assert_int_equal(3, plan.count);
  assert_int_equal(FAULT_UNPLUG, plan.faults[1].kind);
  assert_hf_err(plan_parse("hang, nonsense", &plan), PARSE);
  assert_int_equal(3, plan.count);
  for (size_t i = plan.count; i < PLAN_MAX; i++)
    assert_hf_ok(plan_parse("hang", &plan));
  assert_hf_err(plan_parse("hang", &plan), LIMIT);
  assert_int_equal(PLAN_MAX, plan.count);
}

static void test_concerns(void **state)
{
  (void)state;
  struct fault sign = fault("C_Sign hang"), any = fault("hang"), init = fault("C_SignInit hang");
  assert_true(fault_concerns(&sign, "C_Sign"));
  assert_true(fault_concerns(&sign, "C_SignFinal"));
  assert_false(fault_concerns(&sign, "C_SignInit"));
  assert_false(fault_concerns(&sign, "C_Verify"));
  assert_true(fault_concerns(&any, "C_Login"));
  assert_true(fault_concerns(&any, "C_GenerateKeyPair"));
  /* What needs no device, a fault strikes only by its name. */
  assert_false(fault_concerns(&any, "C_SignInit"));
  assert_false(fault_concerns(&any, "C_CloseSession"));
  assert_true(fault_concerns(&init, "C_SignInit"));
}

/* One letter a call, a second apart: x where it strikes. */
static void assert_strikes(const char *text, const char *expected)
{
  struct fault f = fault(text);
  struct fault_state struck = { 0 };
  uint64_t until;
  char calls[64] = "";
  for (size_t i = 0; expected[i]; i++)
    calls[i] = fault_strikes(&f, &struck, 1000 * S, (1000 + i) * S, &until) ? 'x' : '.';
  calls[strlen(expected)] = '\0';
  if (strcmp(calls, expected) != 0)
    print_error("%s\n", text);
  assert_string_equal(expected, calls);
  assert_int_equal(strlen(expected), struck.calls);
}

static void test_strikes(void **state)
{
  (void)state;
  assert_strikes("device-error", "xxxx");
  assert_strikes("device-error times=2", "xx..");
  assert_strikes("nth=3 device-error", "..x...");
  assert_strikes("every=3 device-error", "..x..x..x");
  assert_strikes("every=3 device-error times=2", "..x..x...");
  assert_strikes("after=2s device-error", "..xx");
  assert_strikes("after=2s nth=2 device-error", "....");
  assert_strikes("nth=2 hang for=3s", ".xxx..");
  assert_strikes("after=2s device-error for=2s", "..xx..");
  assert_strikes("every=3s device-error", "...x..x..x");
  assert_strikes("every=3s device-error for=2s", "...xx.xx.xx");
  /* By the clock once: what is plugged in again stays. */
  assert_strikes("unplug", "x....");
  assert_strikes("after=2s unplug for=2s", "..x..");
  assert_strikes("every=3s unplug for=1s times=2", "...x..x...");
}

static void test_lasting(void **state)
{
  (void)state;
  struct fault f = fault("after=10s unplug for=5s");
  struct fault_state struck = { 0 };
  uint64_t until = 1;
  assert_false(fault_strikes(&f, &struck, 100 * S, 109 * S, &until));
  assert_int_equal(0, until);
  /* Nobody called meanwhile: it was out from 110 to 115. */
  assert_true(fault_strikes(&f, &struck, 100 * S, 130 * S, &until));
  assert_int_equal(115 * S, until);
  assert_false(fault_strikes(&f, &struck, 100 * S, 131 * S, &until));
  assert_int_equal(1, struck.strikes);
  f = fault("C_Sign nth=1 hang for=5s");
  struck = (struct fault_state){ 0 };
  assert_true(fault_strikes(&f, &struck, 100 * S, 130 * S, &until));
  assert_int_equal(135 * S, until);
}

static void test_chance(void **state)
{
  (void)state;
  struct fault f = fault("chance=0.25 seed=7 device-error"), other = fault("chance=0.25 seed=8 device-error");
  struct fault_state a = { 0 }, b = { 0 }, c = { 0 };
  unsigned struck = 0, differ = 0;
  uint64_t until;
  for (uint64_t i = 0; i < 4000; i++) {
    bool strikes = fault_strikes(&f, &a, S, S + i, &until);
    assert_int_equal(strikes, fault_strikes(&f, &b, S, S + i, &until));
    differ += strikes != fault_strikes(&other, &c, S, S + i, &until);
    struck += strikes;
  }
  assert_in_range(struck, 900, 1100);
  assert_true(differ > 1000);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_words),    cmocka_unit_test(test_bad_words), cmocka_unit_test(test_list),
    cmocka_unit_test(test_concerns), cmocka_unit_test(test_strikes),   cmocka_unit_test(test_lasting),
    cmocka_unit_test(test_chance),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
