/* SPDX-License-Identifier: Apache-2.0 */
/* When the renewal that runs by itself looks, tries, waits and gives up; at any time that a clock may say. */
#include "identity/renewal.h"
#include "base/file.h"
#include "identity/chain.h"
#include "hf_test.h"

#include <openssl/ec.h>

enum { DAY = 86400, HOUR = 3600, START = 1800000000 /* 2027 */ };

static char dir[] = "/tmp/hf-renewal-XXXXXX";
static char config_file[64], certificate[64];
static struct config *config;
static struct renewal_status status;
static const struct renew_options options = { .module_path = "/nowhere.so", .timeout_s = 1 };

static void put(const char *path, const char *text)
{
  assert_hf_ok(hf_file_write(path, text, strlen(text), 0600));
}

/* Valid from START on, for so many seconds. */
static void put_certificate(long lifetime)
{
  EVP_PKEY *key = EVP_EC_gen("P-256");
  X509 *one = X509_new();
  HF_CLEANUP(chain_freep) STACK_OF(X509) *chain = sk_X509_new_null();
  assert_true(key && one && chain);
  assert_non_null(ASN1_TIME_set(X509_getm_notBefore(one), START));
  assert_non_null(ASN1_TIME_set(X509_getm_notAfter(one), START + lifetime));
  assert_int_equal(X509_set_pubkey(one, key), 1);
  assert_true(X509_sign(one, key, EVP_sha256()) > 0);
  assert_true(sk_X509_push(chain, one) > 0);
  assert_hf_ok(chain_write(certificate, chain));
  EVP_PKEY_free(key);
}

static int setup(void **state)
{
  (void)state;
  char text[256];
  memcpy(dir + sizeof(dir) - 7, "XXXXXX", 6);
  if (!mkdtemp(dir))
    return -1;
  snprintf(config_file, sizeof(config_file), "%s/config.json", dir);
  snprintf(certificate, sizeof(certificate), "%s/c.pem", dir);
  snprintf(text, sizeof(text), "{\"device\": {\"id\": \"dev-1\", \"cert_path\": \"%s\"}}", certificate);
  put(config_file, text);
  assert_hf_ok(config_load(config_file, &config));
  status = (struct renewal_status){ 0 };
  put_certificate(90 * DAY);
  return 0;
}

static int teardown(void **state)
{
  (void)state;
  char command[128];
  config_free(config);
  snprintf(command, sizeof(command), "rm -r %s", dir);
  return system(command);
}

static void look(int64_t now)
{
  identity_renew_if_due(config, &options, now, &status);
}

static void assert_result(enum renewal_result result, int64_t next_look)
{
  assert_string_equal(renewal_result_name(status.last_result), renewal_result_name(result));
  assert_int_equal(status.next_look, next_look);
}

static void test_pauses(void **state)
{
  (void)state;
  static const struct {
    unsigned failures;
    int64_t left, pause;
  } cases[] = {
    { 1, 30 * DAY, 60 },     { 2, 30 * DAY, 120 },       { 3, 30 * DAY, 240 },
    { 9, 30 * DAY, 15360 },  { 10, 30 * DAY, 6 * HOUR }, { 1000, 30 * DAY, 6 * HOUR },
    { 10, 10 * HOUR, HOUR }, { 10, 20 * 60, 120 },       { 10, 60, 60 },
    { 10, 0, 6 * HOUR },     { 10, -DAY, 6 * HOUR },     { 1, 1, 60 },
  };
  for (size_t i = 0; i < HF_ARRAY_LEN(cases); i++)
    assert_int_equal(renewal_pause_s(cases[i].failures, cases[i].left), cases[i].pause);
}

static void test_not_due(void **state)
{
  (void)state;
  look(START + DAY);
  assert_result(RENEWAL_NOT_DUE, START + DAY + HOUR);
  assert_int_equal(status.until, START + 90 * DAY);
  assert_int_equal(status.last_try, 0);
  /* Nothing before its time. */
  assert_int_equal(unlink(certificate), 0);
  look(START + DAY + HOUR - 1);
  assert_result(RENEWAL_NOT_DUE, START + DAY + HOUR);
  look(START + DAY + HOUR);
  assert_result(RENEWAL_NO_CERTIFICATE, START + DAY + 2 * HOUR);
  /* Unless asked. */
  put_certificate(90 * DAY);
  renewal_look_again(&status);
  look(START + DAY + HOUR + 1);
  assert_result(RENEWAL_NOT_DUE, START + DAY + 2 * HOUR + 1);
}

static void test_the_look_when_it_gets_due(void **state)
{
  (void)state;
  enum { DUE = START + 60 * DAY };
  look(DUE - 600);
  assert_result(RENEWAL_NOT_DUE, DUE);
  look(DUE);
  assert_int_equal(status.last_try, DUE);
  assert_result(RENEWAL_FAILED, DUE + 60);
}

/* No key is configured: each try fails at once. */
static void test_failures_back_off_and_are_told(void **state)
{
  (void)state;
  int64_t now = START + 61 * DAY;
  for (unsigned failures = 1; failures <= 12; failures++) {
    look(now);
    assert_int_equal(status.failures, failures);
    assert_result(RENEWAL_FAILED, now + renewal_pause_s(failures, START + 90 * DAY - now));
    now = status.next_look;
  }
  assert_int_equal(status.cause.error.code, HF_ERR_CONFIG);
  assert_contains(status.cause.context, "device.key_uri");
  assert_int_equal(status.last_success, 0);
  /* A certificate that came otherwise ends it. */
  put_certificate(3650 * DAY);
  renewal_look_again(&status);
  look(now);
  assert_result(RENEWAL_NOT_DUE, now + HOUR);
  assert_int_equal(status.failures, 0);
}

static void test_near_the_end_it_is_tried_more_often(void **state)
{
  (void)state;
  status.failures = 20;
  look(START + 90 * DAY - HOUR);
  assert_result(RENEWAL_FAILED, START + 90 * DAY - HOUR + 360);
  status.failures = 20;
  look(START + 91 * DAY);
  assert_result(RENEWAL_FAILED, START + 91 * DAY + 6 * HOUR);
}

/* A clock without a battery says 1970 until it is set: nothing is renewed, and it is not waited for until 2027. */
static void test_a_clock_that_jumps(void **state)
{
  (void)state;
  for (int64_t now = 10; now < 1000; now += 60) {
    look(now);
    assert_result(RENEWAL_CLOCK, now + 60);
  }
  assert_int_equal(status.last_try, 0);
  look(START + DAY);
  assert_result(RENEWAL_NOT_DUE, START + DAY + HOUR);
  look(20);
  assert_result(RENEWAL_CLOCK, 80);
  look(START + 80 * DAY);
  assert_int_equal(status.last_try, START + 80 * DAY);
  look(START + 2 * DAY);
  assert_result(RENEWAL_NOT_DUE, START + 2 * DAY + HOUR);
}

static void test_what_cannot_be_read(void **state)
{
  (void)state;
  put(certificate, "hello");
  look(START);
  assert_result(RENEWAL_FAILED, START + 60);
  assert_int_equal(status.cause.error.code, HF_ERR_CERT_FILE);
  assert_int_equal(status.last_try, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_pauses),
    TEST(test_not_due),
    TEST(test_the_look_when_it_gets_due),
    TEST(test_failures_back_off_and_are_told),
    TEST(test_near_the_end_it_is_tried_more_often),
    TEST(test_a_clock_that_jumps),
    TEST(test_what_cannot_be_read),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
