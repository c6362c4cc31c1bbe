/* SPDX-License-Identifier: Apache-2.0 */
#include "identity/host_names.h"
#include "identity/issue.h"

#include "hf_test.h"

static struct host_names_options options(const char *set)
{
  return (struct host_names_options){ .set = set, .key = "mqtt.server.names", .common_name = "fallback" };
}

static void names_and_addresses_are_told_apart(void **state)
{
  (void)state;
  static const char *const expected[] = { "DNS:gateway.local", "IP:192.0.2.7", "IP:2001:db8::1", "DNS:1.example" };
  const struct host_names_options from = options("gateway.local,192.0.2.7,2001:db8::1,1.example");
  struct host_names names;
  assert_hf_ok(host_names_read(&from, &names));
  assert_string_equal("gateway.local", names.names.common_name);
  assert_int_equal(HF_ARRAY_LEN(expected), names.names.alt_name_count);
  for (size_t i = 0; i < HF_ARRAY_LEN(expected); i++)
    assert_string_equal(expected[i], names.names.alt_names[i]);
}

static void a_first_name_that_is_no_cn(void **state)
{
  (void)state;
  const struct host_names_options from =
      options("a-name-of-many-labels.that-is-longer.than-the-sixty-four-characters.of-a-common-name.example,b");
  struct host_names names;
  assert_hf_ok(host_names_read(&from, &names));
  assert_string_equal("fallback", names.names.common_name);
}

static void too_many_are_refused(void **state)
{
  (void)state;
  char list[8 * (HOST_NAMES_MAX + 2)] = "n";
  struct host_names names;
  size_t len = 1;
  for (int i = 0; i < HOST_NAMES_MAX; i++)
    len += (size_t)snprintf(list + len, sizeof(list) - len, ",n%d", i);
  const struct host_names_options from = options(list);
  assert_hf_err(host_names_read(&from, &names), CONFIG);
  assert_contains(hf_err_context(), "mqtt.server.names");
}

static void this_host_s_own(void **state)
{
  (void)state;
  struct host_names_options from = options(NULL);
  struct host_names names;
  assert_hf_ok(host_names_read(&from, &names));
  size_t alone = names.names.alt_name_count;
  assert_string_equal("IP:::1", names.names.alt_names[alone - 1]);
  from.addresses = true;
  assert_hf_ok(host_names_read(&from, &names));
  assert_true(names.names.alt_name_count >= alone);
}

static X509 *certificate_for(const char *list)
{
  HF_CLEANUP(openssl_pkey_freep) EVP_PKEY *key = EVP_EC_gen("P-256");
  const struct host_names_options from = options(list);
  struct host_names names;
  X509 *certificate = NULL;
  assert_hf_ok(host_names_read(&from, &names));
  const struct issue_options issue = { .purpose = PROFILE_SERVER, .names = &names.names, .lifetime_s = 60 };
  assert_hf_ok(issue_self_signed(&issue, key, &certificate));
  return certificate;
}

static void the_same_names_in_any_order(void **state)
{
  (void)state;
  static const struct {
    const char *list;
    bool expected;
  } cases[] = { { "a,b,192.0.2.7", true },
                { "192.0.2.7,b,a", true },
                { "a,b", false },
                { "a,b,192.0.2.8", false },
                { "a,b,192.0.2.7,c", false } };
  HF_CLEANUP(openssl_x509_freep) X509 *certificate = certificate_for("a,b,192.0.2.7");
  for (size_t i = 0; i < HF_ARRAY_LEN(cases); i++) {
    const struct host_names_options from = options(cases[i].list);
    struct host_names names;
    assert_hf_ok(host_names_read(&from, &names));
    assert_int_equal(cases[i].expected, host_names_match(certificate, &names.names));
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(names_and_addresses_are_told_apart),
    cmocka_unit_test(a_first_name_that_is_no_cn),
    cmocka_unit_test(too_many_are_refused),
    cmocka_unit_test(this_host_s_own),
    cmocka_unit_test(the_same_names_in_any_order),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
