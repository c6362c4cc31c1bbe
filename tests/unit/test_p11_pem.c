/* SPDX-License-Identifier: Apache-2.0 */
#include "hf_test.h"

#include "p11/der.h"
#include "p11/key.h"
#include "p11/pem.h"

static void writes_what_pkcs11_provider_writes(void **state)
{
  (void)state;
  HF_CLEANUP(hf_buf_free) struct hf_buf out = HF_BUF(URI_MAX);
  assert_hf_ok(p11_pem_write("pkcs11:token=t;object=k", &out));
  assert_string_equal(hf_buf_str(&out), "-----BEGIN PKCS#11 PROVIDER URI-----\n"
                                        "MDQaGVBLQ1MjMTEgUHJvdmlkZXIgVVJJIHYxLjAMF3BrY3MxMTp0b2tlbj10O29i\n"
                                        "amVjdD1r\n"
                                        "-----END PKCS#11 PROVIDER URI-----\n");
}

static void refuses_what_is_no_uri(void **state)
{
  (void)state;
  HF_CLEANUP(hf_buf_free) struct hf_buf out = HF_BUF(URI_MAX);
  assert_hf_err(p11_pem_write("/etc/key.pem", &out), URI_INVALID);
  assert_int_equal(out.len, 0);
}

static void add_wrapped(const char *version, const char *uri, struct hf_buf *out)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf content = HF_BUF(URI_MAX);
  assert_hf_ok(p11_der_add(&content, DER_VISIBLE_STRING, version, strlen(version)));
  assert_hf_ok(p11_der_add(&content, DER_UTF8_STRING, uri, strlen(uri)));
  assert_hf_ok(p11_der_add(out, DER_SEQUENCE, content.data, content.len));
}

static void reads_its_der(void **state)
{
  (void)state;
  HF_CLEANUP(hf_buf_free) struct hf_buf der = HF_BUF(URI_MAX);
  HF_CLEANUP(hf_buf_free) struct hf_buf uri = HF_BUF(URI_MAX);
  add_wrapped("PKCS#11 Provider URI v1.0", "pkcs11:object=k", &der);
  assert_hf_ok(p11_pem_read_der(hf_slice(der.data, der.len), &uri));
  assert_string_equal(hf_buf_str(&uri), "pkcs11:object=k");
  /* Cut anywhere, it is refused. */
  for (size_t len = 0; len < der.len; len++)
    assert_hf_err(p11_pem_read_der(hf_slice(der.data, len), &uri), PARSE);
  assert_hf_ok(hf_buf_add_u8(&der, 0));
  assert_hf_err(p11_pem_read_der(hf_slice(der.data, der.len), &uri), PARSE);
}

static void refuses_another_version(void **state)
{
  (void)state;
  HF_CLEANUP(hf_buf_free) struct hf_buf der = HF_BUF(URI_MAX);
  HF_CLEANUP(hf_buf_free) struct hf_buf uri = HF_BUF(URI_MAX);
  add_wrapped("PKCS#11 Provider URI v2.0", "pkcs11:object=k", &der);
  assert_hf_err(p11_pem_read_der(hf_slice(der.data, der.len), &uri), PARSE);
}

static void ecdsa_der_has_shortest_positive_numbers(void **state)
{
  (void)state;
  HF_CLEANUP(hf_buf_free) struct hf_buf out = HF_BUF(64);
  const uint8_t signature[] = { 0x00, 0x00, 0x7f, 0x80, 0x01, 0x02 };
  const uint8_t expected[] = { 0x30, 0x09, 0x02, 0x01, 0x7f, 0x02, 0x04, 0x00, 0x80, 0x01, 0x02 };
  assert_hf_ok(p11_ecdsa_to_der(signature, sizeof(signature), &out));
  assert_int_equal(out.len, sizeof(expected));
  assert_memory_equal(out.data, expected, sizeof(expected));
  assert_hf_err(p11_ecdsa_to_der(signature, 5, &out), SIGNATURE_LEN_RANGE);
}

static void long_lengths(void **state)
{
  (void)state;
  HF_CLEANUP(hf_buf_free) struct hf_buf der = HF_BUF(1024);
  uint8_t content[300] = { 1 };
  struct hf_slice read;
  assert_hf_ok(p11_der_add(&der, DER_OCTET_STRING, content, sizeof(content)));
  struct hf_slice in = hf_slice(der.data, der.len);
  assert_hf_ok(p11_der_take(&in, DER_OCTET_STRING, &read));
  assert_int_equal(read.len, sizeof(content));
  assert_int_equal(in.len, 0);
  const uint8_t indefinite[] = { 0x04, 0x80, 0x00, 0x00 }, huge[] = { 0x04, 0x89, 1, 1, 1, 1, 1, 1, 1, 1, 1 };
  in = hf_slice(indefinite, sizeof(indefinite));
  assert_hf_err(p11_der_take(&in, DER_OCTET_STRING, &read), PARSE);
  in = hf_slice(huge, sizeof(huge));
  assert_hf_err(p11_der_take(&in, DER_OCTET_STRING, &read), PARSE);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(writes_what_pkcs11_provider_writes),
    cmocka_unit_test(refuses_what_is_no_uri),
    cmocka_unit_test(reads_its_der),
    cmocka_unit_test(refuses_another_version),
    cmocka_unit_test(ecdsa_der_has_shortest_positive_numbers),
    cmocka_unit_test(long_lengths),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
