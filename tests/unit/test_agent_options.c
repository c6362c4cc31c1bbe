/* SPDX-License-Identifier: Apache-2.0 */
/* Where an option's value comes from, what is refused, and how the worker gets it. */
#include "agent/options.h"
#include "base/file.h"
#include "hf_test.h"

static char directory[] = "/tmp/hf-options-XXXXXX", env_file[64], config_file[64];

static int set_up(void **state)
{
  (void)state;
  if (!mkdtemp(directory))
    return -1;
  snprintf(env_file, sizeof(env_file), "%s/agent.conf", directory);
  snprintf(config_file, sizeof(config_file), "%s/config.json", directory);
  return setenv("HOLDFAST_CONFIG", config_file, 1);
}

static int tear_down(void **state)
{
  (void)state;
  unlink(env_file);
  unlink(config_file);
  return rmdir(directory);
}

static int clear(void **state)
{
  (void)state;
  static const char *const names[] = { "TEDGE_DEVICE_CRYPTOKI_MODULE_PATH", "TEDGE_DEVICE_CRYPTOKI_PIN",
                                       "TEDGE_DEVICE_CRYPTOKI_URI", "CREDENTIALS_DIRECTORY", "SECRET_PIN" };
  for (size_t i = 0; i < HF_ARRAY_LEN(names); i++)
    unsetenv(names[i]);
  unlink(env_file);
  unlink(config_file);
  return 0;
}

static void write_file(const char *path, const char *text)
{
  assert_hf_ok(hf_file_write(path, text, strlen(text), 0600));
}

/* Loads with these arguments, which end with NULL; they are copied, since options may wipe them. */
static hf_err load(const char *const *args, struct options_given *given, struct options *options)
{
  static char copies[16][128];
  char *argv[17];
  int argc = 0;
  argv[argc++] = copies[0];
  for (; args[argc - 1]; argc++) {
    snprintf(copies[argc], sizeof(copies[argc]), "%s", args[argc - 1]);
    argv[argc] = copies[argc];
  }
  argv[argc] = NULL;
  HF_TRY(options_given_take(argc, argv, given));
  hf_err e = options_load(given, options);
  if (hf_failed(e))
    options_given_free(given);
  for (int i = 1; i < argc; i++)
    assert_null(strstr(copies[i], "1234"));
  return e;
}

#define LOAD(given, options, ...) \
  load((const char *const[]){ "--module-path", "/m.so", ##__VA_ARGS__, NULL }, given, options)

static void assert_pin(const struct options *options, const char *pin)
{
  assert_non_null(options->pin);
  assert_int_equal(hf_secret_len(options->pin), strlen(pin));
  assert_memory_equal(hf_secret_data(options->pin), pin, strlen(pin));
  assert_null(options_get(options, OPTION_PIN_SOURCE));
}

static void test_the_nearest_says_it(void **state)
{
  (void)state;
  struct options_given given;
  struct options options;
  write_file(config_file,
             "{\"device\":{\"cryptoki\":{\"module_path\":\"/config.so\",\"uri\":\"pkcs11:token=config\"}}}");
  assert_hf_ok(load((const char *const[]){ NULL }, &given, &options));
  assert_string_equal(options_get(&options, OPTION_MODULE_PATH), "/config.so");
  options_free(&options);
  options_given_free(&given);

  write_file(env_file, "TEDGE_DEVICE_CRYPTOKI_MODULE_PATH=/file.so\nTEDGE_DEVICE_CRYPTOKI_URI=\n");
  assert_hf_ok(load((const char *const[]){ "--env-file", env_file, NULL }, &given, &options));
  assert_string_equal(options_get(&options, OPTION_MODULE_PATH), "/file.so");
  assert_string_equal(options_get(&options, OPTION_URI), "pkcs11:token=config");
  options_free(&options);
  options_given_free(&given);

  setenv("TEDGE_DEVICE_CRYPTOKI_MODULE_PATH", "/env.so", 1);
  assert_hf_ok(load((const char *const[]){ "--env-file", env_file, NULL }, &given, &options));
  assert_string_equal(options_get(&options, OPTION_MODULE_PATH), "/env.so");
  options_free(&options);
  options_given_free(&given);

  assert_hf_ok(LOAD(&given, &options, "--env-file", env_file, "--log-level=TRACE"));
  assert_string_equal(options_get(&options, OPTION_MODULE_PATH), "/m.so");
  assert_true(options.given[OPTION_LOG_LEVEL]);
  assert_false(options.given[OPTION_SOCKET_PATH]);
  assert_string_equal(options_get(&options, OPTION_SOCKET_PATH), "/run/tedge-p11-server/tedge-p11-server.sock");
  options_free(&options);
  options_given_free(&given);
}

static void test_the_nearest_pin(void **state)
{
  (void)state;
  struct options_given given;
  struct options options;
  write_file(config_file, "{\"device\":{\"cryptoki\":{\"pin_source\":\"/etc/pin\",\"pin\":\"1234-config\"}}}");
  assert_hf_ok(LOAD(&given, &options));
  assert_string_equal(options_get(&options, OPTION_PIN_SOURCE), "/etc/pin");
  assert_null(options.pin);
  options_free(&options);
  options_given_free(&given);

  setenv("TEDGE_DEVICE_CRYPTOKI_PIN", "1234-env", 1);
  assert_hf_ok(LOAD(&given, &options));
  assert_pin(&options, "1234-env");
  assert_null(getenv("TEDGE_DEVICE_CRYPTOKI_PIN"));
  options_free(&options);
  options_given_free(&given);

  assert_hf_ok(LOAD(&given, &options, "--pin", "1234-args"));
  assert_pin(&options, "1234-args");
  options_free(&options);
  options_given_free(&given);

  assert_hf_ok(LOAD(&given, &options, "--pin-source", "/other/pin"));
  assert_string_equal(options_get(&options, OPTION_PIN_SOURCE), "/other/pin");
  options_free(&options);
  options_given_free(&given);
}

static void test_a_pin_in_a_variable_is_taken_out_of_it_and_kept_for_a_reload(void **state)
{
  (void)state;
  struct options_given given;
  struct options options;
  setenv("SECRET_PIN", "1234-secret", 1);
  assert_hf_ok(LOAD(&given, &options, "--pin-source", "env:SECRET_PIN"));
  assert_pin(&options, "1234-secret");
  assert_null(getenv("SECRET_PIN"));
  options_free(&options);
  assert_hf_ok(options_load(&given, &options));
  assert_pin(&options, "1234-secret");
  options_free(&options);
  options_given_free(&given);
}

static void test_a_credential_serves_where_nothing_is_said(void **state)
{
  (void)state;
  struct options_given given;
  struct options options;
  char path[96];
  snprintf(path, sizeof(path), "%s/pin", directory);
  write_file(path, "1234-credential\n");
  setenv("CREDENTIALS_DIRECTORY", directory, 1);
  assert_hf_ok(LOAD(&given, &options));
  assert_string_equal(options_get(&options, OPTION_PIN_SOURCE), "credential:pin");
  options_free(&options);
  options_given_free(&given);
  unlink(path);
}

static void test_the_environment_file(void **state)
{
  (void)state;
  struct options_given given;
  struct options options;
  write_file(env_file, "# remark\n; another\n\n"
                       "TPM2_PKCS11_STORE=\"/etc/tedge/device certs\"\n"
                       " PLAIN = some words  \n"
                       "SINGLE='a \"b\" \\n'\n"
                       "ESCAPED=a\\ b\\\\\n"
                       "JOINED=one\\\n two\n"
                       "TEDGE_DEVICE_CRYPTOKI_PIN='1234-file'\r\n");
  assert_hf_ok(LOAD(&given, &options, "--env-file", env_file));
  static const char *const expected[] = { "TPM2_PKCS11_STORE=/etc/tedge/device certs", "PLAIN=some words",
                                          "SINGLE=a \"b\" \\n", "ESCAPED=a b\\", "JOINED=one   two" };
  assert_int_equal(options.module_env_count, HF_ARRAY_LEN(expected));
  for (size_t i = 0; i < HF_ARRAY_LEN(expected); i++)
    assert_string_equal(options.module_env[i], expected[i]);
  assert_pin(&options, "1234-file");
  options_free(&options);
  options_given_free(&given);
}

static void test_a_wrong_environment_file(void **state)
{
  (void)state;
  static const struct {
    const char *text, *says;
  } rows[] = {
    { "A=1\nno value\n", ":2: no NAME=VALUE" },
    { "2A=1\n", ":1: not a name" },
    { "A=\"open\n", ":1: a quote is not closed" },
  };
  struct options_given given;
  struct options options;
  for (size_t i = 0; i < HF_ARRAY_LEN(rows); i++) {
    write_file(env_file, rows[i].text);
    assert_hf_err(LOAD(&given, &options, "--env-file", env_file), CONFIG);
    assert_contains(hf_err_context(), rows[i].says);
  }
  assert_hf_err(LOAD(&given, &options, "--env-file", "/nonexistent"), NOT_FOUND);
}

static void test_thin_edge_s_own_file(void **state)
{
  (void)state;
  struct options_given given;
  struct options options;
  char path[96];
  snprintf(path, sizeof(path), "%s/tedge.toml", directory);
  write_file(path, "c8y.url = \"x\"\n[device.other]\npin = \"no\"\n[device.cryptoki] # remark\n"
                   "pin = \"1234-\\\"toml\\\\\" # remark\nuri = 'pkcs11:token=a'\nmodule_path=\"\"\nmode = \"socket\"\n"
                   "[device]\ncryptoki.socket_path = \"/toml.sock\"\n");
  assert_hf_ok(LOAD(&given, &options, "--config-dir", directory));
  assert_pin(&options, "1234-\"toml\\");
  assert_string_equal(options_get(&options, OPTION_URI), "pkcs11:token=a");
  assert_string_equal(options_get(&options, OPTION_SOCKET_PATH), "/toml.sock");
  options_free(&options);
  options_given_free(&given);
  static const char *const wrong[] = { "[device.cryptoki]\npin = 1234\n", "[device.cryptoki]\npin = \"12\n",
                                       "[device.cryptoki]\npin = \"12\" 3\n", "device.cryptoki.pin = \"\\u0031\"\n" };
  for (size_t i = 0; i < HF_ARRAY_LEN(wrong); i++) {
    write_file(path, wrong[i]);
    assert_hf_err(LOAD(&given, &options, "--config-dir", directory), CONFIG);
    assert_contains(hf_err_context(), "device.cryptoki.pin is no string");
    assert_null(strstr(hf_err_context(), "12"));
  }
  unlink(path);
}

static void test_wrong_options(void **state)
{
  (void)state;
  static const struct {
    const char *option, *value, *says;
  } rows[] = {
    { "--module-pth", "x", "there is no option --module-pth" },
    { "--call-deadline", "1s", "is no number" },
    { "--call-deadline", "", "" },
    { "--memory-limit", "1T", "is no number" },
    { "--max-connections", "-1", "is no number" },
    { "--max-per-user", "99999999999", "is no number" },
    { "--log-level", "loud", "no log level 'loud'" },
    { "--audit", "paper", "no audit target 'paper'" },
  };
  struct options_given given;
  struct options options;
  for (size_t i = 0; i < HF_ARRAY_LEN(rows); i++) {
    hf_err e = LOAD(&given, &options, rows[i].option, rows[i].value);
    if (!rows[i].says[0]) {
      assert_hf_ok(e);
      options_free(&options);
      options_given_free(&given);
      continue;
    }
    assert_hf_err(e, USAGE);
    assert_contains(hf_err_context(), rows[i].says);
  }
}

static void test_numbers(void **state)
{
  (void)state;
  struct options_given given;
  struct options options;
  assert_hf_ok(LOAD(&given, &options, "--memory-limit", "3M", "--idle-exit=7"));
  assert_int_equal(options_number(&options, OPTION_MEMORY_LIMIT), 3 << 20);
  assert_int_equal(options_number(&options, OPTION_IDLE_EXIT), 7);
  options_free(&options);
  options_given_free(&given);
}

static void test_the_worker_gets_the_same(void **state)
{
  (void)state;
  struct options_given given;
  struct options options, copy;
  assert_hf_ok(LOAD(&given, &options, "--pin", "1234-args", "--uri", "pkcs11:token=a"));
  struct hf_buf message = HF_BUF(OPTIONS_MESSAGE_MAX);
  assert_hf_ok(options_pack(&options, &message));
  struct hf_slice in = hf_slice(message.data, message.len);
  assert_hf_ok(options_unpack(&in, &copy));
  assert_hf_ok(hf_take_end(&in));
  assert_true(options_same_worker(&options, &copy));
  assert_pin(&copy, "1234-args");
  for (size_t len = 0; len < message.len; len++) {
    struct options none;
    in = hf_slice(message.data, len);
    assert_hf_err(options_unpack(&in, &none), PARSE);
  }
  free(copy.values[OPTION_URI]);
  copy.values[OPTION_URI] = NULL;
  assert_false(options_same_worker(&options, &copy));
  hf_buf_free(&message);
  options_free(&copy);
  options_free(&options);
  options_given_free(&given);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup(test_the_nearest_says_it, clear),
    cmocka_unit_test_setup(test_the_nearest_pin, clear),
    cmocka_unit_test_setup(test_a_pin_in_a_variable_is_taken_out_of_it_and_kept_for_a_reload, clear),
    cmocka_unit_test_setup(test_a_credential_serves_where_nothing_is_said, clear),
    cmocka_unit_test_setup(test_the_environment_file, clear),
    cmocka_unit_test_setup(test_a_wrong_environment_file, clear),
    cmocka_unit_test_setup(test_thin_edge_s_own_file, clear),
    cmocka_unit_test_setup(test_wrong_options, clear),
    cmocka_unit_test_setup(test_numbers, clear),
    cmocka_unit_test_setup(test_the_worker_gets_the_same, clear),
  };
  return cmocka_run_group_tests(tests, set_up, tear_down);
}
