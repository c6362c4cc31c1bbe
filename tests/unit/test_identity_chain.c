/* SPDX-License-Identifier: Apache-2.0 */
/* Certificates in files: PEM and DER, whole chains, and what is damaged. */
#include "identity/chain.h"
#include "identity_rig.h"

#include "base/file.h"

#include <sys/stat.h>

static char directory[] = "/tmp/hf-chain-XXXXXX";
static EVP_PKEY *key;
static X509 *root, *middle, *leaf;

static int setup(void **state)
{
  (void)state;
  key = rig_key("P-256");
  root = rig_self_signed("Root", PROFILE_CA, key);
  middle = rig_issue("Middle", PROFILE_CA, key, root, key);
  leaf = rig_issue("dev", PROFILE_CLIENT, key, middle, key);
  return mkdtemp(directory) ? 0 : -1;
}

static int teardown(void **state)
{
  (void)state;
  char command[64];
  snprintf(command, sizeof(command), "rm -rf '%s'", directory);
  X509_free(root);
  X509_free(middle);
  X509_free(leaf);
  EVP_PKEY_free(key);
  return system(command);
}

static STACK_OF(X509) * chain_of(X509 *const *certificates, size_t count)
{
  STACK_OF(X509) *chain = sk_X509_new_null();
  for (size_t i = 0; i < count; i++) {
    X509_up_ref(certificates[i]);
    sk_X509_push(chain, certificates[i]);
  }
  return chain;
}

static void test_a_chain_is_written_and_read(void **state)
{
  (void)state;
  char path[128];
  struct stat st;
  snprintf(path, sizeof(path), "%s/new/device.pem", directory);
  X509 *const all[] = { leaf, middle, root };
  HF_CLEANUP(chain_freep) STACK_OF(X509) *chain = chain_of(all, 3), *read = NULL;
  assert_hf_ok(chain_write(path, chain));
  assert_int_equal(stat(path, &st), 0);
  assert_int_equal(st.st_mode & 0777, 0644);
  assert_hf_ok(chain_read(path, &read));
  assert_int_equal(sk_X509_num(read), 3);
  for (int i = 0; i < 3; i++)
    assert_int_equal(X509_cmp(sk_X509_value(read, i), all[i]), 0);
}

static void test_der_is_read_as_well(void **state)
{
  (void)state;
  X509 *const one[] = { leaf };
  HF_CLEANUP(chain_freep) STACK_OF(X509) *chain = chain_of(one, 1), *read = NULL, *none = NULL;
  HF_CLEANUP(hf_buf_free) struct hf_buf der = HF_BUF(CHAIN_FILE_MAX);
  assert_hf_ok(chain_der(chain, &der));
  assert_hf_ok(chain_parse(hf_slice(der.data, der.len), "c.der", &read));
  assert_int_equal(X509_cmp(sk_X509_value(read, 0), leaf), 0);
  for (size_t len = 2; len < der.len; len += 7) {
    assert_hf_err(chain_parse(hf_slice(der.data, len), "c.der", &none), CERT_FILE);
    if (len > 4)
      assert_contains(hf_err_context(), "cut short");
  }
  assert_hf_ok(hf_buf_add_str(&der, "xy"));
  assert_hf_err(chain_parse(hf_slice(der.data, der.len), "c.der", &none), CERT_FILE);
  assert_contains(hf_err_context(), "2 bytes after");
}

static void test_text_and_other_blocks_are_passed_over(void **state)
{
  (void)state;
  X509 *const two[] = { leaf, middle };
  HF_CLEANUP(chain_freep) STACK_OF(X509) *chain = chain_of(two, 2), *read = NULL;
  HF_CLEANUP(hf_buf_free) struct hf_buf text = HF_BUF(CHAIN_FILE_MAX);
  assert_hf_ok(hf_buf_add_str(&text, "Bag Attributes\n-----BEGIN X-----\nAAAA\n-----END X-----\n"));
  assert_hf_ok(chain_pem(chain, &text));
  assert_hf_ok(hf_buf_add_str(&text, "\nthe end\n"));
  assert_hf_ok(chain_parse(hf_slice(text.data, text.len), "c.pem", &read));
  assert_int_equal(sk_X509_num(read), 2);
}

static const struct {
  const char *text;
  const char *context;
} damaged[] = {
  { "", "c.pem holds nothing" },
  { "hello", "c.pem" },
  { "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "holds no certificate" },
  { "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "certificate 1 is damaged" },
  { "-----BEGIN CERTIFICATE-----\nMIIB", "certificate 1 is damaged" },
  { "-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n", "certificate 1 is damaged" },
};

static void test_what_is_damaged_is_told(void **state)
{
  (void)state;
  STACK_OF(X509) *read = NULL;
  for (size_t i = 0; i < HF_ARRAY_LEN(damaged); i++) {
    assert_hf_err(chain_parse(hf_slice(damaged[i].text, strlen(damaged[i].text)), "c.pem", &read), CERT_FILE);
    assert_contains(hf_err_context(), damaged[i].context);
  }
  X509 *const one[] = { leaf };
  HF_CLEANUP(chain_freep) STACK_OF(X509) *chain = chain_of(one, 1);
  HF_CLEANUP(hf_buf_free) struct hf_buf text = HF_BUF(CHAIN_FILE_MAX);
  assert_hf_ok(chain_pem(chain, &text));
  assert_hf_ok(hf_buf_add_str(&text, damaged[3].text));
  assert_hf_err(chain_parse(hf_slice(text.data, text.len), "c.pem", &read), CERT_FILE);
  assert_contains(hf_err_context(), "certificate 2 is damaged");
  assert_null(read);
  assert_hf_err(chain_read("/nowhere/c.pem", &read), NOT_FOUND);
}

static void test_too_many_are_refused(void **state)
{
  (void)state;
  HF_CLEANUP(chain_freep) STACK_OF(X509) *chain = sk_X509_new_null(), *read = NULL;
  HF_CLEANUP(hf_buf_free) struct hf_buf text = HF_BUF(CHAIN_FILE_MAX);
  for (int i = 0; i <= CHAIN_MAX; i++) {
    X509_up_ref(leaf);
    sk_X509_push(chain, leaf);
  }
  assert_hf_ok(chain_pem(chain, &text));
  assert_hf_err(chain_parse(hf_slice(text.data, text.len), "c.pem", &read), CERT_FILE);
  assert_contains(hf_err_context(), "more than 32");
}

static void test_whether_a_chain_holds(void **state)
{
  (void)state;
  HF_CLEANUP(openssl_pkey_freep) EVP_PKEY *other = rig_key("P-256");
  HF_CLEANUP(openssl_x509_freep) X509 *namesake = rig_self_signed("Middle", PROFILE_CA, other);
  X509 *const cases[][3] = { { leaf, middle, root },  { leaf, middle, NULL }, { leaf, NULL, NULL },
                             { root, NULL, NULL },    { leaf, root, NULL },   { middle, leaf, root },
                             { leaf, namesake, NULL } };
  for (size_t i = 0; i < HF_ARRAY_LEN(cases); i++) {
    size_t count = cases[i][2] ? 3 : cases[i][1] ? 2 : 1;
    HF_CLEANUP(chain_freep) STACK_OF(X509) *chain = chain_of(cases[i], count);
    hf_err e = chain_check(chain, "c.pem");
    hf_assert_code(e, i < 4 ? HF_ERR_OK : HF_ERR_CERT_CHAIN, __FILE__, __LINE__);
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_a_chain_is_written_and_read),
    cmocka_unit_test(test_der_is_read_as_well),
    cmocka_unit_test(test_text_and_other_blocks_are_passed_over),
    cmocka_unit_test(test_what_is_damaged_is_told),
    cmocka_unit_test(test_too_many_are_refused),
    cmocka_unit_test(test_whether_a_chain_holds),
  };
  return cmocka_run_group_tests(tests, setup, teardown);
}
