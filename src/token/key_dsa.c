/* SPDX-License-Identifier: Apache-2.0 */
#include "token/key_type.h"

#include "token/crypto.h"

#include <openssl/core_names.h>
#include <openssl/dsa.h>

#define IN_PAIR (KEY_IN_PUBLIC | KEY_IN_PRIVATE)

static const struct key_part domain[] = {
  { CKA_PRIME, OSSL_PKEY_PARAM_FFC_P, IN_PAIR },
  { CKA_SUBPRIME, OSSL_PKEY_PARAM_FFC_Q, IN_PAIR },
  { CKA_BASE, OSSL_PKEY_PARAM_FFC_G, IN_PAIR },
};
static const struct key_part values[] = {
  { CKA_VALUE, OSSL_PKEY_PARAM_PUB_KEY, KEY_IN_PUBLIC },
  { CKA_VALUE, OSSL_PKEY_PARAM_PRIV_KEY, KEY_IN_PRIVATE | KEY_SECRET },
};

enum { P, Q, G, DOMAIN_NUMBERS };

/* p, q and g, and 1 < g < p of the order q: what every other step stands on (FIPS 186-4, section 4.1). */
static hf_err check_domain(BIGNUM *const *bn, BN_CTX *ctx)
{
  HF_CLEANUP(key_number_free) BIGNUM *x = BN_new();
  int q_bits = BN_num_bits(bn[Q]);
  bool sized = q_bits == 160 || q_bits == 224 || q_bits == 256;
  if (!x || !sized || !BN_is_odd(bn[P]) || !BN_is_odd(bn[Q]) || BN_cmp(bn[Q], bn[P]) >= 0 || BN_is_zero(bn[G]) ||
      BN_is_one(bn[G]) || BN_cmp(bn[G], bn[P]) >= 0 || !BN_mod_exp(x, bn[G], bn[Q], bn[P], ctx) || !BN_is_one(x))
    return key_bad("the numbers are no DSA domain parameters");
  return HF_OK;
}

/* A number of the order q, as a public value is. */
static bool in_subgroup(const BIGNUM *y, BIGNUM *const *bn, BN_CTX *ctx)
{
  HF_CLEANUP(key_number_free) BIGNUM *x = BN_new();
  return x && !BN_is_zero(y) && !BN_is_one(y) && BN_cmp(y, bn[P]) < 0 && BN_mod_exp(x, y, bn[Q], bn[P], ctx) &&
         BN_is_one(x);
}

static hf_err build_public(struct key_build *build, const BIGNUM *x, BN_CTX *ctx)
{
  BIGNUM *const *bn = build->numbers, *y = BN_new();
  if (y && !BN_is_zero(x) && BN_cmp(x, bn[Q]) < 0 && BN_mod_exp(y, bn[G], x, bn[P], ctx))
    return key_build_number(build, OSSL_PKEY_PARAM_PUB_KEY, y);
  BN_free(y);
  return key_bad("the value is no private DSA key");
}

static hf_err decode(struct kind kind, const struct attrs *open, const struct attrs *secret, EVP_PKEY **ret_key)
{
  HF_CLEANUP(key_build_free) struct key_build build = { 0 };
  HF_CLEANUP(key_bn_ctx_free) BN_CTX *ctx = BN_CTX_new_ex(crypto_ctx());
  bool private = kind.class == CKO_PRIVATE_KEY;
  if (!ctx)
    return hf_fail(HF_ERR_NO_MEMORY, "a key");
  HF_TRY(key_build_start(&build));
  HF_TRY(key_build_parts(&build, domain, HF_ARRAY_LEN(domain), kind, open, secret));
  HF_TRY(check_domain(build.numbers, ctx));
  HF_TRY(key_build_parts(&build, values, HF_ARRAY_LEN(values), kind, open, secret));
  const BIGNUM *value = build.numbers[DOMAIN_NUMBERS];
  if (private)
    HF_TRY(build_public(&build, value, ctx));
  else if (!in_subgroup(value, build.numbers, ctx))
    return key_bad("the value is no public DSA key");
  return key_build_done(&build, "DSA", private ? EVP_PKEY_KEYPAIR : EVP_PKEY_PUBLIC_KEY, ret_key);
}

static hf_err encode(const EVP_PKEY *key, struct attr_halves *public, struct attr_halves *private)
{
  HF_TRY(key_parts_encode(key, domain, HF_ARRAY_LEN(domain), public, private));
  return key_parts_encode(key, values, HF_ARRAY_LEN(values), public, private);
}

static const char *const names[] = { "DSA", NULL };
const struct key_type key_type_dsa = { .type = CKK_DSA, .names = names, .decode = decode, .encode = encode };

static hf_err decode_domain(CK_ULONG min, CK_ULONG max, const struct attrs *open, EVP_PKEY **ret_params)
{
  static const struct kind kind = { CKO_PUBLIC_KEY, CKK_DSA };
  HF_CLEANUP(key_build_free) struct key_build build = { 0 };
  HF_CLEANUP(key_bn_ctx_free) BN_CTX *ctx = BN_CTX_new_ex(crypto_ctx());
  struct hf_slice value;
  if (!ctx)
    return hf_fail(HF_ERR_NO_MEMORY, "a key");
  for (size_t i = 0; i < HF_ARRAY_LEN(domain); i++)
    if (!attrs_get(open, domain[i].type, &value))
      return hf_fail(HF_ERR_TEMPLATE_INCOMPLETE, "CKA_PRIME, CKA_SUBPRIME or CKA_BASE is missing");
  HF_TRY(key_build_start(&build));
  HF_TRY(key_build_parts(&build, domain, HF_ARRAY_LEN(domain), kind, open, NULL));
  CK_ULONG bits = (CK_ULONG)BN_num_bits(build.numbers[P]);
  if (bits < min || bits > max)
    return hf_fail(HF_ERR_KEY_SIZE_RANGE, "DSA of %lu bits", bits);
  HF_TRY(check_domain(build.numbers, ctx));
  return key_build_done(&build, "DSA", EVP_PKEY_KEY_PARAMETERS, ret_params);
}

hf_err key_generate_dsa(CK_ULONG min, CK_ULONG max, struct attr_halves *public, struct attr_halves *private)
{
  HF_CLEANUP(key_free) EVP_PKEY *params = NULL;
  HF_CLEANUP(key_free) EVP_PKEY *key = NULL;
  HF_TRY(decode_domain(min, max, &public->open, &params));
  HF_CLEANUP(key_ctx_free) EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(crypto_ctx(), params, NULL);
  if (!ctx || EVP_PKEY_keygen_init(ctx) != 1 || EVP_PKEY_generate(ctx, &key) != 1)
    return crypto_fail(HF_ERR_FUNCTION_FAILED, "generating a DSA key");
  return encode(key, public, private);
}

hf_err key_generate_dsa_params(CK_ULONG p_bits, CK_ULONG q_bits, struct attr_halves *params)
{
  HF_CLEANUP(key_ctx_free) EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(crypto_ctx(), "DSA", NULL);
  HF_CLEANUP(key_free) EVP_PKEY *made = NULL;
  if (!ctx || EVP_PKEY_paramgen_init(ctx) != 1 || EVP_PKEY_CTX_set_dsa_paramgen_bits(ctx, (int)p_bits) != 1 ||
      EVP_PKEY_CTX_set_dsa_paramgen_q_bits(ctx, (int)q_bits) != 1 || EVP_PKEY_generate(ctx, &made) != 1)
    return crypto_fail(HF_ERR_FUNCTION_FAILED, "generating DSA parameters");
  return key_parts_encode(made, domain, HF_ARRAY_LEN(domain), params, NULL);
}
