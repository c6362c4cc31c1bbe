/* SPDX-License-Identifier: Apache-2.0 */
#include "base/secret.h"

#include "hf_test.h"

#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

static void a_secret_is_a_copy(void **state)
{
  (void)state;
  char pin[] = "1234";
  HF_CLEANUP(hf_secret_freep) struct hf_secret *secret = NULL;
  assert_hf_ok(hf_secret_new(pin, 4, &secret));
  hf_wipe(pin, sizeof(pin));
  assert_int_equal(hf_secret_len(secret), 4);
  assert_memory_equal(hf_secret_data(secret), "1234", 4);
}

static void a_secret_without_data_is_zero(void **state)
{
  (void)state;
  HF_CLEANUP(hf_secret_freep) struct hf_secret *secret = NULL;
  static const uint8_t zero[10000];
  assert_hf_ok(hf_secret_new(NULL, sizeof(zero), &secret));
  assert_memory_equal(hf_secret_data(secret), zero, sizeof(zero));
}

static void its_size_has_limits(void **state)
{
  (void)state;
  struct hf_secret *secret = NULL;
  assert_hf_err(hf_secret_new("", 0, &secret), LIMIT);
  assert_hf_err(hf_secret_new(NULL, 64 * 1024 + 1, &secret), LIMIT);
  assert_null(secret);
  assert_null(hf_secret_free(NULL));
}

static void equality_looks_at_every_byte(void **state)
{
  (void)state;
  assert_true(hf_secret_equal("abc", "abc", 3));
  assert_true(hf_secret_equal("abc", "abd", 2));
  assert_false(hf_secret_equal("abc", "abd", 3));
  assert_false(hf_secret_equal("xbc", "abc", 3));
  assert_true(hf_secret_equal("a", "b", 0));
}

static void wiping_zeroes(void **state)
{
  (void)state;
  char text[] = "secret";
  hf_wipe(text, 3);
  assert_memory_equal(text, "\0\0\0ret", 6);
  hf_wipe(NULL, 0);
}

static void a_hardened_process_leaves_no_core(void **state)
{
  (void)state;
  pid_t child = fork();
  assert_true(child >= 0);
  if (child == 0) {
    hf_secret_harden_process();
    struct rlimit limit;
    _exit(getrlimit(RLIMIT_CORE, &limit) == 0 && limit.rlim_max == 0 && prctl(PR_GET_DUMPABLE) == 0 ? 0 : 1);
  }
  int status;
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_secret_is_a_copy),  cmocka_unit_test(a_secret_without_data_is_zero),
    cmocka_unit_test(its_size_has_limits), cmocka_unit_test(equality_looks_at_every_byte),
    cmocka_unit_test(wiping_zeroes),       cmocka_unit_test(a_hardened_process_leaves_no_core),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
