/* SPDX-License-Identifier: Apache-2.0 */
/* Keys and certificates for the tests of src/identity. */
#ifndef HF_TESTS_IDENTITY_RIG_H
#define HF_TESTS_IDENTITY_RIG_H

#include "hf_test.h"

#include "identity/issue.h"

#include <openssl/evp.h>

enum { RIG_DAY = 86400 };

/* A row a kind of key that a device may have. */
static const char *const rig_kinds[] = { "P-256", "P-384", "P-521", "RSA", "ED25519" };

static inline EVP_PKEY *rig_key(const char *kind)
{
  EVP_PKEY *key = kind[0] == 'P'   ? EVP_EC_gen(kind)
                  : kind[0] == 'R' ? EVP_RSA_gen(2048)
                                   : EVP_PKEY_Q_keygen(NULL, NULL, kind);
  assert_non_null(key);
  return key;
}

static inline X509 *rig_self_signed(const char *cn, enum profile_purpose purpose, EVP_PKEY *key)
{
  X509 *certificate = NULL;
  const struct profile_names names = { .common_name = cn };
  const struct issue_options options = {
    .purpose = purpose, .names = &names, .lifetime_s = 10 * RIG_DAY, .path_length = -1
  };
  assert_hf_ok(issue_self_signed(&options, key, &certificate));
  return certificate;
}

static inline X509 *rig_issue(const char *cn, enum profile_purpose purpose, EVP_PKEY *key, const X509 *issuer,
                              EVP_PKEY *issuer_key)
{
  X509 *certificate = NULL;
  const struct profile_names names = { .common_name = cn };
  const struct issue_options options = {
    .purpose = purpose, .names = &names, .lifetime_s = 5 * RIG_DAY, .path_length = -1
  };
  assert_hf_ok(issue_certificate(&options, key, issuer, issuer_key, &certificate));
  return certificate;
}

#endif
