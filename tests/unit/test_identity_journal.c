/* SPDX-License-Identifier: Apache-2.0 */
/* A renewal's journal as a file. */
#include "identity/journal.h"
#include "base/file.h"
#include "hf_test.h"

#include <sys/stat.h>

static char dir[] = "/tmp/hf-journal-XXXXXX";
static char path[64];

static int setup(void **state)
{
  (void)state;
  memcpy(dir + sizeof(dir) - 7, "XXXXXX", 6);
  if (!mkdtemp(dir))
    return -1;
  snprintf(path, sizeof(path), "%s/c.pem.renewal", dir);
  return 0;
}

static int teardown(void **state)
{
  (void)state;
  unlink(path);
  return rmdir(dir);
}

static void test_what_is_written_is_read(void **state)
{
  (void)state;
  HF_CLEANUP(journal_free) struct journal out = JOURNAL_INIT, in = JOURNAL_INIT;
  out.stage = JOURNAL_COMMITTING;
  assert_hf_ok(journal_set(&out.old_key, "pkcs11:token=a;object=key"));
  assert_hf_ok(journal_set(&out.new_key, "pkcs11:token=a;object=key-2"));
  assert_hf_ok(journal_set(&out.digest, "00ff"));
  assert_hf_ok(journal_set(&out.previous, "pkcs11:token=a;id=%01"));
  assert_hf_ok(journal_add_discard(&out, "pkcs11:token=a;id=%02"));
  assert_hf_ok(journal_add_discard(&out, "pkcs11:token=a;id=%03"));
  assert_hf_ok(journal_add_discard(&out, "pkcs11:token=a;id=%02"));
  assert_hf_ok(journal_write(path, &out));
  assert_hf_ok(journal_read(path, &in));
  assert_int_equal(in.stage, JOURNAL_COMMITTING);
  assert_string_equal(hf_buf_str(&in.old_key), "pkcs11:token=a;object=key");
  assert_string_equal(hf_buf_str(&in.new_key), "pkcs11:token=a;object=key-2");
  assert_string_equal(hf_buf_str(&in.digest), "00ff");
  assert_string_equal(hf_buf_str(&in.previous), "pkcs11:token=a;id=%01");
  char uri[URI_MAX + 1];
  const char *at = NULL;
  assert_true(journal_next_discard(&in, &at, uri));
  assert_string_equal(uri, "pkcs11:token=a;id=%02");
  assert_true(journal_next_discard(&in, &at, uri));
  assert_string_equal(uri, "pkcs11:token=a;id=%03");
  assert_false(journal_next_discard(&in, &at, uri));
}

static void test_one_that_is_not_there_is_idle(void **state)
{
  (void)state;
  HF_CLEANUP(journal_free) struct journal journal = JOURNAL_INIT;
  assert_hf_ok(journal_read(path, &journal));
  assert_int_equal(journal.stage, JOURNAL_IDLE);
  assert_int_equal(journal.previous.len + journal.discard.len, 0);
}

static void test_one_with_nothing_to_remember_is_removed(void **state)
{
  (void)state;
  HF_CLEANUP(journal_free) struct journal journal = JOURNAL_INIT;
  struct stat st;
  journal.stage = JOURNAL_TRYING;
  assert_hf_ok(journal_write(path, &journal));
  assert_int_equal(stat(path, &st), 0);
  assert_int_equal(st.st_mode & 0777, 0644);
  journal.stage = JOURNAL_IDLE;
  assert_hf_ok(journal_write(path, &journal));
  assert_int_equal(access(path, F_OK), -1);
  assert_hf_ok(journal_write(path, &journal));
}

static void test_what_is_no_journal_is_named(void **state)
{
  (void)state;
  static const char *const texts[] = {
    "",
    "hello\n",
    "holdfast-renewal 2\nstage idle\n",
    "holdfast-renewal 1\nstage\n",
    "holdfast-renewal 1\nstage sleeping\n",
    "holdfast-renewal 1\nstage idle\nsomething else\n",
    "holdfast-renewal 1\ndigest 000000000000000000000000000000000000000000000000000000000000000000\n",
  };
  for (size_t i = 0; i < HF_ARRAY_LEN(texts); i++) {
    HF_CLEANUP(journal_free) struct journal journal = JOURNAL_INIT;
    assert_hf_ok(hf_file_write(path, texts[i], strlen(texts[i]), 0600));
    hf_err e = journal_read(path, &journal);
    assert_true(e.code == HF_ERR_PARSE || e.code == HF_ERR_LIMIT);
    assert_contains(hf_err_context(), path);
    assert_contains(hf_err_hint(e), "journal");
  }
  HF_CLEANUP(journal_free) struct journal journal = JOURNAL_INIT;
  assert_hf_ok(hf_file_write(path, "holdfast-renewal 1\n\0stage idle\n", 31, 0600));
  assert_hf_err(journal_read(path, &journal), PARSE);
}

static void test_not_more_keys_than_it_has_room_for(void **state)
{
  (void)state;
  HF_CLEANUP(journal_free) struct journal out = JOURNAL_INIT, in = JOURNAL_INIT;
  char uri[URI_MAX + 1];
  for (int i = 0; i < JOURNAL_DISCARD_MAX; i++) {
    snprintf(uri, sizeof(uri), "pkcs11:id=%%%02d;object=%0*d", i, URI_MAX - 30, 0);
    assert_hf_ok(journal_add_discard(&out, uri));
  }
  assert_hf_err(journal_add_discard(&out, "pkcs11:object=one-more"), LIMIT);
  assert_hf_ok(journal_write(path, &out));
  assert_hf_ok(journal_read(path, &in));
  assert_int_equal(in.discard.len, out.discard.len);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(test_what_is_written_is_read, setup, teardown),
    cmocka_unit_test_setup_teardown(test_one_that_is_not_there_is_idle, setup, teardown),
    cmocka_unit_test_setup_teardown(test_one_with_nothing_to_remember_is_removed, setup, teardown),
    cmocka_unit_test_setup_teardown(test_what_is_no_journal_is_named, setup, teardown),
    cmocka_unit_test_setup_teardown(test_not_more_keys_than_it_has_room_for, setup, teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
