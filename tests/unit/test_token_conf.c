/* SPDX-License-Identifier: Apache-2.0 */
/* softhsm2.conf, key by key: what each takes, and what the error says of what it does not. */
#include "hf_test.h"

#include "base/file.h"
#include "token/conf.h"

#include <ftw.h>
#include <sys/stat.h>

static char dir[PATH_MAX];

static bool mechanism_of(const char *name, CK_MECHANISM_TYPE *ret_type)
{
  static const struct {
    const char *name;
    CK_MECHANISM_TYPE type;
  } known[] = { { "CKM_ECDSA", CKM_ECDSA }, { "CKM_RSA_PKCS", CKM_RSA_PKCS }, { "CKM_SHA256", CKM_SHA256 } };
  for (size_t i = 0; i < HF_ARRAY_LEN(known); i++) {
    if (strcmp(known[i].name, name) == 0) {
      *ret_type = known[i].type;
      return true;
    }
  }
  return false;
}

static void write_file(const char *name, const char *text, size_t len)
{
  char path[PATH_MAX + 64];
  snprintf(path, sizeof(path), "%s/%s", dir, name);
  assert_hf_ok(hf_dir_make_above(path, 0700));
  assert_hf_ok(hf_file_write(path, text, len, 0600));
}

static void name_file(const char *variable, const char *name)
{
  char path[PATH_MAX + 64];
  snprintf(path, sizeof(path), "%s/%s", dir, name);
  setenv(variable, path, 1);
}

static hf_err load(const char *text, struct token_conf *ret_conf)
{
  write_file("token.conf", text, strlen(text));
  name_file("HOLDFAST_TOKEN_CONF", "token.conf");
  return conf_load(mechanism_of, ret_conf);
}

static struct token_conf loaded(const char *text)
{
  struct token_conf conf;
  assert_hf_ok(load(text, &conf));
  return conf;
}

static void test_defaults(void **state)
{
  (void)state;
  struct token_conf conf = loaded("# nothing but a comment\n\n   \t\n");
  assert_int_equal(HF_LOG_INFO, conf.log_level);
  assert_false(conf.removable);
  assert_int_equal(0077, conf.umask);
  assert_true(conf.tokendir_default);
  assert_true(conf_allows(&conf, CKM_ECDSA));
  assert_int_equal(10, conf.pin_tries);
}

static void test_good_values(void **state)
{
  (void)state;
  struct token_conf conf = loaded("directories.tokendir = /a b/c/ # not this\n"
                                  "objectstore.umask=0027\r\n"
                                  "\tlog.level\t=\tDEBUG\t\n"
                                  "slots.removable = TRUE\n"
                                  "pin.tries = 3\npin.kdf_memory = 1024\npin.kdf_passes = 7");
  assert_string_equal("/a b/c/", conf.tokendir);
  assert_false(conf.tokendir_default);
  assert_int_equal(0027, conf.umask);
  assert_int_equal(HF_LOG_DEBUG, conf.log_level);
  assert_true(conf.removable);
  assert_int_equal(3, conf.pin_tries);
  assert_int_equal(1024, conf.kdf_memory);
  assert_int_equal(7, conf.kdf_passes);
}

static void test_each_word_is_taken(void **state)
{
  (void)state;
  static const char *const lines[] = {
    "log.level = ERROR",        "log.level = WARNING",           "log.level = INFO",
    "objectstore.backend = db", "objectstore.backend = file",    "library.reset_on_fork = true",
    "slots.removable = false",  "library.reset_on_fork = False", "objectstore.umask = 0",
    "objectstore.umask = 777",  "slots.mechanisms = ALL",        "some.other = key",
  };
  for (size_t i = 0; i < HF_ARRAY_LEN(lines); i++)
    (void)loaded(lines[i]);
}

static void test_the_last_line_counts(void **state)
{
  (void)state;
  struct token_conf conf =
      loaded("log.level = ERROR\nslots.mechanisms = -CKM_ECDSA\nlog.level = DEBUG\nslots.mechanisms = ALL\n");
  assert_int_equal(HF_LOG_DEBUG, conf.log_level);
  assert_true(conf_allows(&conf, CKM_ECDSA));
}

static void test_mechanisms(void **state)
{
  (void)state;
  struct token_conf conf = loaded("slots.mechanisms = CKM_ECDSA, CKM_SHA256,CKM_NO_SUCH,,");
  assert_true(conf_allows(&conf, CKM_ECDSA));
  assert_true(conf_allows(&conf, CKM_SHA256));
  assert_false(conf_allows(&conf, CKM_RSA_PKCS));
  conf = loaded("slots.mechanisms = -CKM_ECDSA,CKM_NO_SUCH");
  assert_false(conf_allows(&conf, CKM_ECDSA));
  assert_true(conf_allows(&conf, CKM_RSA_PKCS));
  /* A list that leaves nothing is a list. */
  conf = loaded("slots.mechanisms = CKM_NO_SUCH");
  assert_false(conf_allows(&conf, CKM_ECDSA));
  conf = loaded("slots.mechanisms = -");
  assert_true(conf_allows(&conf, CKM_ECDSA));
}

static void test_bad_values_name_their_line(void **state)
{
  (void)state;
  static const struct {
    const char *text, *named;
  } rows[] = {
    { "directories.tokendir =", "line 1: directories.tokendir =  (expected a directory)" },
    { "log.level = info", "line 1: log.level = info (expected ERROR, WARNING, INFO or DEBUG)" },
    { "log.level =", "line 1: log.level =  (expected ERROR, WARNING, INFO or DEBUG)" },
    { "\n#\nobjectstore.backend = tape", "line 3: objectstore.backend = tape (expected file or db)" },
    { "objectstore.umask = 0x1", "line 1: objectstore.umask = 0x1 (expected an octal number to 777)" },
    { "objectstore.umask = 1000", "line 1: objectstore.umask = 1000 (expected an octal number to 777)" },
    { "objectstore.umask = -1", "line 1: objectstore.umask = -1 (expected an octal number to 777)" },
    { "objectstore.umask = 27x", "line 1: objectstore.umask = 27x (expected an octal number to 777)" },
    { "slots.removable = yes", "line 1: slots.removable = yes (expected true or false)" },
    { "library.reset_on_fork = 1", "line 1: library.reset_on_fork = 1 (expected true or false)" },
    { "pin.tries = 1", "line 1: pin.tries = 1 (expected a number from 2 to 255)" },
    { "pin.tries = 256", "line 1: pin.tries = 256 (expected a number from 2 to 255)" },
    { "pin.kdf_memory = 7", "line 1: pin.kdf_memory = 7 (expected a number from 8 to 1048576)" },
    { "pin.kdf_passes = 18446744073709551617",
      "line 1: pin.kdf_passes = 18446744073709551617 (expected a number from 1 to 1000)" },
    { "log.level = INFO\nlog.level", "line 2: \"log.level\" is not of the form name = value" },
  };
  for (size_t i = 0; i < HF_ARRAY_LEN(rows); i++) {
    struct token_conf conf;
    assert_hf_err(load(rows[i].text, &conf), CONFIG);
    if (!strstr(hf_err_context(), rows[i].named))
      fail_msg("%s: \"%s\"", rows[i].text, hf_err_context());
  }
}

static void test_what_is_no_text(void **state)
{
  (void)state;
  static const char text[] = "log.level = INFO\n\0log.level = LOUD\n";
  struct token_conf conf;
  name_file("HOLDFAST_TOKEN_CONF", "token.conf");
  write_file("token.conf", text, sizeof(text) - 1);
  assert_hf_err(conf_load(mechanism_of, &conf), CONFIG);
  assert_non_null(strstr(hf_err_context(), "a byte of value zero"));
  size_t len = 65 * 1024;
  char *big = malloc(len);
  assert_non_null(big);
  memset(big, '#', len);
  write_file("token.conf", big, len);
  free(big);
  assert_hf_err(conf_load(mechanism_of, &conf), CONFIG);
}

static void test_a_path_too_long(void **state)
{
  (void)state;
  static char line[PATH_MAX + 64];
  struct token_conf conf;
  size_t start = (size_t)snprintf(line, sizeof(line), "directories.tokendir = /");
  memset(line + start, 'x', PATH_MAX);
  assert_hf_err(load(line, &conf), CONFIG);
  assert_non_null(strstr(hf_err_context(), "line 1: directories.tokendir"));
}

/* The order of the places: what is written in each is its umask. */
static void test_where_it_is_looked_for(void **state)
{
  (void)state;
  struct token_conf conf;
  unsetenv("HOLDFAST_TOKEN_CONF");
  setenv("HOME", dir, 1);
  write_file(".config/softhsm2/softhsm2.conf", "objectstore.umask = 1", 21);
  assert_hf_ok(conf_load(mechanism_of, &conf));
  assert_int_equal(1, conf.umask);
  write_file(".config/holdfast/token.conf", "objectstore.umask = 2", 21);
  assert_hf_ok(conf_load(mechanism_of, &conf));
  assert_int_equal(2, conf.umask);
  write_file("softhsm", "objectstore.umask = 3", 21);
  name_file("SOFTHSM2_CONF", "softhsm");
  assert_hf_ok(conf_load(mechanism_of, &conf));
  assert_int_equal(3, conf.umask);
  write_file("ours", "objectstore.umask = 4", 21);
  name_file("HOLDFAST_TOKEN_CONF", "ours");
  assert_hf_ok(conf_load(mechanism_of, &conf));
  assert_int_equal(4, conf.umask);
  name_file("HOLDFAST_TOKEN_CONF", "none");
  assert_hf_err(conf_load(mechanism_of, &conf), CONFIG);
  assert_non_null(strstr(hf_err_context(), "/none"));
}

static int up(void **state)
{
  (void)state;
  snprintf(dir, sizeof(dir), "/tmp/hf-conf-XXXXXX");
  unsetenv("SOFTHSM2_CONF");
  hf_log_set_level(HF_LOG_ERROR);
  return mkdtemp(dir) ? 0 : -1;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
  (void)st;
  (void)type;
  (void)ftw;
  return remove(path);
}

static int down(void **state)
{
  (void)state;
  return nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

#define CONF_TEST(name) cmocka_unit_test_setup_teardown(name, up, down)

int main(void)
{
  const struct CMUnitTest tests[] = {
    CONF_TEST(test_defaults),
    CONF_TEST(test_good_values),
    CONF_TEST(test_each_word_is_taken),
    CONF_TEST(test_the_last_line_counts),
    CONF_TEST(test_mechanisms),
    CONF_TEST(test_bad_values_name_their_line),
    CONF_TEST(test_what_is_no_text),
    CONF_TEST(test_a_path_too_long),
    CONF_TEST(test_where_it_is_looked_for),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
