/* SPDX-License-Identifier: Apache-2.0 */
#include "token/key_type.h"

#include "token/crypto.h"

#include <openssl/core_names.h>
#include <openssl/rsa.h>

enum number { N, E, D, P, Q, DP, DQ, QI, NUMBERS };

#define CRT (KEY_IN_PRIVATE | KEY_SECRET | KEY_OPTIONAL)

static const struct key_part parts[NUMBERS] = {
  [N] = { CKA_MODULUS, OSSL_PKEY_PARAM_RSA_N, KEY_IN_PUBLIC | KEY_IN_PRIVATE },
  [E] = { CKA_PUBLIC_EXPONENT, OSSL_PKEY_PARAM_RSA_E, KEY_IN_PUBLIC | KEY_IN_PRIVATE },
  [D] = { CKA_PRIVATE_EXPONENT, OSSL_PKEY_PARAM_RSA_D, KEY_IN_PRIVATE | KEY_SECRET },
  [P] = { CKA_PRIME_1, OSSL_PKEY_PARAM_RSA_FACTOR1, CRT },
  [Q] = { CKA_PRIME_2, OSSL_PKEY_PARAM_RSA_FACTOR2, CRT },
  [DP] = { CKA_EXPONENT_1, OSSL_PKEY_PARAM_RSA_EXPONENT1, CRT },
  [DQ] = { CKA_EXPONENT_2, OSSL_PKEY_PARAM_RSA_EXPONENT2, CRT },
  [QI] = { CKA_COEFFICIENT, OSSL_PKEY_PARAM_RSA_COEFFICIENT1, CRT },
};

struct rsa {
  BIGNUM *bn[NUMBERS];
};

static void rsa_free(struct rsa *rsa)
{
  for (size_t i = 0; i < NUMBERS; i++)
    BN_clear_free(rsa->bn[i]);
}

static hf_err read_numbers(bool private, const struct attrs *open, const struct attrs *secret, struct rsa *rsa)
{
  for (size_t i = 0; i < (private ? NUMBERS : D); i++) {
    struct hf_slice value;
    if (attrs_get(parts[i].flags & KEY_SECRET ? secret : open, parts[i].type, &value) && value.len)
      HF_TRY(key_number(value, &rsa->bn[i]));
  }
  return HF_OK;
}

static BIGNUM *new_secret(void)
{
  BIGNUM *bn = BN_new();
  if (bn)
    BN_set_flags(bn, BN_FLG_CONSTTIME);
  return bn;
}

/* *x becomes made, which done says is good; false where it was there and another. */
static bool settle(BIGNUM **x, BIGNUM *made, bool done)
{
  bool good = done && (!*x || BN_cmp(*x, made) == 0);
  BN_clear_free(*x);
  *x = made;
  return good;
}

static bool inverse(BIGNUM **x, const BIGNUM *a, const BIGNUM *m, BN_CTX *ctx)
{
  BIGNUM *made = new_secret();
  return settle(x, made, made && BN_mod_inverse(made, a, m, ctx));
}

static bool reduce(BIGNUM **x, const BIGNUM *a, const BIGNUM *m, BN_CTX *ctx)
{
  BIGNUM *made = new_secret();
  return settle(x, made, made && BN_mod(made, a, m, ctx));
}

/* Of the primes follow the exponents, one by the other (RFC 8017, section 3.2), and what speeds a signature up. */
static hf_err follow_from_primes(struct rsa *rsa)
{
  BIGNUM **bn = rsa->bn;
  HF_CLEANUP(key_bn_ctx_free) BN_CTX *ctx = BN_CTX_secure_new_ex(crypto_ctx());
  HF_CLEANUP(key_number_free) BIGNUM *product = new_secret();
  HF_CLEANUP(key_number_free) BIGNUM *p1 = new_secret();
  HF_CLEANUP(key_number_free) BIGNUM *q1 = new_secret();
  HF_CLEANUP(key_number_free) BIGNUM *gcd = new_secret();
  HF_CLEANUP(key_number_free) BIGNUM *lambda = new_secret();
  if (!ctx || !product || !p1 || !q1 || !gcd || !lambda)
    return hf_fail(HF_ERR_NO_MEMORY, "an RSA key");
  if (BN_is_one(bn[P]) || BN_is_one(bn[Q]) || !BN_mul(product, bn[P], bn[Q], ctx) || BN_cmp(product, bn[N]) != 0)
    return key_bad("the primes are not the modulus's");
  if (!BN_sub(p1, bn[P], BN_value_one()) || !BN_sub(q1, bn[Q], BN_value_one()) || !BN_gcd(gcd, p1, q1, ctx) ||
      !BN_div(lambda, NULL, p1, gcd, ctx) || !BN_mul(lambda, lambda, q1, ctx) ||
      (!bn[D] && !inverse(&bn[D], bn[E], lambda, ctx)) || (!bn[E] && !inverse(&bn[E], bn[D], lambda, ctx)) ||
      !reduce(&bn[DP], bn[D], p1, ctx) || !reduce(&bn[DQ], bn[D], q1, ctx) || !inverse(&bn[QI], bn[Q], bn[P], ctx))
    return key_bad("the primes and exponents are no RSA key");
  return HF_OK;
}

static hf_err complete_private(struct rsa *rsa)
{
  if (rsa->bn[P] && rsa->bn[Q] && (rsa->bn[E] || rsa->bn[D]))
    return follow_from_primes(rsa);
  /* libcrypto takes the primes with all that follows from them, or none of it. */
  for (size_t i = P; i < NUMBERS; i++) {
    BN_clear_free(rsa->bn[i]);
    rsa->bn[i] = NULL;
  }
  return rsa->bn[E] && rsa->bn[D]
             ? HF_OK
             : hf_fail(HF_ERR_TEMPLATE_INCOMPLETE, "an RSA key wants both exponents, or one and both primes");
}

static hf_err decode(struct kind kind, const struct attrs *open, const struct attrs *secret, EVP_PKEY **ret_key)
{
  HF_CLEANUP(key_build_free) struct key_build build = { 0 };
  HF_CLEANUP(rsa_free) struct rsa rsa = { 0 };
  bool private = kind.class == CKO_PRIVATE_KEY;
  HF_TRY(key_build_start(&build));
  HF_TRY(read_numbers(private, open, secret, &rsa));
  if (!rsa.bn[N] || (!private && !rsa.bn[E]))
    return hf_fail(HF_ERR_ATTRIBUTE_VALUE_INVALID, "an RSA key without a modulus or an exponent");
  if (private)
    HF_TRY(complete_private(&rsa));
  for (size_t i = 0; i < NUMBERS; i++)
    if (rsa.bn[i])
      HF_TRY(key_build_number(&build, parts[i].name, HF_TAKE(rsa.bn[i])));
  return key_build_done(&build, "RSA", private ? EVP_PKEY_KEYPAIR : EVP_PKEY_PUBLIC_KEY, ret_key);
}

static hf_err encode(const EVP_PKEY *key, struct attr_halves *public, struct attr_halves *private)
{
  HF_TRY(key_parts_encode(key, parts, NUMBERS, public, private));
  return public ? attrs_set_ulong(&public->open, CKA_MODULUS_BITS, (CK_ULONG)EVP_PKEY_get_bits(key)) : HF_OK;
}

/* What every number of a public key keeps to, whatever else it may be (RFC 8017, section 3.1). */
static hf_err check_public(const BIGNUM *n, const BIGNUM *e)
{
  if (!BN_is_odd(n) || !BN_is_odd(e) || BN_is_one(e) || BN_cmp(e, n) >= 0)
    return key_bad("the modulus and the exponent are no RSA key's");
  return HF_OK;
}

/* Whether the exponents belong together: 2^(e d) = 2. Primes that are none show here, too. */
static hf_err check_exponents(BIGNUM *const *bn)
{
  HF_CLEANUP(key_bn_ctx_free) BN_CTX *ctx = BN_CTX_new_ex(crypto_ctx());
  HF_CLEANUP(key_number_free) BIGNUM *x = BN_new();
  if (!ctx || !x)
    return hf_fail(HF_ERR_NO_MEMORY, "an RSA key");
  BN_set_flags(bn[D], BN_FLG_CONSTTIME);
  if (!BN_set_word(x, 2) || !BN_mod_exp(x, x, bn[E], bn[N], ctx) || !BN_mod_exp(x, x, bn[D], bn[N], ctx) ||
      !BN_is_word(x, 2))
    return key_bad("the exponents are no RSA key's");
  return HF_OK;
}

static hf_err check(struct kind kind, const EVP_PKEY *key)
{
  HF_CLEANUP(rsa_free) struct rsa rsa = { 0 };
  bool private = kind.class == CKO_PRIVATE_KEY;
  for (size_t i = N; i <= (private ? D : E); i++)
    if (EVP_PKEY_get_bn_param(key, parts[i].name, &rsa.bn[i]) != 1)
      return crypto_fail(HF_ERR_FUNCTION_FAILED, "reading a key");
  HF_TRY(check_public(rsa.bn[N], rsa.bn[E]));
  return private ? check_exponents(rsa.bn) : HF_OK;
}

static const char *const names[] = { "RSA", NULL };
const struct key_type key_type_rsa = {
  .type = CKK_RSA, .names = names, .decode = decode, .encode = encode, .check = check
};

hf_err key_generate_rsa(CK_ULONG bits, struct hf_slice exponent, struct attr_halves *public,
                        struct attr_halves *private)
{
  HF_CLEANUP(key_ctx_free) EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(crypto_ctx(), "RSA", NULL);
  HF_CLEANUP(key_number_free) BIGNUM *e = BN_bin2bn(exponent.data, (int)exponent.len, NULL);
  HF_CLEANUP(key_free) EVP_PKEY *key = NULL;
  if (!ctx || !e || EVP_PKEY_keygen_init(ctx) != 1 || EVP_PKEY_CTX_set_rsa_keygen_bits(ctx, (int)bits) != 1 ||
      EVP_PKEY_CTX_set1_rsa_keygen_pubexp(ctx, e) != 1 || EVP_PKEY_generate(ctx, &key) != 1)
    return crypto_fail(HF_ERR_FUNCTION_FAILED, "generating an RSA key");
  return encode(key, public, private);
}
