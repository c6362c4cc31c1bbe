/* SPDX-License-Identifier: Apache-2.0 */
/* When a certificate is due for renewal. */
#include "identity/validity.h"
#include "identity_rig.h"

#include <time.h>

enum { DAY = 86400 };

static const struct {
  int64_t from, until, now;
  uint64_t minimum;
  enum validity_status status;
  bool renew;
} cases[] = {
  /* A third of 90 days, without a setting. */
  { 0, 90 * DAY, -1, 0, VALIDITY_NOT_YET, false },
  { 0, 90 * DAY, 0, 0, VALIDITY_VALID, false },
  { 0, 90 * DAY, 60 * DAY - 1, 0, VALIDITY_VALID, false },
  { 0, 90 * DAY, 60 * DAY, 0, VALIDITY_EXPIRES_SOON, true },
  { 0, 90 * DAY, 90 * DAY - 1, 0, VALIDITY_EXPIRES_SOON, true },
  { 0, 90 * DAY, 90 * DAY, 0, VALIDITY_EXPIRED, true },
  { 0, 90 * DAY, INT64_MAX, 0, VALIDITY_EXPIRED, true },
  /* A setting. */
  { 0, 90 * DAY, 79 * DAY, 10 * DAY, VALIDITY_VALID, false },
  { 0, 90 * DAY, 80 * DAY, 10 * DAY, VALIDITY_EXPIRES_SOON, true },
  /* A setting that is longer than the certificate lives: a third of it all the same. */
  { 0, 9 * DAY, 5 * DAY, 30 * DAY, VALIDITY_VALID, false },
  { 0, 9 * DAY, 6 * DAY, 30 * DAY, VALIDITY_EXPIRES_SOON, true },
  { 0, 9 * DAY, 6 * DAY, UINT64_MAX, VALIDITY_EXPIRES_SOON, true },
  /* No lifetime at all. */
  { DAY, DAY, DAY, 0, VALIDITY_EXPIRED, true },
  { 2 * DAY, DAY, 3 * DAY, 0, VALIDITY_EXPIRED, true },
};

static void test_when_it_is_due(void **state)
{
  (void)state;
  for (size_t i = 0; i < HF_ARRAY_LEN(cases); i++) {
    const struct validity validity = { cases[i].from, cases[i].until };
    assert_string_equal(validity_status_name(validity_at(&validity, cases[i].minimum, cases[i].now)),
                        validity_status_name(cases[i].status));
    assert_int_equal(validity_needs_renewal(&validity, cases[i].minimum, cases[i].now), cases[i].renew);
  }
}

static void test_the_times_of_a_certificate(void **state)
{
  (void)state;
  HF_CLEANUP(openssl_pkey_freep) EVP_PKEY *key = rig_key("P-256");
  HF_CLEANUP(openssl_x509_freep) X509 *certificate = rig_self_signed("dev", PROFILE_CLIENT, key);
  struct validity validity;
  assert_hf_ok(validity_of(certificate, &validity));
  assert_in_range(validity.until - time(NULL), 10 * DAY - 5, 10 * DAY);
  /* Beyond 2050 the time has another form (RFC 5280, section 4.1.2.5), and beyond 2038 it does not fit into 32 bits. */
  assert_int_equal(ASN1_TIME_set_string_X509(X509_getm_notAfter(certificate), "99991231235959Z"), 1);
  assert_hf_ok(validity_of(certificate, &validity));
  assert_true(validity.until == 253402300799);
  assert_int_equal(ASN1_STRING_set(X509_getm_notAfter(certificate), "rubbish", -1), 1);
  assert_hf_err(validity_of(certificate, &validity), CERT_INVALID);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_when_it_is_due),
    cmocka_unit_test(test_the_times_of_a_certificate),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
