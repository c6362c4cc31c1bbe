/* SPDX-License-Identifier: Apache-2.0 */
/* What a request must have, how often somebody may be wrong, and what a password's record tells. */
#include "hf_test.h"

#include "ca/grant.h"
#include "ca/password.h"
#include "identity/request.h"

#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

static EVP_PKEY *key;

static int make_key(void **state)
{
  (void)state;
  key = EVP_EC_gen("P-256");
  return key ? 0 : -1;
}

static int free_key(void **state)
{
  (void)state;
  EVP_PKEY_free(key);
  return 0;
}

/* As anybody could make one: request_create would refuse much of it. */
struct parts {
  const char *cn;
  int cn_len; /* -1: to its end */
  const char *second_cn;
  const char *alt_names; /* as OpenSSL's configuration has them */
  const EVP_MD *digest;
  EVP_PKEY *key;
};

static X509_REQ *request_of(const struct parts *parts)
{
  X509_REQ *request = X509_REQ_new();
  X509_NAME *subject = X509_REQ_get_subject_name(request);
  EVP_PKEY *own = parts->key ? parts->key : key;
  if (parts->cn)
    assert_int_equal(1, X509_NAME_add_entry_by_NID(subject, NID_commonName, MBSTRING_UTF8, (const uint8_t *)parts->cn,
                                                   parts->cn_len ? parts->cn_len : -1, -1, 0));
  if (parts->second_cn)
    assert_int_equal(1, X509_NAME_add_entry_by_NID(subject, NID_commonName, MBSTRING_UTF8,
                                                   (const uint8_t *)parts->second_cn, -1, -1, 0));
  if (parts->alt_names) {
    STACK_OF(X509_EXTENSION) *extensions = NULL;
    X509_EXTENSION *one = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, parts->alt_names);
    assert_non_null(X509v3_add_ext(&extensions, one, -1));
    assert_int_equal(1, X509_REQ_add_extensions(request, extensions));
    X509_EXTENSION_free(one);
    sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
  }
  assert_int_equal(1, X509_REQ_set_pubkey(request, own));
  assert_true(X509_REQ_sign(request, own, parts->digest ? parts->digest : EVP_sha256()) > 0);
  return request;
}

static void test_subjects(void **state)
{
  (void)state;
  static const struct {
    struct parts parts;
    int status; /* 0: taken */
  } subjects[] = {
    { { .cn = "device-1" }, 0 },
    { { .cn = "device-2" }, 403 },
    { { .cn = NULL }, 400 },
    { { .cn = "device-1", .second_cn = "victim" }, 400 },
    { { .cn = "device-1\0.victim", .cn_len = 16 }, 400 },
    { { .cn = "0123456789012345678901234567890123456789012345678901234567890123" }, 403 },
    { { .cn = "Gerät-6789012345678901234567890123456789012345678901234567890123" }, 400 }, /* 65 bytes */
  };
  for (size_t i = 0; i < HF_ARRAY_LEN(subjects); i++) {
    HF_CLEANUP(openssl_req_freep) X509_REQ *request = request_of(&subjects[i].parts);
    HF_CLEANUP(answer_free) struct answer answer = ANSWER_INIT;
    assert_int_equal(subjects[i].status == 0, grant_check_subject(request, "device-1", &answer));
    if (subjects[i].status)
      assert_int_equal(subjects[i].status, answer.status);
  }
}

/* Whatever a peer sends, a terminal or a log sees no control characters of it. */
static void test_texts_are_printable(void **state)
{
  (void)state;
  const struct parts parts = { .cn = "a\x1b[31m\n\xc3\xa4" };
  HF_CLEANUP(openssl_req_freep) X509_REQ *request = request_of(&parts);
  HF_CLEANUP(answer_free) struct answer answer = ANSWER_INIT;
  assert_false(grant_check_subject(request, "b", &answer));
  for (const char *p = answer.text; *p; p++)
    assert_true(*p >= 0x20 && *p < 0x7f);
}

static void test_alt_names(void **state)
{
  (void)state;
  static const struct {
    const char *device, *allowed, *asked;
    bool taken;
  } cases[] = {
    { "d", "", NULL, true },
    { "d", "", "DNS:d", true },
    { "d", "", "DNS:D", true }, /* DNS has no case */
    { "d", "", "DNS:e", false },
    { "d", "", "DNS:d,DNS:e", false },
    { "d", "", "URI:urn:d", false },
    { "d", "", "email:d@example", false },
    { "d", "DNS:e, IP:192.0.2.1", "IP:192.0.2.1,DNS:e", true },
    { "d", "DNS:e, IP:192.0.2.1", "IP:192.0.2.2", false },
    { "d", "IP:2001:db8::1", "IP:2001:db8:0::1", true },
    { "Gerät 7", "", NULL, true },         /* can be no DNS name */
    { "Gerät 7", "DNS:e", "DNS:e", true }, /* and needs to be none */
    { "Gerät 7", "", "DNS:e", false },
  };
  for (size_t i = 0; i < HF_ARRAY_LEN(cases); i++) {
    const struct parts parts = { .cn = "d", .alt_names = cases[i].asked };
    HF_CLEANUP(openssl_req_freep) X509_REQ *request = request_of(&parts);
    HF_CLEANUP(answer_free) struct answer answer = ANSWER_INIT;
    if (grant_check_alt_names(request, cases[i].device, cases[i].allowed, &answer) != cases[i].taken)
      fail_msg("'%s' with '%s' asks for '%s': %s", cases[i].device, cases[i].allowed, cases[i].asked, answer.text);
    if (!cases[i].taken)
      assert_int_equal(403, answer.status);
  }
}

static bool takes_key(EVP_PKEY *own, const EVP_MD *digest)
{
  const struct parts parts = { .cn = "d", .key = own, .digest = digest };
  HF_CLEANUP(openssl_req_freep) X509_REQ *request = request_of(&parts);
  HF_CLEANUP(answer_free) struct answer answer = ANSWER_INIT;
  bool taken = grant_check_key(request, &answer);
  if (!taken)
    assert_int_equal(400, answer.status);
  EVP_PKEY_free(own);
  return taken;
}

static void test_keys(void **state)
{
  (void)state;
  assert_true(takes_key(EVP_EC_gen("P-384"), NULL));
  assert_true(takes_key(EVP_EC_gen("P-521"), EVP_sha512()));
  assert_false(takes_key(EVP_EC_gen("P-224"), NULL));
  assert_false(takes_key(EVP_EC_gen("secp256k1"), NULL));
  assert_false(takes_key(EVP_EC_gen("P-256"), EVP_sha1()));
  assert_false(takes_key(EVP_RSA_gen(2048), EVP_md5()));
  assert_false(takes_key(EVP_RSA_gen(1024), NULL));
  assert_true(takes_key(EVP_RSA_gen(2048), NULL));
}

static void test_explicit_parameters(void **state)
{
  (void)state;
  EVP_PKEY *own = EVP_EC_gen("P-256");
  assert_int_equal(1, EVP_PKEY_set_utf8_string_param(own, "encoding", "explicit"));
  const struct parts parts = { .cn = "d", .key = own };
  HF_CLEANUP(openssl_req_freep) X509_REQ *request = request_of(&parts), *read = NULL;
  HF_CLEANUP(hf_buf_free) struct hf_buf der = HF_BUF(REQUEST_MAX);
  HF_CLEANUP(answer_free) struct answer answer = ANSWER_INIT;
  assert_hf_ok(request_der(request, &der));
  /* A curve of their own is no curve of ours, even where it looks the same. */
  if (!hf_failed(request_parse(hf_slice(der.data, der.len), "it", &read)))
    assert_false(grant_check_key(read, &answer));
  EVP_PKEY_free(own);
}

static void test_throttle(void **state)
{
  (void)state;
  HF_CLEANUP(throttle_freep) struct throttle *throttle = NULL;
  assert_hf_ok(throttle_new(3, 1000, &throttle));
  for (int i = 0; i < 3; i++) {
    assert_int_equal(0, throttle_wait(throttle, "d", 5000));
    throttle_fail(throttle, "d", 5000);
  }
  assert_int_equal(1000, throttle_wait(throttle, "d", 5000));
  assert_int_equal(1, throttle_wait(throttle, "d", 5999));
  assert_int_equal(0, throttle_wait(throttle, "d", 6000));
  assert_int_equal(0, throttle_wait(throttle, "e", 5000));
  throttle_fail(throttle, "d", 6000);
  assert_int_equal(1000, throttle_wait(throttle, "d", 6000));
  /* A crowd pushes out those that failed least, and never makes anyone else wait. */
  for (int i = 0; i < 20000; i++) {
    char name[16];
    snprintf(name, sizeof(name), "n-%d", i);
    throttle_fail(throttle, name, 6000);
  }
  assert_int_equal(1000, throttle_wait(throttle, "d", 6000));
  assert_int_equal(0, throttle_wait(throttle, "new", 6000));
}

static void test_passwords(void **state)
{
  (void)state;
  HF_CLEANUP(hf_secret_freep) struct hf_secret *text = NULL, *other_text = NULL;
  struct registry_password password, other;
  bool right = true;
  assert_hf_ok(password_make(1, 99, &text, &password));
  assert_hf_ok(password_make(1, 99, &other_text, &other));
  char *letters = (char *)hf_secret_data(text);
  assert_int_equal(PASSWORD_LEN, strlen(letters));
  assert_int_equal(PASSWORD_LEN, strspn(letters, "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"));
  assert_string_not_equal(letters, (char *)hf_secret_data(other_text));
  assert_memory_not_equal(password.salt, other.salt, sizeof(other.salt));
  assert_hf_ok(password_verify(letters, &other, &right));
  assert_false(right);
  assert_hf_ok(password_verify(letters, NULL, &right));
  assert_false(right);
  assert_hf_ok(password_verify("", &password, &right));
  assert_false(right);
  assert_hf_ok(password_verify(letters, &password, &right));
  assert_true(right);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_subjects),  cmocka_unit_test(test_texts_are_printable), cmocka_unit_test(test_alt_names),
    cmocka_unit_test(test_keys),      cmocka_unit_test(test_explicit_parameters), cmocka_unit_test(test_throttle),
    cmocka_unit_test(test_passwords),
  };
  return cmocka_run_group_tests(tests, make_key, free_key);
}
