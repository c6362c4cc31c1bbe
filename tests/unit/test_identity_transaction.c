/* SPDX-License-Identifier: Apache-2.0 */
/* Certificate and key change together or not at all: cut after every step, and then recovered. */
#include "identity/transaction.h"
#include "base/file.h"
#include "hf_test.h"

#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>

#define OLD_KEY "pkcs11:token=t;object=key;type=private"
#define NEW_KEY "pkcs11:token=t;object=key-2;type=private"
#define EXACT_OLD_KEY "pkcs11:token=t;id=%01;object=key;type=private"

static char dir[] = "/tmp/hf-transaction-XXXXXX";
static char config_file[64], certificate[64], staged[64], journal_file[64], lock_file[64];

static void put(const char *path, const char *text)
{
  assert_hf_ok(hf_file_write(path, text, strlen(text), 0600));
}

static void put_config(const char *key_uri)
{
  char text[1024];
  snprintf(text, sizeof(text), "{\"device\": {\"id\": \"dev-1\", \"cert_path\": \"%s\", \"key_uri\": \"%s\"}}\n",
           certificate, key_uri);
  put(config_file, text);
}

static int setup(void **state)
{
  (void)state;
  memcpy(dir + sizeof(dir) - 7, "XXXXXX", 6);
  if (!mkdtemp(dir))
    return -1;
  snprintf(config_file, sizeof(config_file), "%s/config.json", dir);
  snprintf(certificate, sizeof(certificate), "%s/c.pem", dir);
  snprintf(staged, sizeof(staged), "%s/c.pem.new", dir);
  snprintf(journal_file, sizeof(journal_file), "%s/c.pem.renewal", dir);
  snprintf(lock_file, sizeof(lock_file), "%s/c.pem.lock", dir);
  put_config(OLD_KEY);
  put(certificate, "old");
  return 0;
}

static int teardown(void **state)
{
  (void)state;
  const char *const files[] = { config_file, certificate, staged, journal_file, lock_file };
  for (size_t i = 0; i < HF_ARRAY_LEN(files); i++)
    unlink(files[i]);
  return rmdir(dir);
}

static struct config *load(void)
{
  struct config *config;
  assert_hf_ok(config_load(config_file, &config));
  return config;
}

static struct transaction *open_one(void)
{
  HF_CLEANUP(config_freep) struct config *config = load();
  struct transaction *t;
  bool changed;
  assert_hf_ok(transaction_open(config, &t, &changed));
  return t;
}

static void assert_file(const char *path, const char *text)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf got = HF_BUF(4096);
  if (!text) {
    assert_int_equal(access(path, F_OK), -1);
    return;
  }
  assert_hf_ok(hf_file_read(path, &got));
  assert_string_equal(hf_buf_str(&got), text);
}

static void assert_key(const char *uri)
{
  HF_CLEANUP(config_freep) struct config *config = load();
  assert_string_equal(config_get(config, CONFIG_DEVICE_KEY_URI), uri);
}

/* Certificate and key are both the new ones, or both the old ones; nothing is under way. */
static void assert_device(bool is_new, bool rotated)
{
  HF_CLEANUP(journal_free) struct journal journal = JOURNAL_INIT;
  assert_file(certificate, is_new ? "new" : "old");
  assert_key(is_new && rotated ? NEW_KEY : OLD_KEY);
  assert_file(staged, NULL);
  assert_hf_ok(journal_read(journal_file, &journal));
  assert_int_equal(journal.stage, JOURNAL_IDLE);
}

static void assert_recovers(bool is_new, bool rotated, bool changes)
{
  HF_CLEANUP(config_freep) struct config *config = load();
  bool changed = false;
  assert_hf_ok(transaction_recover(config, &changed));
  assert_int_equal(changed, changes);
  assert_device(is_new, rotated);
  assert_hf_ok(transaction_recover(config, &changed));
  assert_false(changed);
}

static void begin(struct transaction *t, bool rotate)
{
  assert_hf_ok(transaction_begin(t, rotate ? OLD_KEY : NULL, rotate ? NEW_KEY : NULL));
}

static void stage(struct transaction *t)
{
  assert_hf_ok(transaction_stage(t, hf_slice("new", 3)));
}

static void decide(struct transaction *t)
{
  t->journal.stage = JOURNAL_COMMITTING;
  assert_hf_ok(journal_write(t->paths.journal, &t->journal));
}

static void assert_discards(const char *uri)
{
  HF_CLEANUP(journal_free) struct journal journal = JOURNAL_INIT;
  char one[URI_MAX + 1];
  const char *at = NULL;
  assert_hf_ok(journal_read(journal_file, &journal));
  assert_int_equal(journal_next_discard(&journal, &at, one), uri != NULL);
  if (uri)
    assert_string_equal(one, uri);
}

static void test_a_renewal_that_goes_well(void **state)
{
  (void)state;
  for (int rotate = 0; rotate < 2; rotate++) {
    put_config(OLD_KEY);
    put(certificate, "old");
    HF_CLEANUP(transaction_freep) struct transaction *t = open_one();
    begin(t, rotate);
    stage(t);
    assert_file(certificate, "old");
    assert_hf_ok(transaction_commit(t, rotate ? EXACT_OLD_KEY : NULL));
    assert_device(true, rotate);
    HF_CLEANUP(journal_free) struct journal journal = JOURNAL_INIT;
    assert_hf_ok(journal_read(journal_file, &journal));
    assert_string_equal(hf_buf_str(&journal.previous), rotate ? EXACT_OLD_KEY : "");
    assert_discards(NULL);
  }
}

static void test_a_renewal_that_is_undone(void **state)
{
  (void)state;
  for (int rotate = 0; rotate < 2; rotate++) {
    HF_CLEANUP(transaction_freep) struct transaction *t = open_one();
    begin(t, rotate);
    stage(t);
    assert_hf_ok(transaction_undo(t));
    assert_device(false, false);
    assert_discards(rotate ? NEW_KEY : NULL);
  }
}

/* Each cut is what a power cut leaves: what came before it is on disk, the lock is gone. */
static void test_a_cut_after_each_step(void **state)
{
  (void)state;
  enum { BEGUN, STAGED, DECIDED, CONFIGURED, RENAMED, CUTS };
  for (int rotate = 0; rotate < 2; rotate++)
    for (int cut = 0; cut < CUTS; cut++) {
      put_config(OLD_KEY);
      put(certificate, "old");
      unlink(journal_file);
      struct transaction *t = open_one();
      begin(t, rotate);
      if (cut >= STAGED)
        stage(t);
      if (cut >= DECIDED)
        decide(t);
      if (cut >= CONFIGURED && rotate)
        put_config(NEW_KEY);
      if (cut >= RENAMED)
        assert_int_equal(rename(staged, certificate), 0);
      transaction_free(t);
      assert_recovers(cut >= DECIDED, rotate, rotate && cut == DECIDED);
      assert_discards(rotate && cut < DECIDED ? NEW_KEY : NULL);
    }
}

static void test_a_new_certificate_that_was_damaged_is_not_taken(void **state)
{
  (void)state;
  struct transaction *t = open_one();
  begin(t, true);
  stage(t);
  decide(t);
  transaction_free(t);
  put(staged, "ne");
  put_config(NEW_KEY);
  assert_recovers(false, true, true);
  assert_discards(NEW_KEY);
}

static void test_a_key_that_somebody_chose_meanwhile_stays(void **state)
{
  (void)state;
  struct transaction *t = open_one();
  begin(t, true);
  stage(t);
  decide(t);
  transaction_free(t);
  put_config("pkcs11:object=mine");
  HF_CLEANUP(config_freep) struct config *config = load();
  bool changed = true;
  assert_hf_ok(transaction_recover(config, &changed));
  assert_false(changed);
  assert_key("pkcs11:object=mine");
  assert_file(certificate, "new");
}

static void test_one_renewal_at_a_time(void **state)
{
  (void)state;
  HF_CLEANUP(transaction_freep) struct transaction *t = open_one(), *other = NULL;
  HF_CLEANUP(config_freep) struct config *config = load();
  bool changed = false;
  assert_hf_err(transaction_open(config, &other, &changed), BUSY);
  assert_null(other);
  /* Who only connects does not wait for it: the old ones fit together. */
  begin(t, true);
  stage(t);
  assert_hf_ok(transaction_recover(config, &changed));
  assert_false(changed);
  assert_file(staged, "new");
  assert_int_equal(t->journal.stage, JOURNAL_TRYING);
}

static void *commit_soon(void *arg)
{
  struct transaction *t = arg;
  usleep(100000);
  assert_hf_ok(transaction_commit(t, EXACT_OLD_KEY));
  transaction_free(t);
  return NULL;
}

static void test_a_commit_is_waited_for(void **state)
{
  (void)state;
  struct transaction *t = open_one();
  HF_CLEANUP(config_freep) struct config *config = load();
  bool changed = false;
  begin(t, true);
  stage(t);
  decide(t);
  pthread_t thread;
  assert_int_equal(pthread_create(&thread, NULL, commit_soon, t), 0);
  assert_hf_ok(transaction_recover(config, &changed));
  assert_true(changed);
  assert_int_equal(pthread_join(thread, NULL), 0);
  assert_device(true, true);
}

/* What a full disk does: the journal fits, the configuration does not. */
static void test_a_commit_that_cannot_be_written_is_undone(void **state)
{
  (void)state;
  enum { FITS = 500 };
  char text[2048];
  snprintf(
      text, sizeof(text),
      "{\"device\": {\"cert_path\": \"%s\", \"key_uri\": \"%s\"},\n \"c8y\": {\"bridge\": {\"topics\": \"%0800d\"}}}\n",
      certificate, OLD_KEY, 0);
  put(config_file, text);
  HF_CLEANUP(transaction_freep) struct transaction *t = open_one();
  begin(t, true);
  stage(t);
  struct rlimit before, small;
  assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
  small = (struct rlimit){ FITS, before.rlim_max };
  signal(SIGXFSZ, SIG_IGN);
  assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
  hf_err e = transaction_commit(t, EXACT_OLD_KEY);
  assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
  assert_hf_err(e, DISK_FULL);
  assert_contains(hf_err_context(), config_file);
  assert_device(false, false);
  assert_discards(NEW_KEY);
}

static void test_a_certificate_that_is_in_no_file(void **state)
{
  (void)state;
  put(config_file, "{}");
  HF_CLEANUP(config_freep) struct config *config = load();
  bool changed = true;
  assert_hf_ok(transaction_recover(config, &changed));
  assert_false(changed);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
  const struct CMUnitTest tests[] = {
    TEST(test_a_renewal_that_goes_well),
    TEST(test_a_renewal_that_is_undone),
    TEST(test_a_cut_after_each_step),
    TEST(test_a_new_certificate_that_was_damaged_is_not_taken),
    TEST(test_a_key_that_somebody_chose_meanwhile_stays),
    TEST(test_one_renewal_at_a_time),
    TEST(test_a_commit_is_waited_for),
    TEST(test_a_commit_that_cannot_be_written_is_undone),
    TEST(test_a_certificate_that_is_in_no_file),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
