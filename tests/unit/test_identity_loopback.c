/* SPDX-License-Identifier: Apache-2.0 */
/* A key and its certificate in TLS with themselves. */
#include "identity/chain.h"
#include "identity/loopback.h"
#include "identity_rig.h"

#include <openssl/ssl.h>

static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };

static STACK_OF(X509) * chain_of(X509 *certificate)
{
  STACK_OF(X509) *chain = sk_X509_new_null();
  assert_true(sk_X509_push(chain, certificate) > 0);
  return chain;
}

static void every_kind_of_key_shakes_hands(void **state)
{
  (void)state;
  for (size_t i = 0; i < HF_ARRAY_LEN(rig_kinds); i++) {
    HF_CLEANUP(openssl_pkey_freep) EVP_PKEY *key = rig_key(rig_kinds[i]);
    HF_CLEANUP(chain_freep) STACK_OF(X509) *chain = chain_of(rig_self_signed("dev-1", PROFILE_SELF_SIGNED, key));
    for (size_t v = 0; v < HF_ARRAY_LEN(versions); v++)
      assert_hf_ok(loopback_handshake(chain, key, "the certificate", versions[v]));
  }
}

/* Whether it is valid is another question. */
static void an_expired_certificate_will_do(void **state)
{
  (void)state;
  HF_CLEANUP(openssl_pkey_freep) EVP_PKEY *key = rig_key("P-256");
  X509 *certificate = rig_self_signed("dev-1", PROFILE_SELF_SIGNED, key);
  X509_gmtime_adj(X509_getm_notAfter(certificate), -60);
  assert_true(X509_sign(certificate, key, EVP_sha256()) > 0);
  HF_CLEANUP(chain_freep) STACK_OF(X509) *chain = chain_of(certificate);
  assert_hf_ok(loopback_handshake(chain, key, "the certificate", TLS1_3_VERSION));
}

static void another_key_will_not(void **state)
{
  (void)state;
  HF_CLEANUP(openssl_pkey_freep) EVP_PKEY *key = rig_key("P-256"), *other = rig_key("P-256");
  HF_CLEANUP(chain_freep) STACK_OF(X509) *chain = chain_of(rig_self_signed("dev-1", PROFILE_SELF_SIGNED, key));
  assert_hf_err(loopback_handshake(chain, other, "dev.pem", TLS1_3_VERSION), KEY_MISMATCH);
  assert_contains(hf_err_context(), "dev.pem");
}

int main(void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(every_kind_of_key_shakes_hands),
    cmocka_unit_test(an_expired_certificate_will_do),
    cmocka_unit_test(another_key_will_not),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
