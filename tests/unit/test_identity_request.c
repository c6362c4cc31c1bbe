/* SPDX-License-Identifier: Apache-2.0 */
/* Signing requests: what they ask for, and which are taken. */
#include "identity/request.h"
#include "identity_rig.h"

#include <openssl/x509v3.h>

static const char *const alt_names[] = { "DNS:dev-1.local", "IP:192.0.2.1", "IP:2001:db8::1", "URI:urn:dev:1" };

static const struct profile_names names = {
  .common_name = "Gerät-1",
  .organization = "Acme",
  .organization_unit = "Ünit",
  .alt_names = alt_names,
  .alt_name_count = HF_ARRAY_LEN(alt_names),
};

static void assert_subject(X509_NAME *subject)
{
  HF_CLEANUP(openssl_bio_freep) BIO *bio = BIO_new(BIO_s_mem());
  char *text = NULL;
  assert_true(X509_NAME_print_ex(bio, subject, 0, XN_FLAG_RFC2253 & ~(unsigned long)ASN1_STRFLGS_ESC_MSB) >= 0);
  assert_int_equal(BIO_write(bio, "", 1), 1);
  BIO_get_mem_data(bio, &text);
  assert_string_equal(text, "CN=Gerät-1,OU=Ünit,O=Acme");
  for (int i = 0; i < X509_NAME_entry_count(subject); i++)
    assert_int_equal(ASN1_STRING_type(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, i))), V_ASN1_UTF8STRING);
}

static void test_every_kind_of_key_signs_a_request(void **state)
{
  (void)state;
  for (size_t i = 0; i < HF_ARRAY_LEN(rig_kinds); i++) {
    HF_CLEANUP(openssl_pkey_freep) EVP_PKEY *key = rig_key(rig_kinds[i]);
    HF_CLEANUP(openssl_req_freep) X509_REQ *made = NULL, *from_pem = NULL, *from_der = NULL;
    HF_CLEANUP(hf_buf_free) struct hf_buf pem = HF_BUF(REQUEST_MAX), der = HF_BUF(REQUEST_MAX);
    assert_hf_ok(request_create(key, &names, PROFILE_CLIENT, &made));
    assert_subject(X509_REQ_get_subject_name(made));
    assert_hf_ok(request_pem(made, &pem));
    assert_hf_ok(request_der(made, &der));
    assert_contains(hf_buf_str(&pem), "BEGIN CERTIFICATE REQUEST");
    assert_hf_ok(request_parse(hf_slice(pem.data, pem.len), "it", &from_pem));
    assert_hf_ok(request_parse(hf_slice(der.data, der.len), "it", &from_der));
    assert_int_equal(EVP_PKEY_eq(X509_REQ_get0_pubkey(from_der), key), 1);
  }
}

static void test_the_extensions_that_are_asked_for(void **state)
{
  (void)state;
  HF_CLEANUP(openssl_pkey_freep) EVP_PKEY *key = rig_key("P-256");
  HF_CLEANUP(openssl_req_freep) X509_REQ *request = NULL;
  assert_hf_ok(request_create(key, &names, PROFILE_CLIENT_SERVER, &request));
  HF_CLEANUP(profile_extensions_freep) STACK_OF(X509_EXTENSION) *extensions = X509_REQ_get_extensions(request);
  EXTENDED_KEY_USAGE *usage = X509V3_get_d2i(extensions, NID_ext_key_usage, NULL, NULL);
  assert_int_equal(sk_ASN1_OBJECT_num(usage), 2);
  EXTENDED_KEY_USAGE_free(usage);
  HF_CLEANUP(profile_alt_names_freep) GENERAL_NAMES *found = NULL;
  assert_hf_ok(request_alt_names(request, &found));
  assert_int_equal(sk_GENERAL_NAME_num(found), HF_ARRAY_LEN(alt_names));
  static const int types[] = { GEN_DNS, GEN_IPADD, GEN_IPADD, GEN_URI };
  for (int i = 0; i < sk_GENERAL_NAME_num(found); i++)
    assert_int_equal(sk_GENERAL_NAME_value(found, i)->type, types[i]);
}

static const struct {
  const char *cn;
  const char *alt; /* NULL: none */
  const char *context;
} refused[] = {
  { "", NULL, "is empty" },
  { NULL, NULL, "is empty" },
  { "12345678901234567890123456789012345678901234567890123456789012345", NULL, "longer than 64" },
  { "bad\xff", NULL, "no UTF-8" },
  { "dev", "dev.local", "'dev.local'" },
  { "dev", "DNS:", "'DNS:'" },
  { "dev", "DNS:a..b", "a..b" },
  { "dev", "DNS:Gerät", "Gerät" },
  { "dev", "DNS:a,DNS:b", "a,DNS:b" },
  { "dev", "DNS:a b", "a b" },
  { "dev", "IP:192.0.2", "192.0.2" },
  { "dev", "IP:192.0.2.1/24", "/24" },
  { "dev", "URI:no-scheme", "no-scheme" },
  { "dev", "URI:http:", "http:" },
  { "dev", "email:a@b", "email:" },
};

static void test_names_that_cannot_be_are_named(void **state)
{
  (void)state;
  HF_CLEANUP(openssl_pkey_freep) EVP_PKEY *key = rig_key("P-256");
  for (size_t i = 0; i < HF_ARRAY_LEN(refused); i++) {
    X509_REQ *request = NULL;
    const struct profile_names wrong = { .common_name = refused[i].cn,
                                         .alt_names = &refused[i].alt,
                                         .alt_name_count = refused[i].alt != NULL };
    assert_hf_err(request_create(key, &wrong, PROFILE_CLIENT, &request), USAGE);
    assert_contains(hf_err_context(), refused[i].context);
    assert_null(request);
  }
}

static void test_a_renewal_asks_for_the_same(void **state)
{
  (void)state;
  HF_CLEANUP(openssl_pkey_freep) EVP_PKEY *key = rig_key("P-256"), *next = rig_key("P-384");
  HF_CLEANUP(openssl_x509_freep) X509 *certificate = NULL;
  HF_CLEANUP(openssl_req_freep) X509_REQ *request = NULL;
  const struct issue_options options = {
    .purpose = PROFILE_CLIENT, .names = &names, .lifetime_s = RIG_DAY, .path_length = -1
  };
  assert_hf_ok(issue_self_signed(&options, key, &certificate));
  assert_hf_ok(request_create_like(next, certificate, &request));
  assert_int_equal(X509_NAME_cmp(X509_REQ_get_subject_name(request), X509_get_subject_name(certificate)), 0);
  HF_CLEANUP(profile_extensions_freep) STACK_OF(X509_EXTENSION) *extensions = X509_REQ_get_extensions(request);
  assert_int_equal(sk_X509_EXTENSION_num(extensions), 3);
  assert_int_equal(EVP_PKEY_eq(X509_REQ_get0_pubkey(request), next), 1);
}

static void test_a_request_that_proves_nothing_is_refused(void **state)
{
  (void)state;
  HF_CLEANUP(openssl_pkey_freep) EVP_PKEY *key = rig_key("P-256"), *other = rig_key("P-256");
  HF_CLEANUP(openssl_req_freep) X509_REQ *request = NULL, *parsed = NULL;
  HF_CLEANUP(hf_buf_free) struct hf_buf der = HF_BUF(REQUEST_MAX);
  assert_hf_ok(request_create(key, &names, PROFILE_CLIENT, &request));
  assert_int_equal(X509_REQ_set_pubkey(request, other), 1);
  assert_hf_ok(request_der(request, &der));
  assert_hf_err(request_parse(hf_slice(der.data, der.len), "r.csr", &parsed), CERT_REQUEST);
  assert_contains(hf_err_context(), "r.csr is not signed by the key");
}

static void test_what_is_no_request_is_refused(void **state)
{
  (void)state;
  HF_CLEANUP(openssl_pkey_freep) EVP_PKEY *key = rig_key("P-256");
  HF_CLEANUP(openssl_req_freep) X509_REQ *request = NULL, *parsed = NULL;
  HF_CLEANUP(hf_buf_free) struct hf_buf der = HF_BUF(REQUEST_MAX);
  assert_hf_ok(request_create(key, &names, PROFILE_CLIENT, &request));
  assert_hf_ok(request_der(request, &der));
  for (size_t len = 0; len < der.len; len++)
    assert_hf_err(request_parse(hf_slice(der.data, len), "it", &parsed), CERT_REQUEST);
  assert_hf_ok(hf_buf_add_u8(&der, 0));
  assert_hf_err(request_parse(hf_slice(der.data, der.len), "it", &parsed), CERT_REQUEST);
  static const char *const texts[] = {
    "hello", "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n"
  };
  for (size_t i = 0; i < HF_ARRAY_LEN(texts); i++)
    assert_hf_err(request_parse(hf_slice(texts[i], strlen(texts[i])), "it", &parsed), CERT_REQUEST);
  assert_null(parsed);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_every_kind_of_key_signs_a_request),
    cmocka_unit_test(test_the_extensions_that_are_asked_for),
    cmocka_unit_test(test_names_that_cannot_be_are_named),
    cmocka_unit_test(test_a_renewal_asks_for_the_same),
    cmocka_unit_test(test_a_request_that_proves_nothing_is_refused),
    cmocka_unit_test(test_what_is_no_request_is_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
