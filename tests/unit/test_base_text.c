/* SPDX-License-Identifier: Apache-2.0 */
#include "base/text.h"
#include "base/cleanup.h"
#include "hf_test.h"

static const struct {
  const char *a, *b;
  size_t distance;
} cases[] = {
  { "", "", 0 },          { "abc", "abc", 0 },        { "", "abc", 3 },  { "abc", "", 3 },
  { "token", "tokn", 1 }, { "kitten", "sitting", 3 }, { "ab", "ba", 2 },
};

static void test_distance(void **state)
{
  (void)state;
  for (size_t i = 0; i < HF_ARRAY_LEN(cases); i++)
    assert_int_equal(hf_text_distance(cases[i].a, cases[i].b), cases[i].distance);
}

static void test_long_texts_are_cut(void **state)
{
  (void)state;
  char a[1000], b[1000];
  memset(a, 'a', sizeof(a) - 1);
  memset(b, 'b', sizeof(b) - 1);
  a[sizeof(a) - 1] = b[sizeof(b) - 1] = '\0';
  assert_int_equal(hf_text_distance(a, b), HF_TEXT_DISTANCE_MAX);
  assert_int_equal(hf_text_distance(a, ""), HF_TEXT_DISTANCE_MAX);
}

int main(void)
{
  const struct CMUnitTest tests[] = { cmocka_unit_test(test_distance), cmocka_unit_test(test_long_texts_are_cut) };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
