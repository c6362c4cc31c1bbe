/* SPDX-License-Identifier: Apache-2.0 */
/* What EST servers answer: well, and in each way that it can be wrong. */
#include "identity/est_answer.h"
#include "hf_test.h"

#include <openssl/pkcs7.h>
#include <openssl/x509v3.h>

static EVP_PKEY *key;

static int setup(void **state)
{
  (void)state;
  key = EVP_EC_gen("P-256");
  return key ? 0 : -1;
}

static int teardown(void **state)
{
  (void)state;
  EVP_PKEY_free(key);
  return 0;
}

static X509 *make(EVP_PKEY *of, long serial)
{
  X509 *certificate = X509_new();
  assert_non_null(certificate);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate), serial);
  X509_gmtime_adj(X509_getm_notBefore(certificate), -60);
  X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
  assert_int_equal(X509_set_pubkey(certificate, of), 1);
  assert_true(X509_sign(certificate, key, EVP_sha256()) > 0);
  return certificate;
}

static struct hf_slice text(const char *s)
{
  return hf_slice(s, strlen(s));
}

static void encode(const uint8_t *der, size_t len, struct hf_buf *out)
{
  uint8_t *room;
  assert_hf_ok(hf_buf_reserve(out, (len + 2) / 3 * 4 + 1, &room));
  hf_buf_commit(out, (size_t)EVP_EncodeBlock(room, der, (int)len));
}

/* A certs-only message of these certificates, in DER. */
static void message(X509 *const *certificates, size_t count, struct hf_buf *der)
{
  PKCS7 *p7 = PKCS7_new();
  assert_int_equal(PKCS7_set_type(p7, NID_pkcs7_signed), 1);
  assert_int_equal(PKCS7_content_new(p7, NID_pkcs7_data), 1);
  PKCS7_set_detached(p7, 1);
  for (size_t i = 0; i < count; i++)
    assert_int_equal(PKCS7_add_certificate(p7, certificates[i]), 1);
  unsigned char *bytes = NULL;
  int len = i2d_PKCS7(p7, &bytes);
  assert_true(len > 0);
  assert_hf_ok(hf_buf_add(der, bytes, (size_t)len));
  OPENSSL_free(bytes);
  PKCS7_free(p7);
}

static void test_base64_with_and_without_line_breaks(void **state)
{
  (void)state;
  static const struct {
    const char *in, *out; /* out NULL: it is refused */
  } cases[] = {
    { "aGVsbG8=", "hello" },
    { " aG\r\nVs\n\tbG8 =\n\n", "hello" },
    { "aGVsbG8h", "hello!" },
    { "aGVsbA==", "hell" },
    { "", NULL },
    { "\n", NULL },
    { "aGVsbG8", NULL },
    { "aGVsbG8==", NULL },
    { "aGV=bG8=", NULL },
    { "====", NULL },
    { "aGVs-bG8", NULL },
    { "-----BEGIN CERTIFICATE-----", NULL },
    { "aGVs\xc3\xa4\xc3\xa4", NULL },
  };
  for (size_t i = 0; i < HF_ARRAY_LEN(cases); i++) {
    HF_CLEANUP(hf_buf_free) struct hf_buf out = HF_BUF(64);
    hf_err e = est_base64_decode(text(cases[i].in), &out);
    if (cases[i].out) {
      assert_hf_ok(e);
      assert_string_equal(hf_buf_str(&out), cases[i].out);
    } else {
      assert_hf_err(e, PARSE);
      assert_int_equal(out.len, 0);
    }
  }
}

static void test_the_certificate_of_our_key_is_found_among_others(void **state)
{
  (void)state;
  EVP_PKEY *ca_key = EVP_EC_gen("P-384");
  X509 *all[] = { make(ca_key, 1), make(key, 2) };
  HF_CLEANUP(hf_buf_free) struct hf_buf der = HF_BUF(EST_ANSWER_MAX), body = HF_BUF(EST_ANSWER_MAX);
  message(all, 2, &der);
  encode(der.data, der.len, &body);
  HF_CLEANUP(chain_freep) STACK_OF(X509) *got = NULL;
  assert_hf_ok(est_certificates_parse(hf_slice(body.data, body.len), &got));
  assert_int_equal(sk_X509_num(got), 2);
  X509 *leaf = NULL;
  assert_hf_ok(est_certificates_leaf(got, key, &leaf));
  assert_int_equal(X509_cmp(leaf, all[1]), 0);

  EVP_PKEY *other = EVP_EC_gen("P-256");
  hf_err e = est_certificates_leaf(got, other, &leaf);
  assert_hf_err(e, KEY_MISMATCH);
  assert_contains(hf_err_context(), "another key");
  EVP_PKEY_free(other);
  X509_free(all[0]);
  X509_free(all[1]);
  EVP_PKEY_free(ca_key);
}

static void test_two_certificates_of_our_key_are_one_too_many(void **state)
{
  (void)state;
  X509 *all[] = { make(key, 1), make(key, 2) };
  HF_CLEANUP(hf_buf_free) struct hf_buf der = HF_BUF(EST_ANSWER_MAX), body = HF_BUF(EST_ANSWER_MAX);
  message(all, 2, &der);
  encode(der.data, der.len, &body);
  HF_CLEANUP(chain_freep) STACK_OF(X509) *got = NULL;
  assert_hf_ok(est_certificates_parse(hf_slice(body.data, body.len), &got));
  X509 *leaf = NULL;
  assert_hf_err(est_certificates_leaf(got, key, &leaf), KEY_MISMATCH);
  X509_free(all[0]);
  X509_free(all[1]);
}

/* Cumulocity's is BER: 30 80 OID A0 80 ... 00 00 00 00. */
static void test_indefinite_lengths_are_taken(void **state)
{
  (void)state;
  X509 *one = make(key, 1);
  HF_CLEANUP(hf_buf_free)
  struct hf_buf der = HF_BUF(EST_ANSWER_MAX), ber = HF_BUF(EST_ANSWER_MAX), body = HF_BUF(EST_ANSWER_MAX);
  message(&one, 1, &der);
  enum { HEADER = 4, OID = 11 }; /* lengths of two bytes follow 0x82 */
  assert_int_equal(der.data[1], 0x82);
  assert_int_equal(der.data[HEADER + OID + 1], 0x82);
  assert_hf_ok(hf_buf_add(&ber, "\x30\x80", 2));
  assert_hf_ok(hf_buf_add(&ber, der.data + HEADER, OID));
  assert_hf_ok(hf_buf_add(&ber, "\xa0\x80", 2));
  assert_hf_ok(hf_buf_add(&ber, der.data + 2 * HEADER + OID, der.len - 2 * HEADER - OID));
  assert_hf_ok(hf_buf_add(&ber, "\0\0\0\0", 4));
  encode(ber.data, ber.len, &body);
  HF_CLEANUP(chain_freep) STACK_OF(X509) *got = NULL;
  assert_hf_ok(est_certificates_parse(hf_slice(body.data, body.len), &got));
  assert_int_equal(sk_X509_num(got), 1);
  X509_free(one);
}

static void refuse(struct hf_buf *der, const char *why)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf body = HF_BUF(EST_ANSWER_MAX);
  encode(der->data, der->len, &body);
  STACK_OF(X509) *got = NULL;
  assert_hf_err(est_certificates_parse(hf_slice(body.data, body.len), &got), PARSE);
  assert_contains(hf_err_context(), why);
  assert_null(got);
}

static void test_what_is_no_message_of_certificates_is_refused(void **state)
{
  (void)state;
  X509 *one = make(key, 1);
  HF_CLEANUP(hf_buf_free) struct hf_buf der = HF_BUF(EST_ANSWER_MAX), empty = HF_BUF(EST_ANSWER_MAX);
  message(&one, 1, &der);
  message(NULL, 0, &empty);
  refuse(&empty, "no certificate");
  assert_hf_ok(hf_buf_add_u8(&der, 0));
  refuse(&der, "follows");
  der.len -= 2;
  refuse(&der, "not a PKCS #7");
  der.len = 1;
  refuse(&der, "not a PKCS #7");
  STACK_OF(X509) *got = NULL;
  assert_hf_err(est_certificates_parse(text("<html>It works!</html>"), &got), PARSE);
  X509_free(one);
}

static void test_content_types(void **state)
{
  (void)state;
  static const char type[] = "application/pkcs7-mime";
  static const char *const good[] = { "application/pkcs7-mime", "application/pkcs7-mime; smime-type=certs-only",
                                      " Application/PKCS7-Mime;x=y" };
  static const char *const bad[] = { "text/html", "application/pkcs7-mimeo", "application/pkcs7", "" };
  for (size_t i = 0; i < HF_ARRAY_LEN(good); i++)
    assert_true(est_content_type_is(good[i], type));
  for (size_t i = 0; i < HF_ARRAY_LEN(bad); i++)
    assert_false(est_content_type_is(bad[i], type));
  assert_false(est_content_type_is(NULL, type));
}

/* The example of RFC 7030, section 4.5.2: challengePassword, EC on P-384, an extensionRequest that is none, ecdsa-with-SHA384. */
static const char attributes_text[] = "MEEGCSqGSIb3DQEJBzASBgcqhkjOPQIBMQcGBSuBBAAiMBYGCSqGSIb3DQEJDjEJ\r\n"
                                      "BgcrBgEBAQEWBggqhkjOPQQDAw==\r\n";

static void test_the_attributes_that_a_ca_wants(void **state)
{
  (void)state;
  struct est_attributes a;
  assert_hf_ok(est_attributes_parse(text(attributes_text), &a));
  assert_true(a.challenge_password);
  assert_int_equal(a.key_type, NID_X9_62_id_ecPublicKey);
  assert_int_equal(a.curve, NID_secp384r1);
  assert_int_equal(a.extension_count, 0);
  char out[256];
  est_attributes_missing(&a, key, NULL, 0, out, sizeof(out));
  assert_string_equal(out, "an EC key on secp384r1, a challengePassword (channel binding)");
}

static void test_extensions_that_a_ca_wants(void **state)
{
  (void)state;
  /* Attribute extensionRequest { Extensions { subjectAltName, keyUsage } }, and extendedKeyUsage alone. */
  static const uint8_t der[] = { 0x30, 0x2a, 0x30, 0x23, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7,
                                 0x0d, 0x01, 0x09, 0x0e, 0x31, 0x16, 0x30, 0x14, 0x30, 0x09, 0x06,
                                 0x03, 0x55, 0x1d, 0x11, 0x04, 0x02, 0x30, 0x00, 0x30, 0x07, 0x06,
                                 0x03, 0x55, 0x1d, 0x0f, 0x04, 0x00, 0x06, 0x03, 0x55, 0x1d, 0x25 };
  HF_CLEANUP(hf_buf_free) struct hf_buf body = HF_BUF(256);
  encode(der, sizeof(der), &body);
  struct est_attributes a;
  assert_hf_ok(est_attributes_parse(hf_slice(body.data, body.len), &a));
  assert_int_equal(a.extension_count, 3);
  char out[256];
  est_attributes_missing(&a, key, (const int[]){ NID_key_usage, NID_ext_key_usage }, 2, out, sizeof(out));
  assert_string_equal(out, "the extension subjectAltName");
}

static void test_no_attributes_and_bad_ones(void **state)
{
  (void)state;
  struct est_attributes a = { .curve = 42 };
  assert_hf_ok(est_attributes_parse(text(""), &a));
  assert_int_equal(a.key_type, NID_undef);
  assert_int_equal(a.curve, NID_undef);
  assert_hf_ok(est_attributes_parse(text("MAA="), &a));
  a.curve = 42;
  assert_hf_err(est_attributes_parse(text("nothing"), &a), PARSE);
  assert_hf_err(est_attributes_parse(text("AAAA"), &a), PARSE);
  assert_int_equal(a.curve, 42);
  char out[256];
  est_attributes_missing(&(struct est_attributes){ .key_type = NID_rsaEncryption }, key, NULL, 0, out, sizeof(out));
  assert_string_equal(out, "an RSA key");
}

int main(void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_base64_with_and_without_line_breaks),
    cmocka_unit_test(test_the_certificate_of_our_key_is_found_among_others),
    cmocka_unit_test(test_two_certificates_of_our_key_are_one_too_many),
    cmocka_unit_test(test_indefinite_lengths_are_taken),
    cmocka_unit_test(test_what_is_no_message_of_certificates_is_refused),
    cmocka_unit_test(test_content_types),
    cmocka_unit_test(test_the_attributes_that_a_ca_wants),
    cmocka_unit_test(test_extensions_that_a_ca_wants),
    cmocka_unit_test(test_no_attributes_and_bad_ones),
  };
  return cmocka_run_group_tests(tests, setup, teardown);
}
