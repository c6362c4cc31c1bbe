/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cleanup.h"

#include "hf_test.h"

#include "holdfast/pkcs11.h"

#include <errno.h>
#include <pthread.h>

static void the_last_failure_is_told_in_one_line(void **state)
{
  (void)state;
  char line[200];
  hf_err e = hf_fail(HF_ERR_CONFIG, "%s, line %d", "/etc/x.json", 3);
  hf_err_format(e, line, sizeof(line));
  assert_string_equal(line, "the configuration is wrong: /etc/x.json, line 3");
  assert_string_equal(hf_err_hint(e), "Correct the line that is named.");
}

static void a_line_is_cut_not_overrun(void **state)
{
  (void)state;
  char line[12] = "xxxxxxxxxxx";
  hf_err e = hf_fail(HF_ERR_CONFIG, "%2000d", 1);
  hf_err_format(e, line, sizeof(line));
  assert_string_equal(line, "the configu");
  assert_int_equal(strlen(hf_err_context()), HF_CONTEXT_MAX - 1);
}

static void context_can_be_wrapped_in_more_context(void **state)
{
  (void)state;
  hf_ignore(hf_fail(HF_ERR_IO, "inner"));
  hf_ignore(hf_fail(HF_ERR_IO, "outer: %s", hf_err_context()));
  assert_string_equal(hf_err_context(), "outer: inner");
}

static void a_hint_of_the_place_lasts_until_the_next_failure(void **state)
{
  (void)state;
  hf_err e = hf_hint(hf_fail(HF_ERR_NOT_FOUND, "a"), "Look under %s.", "b");
  assert_string_equal(hf_err_hint(e), "Look under b.");
  e = hf_fail(HF_ERR_NOT_FOUND, "c");
  assert_string_equal(hf_err_hint(e), "Check the name.");
}

static void a_failed_system_call_finds_its_row(void **state)
{
  (void)state;
  static const struct {
    int number;
    enum hf_code code;
  } cases[] = {
    { ENOENT, HF_ERR_NOT_FOUND },  { ENOTDIR, HF_ERR_NOT_FOUND },
    { EACCES, HF_ERR_PERMISSION }, { EROFS, HF_ERR_PERMISSION },
    { ENOSPC, HF_ERR_DISK_FULL },  { EDQUOT, HF_ERR_DISK_FULL },
    { ENOMEM, HF_ERR_NO_MEMORY },  { EIO, HF_ERR_IO },
    { EFBIG, HF_ERR_DISK_FULL },
  };
  for (size_t i = 0; i < HF_ARRAY_LEN(cases); i++)
    assert_int_equal(hf_fail_errno(cases[i].number, "p").code, cases[i].code);
  hf_ignore(hf_fail_errno(ENOENT, "/x"));
  assert_string_equal(hf_err_context(), "/x: No such file or directory");
}

static void every_ckr_code_comes_back_as_itself(void **state)
{
  (void)state;
  for (int code = HF_ERR_SLOT_ID_INVALID; code < HF_ERR_MODULE_ANSWER; code++) {
    unsigned long rv = hf_err_rv((hf_err){ (enum hf_code)code });
    assert_int_equal(hf_fail_rv(rv, "x").code, code);
    assert_non_null(hf_rv_name(rv));
  }
  assert_hf_ok(hf_fail_rv(CKR_OK, "x"));
  assert_hf_err(hf_fail_rv(CKR_PIN_INCORRECT, "x"), PIN_INCORRECT);
  assert_hf_err(hf_fail_rv(CKR_HOST_MEMORY, "x"), NO_MEMORY);
  assert_string_equal(hf_rv_name(CKR_HOST_MEMORY), "CKR_HOST_MEMORY");
}

static void an_unknown_ckr_code_is_named_by_its_number(void **state)
{
  (void)state;
  char line[200];
  hf_err e = hf_fail_rv(CKR_VENDOR_DEFINED | 0x42, "C_Sign");
  hf_err_format(e, line, sizeof(line));
  assert_int_equal(e.code, HF_ERR_MODULE_ANSWER);
  assert_contains(line, "C_Sign: CK_RV 0x80000042");
  assert_null(hf_rv_name(CKR_VENDOR_DEFINED | 0x42));
}

static void a_module_s_code_is_shown_by_its_standard_name(void **state)
{
  (void)state;
  char line[200];
  hf_err_format(hf_fail_rv(CKR_PIN_LOCKED, "token t"), line, sizeof(line));
  assert_string_equal(line, "the PIN is locked after too many wrong tries: token t (CKR_PIN_LOCKED)");
}

static void every_row_has_a_sentence_and_a_hint(void **state)
{
  (void)state;
  for (int code = 1; code < HF_ERR_COUNT; code++) {
    hf_err e = { (enum hf_code)code };
    hf_ignore(hf_fail((enum hf_code)code, "x"));
    assert_true(hf_err_name(e)[0] && hf_err_text(e)[0] && hf_err_hint(e)[0]);
    assert_in_range(hf_err_status(e), 1, 6);
    assert_true(hf_err_rv(e) != CKR_OK);
  }
}

static void *fail_in_a_thread(void *unused)
{
  hf_ignore(hf_fail(HF_ERR_IO, "of the thread"));
  return unused;
}

static void threads_keep_their_own_context(void **state)
{
  (void)state;
  pthread_t thread;
  hf_ignore(hf_fail(HF_ERR_IO, "of the test"));
  assert_int_equal(pthread_create(&thread, NULL, fail_in_a_thread, NULL), 0);
  assert_int_equal(pthread_join(thread, NULL), 0);
  assert_string_equal(hf_err_context(), "of the test");
}

static void an_error_can_be_told_later(void **state)
{
  (void)state;
  struct hf_err_saved own = hf_err_save(hf_hint(hf_fail(HF_ERR_IO, "a"), "do b")),
                      plain = hf_err_save(hf_fail(HF_ERR_IO, "c"));
  hf_ignore(hf_fail(HF_ERR_LIMIT, "another"));
  assert_hf_err(hf_err_restore(&own), IO);
  assert_string_equal(hf_err_context(), "a");
  assert_string_equal(hf_err_hint(own.error), "do b");
  assert_hf_err(hf_err_restore(&plain), IO);
  assert_string_equal(hf_err_hint(plain.error), plain.hint);
  struct hf_err_saved none = hf_err_save(HF_OK);
  assert_hf_ok(hf_err_restore(&none));
  assert_string_equal(hf_err_context(), "c");
}

static void printing_adds_the_program_and_the_hint(void **state)
{
  (void)state;
  HF_CLEANUP(hf_freep) char *text = NULL;
  size_t size = 0;
  FILE *out = open_memstream(&text, &size);
  assert_non_null(out);
  hf_err_print(out, "holdfast", hf_fail(HF_ERR_NOT_FOUND, "x"));
  fclose(out);
  assert_string_equal(text, "holdfast: error: not found: x\n  hint: Check the name.\n");
}

int main(void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(the_last_failure_is_told_in_one_line),
    cmocka_unit_test(a_line_is_cut_not_overrun),
    cmocka_unit_test(context_can_be_wrapped_in_more_context),
    cmocka_unit_test(a_hint_of_the_place_lasts_until_the_next_failure),
    cmocka_unit_test(a_failed_system_call_finds_its_row),
    cmocka_unit_test(every_ckr_code_comes_back_as_itself),
    cmocka_unit_test(an_unknown_ckr_code_is_named_by_its_number),
    cmocka_unit_test(a_module_s_code_is_shown_by_its_standard_name),
    cmocka_unit_test(every_row_has_a_sentence_and_a_hint),
    cmocka_unit_test(threads_keep_their_own_context),
    cmocka_unit_test(an_error_can_be_told_later),
    cmocka_unit_test(printing_adds_the_program_and_the_hint),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
