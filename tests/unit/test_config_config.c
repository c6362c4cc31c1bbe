/* SPDX-License-Identifier: Apache-2.0 */
/* The configuration's file: what is read from it, refused, written and never shown. */
#include "config/config.h"
#include "hf_test.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

static char dir[64];
static char path[128];

static int setup(void **state)
{
  (void)state;
  snprintf(dir, sizeof(dir), "/tmp/hf-config-XXXXXX");
  assert_non_null(mkdtemp(dir));
  snprintf(path, sizeof(path), "%s/config.json", dir);
  unsetenv("HOLDFAST_CONFIG");
  return 0;
}

static int teardown(void **state)
{
  (void)state;
  unlink(path);
  return rmdir(dir); /* fails where anything else was left */
}

static void put(const char *text)
{
  FILE *f = fopen(path, "w");
  assert_non_null(f);
  fputs(text, f);
  assert_int_equal(fclose(f), 0);
  assert_int_equal(chmod(path, 0600), 0);
}

static void get(char *out, size_t size)
{
  FILE *f = fopen(path, "r");
  assert_non_null(f);
  out[fread(out, 1, size - 1, f)] = '\0';
  fclose(f);
}

static mode_t mode_of_file(void)
{
  struct stat st;
  assert_int_equal(stat(path, &st), 0);
  return st.st_mode & 07777;
}

static void test_reads_values_and_defaults(void **state)
{
  (void)state;
  put("{\"device\": {\"id\": \"d1\", \"cryptoki\": {\"mode\": \"off\"}}, \"mqtt\": {\"bridge\": {\"built_in\": "
      "false}}}");
  HF_CLEANUP(config_freep) struct config *config = NULL;
  assert_hf_ok(config_load(path, &config));
  assert_string_equal(config_get(config, CONFIG_DEVICE_ID), "d1");
  assert_string_equal(config_get(config, CONFIG_DEVICE_CRYPTOKI_MODE), "off");
  assert_false(config_get_bool(config, CONFIG_MQTT_BRIDGE_BUILT_IN));
  assert_true(config_is_set(config, CONFIG_DEVICE_ID));
  assert_false(config_is_set(config, CONFIG_DEVICE_CERT_PATH));
  assert_string_equal(config_get(config, CONFIG_DEVICE_CERT_PATH), "/etc/holdfast/device-certs/certificate.pem");
  assert_null(config_get(config, CONFIG_MQTT_URL));
  assert_null(config_warning(config));
}

static void test_a_missing_value_names_its_key_and_file(void **state)
{
  (void)state;
  put("{}");
  HF_CLEANUP(config_freep) struct config *config = NULL;
  assert_hf_ok(config_load(path, &config));
  const char *value = "untouched";
  hf_err e = config_require(config, CONFIG_MQTT_URL, &value);
  assert_hf_err(e, CONFIG);
  assert_string_equal(value, "untouched");
  assert_contains(hf_err_context(), "mqtt.url is not set");
  assert_contains(hf_err_context(), path);
  assert_contains(hf_err_hint(e), "holdfast config set mqtt.url");
}

static const struct {
  const char *text;
  const char *context;
} bad_files[] = {
  { "", "line 1, column 0" },
  { "{\"device\": {\n  \"id\" \"d1\"}}", "line 2, column 11" },
  { "{\"device\": {\"id\": \"a\", \"id\": \"b\"}}", "duplicate" },
  { "[]", "one JSON object" },
  { "{\"devise\": {\"id\": \"a\"}}", "'devise.id'" },
  { "{\"device\": \"a\"}", "'device'" },
  { "{\"device.id\": \"a\"}", "has a dot" },
  { "{\"device\": {\"id\": {\"x\": 1}}}", "'device.id.x'" },
  { "{\"device\": {\"id\": 5}}", "device.id must be a JSON string" },
  { "{\"device\": {\"id\": null}}", "device.id must be a JSON string" },
  { "{\"mqtt\": {\"bridge\": {\"built_in\": \"yes\"}}}", "mqtt.bridge.built_in must be true or false" },
  { "{\"device\": {\"cryptoki\": {\"mode\": \"soft\"}}}", "device.cryptoki.mode must be off|module|socket" },
  { "{\"device\": {\"cert_path\": \"cert.pem\"}}", "device.cert_path must be an absolute path" },
};

static void test_a_bad_file_is_refused_and_the_place_named(void **state)
{
  (void)state;
  for (size_t i = 0; i < HF_ARRAY_LEN(bad_files); i++) {
    put(bad_files[i].text);
    struct config *config = NULL;
    assert_hf_err(config_load(path, &config), CONFIG);
    assert_null(config);
    assert_contains(hf_err_context(), bad_files[i].context);
  }
}

static void test_an_unknown_key_names_the_nearest(void **state)
{
  (void)state;
  put("{\"device\": {\"cryptoki\": {\"modul_path\": \"/x.so\"}}}");
  struct config *config = NULL;
  hf_err e = config_load(path, &config);
  assert_hf_err(e, CONFIG);
  assert_contains(hf_err_hint(e), "Did you mean device.cryptoki.module_path?");
  enum config_key key;
  e = config_key_find("mqtt.ulr", &key);
  assert_hf_err(e, USAGE);
  assert_contains(hf_err_hint(e), "mqtt.url?");
}

/* Errors, of the JSON too, must not carry what the file holds. */
static void test_a_pin_is_never_in_an_error(void **state)
{
  (void)state;
  static const char *const texts[] = {
    "{\"device\": {\"cryptoki\": {\"pin\": 739184}}}",
    "{\"device\": {\"cryptoki\": {\"pin\": 739184",
    "{\"device\": {\"cryptoki\": {\"pin\": \"739184",
    "{\"device\": {\"cryptoki\": {\"pin\" \"739184\"}}}",
    "{\"device\": {\"key_uri\": \"pkcs11:object=k?pin-value=739184&pin-value=739184\"}}",
    "{\"device\": {\"cryptoki\": {\"pin\": \"739184\", \"bad\": \"1\"}}}",
  };
  for (size_t i = 0; i < HF_ARRAY_LEN(texts); i++) {
    put(texts[i]);
    struct config *config = NULL;
    hf_err e = config_load(path, &config);
    assert_hf_err(e, CONFIG);
    assert_null(strstr(hf_err_context(), "739184"));
    assert_null(strstr(hf_err_hint(e), "739184"));
  }
}

static void test_a_file_that_cannot_be_read(void **state)
{
  (void)state;
  struct config *config = NULL;
  hf_err e = config_load(path, &config);
  assert_hf_err(e, NOT_FOUND);
  assert_contains(hf_err_context(), path);
  assert_contains(hf_err_hint(e), "--config");
  assert_hf_err(config_load(dir, &config), IO);
}

static void test_a_place_without_a_file_is_all_defaults(void **state)
{
  (void)state;
  setenv("HOLDFAST_CONFIG", path, 1);
  HF_CLEANUP(config_freep) struct config *config = NULL;
  assert_hf_ok(config_load(NULL, &config));
  assert_string_equal(config_path(config), path);
  assert_string_equal(config_get(config, CONFIG_DEVICE_CRYPTOKI_MODE), "module");
  unsetenv("HOLDFAST_CONFIG");
}

static void test_the_environment_names_the_file(void **state)
{
  (void)state;
  put("{\"device\": {\"id\": \"from-env\"}}");
  setenv("HOLDFAST_CONFIG", path, 1);
  HF_CLEANUP(config_freep) struct config *config = NULL;
  assert_hf_ok(config_load(NULL, &config));
  assert_string_equal(config_get(config, CONFIG_DEVICE_ID), "from-env");
  assert_string_equal(config_path(config), path);
  unsetenv("HOLDFAST_CONFIG");
}

static void test_set_and_save_keep_order_and_mode(void **state)
{
  (void)state;
  put("{\"mqtt\": {\"url\": \"a.example\"}, \"device\": {\"id\": \"d1\", \"csr_path\": \"/c\"}}");
  HF_CLEANUP(config_freep) struct config *config = NULL;
  assert_hf_ok(config_open(path, &config));
  assert_hf_ok(config_set(config, CONFIG_DEVICE_ID, "d2"));
  assert_hf_ok(config_set(config, CONFIG_DEVICE_CRYPTOKI_MODULE_PATH, "/m.so"));
  assert_hf_ok(config_set(config, CONFIG_MQTT_BRIDGE_BUILT_IN, "false"));
  assert_hf_ok(config_save(config));
  char text[1024];
  get(text, sizeof(text));
  const char *mqtt = strstr(text, "\"mqtt\""), *id = strstr(text, "\"d2\""),
             *module = strstr(text, "\"module_path\": \"/m.so\"");
  assert_true(mqtt && id && module && mqtt < id && id < module);
  assert_contains(text, "\"built_in\": false");
  assert_int_equal(mode_of_file(), 0600);
}

static void test_a_new_file_is_private_and_its_directory_made(void **state)
{
  (void)state;
  char deep[160], parent[160];
  snprintf(parent, sizeof(parent), "%s/a", dir);
  snprintf(deep, sizeof(deep), "%s/a/config.json", dir);
  mode_t old = umask(0);
  HF_CLEANUP(config_freep) struct config *config = NULL;
  assert_hf_ok(config_open(deep, &config));
  assert_hf_ok(config_set(config, CONFIG_DEVICE_ID, "d"));
  assert_hf_ok(config_save(config));
  umask(old);
  struct stat st;
  assert_int_equal(stat(deep, &st), 0);
  assert_int_equal(st.st_mode & 07777, 0600);
  unlink(deep);
  rmdir(parent);
}

static void test_a_group_that_may_read_still_may(void **state)
{
  (void)state;
  put("{}");
  assert_int_equal(chmod(path, 0644), 0);
  HF_CLEANUP(config_freep) struct config *config = NULL;
  assert_hf_ok(config_open(path, &config));
  assert_contains(config_warning(config), "chmod 600");
  assert_hf_ok(config_save(config));
  assert_int_equal(mode_of_file(), 0640);
}

static void test_a_refused_value_changes_nothing(void **state)
{
  (void)state;
  put("{\"device\": {\"cert_path\": \"/a\"}}");
  HF_CLEANUP(config_freep) struct config *config = NULL;
  assert_hf_ok(config_open(path, &config));
  assert_hf_err(config_set(config, CONFIG_DEVICE_CERT_PATH, "relative"), USAGE);
  assert_hf_err(config_set(config, CONFIG_DEVICE_CERT_PATH, "/not-\xff-utf8"), USAGE);
  assert_string_equal(config_get(config, CONFIG_DEVICE_CERT_PATH), "/a");
}

static void test_unset_takes_empty_objects_along(void **state)
{
  (void)state;
  put("{\"device\": {\"cryptoki\": {\"mode\": \"off\"}}, \"mqtt\": {\"url\": \"h\"}}");
  HF_CLEANUP(config_freep) struct config *config = NULL;
  assert_hf_ok(config_open(path, &config));
  assert_hf_ok(config_unset(config, CONFIG_DEVICE_CRYPTOKI_MODE));
  assert_hf_ok(config_unset(config, CONFIG_DEVICE_ID));
  assert_string_equal(config_get(config, CONFIG_DEVICE_CRYPTOKI_MODE), "module");
  assert_hf_ok(config_save(config));
  char text[256];
  get(text, sizeof(text));
  assert_null(strstr(text, "device"));
}

/* The full disk: a file may not grow past 16 bytes. */
static void test_a_full_disk_leaves_the_old_file(void **state)
{
  (void)state;
  static const char old[] = "{\"device\": {\"id\": \"old\"}}";
  put(old);
  pid_t child = fork();
  assert_true(child >= 0);
  if (child == 0) {
    signal(SIGXFSZ, SIG_IGN);
    struct rlimit limit = { 16, 16 };
    struct config *config = NULL;
    if (hf_failed(config_open(path, &config)) || hf_failed(config_set(config, CONFIG_DEVICE_ID, "new")) ||
        setrlimit(RLIMIT_FSIZE, &limit) != 0)
      _exit(2);
    _exit(hf_failed(config_save(config)) && strstr(hf_err_context(), path) ? 0 : 1);
  }
  int status;
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_int_equal(status, 0);
  char text[256];
  get(text, sizeof(text));
  assert_string_equal(text, old);
}

/* Each child adds its own key; a lost update would lose one. */
static void test_two_who_change_it_wait_for_each_other(void **state)
{
  (void)state;
  static const enum config_key keys[] = { CONFIG_DEVICE_CERT_PATH, CONFIG_DEVICE_CSR_PATH, CONFIG_DEVICE_KEY_PATH,
                                          CONFIG_MQTT_ROOT_CERT_PATH };
  put("{}");
  for (size_t i = 0; i < HF_ARRAY_LEN(keys); i++)
    if (fork() == 0) {
      struct config *config = NULL;
      hf_err e = config_open(path, &config);
      usleep(20 * 1000);
      _exit(hf_failed(e) || hf_failed(config_set(config, keys[i], "/x")) || hf_failed(config_save(config)));
    }
  int status;
  while (wait(&status) > 0)
    assert_int_equal(status, 0);
  HF_CLEANUP(config_freep) struct config *config = NULL;
  assert_hf_ok(config_load(path, &config));
  for (size_t i = 0; i < HF_ARRAY_LEN(keys); i++)
    assert_true(config_is_set(config, keys[i]));
}

static void test_a_link_stays_a_link(void **state)
{
  (void)state;
  char link[160];
  snprintf(link, sizeof(link), "%s/link.json", dir);
  put("{}");
  assert_int_equal(symlink(path, link), 0);
  HF_CLEANUP(config_freep) struct config *config = NULL;
  assert_hf_ok(config_open(link, &config));
  assert_hf_ok(config_set(config, CONFIG_DEVICE_ID, "d"));
  assert_hf_ok(config_save(config));
  struct stat st;
  assert_int_equal(lstat(link, &st), 0);
  assert_true(S_ISLNK(st.st_mode));
  unlink(link);
  char text[256];
  get(text, sizeof(text));
  assert_contains(text, "\"d\"");
}

static void assert_pin(const struct config *config, const char *expected)
{
  HF_CLEANUP(hf_secret_freep) struct hf_secret *pin = NULL;
  assert_hf_ok(config_pin(config, &pin));
  assert_int_equal(hf_secret_len(pin), strlen(expected));
  assert_memory_equal(hf_secret_data(pin), expected, strlen(expected));
}

static void test_the_pin_comes_from_its_source_first(void **state)
{
  (void)state;
  put("{\"device\": {\"cryptoki\": {\"pin\": \"1234\"}}}");
  HF_CLEANUP(config_freep) struct config *config = NULL;
  assert_hf_ok(config_load(path, &config));
  assert_contains(config_warning(config), "holds the PIN");
  assert_null(strstr(config_warning(config), "1234"));
  assert_pin(config, "1234");
  setenv("HF_TEST_PIN", "5678", 1);
  assert_hf_ok(config_set(config, CONFIG_DEVICE_CRYPTOKI_PIN_SOURCE, "env:HF_TEST_PIN"));
  assert_pin(config, "5678");
  assert_hf_ok(config_set(config, CONFIG_DEVICE_CRYPTOKI_PIN_SOURCE, "/nowhere/pin"));
  struct hf_secret *pin = NULL;
  assert_hf_err(config_pin(config, &pin), NOT_FOUND);
}

static void test_no_pin_tells_how_to_give_one(void **state)
{
  (void)state;
  put("{}");
  HF_CLEANUP(config_freep) struct config *config = NULL;
  assert_hf_ok(config_load(path, &config));
  struct hf_secret *pin = NULL;
  hf_err e = config_pin(config, &pin);
  assert_hf_err(e, PIN_MISSING);
  assert_contains(hf_err_hint(e), "device.cryptoki.pin_source");
}

int main(void)
{
#define CONFIG_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
  const struct CMUnitTest tests[] = {
    CONFIG_TEST(test_reads_values_and_defaults),
    CONFIG_TEST(test_a_missing_value_names_its_key_and_file),
    CONFIG_TEST(test_a_bad_file_is_refused_and_the_place_named),
    CONFIG_TEST(test_an_unknown_key_names_the_nearest),
    CONFIG_TEST(test_a_pin_is_never_in_an_error),
    CONFIG_TEST(test_a_file_that_cannot_be_read),
    CONFIG_TEST(test_a_place_without_a_file_is_all_defaults),
    CONFIG_TEST(test_the_environment_names_the_file),
    CONFIG_TEST(test_set_and_save_keep_order_and_mode),
    CONFIG_TEST(test_a_new_file_is_private_and_its_directory_made),
    CONFIG_TEST(test_a_group_that_may_read_still_may),
    CONFIG_TEST(test_a_refused_value_changes_nothing),
    CONFIG_TEST(test_unset_takes_empty_objects_along),
    CONFIG_TEST(test_a_full_disk_leaves_the_old_file),
    CONFIG_TEST(test_two_who_change_it_wait_for_each_other),
    CONFIG_TEST(test_a_link_stays_a_link),
    CONFIG_TEST(test_the_pin_comes_from_its_source_first),
    CONFIG_TEST(test_no_pin_tells_how_to_give_one),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
