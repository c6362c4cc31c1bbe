/* SPDX-License-Identifier: Apache-2.0 */
/* Diffie-Hellman keys in the numbers modulo a prime (PKCS #3): the group is the key's own. */
#include "token/key_type.h"

#include "token/crypto.h"

#include <openssl/core_names.h>
#include <openssl/dh.h>

#define IN_PAIR (KEY_IN_PUBLIC | KEY_IN_PRIVATE)

static const struct key_part group[] = {
  { CKA_PRIME, OSSL_PKEY_PARAM_FFC_P, IN_PAIR },
  { CKA_BASE, OSSL_PKEY_PARAM_FFC_G, IN_PAIR },
};
static const struct key_part values[] = {
  { CKA_VALUE, OSSL_PKEY_PARAM_PUB_KEY, KEY_IN_PUBLIC },
  { CKA_VALUE, OSSL_PKEY_PARAM_PRIV_KEY, KEY_IN_PRIVATE | KEY_SECRET },
};

enum { P, G, GROUP_NUMBERS, BITS_MIN = 1024, BITS_MAX = 8192 };

/* Whether a number is between 1 and p - 1, both of which make a secret that everybody knows. */
static bool inside(const BIGNUM *number, const BIGNUM *p)
{
  HF_CLEANUP(key_number_free) BIGNUM *last = BN_dup(p);
  return last && BN_sub_word(last, 1) && BN_cmp(number, BN_value_one()) > 0 && BN_cmp(number, last) < 0;
}

/* That p is a prime stays the word of whoever chose the group: to try it takes seconds. */
static hf_err check_group(BIGNUM *const *bn)
{
  int bits = BN_num_bits(bn[P]);
  if (bits < BITS_MIN || bits > BITS_MAX)
    return hf_fail(HF_ERR_KEY_SIZE_RANGE, "Diffie-Hellman of %d bits", bits);
  return BN_is_odd(bn[P]) && inside(bn[G], bn[P]) ? HF_OK : key_bad("the numbers are no Diffie-Hellman group");
}

static hf_err build_public(struct key_build *build, const BIGNUM *x)
{
  HF_CLEANUP(key_bn_ctx_free) BN_CTX *ctx = BN_CTX_new_ex(crypto_ctx());
  BIGNUM *const *bn = build->numbers, *y = BN_new();
  if (ctx && y && !BN_is_zero(x) && BN_cmp(x, bn[P]) < 0 && BN_mod_exp(y, bn[G], x, bn[P], ctx) && inside(y, bn[P]))
    return key_build_number(build, OSSL_PKEY_PARAM_PUB_KEY, y);
  BN_free(y);
  return key_bad("the value is no private Diffie-Hellman key");
}

static hf_err decode(struct kind kind, const struct attrs *open, const struct attrs *secret, EVP_PKEY **ret_key)
{
  HF_CLEANUP(key_build_free) struct key_build build = { 0 };
  bool private = kind.class == CKO_PRIVATE_KEY;
  HF_TRY(key_build_start(&build));
  HF_TRY(key_build_parts(&build, group, HF_ARRAY_LEN(group), kind, open, secret));
  HF_TRY(check_group(build.numbers));
  HF_TRY(key_build_parts(&build, values, HF_ARRAY_LEN(values), kind, open, secret));
  const BIGNUM *value = build.numbers[GROUP_NUMBERS];
  if (private)
    HF_TRY(build_public(&build, value));
  else if (!inside(value, build.numbers[P]))
    return key_bad("the value is no public Diffie-Hellman key");
  return key_build_done(&build, "DH", private ? EVP_PKEY_KEYPAIR : EVP_PKEY_PUBLIC_KEY, ret_key);
}

static hf_err encode(const EVP_PKEY *key, struct attr_halves *public, struct attr_halves *private)
{
  HF_TRY(key_parts_encode(key, group, HF_ARRAY_LEN(group), public, private));
  return key_parts_encode(key, values, HF_ARRAY_LEN(values), public, private);
}

static const char *const names[] = { "DH", NULL };
const struct key_type key_type_dh = { .type = CKK_DH, .names = names, .decode = decode, .encode = encode };

hf_err key_peer_dh(const struct attrs *own, struct hf_slice value, EVP_PKEY **ret_peer)
{
  static const struct kind kind = { CKO_PUBLIC_KEY, CKK_DH };
  HF_CLEANUP(attrs_free) struct attrs open = ATTRS_EMPTY;
  struct hf_slice number;
  for (size_t i = 0; i < HF_ARRAY_LEN(group); i++)
    if (attrs_get(own, group[i].type, &number))
      HF_TRY(attrs_set(&open, group[i].type, number));
  HF_TRY(attrs_set(&open, CKA_VALUE, value));
  return decode(kind, &open, NULL, ret_peer);
}

static hf_err decode_group(const struct attrs *open, CK_ULONG private_bits, EVP_PKEY **ret_group)
{
  static const struct kind kind = { CKO_PUBLIC_KEY, CKK_DH };
  HF_CLEANUP(key_build_free) struct key_build build = { 0 };
  HF_TRY(key_build_start(&build));
  HF_TRY(key_build_parts(&build, group, HF_ARRAY_LEN(group), kind, open, NULL));
  HF_TRY(check_group(build.numbers));
  CK_ULONG bits = (CK_ULONG)BN_num_bits(build.numbers[P]);
  if (private_bits && (private_bits < BITS_MIN / 8 || private_bits >= bits))
    return hf_fail(HF_ERR_KEY_SIZE_RANGE, "a private value of %lu bits", private_bits);
  if (private_bits && !OSSL_PARAM_BLD_push_int(build.bld, OSSL_PKEY_PARAM_DH_PRIV_LEN, (int)private_bits))
    return hf_fail(HF_ERR_NO_MEMORY, "a key");
  return key_build_done(&build, "DH", EVP_PKEY_KEY_PARAMETERS, ret_group);
}

hf_err key_generate_dh(CK_ULONG private_bits, struct attr_halves *public, struct attr_halves *private)
{
  HF_CLEANUP(key_free) EVP_PKEY *params = NULL;
  HF_CLEANUP(key_free) EVP_PKEY *key = NULL;
  HF_TRY(decode_group(&public->open, private_bits, &params));
  HF_CLEANUP(key_ctx_free) EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(crypto_ctx(), params, NULL);
  if (!ctx || EVP_PKEY_keygen_init(ctx) != 1 || EVP_PKEY_generate(ctx, &key) != 1)
    return crypto_fail(HF_ERR_FUNCTION_FAILED, "generating a Diffie-Hellman key");
  return encode(key, public, private);
}

static const struct {
  CK_ULONG bits;
  const char *name;
} named[] = {
  { 1536, "modp_1536" }, { 2048, "ffdhe2048" }, { 3072, "ffdhe3072" },
  { 4096, "ffdhe4096" }, { 6144, "ffdhe6144" }, { 8192, "ffdhe8192" },
};

static hf_err encode_named(const char *name, struct attr_halves *params)
{
  HF_CLEANUP(key_ctx_free) EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(crypto_ctx(), "DH", NULL);
  HF_CLEANUP(key_free) EVP_PKEY *made = NULL;
  OSSL_PARAM rows[] = { OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, (char *)(uintptr_t)name, 0),
                        OSSL_PARAM_END };
  if (!ctx || EVP_PKEY_paramgen_init(ctx) != 1 || EVP_PKEY_CTX_set_params(ctx, rows) != 1 ||
      EVP_PKEY_generate(ctx, &made) != 1)
    return crypto_fail(HF_ERR_FUNCTION_FAILED, "a Diffie-Hellman group");
  return key_parts_encode(made, group, HF_ARRAY_LEN(group), params, NULL);
}

hf_err key_dh_group(CK_ULONG bits, struct attr_halves *params)
{
  for (size_t i = 0; i < HF_ARRAY_LEN(named); i++)
    if (named[i].bits == bits)
      return encode_named(named[i].name, params);
  return hf_fail(HF_ERR_KEY_SIZE_RANGE, "a Diffie-Hellman group of %lu bits", bits);
}
