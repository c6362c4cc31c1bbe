/* SPDX-License-Identifier: Apache-2.0 */
/* The table of what is tried before a start: its codes, and which checks follow from which. What they find, the tests with real tokens show. */
#include "gateway/core_check.h"
#include "hf_test.h"

static char path[] = "/tmp/hf-core-check-XXXXXX";

static int setup(void **state)
{
  (void)state;
  int fd = mkstemp(path);
  return fd < 0 ? -1 : close(fd);
}

static int teardown(void **state)
{
  (void)state;
  return unlink(path);
}

static struct config *load(const char *text)
{
  struct config *config = NULL;
  FILE *f = fopen(path, "w");
  assert_non_null(f);
  fputs(text, f);
  assert_int_equal(fclose(f), 0);
  assert_hf_ok(config_load(path, &config));
  return config;
}

static enum core_check_verdict verdict(const struct core_check_result *results, const char *code)
{
  for (size_t i = 0; i < core_checks_count(); i++)
    if (strcmp(results[i].row->code, code) == 0)
      return results[i].verdict;
  fail_msg("no check has the code %s", code);
  return CORE_CHECK_FAILED;
}

static struct core_check_result *run_all(const struct config *config, enum core_check_scope scope)
{
  HF_CLEANUP(core_checks_freep) struct core_checks *checks = NULL;
  struct core_check_result *results = calloc(core_checks_count(), sizeof(*results));
  assert_non_null(results);
  assert_hf_ok(core_checks_new(config, "/none.so", scope, &checks));
  for (size_t i = 0; i < core_checks_count(); i++)
    core_checks_run(checks, i, &results[i]);
  return results;
}

static void test_codes_are_words_and_no_two_the_same(void **state)
{
  (void)state;
  for (size_t i = 0; i < core_checks_count(); i++) {
    const char *code = core_checks_row(i)->code;
    assert_int_equal(strspn(code, "abcdefghijklmnopqrstuvwxyz-"), strlen(code));
    assert_true(core_checks_row(i)->title[0]);
    for (size_t j = 0; j < i; j++)
      assert_string_not_equal(core_checks_row(j)->code, code);
  }
}

static void test_a_gateway_without_a_cloud_needs_no_hsm(void **state)
{
  (void)state;
  HF_CLEANUP(config_freep) struct config *config = load("{}");
  struct core_check_result *results = run_all(config, CORE_CHECK_START);
  for (size_t i = 0; i < core_checks_count(); i++)
    assert_int_not_equal(results[i].verdict, CORE_CHECK_FAILED);
  assert_int_equal(verdict(results, "configuration"), CORE_CHECK_PASSED);
  assert_int_equal(verdict(results, "module-loads"), CORE_CHECK_UNUSED);
  assert_int_equal(verdict(results, "secrets-key-works"), CORE_CHECK_UNUSED);
  free(results);
  assert_hf_ok(core_checks_pass(config, "/none.so", NULL, NULL));
}

static void test_one_failure_is_told_once(void **state)
{
  (void)state;
  HF_CLEANUP(config_freep)
  struct config *config =
      load("{\"mqtt\": {\"url\": \"h\", \"root_cert_path\": \"/none.pem\", \"bridge\": {\"enabled\": true}},"
           "\"device\": {\"key_uri\": \"pkcs11:object=k\", \"cert_path\": \"/none.crt\"}}");
  struct core_check_result *results = run_all(config, CORE_CHECK_START);
  assert_int_equal(verdict(results, "configuration"), CORE_CHECK_PASSED);
  assert_int_equal(verdict(results, "certificate-read"), CORE_CHECK_FAILED);
  assert_int_equal(verdict(results, "certificate-time"), CORE_CHECK_SKIPPED);
  assert_int_equal(verdict(results, "ca-read"), CORE_CHECK_FAILED);
  assert_int_equal(verdict(results, "module-loads"), CORE_CHECK_FAILED);
  static const char *const after[] = { "token-found",   "pin-state",     "pin-right",
                                       "iot-key-found", "iot-key-works", "certificate-key" };
  for (size_t i = 0; i < HF_ARRAY_LEN(after); i++)
    assert_int_equal(verdict(results, after[i]), CORE_CHECK_SKIPPED);
  assert_int_equal(verdict(results, "server-key-found"), CORE_CHECK_UNUSED);
  free(results);
  /* Before a start, the first one counts. */
  assert_hf_err(core_checks_pass(config, "/none.so", NULL, NULL), NOT_FOUND);
  assert_contains(hf_err_context(), "/none.crt");
}

static void test_a_key_that_is_not_used_yet_is_for_who_asks_for_all(void **state)
{
  (void)state;
  HF_CLEANUP(config_freep) struct config *config = load("{\"device\": {\"key_uri\": \"pkcs11:object=k\"}}");
  struct core_check_result *results = run_all(config, CORE_CHECK_START);
  assert_int_equal(verdict(results, "module-loads"), CORE_CHECK_UNUSED);
  free(results);
  results = run_all(config, CORE_CHECK_ALL);
  assert_int_equal(verdict(results, "module-loads"), CORE_CHECK_FAILED);
  assert_int_equal(verdict(results, "iot-key-found"), CORE_CHECK_SKIPPED);
  free(results);
}

static void test_a_key_in_a_file_stops_a_start_by_line(void **state)
{
  (void)state;
  HF_CLEANUP(config_freep)
  struct config *config =
      load("{\"coreThing\": {\"caPath\": \"ca\", \"certPath\": \"c\",\n\"keyPath\": \"k\", \"iotHost\": \"h\",\n"
           "\"thingArn\": \"arn:a:iot:r:1:thing/t\"}}");
  assert_hf_err(core_checks_pass(config, "/none.so", NULL, NULL), CONFIG);
  assert_contains(hf_err_context(), "line 2: coreThing.keyPath is a key in a file");
}

int main(void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_codes_are_words_and_no_two_the_same),
    cmocka_unit_test(test_a_gateway_without_a_cloud_needs_no_hsm),
    cmocka_unit_test(test_one_failure_is_told_once),
    cmocka_unit_test(test_a_key_that_is_not_used_yet_is_for_who_asks_for_all),
    cmocka_unit_test(test_a_key_in_a_file_stops_a_start_by_line),
  };
  return cmocka_run_group_tests(tests, setup, teardown);
}
