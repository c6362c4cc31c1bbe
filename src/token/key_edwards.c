/* SPDX-License-Identifier: Apache-2.0 */
/* Whether a string of bytes is a point of an Edwards curve (RFC 8032, sections 5.1.3 and 5.2.3): libcrypto finds out with each signature. */
#include "token/key_type.h"

#include "token/crypto.h"

enum { POINT_MAX = 57 };

/* x^2 = (y^2 - 1) / (d y^2 - a), over the integers modulo p; the sign of x is the last byte's top bit. */
static const struct edwards {
  const char *name;
  size_t len;
  const char *p, *d;
  int a;
} curves[] = {
  { "ED25519", 32, "7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffed",
    "52036cee2b6ffe738cc740797779e89800700a4d4141d8ab75eb4dca135978a3", -1 },
  { "ED448", 57,
    "fffffffffffffffffffffffffffffffffffffffffffffffffffffffeffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "fffffffffffffffffffffffffffffffffffffffffffffffffffffffeffffffffffffffffffffffffffffffffffffffffffffffffffff6756",
    1 },
};

struct numbers {
  BIGNUM *p, *d, *y, *u, *v;
  BN_CTX *ctx;
};

static void free_numbers(struct numbers *n)
{
  BN_free(n->p);
  BN_free(n->d);
  BN_free(n->y);
  BN_free(n->u);
  BN_free(n->v);
  BN_CTX_free(n->ctx);
}

static bool start(struct numbers *n, const struct edwards *curve, const uint8_t *y)
{
  n->ctx = BN_CTX_new_ex(crypto_ctx());
  n->u = BN_new();
  n->v = BN_new();
  n->y = BN_lebin2bn(y, (int)curve->len, NULL);
  return n->ctx && n->u && n->v && n->y && BN_hex2bn(&n->p, curve->p) && BN_hex2bn(&n->d, curve->d);
}

/* Whether u/v, which is a square where u v is, is the square of an x that has this sign. */
static bool has_x(struct numbers *n, const struct edwards *curve, bool sign)
{
  if (BN_cmp(n->y, n->p) >= 0 || !BN_mod_sqr(n->u, n->y, n->p, n->ctx) || !BN_mod_mul(n->v, n->d, n->u, n->p, n->ctx) ||
      !BN_sub_word(n->u, 1) || !(curve->a < 0 ? BN_add_word(n->v, 1) : BN_sub_word(n->v, 1)))
    return false;
  if (BN_is_zero(n->u))
    return !sign;
  return BN_nnmod(n->u, n->u, n->p, n->ctx) && BN_nnmod(n->v, n->v, n->p, n->ctx) &&
         BN_mod_mul(n->u, n->u, n->v, n->p, n->ctx) && BN_kronecker(n->u, n->p, n->ctx) == 1;
}

static bool on_curve(const struct edwards *curve, uint8_t point[POINT_MAX])
{
  HF_CLEANUP(free_numbers) struct numbers n = { 0 };
  bool sign = point[curve->len - 1] & 0x80;
  point[curve->len - 1] &= 0x7f;
  return start(&n, curve, point) && has_x(&n, curve, sign);
}

hf_err key_check_edwards(struct kind kind, const EVP_PKEY *key)
{
  uint8_t point[POINT_MAX];
  size_t len = sizeof(point);
  if (kind.class != CKO_PUBLIC_KEY)
    return HF_OK;
  if (EVP_PKEY_get_raw_public_key(key, point, &len) != 1)
    return crypto_fail(HF_ERR_FUNCTION_FAILED, "reading a key");
  for (size_t i = 0; i < HF_ARRAY_LEN(curves); i++)
    if (EVP_PKEY_is_a(key, curves[i].name))
      return len == curves[i].len && on_curve(&curves[i], point) ? HF_OK
                                                                 : key_bad("CKA_EC_POINT is no point of the curve");
  return HF_OK;
}
