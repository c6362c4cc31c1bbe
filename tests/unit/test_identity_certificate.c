/* SPDX-License-Identifier: Apache-2.0 */
/* The device's certificate: read, and judged before the network is asked. */
#include "identity/certificate.h"
#include "identity/certificate_text.h"
#include "identity_rig.h"

#include <openssl/pem.h>

static char path[] = "/tmp/hf-certificate-XXXXXX";

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

/* A self-signed certificate, valid from and until so many seconds from now. */
static X509 *make(const char *cn, long from, long until)
{
  EVP_PKEY *key = EVP_EC_gen("P-256");
  X509 *certificate = X509_new();
  assert_true(key && certificate);
  if (cn)
    assert_int_equal(X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_UTF8,
                                                (const unsigned char *)cn, -1, -1, 0),
                     1);
  X509_gmtime_adj(X509_getm_notBefore(certificate), from);
  X509_gmtime_adj(X509_getm_notAfter(certificate), until);
  assert_int_equal(X509_set_pubkey(certificate, key), 1);
  assert_true(X509_sign(certificate, key, EVP_sha256()) > 0);
  EVP_PKEY_free(key);
  return certificate;
}

static void put(const char *text, X509 *certificate)
{
  FILE *f = fopen(path, "w");
  assert_non_null(f);
  fputs(text, f);
  if (certificate)
    assert_int_equal(PEM_write_X509(f, certificate), 1);
  assert_int_equal(fclose(f), 0);
}

static void test_reads_the_first_certificate_of_a_file(void **state)
{
  (void)state;
  X509 *certificate = make("dev-1", -60, 3600), *read = NULL;
  put("a comment before it\n", certificate);
  assert_hf_ok(certificate_read(path, &read));
  assert_int_equal(X509_cmp(certificate, read), 0);
  X509_free(certificate);
  X509_free(read);
}

static void test_what_is_no_certificate_is_named(void **state)
{
  (void)state;
  X509 *read = NULL;
  static const char *const texts[] = { "", "hello", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n" };
  for (size_t i = 0; i < HF_ARRAY_LEN(texts); i++) {
    put(texts[i], NULL);
    assert_hf_err(certificate_read(path, &read), CERT_FILE);
    assert_contains(hf_err_context(), path);
    assert_null(read);
  }
  hf_err e = certificate_read("/nowhere/cert.pem", &read);
  assert_hf_err(e, NOT_FOUND);
  assert_contains(hf_err_hint(e), "device.cert_path");
}

static void test_the_common_name(void **state)
{
  (void)state;
  static const char *const names[] = { "dev-1", "Gerät", NULL };
  for (size_t i = 0; i < HF_ARRAY_LEN(names); i++) {
    X509 *certificate = make(names[i], -60, 3600);
    char cn[CERTIFICATE_CN_MAX];
    certificate_cn(certificate, cn);
    assert_string_equal(cn, names[i] ? names[i] : "");
    X509_free(certificate);
  }
}

static void test_long_and_crooked_names(void **state)
{
  (void)state;
  /* 64 characters of 2 bytes each are within X.509's limit. */
  char name[2 * 64 + 1] = "", cn[CERTIFICATE_CN_MAX];
  for (size_t i = 0; i < 64; i++)
    memcpy(name + 2 * i, "ä", 3);
  X509 *certificate = make(name, -60, 3600);
  certificate_cn(certificate, cn);
  assert_string_equal(cn, name);
  X509_free(certificate);
  certificate = make("dev", -60, 3600);
  X509_NAME_ENTRY *entry = X509_NAME_get_entry(X509_get_subject_name(certificate), 0);
  assert_int_equal(X509_NAME_ENTRY_set_data(entry, MBSTRING_UTF8, (const unsigned char *)"dev\0ice", 7), 1);
  certificate_cn(certificate, cn);
  assert_string_equal(cn, "");
  X509_free(certificate);
}

static void test_whose_key_it_is(void **state)
{
  (void)state;
  for (size_t i = 0; i < HF_ARRAY_LEN(rig_kinds); i++) {
    HF_CLEANUP(openssl_pkey_freep) EVP_PKEY *key = rig_key(rig_kinds[i]), *other = rig_key(rig_kinds[i]);
    HF_CLEANUP(openssl_x509_freep) X509 *certificate = rig_self_signed("dev", PROFILE_CLIENT, key);
    assert_hf_ok(certificate_check_pair(certificate, "/c.pem", key));
    assert_hf_err(certificate_check_pair(certificate, "/c.pem", other), KEY_MISMATCH);
    assert_contains(hf_err_context(), "/c.pem is for another key");
  }
}

static void test_it_is_told_in_words(void **state)
{
  (void)state;
  static const char *const alt_names[] = { "DNS:dev.local", "IP:192.0.2.1", "IP:2001:db8::1", "URI:urn:dev:1" };
  const struct profile_names names = {
    .common_name = "Gerät, 1", .organization = "Acme", .alt_names = alt_names, .alt_name_count = HF_ARRAY_LEN(alt_names)
  };
  const struct issue_options options = { .names = &names, .lifetime_s = 3600, .path_length = -1 };
  HF_CLEANUP(openssl_pkey_freep) EVP_PKEY *key = rig_key("P-256");
  HF_CLEANUP(openssl_x509_freep) X509 *certificate = NULL;
  assert_hf_ok(issue_self_signed(&options, key, &certificate));
  HF_CLEANUP(hf_buf_free) struct hf_buf name = HF_BUF(256), serial = HF_BUF(256), sha1 = HF_BUF(256), alt = HF_BUF(256);
  assert_hf_ok(certificate_name_text(X509_get_subject_name(certificate), &name));
  assert_string_equal(hf_buf_str(&name), "CN=Gerät\\, 1, O=Acme");
  assert_hf_ok(certificate_serial_text(certificate, &serial));
  assert_int_equal(serial.len, 2 * ISSUE_SERIAL_LEN);
  assert_hf_ok(certificate_thumbprint_text(certificate, EVP_sha1(), &sha1));
  assert_int_equal(sha1.len, 40);
  HF_CLEANUP(profile_alt_names_freep)
  GENERAL_NAMES *found = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
  for (int i = 0; i < sk_GENERAL_NAME_num(found); i++) {
    hf_buf_free(&alt);
    assert_hf_ok(certificate_alt_name_text(sk_GENERAL_NAME_value(found, i), &alt));
    assert_string_equal(hf_buf_str(&alt), alt_names[i]);
  }
}

static const struct {
  const char *cn;
  long from, until;
  const char *id;
  const char *context; /* NULL: it is good */
  const char *hint;
} cases[] = {
  { "dev-1", -60, 3600, "dev-1", NULL, NULL },
  { "dev-1", -7200, -3600, "dev-1", "/c.pem expired on ", "renewed" },
  { "dev-1", 3600, 7200, "dev-1", "/c.pem is valid from ", "clock" },
  { "dev-1", -60, 3600, "dev-2", "for 'dev-1', but device.id is 'dev-2'", "device.id" },
  { "dev-1", -60, 3600, "dev", "for 'dev-1'", "device.id" },
  { NULL, -60, 3600, "", "has no common name", "CN" },
};

static void test_who_and_when(void **state)
{
  (void)state;
  for (size_t i = 0; i < HF_ARRAY_LEN(cases); i++) {
    X509 *certificate = make(cases[i].cn, cases[i].from, cases[i].until);
    hf_err e = certificate_check(certificate, "/c.pem", cases[i].id);
    if (cases[i].context) {
      assert_hf_err(e, CERT_INVALID);
      assert_contains(hf_err_context(), cases[i].context);
      assert_contains(hf_err_hint(e), cases[i].hint);
    } else {
      assert_hf_ok(e);
    }
    X509_free(certificate);
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_reads_the_first_certificate_of_a_file),
    cmocka_unit_test(test_what_is_no_certificate_is_named),
    cmocka_unit_test(test_the_common_name),
    cmocka_unit_test(test_long_and_crooked_names),
    cmocka_unit_test(test_whose_key_it_is),
    cmocka_unit_test(test_it_is_told_in_words),
    cmocka_unit_test(test_who_and_when),
  };
  return cmocka_run_group_tests(tests, setup, teardown);
}
