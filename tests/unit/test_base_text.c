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

static void utf8_is_that_of_the_rfc(void **state)
{
  (void)state;
  static const struct {
    const char *text;
    bool good;
  } rows[] = {
    { "", true },
    { "a\xc3\xa4", true },
    { "\xf0\x9f\x94\x91", true },
    { "\xed\x9f\xbf", true },
    { "\xc0\x80", false },
    { "\xe0\x80\x80", false },
    { "\xed\xa0\x80", false },
    { "\xf4\x90\x80\x80", false },
    { "\xff", false },
    { "\xe2\x82", false },
    { "\x80", false },
    { "\xf0\x80\x80\x80", false },
  };
  for (size_t i = 0; i < HF_ARRAY_LEN(rows); i++)
    assert_int_equal(hf_is_utf8(hf_slice(rows[i].text, strlen(rows[i].text))), rows[i].good);
}

static void test_trimmed(void **state)
{
  (void)state;
  static const struct {
    const char *text, *trimmed;
  } rows[] = { { "", "" }, { " \t ", "" }, { "a", "a" }, { "\t a b \n", "a b" }, { "a ", "a" }, { " a", "a" } };
  for (size_t i = 0; i < HF_ARRAY_LEN(rows); i++) {
    char text[16];
    struct hf_slice view = hf_text_trimmed(rows[i].text);
    assert_int_equal(view.len, strlen(rows[i].trimmed));
    assert_memory_equal(view.data, rows[i].trimmed, view.len);
    snprintf(text, sizeof(text), "%s", rows[i].text);
    assert_string_equal(hf_text_trim(text), rows[i].trimmed);
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = { cmocka_unit_test(test_distance), cmocka_unit_test(test_long_texts_are_cut),
                                      cmocka_unit_test(utf8_is_that_of_the_rfc), cmocka_unit_test(test_trimmed) };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
