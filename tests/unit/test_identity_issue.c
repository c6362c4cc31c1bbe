/* SPDX-License-Identifier: Apache-2.0 */
/* Issued certificates, judged by OpenSSL's own verification. */
#include "identity/issue.h"
#include "identity/request.h"
#include "identity_rig.h"

#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>
#include <time.h>

static int verify(X509 *certificate, X509 *root, int purpose)
{
  X509_STORE *store = X509_STORE_new();
  X509_STORE_CTX *ctx = X509_STORE_CTX_new();
  assert_int_equal(X509_STORE_add_cert(store, root), 1);
  assert_int_equal(X509_STORE_CTX_init(ctx, store, certificate, NULL), 1);
  X509_VERIFY_PARAM_set_flags(X509_STORE_CTX_get0_param(ctx), X509_V_FLAG_X509_STRICT);
  X509_STORE_CTX_set_purpose(ctx, purpose);
  int result = X509_verify_cert(ctx) == 1 ? X509_V_OK : X509_STORE_CTX_get_error(ctx);
  X509_STORE_CTX_free(ctx);
  X509_STORE_free(store);
  return result;
}

static void test_every_kind_of_ca_issues_to_every_kind_of_key(void **state)
{
  (void)state;
  for (size_t i = 0; i < HF_ARRAY_LEN(rig_kinds); i++) {
    HF_CLEANUP(openssl_pkey_freep) EVP_PKEY *ca_key = rig_key(rig_kinds[i]);
    HF_CLEANUP(openssl_pkey_freep) EVP_PKEY *key = rig_key(rig_kinds[(i + 1) % HF_ARRAY_LEN(rig_kinds)]);
    HF_CLEANUP(openssl_x509_freep) X509 *ca = rig_self_signed("CA", PROFILE_CA, ca_key);
    HF_CLEANUP(openssl_x509_freep) X509 *client = rig_issue("dev", PROFILE_CLIENT, key, ca, ca_key);
    HF_CLEANUP(openssl_x509_freep) X509 *server = rig_issue("srv", PROFILE_SERVER, key, ca, ca_key);
    assert_int_equal(verify(client, ca, X509_PURPOSE_SSL_CLIENT), X509_V_OK);
    assert_int_equal(verify(server, ca, X509_PURPOSE_SSL_SERVER), X509_V_OK);
    assert_int_not_equal(verify(client, ca, X509_PURPOSE_SSL_SERVER), X509_V_OK);
    assert_int_not_equal(verify(server, ca, X509_PURPOSE_SSL_CLIENT), X509_V_OK);
    assert_int_equal(X509_get_version(client), X509_VERSION_3);
  }
}

static void test_a_device_vouches_for_itself(void **state)
{
  (void)state;
  HF_CLEANUP(openssl_pkey_freep) EVP_PKEY *key = rig_key("P-256");
  HF_CLEANUP(openssl_x509_freep) X509 *own = rig_self_signed("dev", PROFILE_SELF_SIGNED, key);
  assert_int_equal(verify(own, own, X509_PURPOSE_SSL_CLIENT), X509_V_OK);
  assert_int_equal(X509_check_ca(own), 1);
  assert_int_equal(X509_get_pathlen(own), 0);
}

static void test_serial_numbers(void **state)
{
  (void)state;
  HF_CLEANUP(openssl_pkey_freep) EVP_PKEY *key = rig_key("ED25519");
  X509 *last = NULL;
  for (int i = 0; i < 50; i++) {
    X509 *next = rig_self_signed("dev", PROFILE_CLIENT, key);
    const ASN1_INTEGER *serial = X509_get0_serialNumber(next);
    assert_int_equal(ASN1_STRING_length(serial), ISSUE_SERIAL_LEN);
    assert_int_equal(ASN1_STRING_type(serial), V_ASN1_INTEGER);
    if (last)
      assert_int_not_equal(ASN1_INTEGER_cmp(serial, X509_get0_serialNumber(last)), 0);
    X509_free(last);
    last = next;
  }
  X509_free(last);
}

static long seconds_from_now(const ASN1_TIME *when)
{
  int days = 0, seconds = 0;
  assert_int_equal(ASN1_TIME_diff(&days, &seconds, NULL, when), 1);
  return (long)days * RIG_DAY + seconds;
}

static void test_validity_stays_within_the_issuers(void **state)
{
  (void)state;
  HF_CLEANUP(openssl_pkey_freep) EVP_PKEY *key = rig_key("P-256");
  HF_CLEANUP(openssl_x509_freep) X509 *ca = rig_self_signed("CA", PROFILE_CA, key);
  HF_CLEANUP(openssl_x509_freep) X509 *shorter = rig_issue("dev", PROFILE_CLIENT, key, ca, key);
  assert_in_range(-seconds_from_now(X509_get0_notBefore(shorter)), ISSUE_BACKDATE_S - 5, ISSUE_BACKDATE_S + 5);
  assert_in_range(seconds_from_now(X509_get0_notAfter(shorter)), 5 * RIG_DAY - 5, 5 * RIG_DAY);
  X509 *longer = NULL;
  const struct profile_names names = { .common_name = "dev" };
  const struct issue_options options = { .names = &names, .lifetime_s = 3650 * (uint64_t)RIG_DAY, .path_length = -1 };
  assert_hf_ok(issue_certificate(&options, key, ca, key, &longer));
  assert_int_equal(ASN1_TIME_compare(X509_get0_notAfter(longer), X509_get0_notAfter(ca)), 0);
  X509_free(longer);
}

static void test_a_lifetime_beyond_the_calendar_is_refused(void **state)
{
  (void)state;
  HF_CLEANUP(openssl_pkey_freep) EVP_PKEY *key = rig_key("P-256");
  X509 *made = NULL;
  const struct profile_names names = { .common_name = "dev" };
  const struct issue_options options = { .names = &names, .lifetime_s = UINT64_MAX, .path_length = -1 };
  assert_hf_err(issue_self_signed(&options, key, &made), USAGE);
  assert_null(made);
}

static void test_key_identifiers_lead_to_the_issuer(void **state)
{
  (void)state;
  HF_CLEANUP(openssl_pkey_freep) EVP_PKEY *ca_key = rig_key("P-256"), *key = rig_key("P-256");
  HF_CLEANUP(openssl_x509_freep) X509 *ca = rig_self_signed("CA", PROFILE_CA, ca_key);
  HF_CLEANUP(openssl_x509_freep) X509 *certificate = rig_issue("dev", PROFILE_CLIENT, key, ca, ca_key);
  const ASN1_OCTET_STRING *of_ca = X509_get0_subject_key_id(ca);
  assert_non_null(of_ca);
  assert_int_equal(ASN1_OCTET_STRING_cmp(of_ca, X509_get0_authority_key_id(ca)), 0);
  assert_int_equal(ASN1_OCTET_STRING_cmp(of_ca, X509_get0_authority_key_id(certificate)), 0);
  assert_int_not_equal(ASN1_OCTET_STRING_cmp(of_ca, X509_get0_subject_key_id(certificate)), 0);
}

static void assert_extension(X509 *certificate, int nid, const char *text)
{
  HF_CLEANUP(openssl_bio_freep) BIO *bio = BIO_new(BIO_s_mem());
  char *shown = NULL;
  int at = X509_get_ext_by_NID(certificate, nid, -1);
  assert_true(at >= 0);
  assert_int_equal(X509V3_EXT_print(bio, X509_get_ext(certificate, at), 0, 0), 1);
  assert_int_equal(BIO_write(bio, "", 1), 1);
  BIO_get_mem_data(bio, &shown);
  assert_contains(shown, text);
}

static void test_where_to_ask_about_it(void **state)
{
  (void)state;
  HF_CLEANUP(openssl_pkey_freep) EVP_PKEY *key = rig_key("P-256");
  HF_CLEANUP(openssl_x509_freep) X509 *ca = rig_self_signed("CA", PROFILE_CA, key), *made = NULL;
  const struct profile_names names = { .common_name = "dev" };
  const struct issue_options options = { .names = &names,
                                         .lifetime_s = RIG_DAY,
                                         .path_length = -1,
                                         .ocsp_url = "http://ca.example/ocsp",
                                         .ca_issuers_url = "http://ca.example/ca.crt",
                                         .crl_url = "http://ca.example/ca.crl" };
  assert_hf_ok(issue_certificate(&options, key, ca, key, &made));
  assert_extension(made, NID_info_access, "OCSP - URI:http://ca.example/ocsp");
  assert_extension(made, NID_info_access, "CA Issuers - URI:http://ca.example/ca.crt");
  assert_extension(made, NID_crl_distribution_points, "URI:http://ca.example/ca.crl");
  assert_int_equal(verify(made, ca, X509_PURPOSE_SSL_CLIENT), X509_V_OK);
}

static void test_a_request_gives_its_names_and_no_more(void **state)
{
  (void)state;
  static const char *const alt_names[] = { "DNS:dev.local" };
  HF_CLEANUP(openssl_pkey_freep) EVP_PKEY *ca_key = rig_key("P-256"), *key = rig_key("P-256");
  HF_CLEANUP(openssl_x509_freep) X509 *ca = rig_self_signed("CA", PROFILE_CA, ca_key), *made = NULL, *renamed = NULL;
  HF_CLEANUP(openssl_req_freep) X509_REQ *request = NULL;
  const struct profile_names names = { .common_name = "dev", .alt_names = alt_names, .alt_name_count = 1 };
  const struct profile_names others = { .common_name = "other" };
  /* It asks for the right to issue; it does not get it. */
  assert_hf_ok(request_create(key, &names, PROFILE_CA, &request));
  struct issue_options options = { .lifetime_s = RIG_DAY, .path_length = -1 };
  assert_hf_ok(issue_from_request(&options, request, ca, ca_key, &made));
  assert_int_equal(X509_check_ca(made), 0);
  assert_extension(made, NID_subject_alt_name, "DNS:dev.local");
  assert_int_equal(X509_NAME_cmp(X509_get_subject_name(made), X509_REQ_get_subject_name(request)), 0);
  options.names = &others;
  assert_hf_ok(issue_from_request(&options, request, ca, ca_key, &renamed));
  assert_true(X509_get_ext_by_NID(renamed, NID_subject_alt_name, -1) < 0);
  assert_int_equal(EVP_PKEY_eq(X509_get0_pubkey(renamed), key), 1);
}

static void test_who_may_not_issue(void **state)
{
  (void)state;
  HF_CLEANUP(openssl_pkey_freep) EVP_PKEY *key = rig_key("P-256"), *other = rig_key("P-256");
  HF_CLEANUP(openssl_x509_freep) X509 *ca = rig_self_signed("CA", PROFILE_CA, key);
  HF_CLEANUP(openssl_x509_freep) X509 *device = rig_self_signed("dev", PROFILE_CLIENT, key), *made = NULL;
  const struct profile_names names = { .common_name = "dev" };
  const struct issue_options options = { .names = &names, .lifetime_s = RIG_DAY, .path_length = -1 };
  assert_hf_err(issue_certificate(&options, key, device, key, &made), CERT_INVALID);
  assert_hf_err(issue_certificate(&options, key, ca, other, &made), KEY_MISMATCH);
  X509_gmtime_adj(X509_getm_notAfter(ca), -60);
  assert_hf_err(issue_certificate(&options, key, ca, key, &made), CERT_INVALID);
  assert_contains(hf_err_context(), "expired");
  assert_null(made);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_every_kind_of_ca_issues_to_every_kind_of_key),
    cmocka_unit_test(test_a_device_vouches_for_itself),
    cmocka_unit_test(test_serial_numbers),
    cmocka_unit_test(test_validity_stays_within_the_issuers),
    cmocka_unit_test(test_a_lifetime_beyond_the_calendar_is_refused),
    cmocka_unit_test(test_key_identifiers_lead_to_the_issuer),
    cmocka_unit_test(test_where_to_ask_about_it),
    cmocka_unit_test(test_a_request_gives_its_names_and_no_more),
    cmocka_unit_test(test_who_may_not_issue),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
