/* SPDX-License-Identifier: Apache-2.0 */
#include "token/key.h"

#include "token/crypto.h"

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>

enum { POINT_MAX = 256, NUMBER_MAX = 2048, DER_OCTET_STRING = 0x04 };

#define DER(bytes)                              \
  {                                             \
    (const uint8_t *)(bytes), sizeof(bytes) - 1 \
  }

/* clang-format off */
static const struct curve curves[] = {
  { "prime256v1", CKK_EC, 256, { DER("\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07") } },
  { "secp384r1", CKK_EC, 384, { DER("\x06\x05\x2b\x81\x04\x00\x22") } },
  { "secp521r1", CKK_EC, 521, { DER("\x06\x05\x2b\x81\x04\x00\x23") } },
  /* PKCS #11 v3.1's OID (RFC 8410), v3.0's name and v3.0's OID: clients use them all. */
  { "ED25519", CKK_EC_EDWARDS, 255, { DER("\x06\x03\x2b\x65\x70"),
                                      DER("\x13\x0c" "edwards25519"),
                                      DER("\x06\x09\x2b\x06\x01\x04\x01\xda\x47\x0f\x01") } },
};
/* clang-format on */

hf_err curve_find(CK_KEY_TYPE type, struct hf_slice params, const struct curve **ret_curve)
{
  for (size_t i = 0; i < HF_ARRAY_LEN(curves); i++) {
    for (size_t form = 0; form < CURVE_FORMS && curves[i].params[form].len; form++) {
      if (curves[i].type == type && hf_slice_equal(curves[i].params[form], params)) {
        *ret_curve = &curves[i];
        return HF_OK;
      }
    }
  }
  return hf_fail(HF_ERR_CURVE_NOT_SUPPORTED, "CKA_EC_PARAMS of %zu bytes", params.len);
}

static hf_err bad_key(const char *what)
{
  return crypto_fail(HF_ERR_ATTRIBUTE_VALUE_INVALID, what);
}

static void free_bld(OSSL_PARAM_BLD **bld)
{
  OSSL_PARAM_BLD_free(*bld);
}

static void free_params(OSSL_PARAM **params)
{
  OSSL_PARAM_free(*params);
}

static void free_key_ctx(EVP_PKEY_CTX **ctx)
{
  EVP_PKEY_CTX_free(*ctx);
}

static void free_key(EVP_PKEY **key)
{
  EVP_PKEY_free(*key);
}

static void free_bn(BIGNUM **bn)
{
  BN_clear_free(*bn);
}

/* The numbers that a builder refers to until its parameters are made. */
struct numbers {
  BIGNUM *bn[8];
  size_t count;
};

static void free_numbers(struct numbers *numbers)
{
  for (size_t i = 0; i < numbers->count; i++)
    BN_clear_free(numbers->bn[i]);
}

static hf_err push_number(OSSL_PARAM_BLD *bld, struct numbers *numbers, const char *name, struct hf_slice value)
{
  if (value.len == 0 || value.len > NUMBER_MAX || numbers->count == HF_ARRAY_LEN(numbers->bn))
    return hf_fail(HF_ERR_ATTRIBUTE_VALUE_INVALID, "a key's number of %zu bytes", value.len);
  BIGNUM *bn = BN_bin2bn(value.data, (int)value.len, NULL);
  if (!bn)
    return hf_fail(HF_ERR_NO_MEMORY, "a key's number");
  numbers->bn[numbers->count++] = bn;
  BN_set_flags(bn, BN_FLG_CONSTTIME);
  return OSSL_PARAM_BLD_push_BN(bld, name, bn) ? HF_OK : hf_fail(HF_ERR_NO_MEMORY, "a key's number");
}

static hf_err from_params(const char *type, OSSL_PARAM_BLD *bld, bool private, EVP_PKEY **ret_key)
{
  HF_CLEANUP(free_params) OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(bld);
  HF_CLEANUP(free_key_ctx) EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(crypto_ctx(), type, NULL);
  EVP_PKEY *key = NULL;
  if (!params || !ctx || EVP_PKEY_fromdata_init(ctx) != 1 ||
      EVP_PKEY_fromdata(ctx, &key, private ? EVP_PKEY_KEYPAIR : EVP_PKEY_PUBLIC_KEY, params) != 1)
    return bad_key("the numbers are no key");
  *ret_key = key;
  return HF_OK;
}

static const struct {
  CK_ATTRIBUTE_TYPE type;
  const char *name;
  bool secret;
} rsa_parts[] = {
  { CKA_MODULUS, OSSL_PKEY_PARAM_RSA_N, false },           { CKA_PUBLIC_EXPONENT, OSSL_PKEY_PARAM_RSA_E, false },
  { CKA_PRIVATE_EXPONENT, OSSL_PKEY_PARAM_RSA_D, true },   { CKA_PRIME_1, OSSL_PKEY_PARAM_RSA_FACTOR1, true },
  { CKA_PRIME_2, OSSL_PKEY_PARAM_RSA_FACTOR2, true },      { CKA_EXPONENT_1, OSSL_PKEY_PARAM_RSA_EXPONENT1, true },
  { CKA_EXPONENT_2, OSSL_PKEY_PARAM_RSA_EXPONENT2, true }, { CKA_COEFFICIENT, OSSL_PKEY_PARAM_RSA_COEFFICIENT1, true },
};

static bool has_crt(const struct attrs *secret)
{
  struct hf_slice value;
  for (size_t i = 3; i < HF_ARRAY_LEN(rsa_parts); i++)
    if (!attrs_get(secret, rsa_parts[i].type, &value))
      return false;
  return true;
}

static hf_err decode_rsa(struct kind kind, const struct attrs *open, const struct attrs *secret, EVP_PKEY **ret_key)
{
  HF_CLEANUP(free_numbers) struct numbers numbers = { 0 };
  HF_CLEANUP(free_bld) OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
  if (!bld)
    return hf_fail(HF_ERR_NO_MEMORY, "a key");
  bool private = kind.class == CKO_PRIVATE_KEY;
  /* libcrypto takes the primes with all that follows from them, or none of it. */
  size_t parts = !private ? 2 : has_crt(secret) ? HF_ARRAY_LEN(rsa_parts) : 3;
  for (size_t i = 0; i < parts; i++) {
    struct hf_slice value = { 0 };
    (void)attrs_get(rsa_parts[i].secret ? secret : open, rsa_parts[i].type, &value);
    HF_TRY(push_number(bld, &numbers, rsa_parts[i].name, value));
  }
  return from_params("RSA", bld, private, ret_key);
}

/*
 * CKA_EC_POINT is a DER OCTET STRING; the bare point is accepted. The standard has Edwards points bare since v3.1; but
 * clients know them as v3.0 has them, and as SoftHSM2 gives them.
 */
static struct hf_slice bare_point(struct hf_slice point, const struct curve *curve)
{
  size_t field = (curve->bits + 7) / 8, bare = curve->type == CKK_EC ? 1 + 2 * field : field;
  if (point.len == bare || point.len < 2 || point.data[0] != DER_OCTET_STRING)
    return point;
  size_t head = point.data[1] < 0x80 ? 2 : 3;
  size_t len = head == 2 ? point.data[1] : point.len > 2 ? point.data[2] : 0;
  return point.len == head + len ? hf_slice(point.data + head, len) : point;
}

static hf_err public_of_private(const struct curve *curve, struct hf_slice value, struct hf_buf *out)
{
  EC_GROUP *group = EC_GROUP_new_by_curve_name_ex(crypto_ctx(), NULL, OBJ_sn2nid(curve->name));
  EC_POINT *point = group ? EC_POINT_new(group) : NULL;
  HF_CLEANUP(free_bn) BIGNUM *scalar = BN_bin2bn(value.data, (int)value.len, NULL);
  uint8_t bytes[POINT_MAX];
  size_t len = 0;
  if (point && scalar && !BN_is_zero(scalar) && BN_cmp(scalar, EC_GROUP_get0_order(group)) < 0 &&
      EC_POINT_mul(group, point, scalar, NULL, NULL, NULL) == 1)
    len = EC_POINT_point2oct(group, point, POINT_CONVERSION_UNCOMPRESSED, bytes, sizeof(bytes), NULL);
  EC_POINT_free(point);
  EC_GROUP_free(group);
  return len ? hf_buf_add(out, bytes, len) : bad_key("the value is no private key of this curve");
}

static hf_err decode_ec(struct kind kind, const struct attrs *open, const struct attrs *secret, EVP_PKEY **ret_key)
{
  struct hf_slice params = { 0 }, point = { 0 }, value = { 0 };
  const struct curve *curve = NULL;
  bool private = kind.class == CKO_PRIVATE_KEY;
  (void)attrs_get(open, CKA_EC_PARAMS, &params);
  (void)attrs_get(open, CKA_EC_POINT, &point);
  HF_TRY(curve_find(CKK_EC, params, &curve));
  HF_CLEANUP(free_numbers) struct numbers numbers = { 0 };
  HF_CLEANUP(free_bld) OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
  HF_CLEANUP(hf_buf_free) struct hf_buf public = HF_BUF(POINT_MAX);
  if (!bld || !OSSL_PARAM_BLD_push_utf8_string(bld, OSSL_PKEY_PARAM_GROUP_NAME, curve->name, 0))
    return hf_fail(HF_ERR_NO_MEMORY, "a key");
  if (private) {
    (void)attrs_get(secret, CKA_VALUE, &value);
    HF_TRY(push_number(bld, &numbers, OSSL_PKEY_PARAM_PRIV_KEY, value));
    /* Derived rather than taken from the object: a foreign point beside a private key would make wrong signatures. */
    HF_TRY(public_of_private(curve, value, &public));
  } else {
    point = bare_point(point, curve);
    HF_TRY(hf_buf_add(&public, point.data, point.len));
  }
  if (!OSSL_PARAM_BLD_push_octet_string(bld, OSSL_PKEY_PARAM_PUB_KEY, public.data, public.len))
    return hf_fail(HF_ERR_NO_MEMORY, "a key");
  return from_params("EC", bld, private, ret_key);
}

static hf_err decode_edwards(struct kind kind, const struct attrs *open, const struct attrs *secret, EVP_PKEY **ret_key)
{
  struct hf_slice params = { 0 }, raw = { 0 };
  const struct curve *curve = NULL;
  bool private = kind.class == CKO_PRIVATE_KEY;
  (void)attrs_get(open, CKA_EC_PARAMS, &params);
  HF_TRY(curve_find(CKK_EC_EDWARDS, params, &curve));
  (void)attrs_get(private ? secret : open, private ? CKA_VALUE : CKA_EC_POINT, &raw);
  if (!private)
    raw = bare_point(raw, curve);
  EVP_PKEY *key = (private ? EVP_PKEY_new_raw_private_key_ex
                           : EVP_PKEY_new_raw_public_key_ex)(crypto_ctx(), curve->name, NULL, raw.data, raw.len);
  if (!key)
    return bad_key("the value is no key of this curve");
  *ret_key = key;
  return HF_OK;
}

static const struct {
  CK_KEY_TYPE type;
  hf_err (*decode)(struct kind kind, const struct attrs *open, const struct attrs *secret, EVP_PKEY **ret_key);
} decoders[] = { { CKK_RSA, decode_rsa }, { CKK_EC, decode_ec }, { CKK_EC_EDWARDS, decode_edwards } };

hf_err key_decode(struct kind kind, const struct attrs *open, const struct attrs *secret, EVP_PKEY **ret_key)
{
  for (size_t i = 0; i < HF_ARRAY_LEN(decoders); i++)
    if (decoders[i].type == kind.key_type)
      return decoders[i].decode(kind, open, secret, ret_key);
  return hf_fail(HF_ERR_KEY_TYPE_INCONSISTENT, "key type 0x%lx is not for this operation", kind.key_type);
}

hf_err key_peer(const struct attrs *own, struct hf_slice point, EVP_PKEY **ret_peer)
{
  HF_CLEANUP(attrs_free) struct attrs open = ATTRS_EMPTY;
  struct hf_slice params = { 0 };
  (void)attrs_get(own, CKA_EC_PARAMS, &params);
  HF_TRY(attrs_set(&open, CKA_EC_PARAMS, params));
  HF_TRY(attrs_set(&open, CKA_EC_POINT, point));
  return key_decode((struct kind){ CKO_PUBLIC_KEY, CKK_EC }, &open, &ATTRS_EMPTY, ret_peer);
}

static hf_err set_number(struct attrs *attrs, CK_ATTRIBUTE_TYPE type, const BIGNUM *bn, size_t padded)
{
  uint8_t bytes[NUMBER_MAX];
  size_t len = padded ? padded : (size_t)BN_num_bytes(bn);
  if (len > sizeof(bytes) || BN_bn2binpad(bn, bytes, (int)len) < 0)
    return hf_fail(HF_ERR_INTERNAL, "a number of %zu bytes", len);
  hf_err e = attrs_set(attrs, type, hf_slice(bytes, len));
  hf_wipe(bytes, len);
  return e;
}

static hf_err export_number(const EVP_PKEY *key, const char *name, CK_ATTRIBUTE_TYPE type, struct attrs *attrs,
                            size_t padded)
{
  HF_CLEANUP(free_bn) BIGNUM *bn = NULL;
  if (EVP_PKEY_get_bn_param(key, name, &bn) != 1)
    return crypto_fail(HF_ERR_FUNCTION_FAILED, "reading a new key");
  return set_number(attrs, type, bn, padded);
}

static hf_err export_octets(const EVP_PKEY *key, const char *name, CK_ATTRIBUTE_TYPE type, struct attrs *attrs)
{
  uint8_t bytes[POINT_MAX];
  size_t len;
  if (EVP_PKEY_get_octet_string_param(key, name, bytes, sizeof(bytes), &len) != 1)
    return crypto_fail(HF_ERR_FUNCTION_FAILED, "reading a new key");
  hf_err e = attrs_set(attrs, type, hf_slice(bytes, len));
  hf_wipe(bytes, len);
  return e;
}

static hf_err set_point(struct attrs *attrs, struct hf_slice bare)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf der = HF_BUF(POINT_MAX + 3);
  HF_TRY(hf_buf_add_u8(&der, DER_OCTET_STRING));
  if (bare.len >= 0x80)
    HF_TRY(hf_buf_add_u8(&der, 0x81));
  HF_TRY(hf_buf_add_u8(&der, (uint8_t)bare.len));
  HF_TRY(hf_buf_add(&der, bare.data, bare.len));
  return attrs_set(attrs, CKA_EC_POINT, hf_slice(der.data, der.len));
}

hf_err key_generate_ec(const struct curve *curve, struct attr_halves *public, struct attr_halves *private)
{
  bool edwards = curve->type == CKK_EC_EDWARDS;
  HF_CLEANUP(free_key)
  EVP_PKEY *key = edwards ? EVP_PKEY_Q_keygen(crypto_ctx(), NULL, curve->name)
                          : EVP_PKEY_Q_keygen(crypto_ctx(), NULL, "EC", curve->name);
  uint8_t point[POINT_MAX];
  size_t len;
  struct hf_slice params = { 0 };
  if (!key || EVP_PKEY_get_octet_string_param(key, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof(point), &len) != 1)
    return crypto_fail(HF_ERR_FUNCTION_FAILED, "generating an EC key");
  struct hf_slice bare = hf_slice(point, len);
  HF_TRY(set_point(&public->open, bare));
  HF_TRY(set_point(&private->open, bare));
  (void)attrs_get(&public->open, CKA_EC_PARAMS, &params);
  HF_TRY(attrs_set(&private->open, CKA_EC_PARAMS, params));
  return edwards ? export_octets(key, OSSL_PKEY_PARAM_PRIV_KEY, CKA_VALUE, &private->secret)
                 : export_number(key, OSSL_PKEY_PARAM_PRIV_KEY, CKA_VALUE, &private->secret, (curve->bits + 7) / 8);
}

hf_err key_generate_rsa(CK_ULONG bits, struct hf_slice exponent, struct attr_halves *public,
                        struct attr_halves *private)
{
  HF_CLEANUP(free_key_ctx) EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(crypto_ctx(), "RSA", NULL);
  HF_CLEANUP(free_bn) BIGNUM *e = BN_bin2bn(exponent.data, (int)exponent.len, NULL);
  HF_CLEANUP(free_key) EVP_PKEY *key = NULL;
  if (!ctx || !e || EVP_PKEY_keygen_init(ctx) != 1 || EVP_PKEY_CTX_set_rsa_keygen_bits(ctx, (int)bits) != 1 ||
      EVP_PKEY_CTX_set1_rsa_keygen_pubexp(ctx, e) != 1 || EVP_PKEY_generate(ctx, &key) != 1)
    return crypto_fail(HF_ERR_FUNCTION_FAILED, "generating an RSA key");
  for (size_t i = 0; i < HF_ARRAY_LEN(rsa_parts); i++)
    HF_TRY(export_number(key, rsa_parts[i].name, rsa_parts[i].type,
                         rsa_parts[i].secret ? &private->secret : &private->open, 0));
  return export_number(key, OSSL_PKEY_PARAM_RSA_N, CKA_MODULUS, &public->open, 0);
}

static hf_err complete_point(CK_KEY_TYPE type, struct attr_halves *halves)
{
  struct hf_slice params, point;
  const struct curve *curve = NULL;
  if (!attrs_get(&halves->open, CKA_EC_POINT, &point) || !attrs_get(&halves->open, CKA_EC_PARAMS, &params))
    return HF_OK;
  HF_TRY(curve_find(type, params, &curve));
  uint8_t bare[POINT_MAX];
  struct hf_slice found = bare_point(point, curve);
  if (found.len > sizeof(bare))
    return hf_fail(HF_ERR_ATTRIBUTE_VALUE_INVALID, "CKA_EC_POINT of %zu bytes", found.len);
  memcpy(bare, found.data, found.len);
  return set_point(&halves->open, hf_slice(bare, found.len));
}

hf_err key_complete(struct kind kind, struct attr_halves *halves)
{
  struct hf_slice value;
  if (kind.class == CKO_SECRET_KEY && attrs_get(&halves->secret, CKA_VALUE, &value))
    return attrs_set_ulong(&halves->open, CKA_VALUE_LEN, value.len);
  if (kind.class != CKO_PUBLIC_KEY && kind.class != CKO_PRIVATE_KEY)
    return HF_OK;
  HF_CLEANUP(free_key) EVP_PKEY *key = NULL;
  HF_TRY(key_decode(kind, &halves->open, &halves->secret, &key));
  if (kind.key_type != CKK_RSA)
    return complete_point(kind.key_type, halves);
  return kind.class == CKO_PUBLIC_KEY
             ? attrs_set_ulong(&halves->open, CKA_MODULUS_BITS, (CK_ULONG)EVP_PKEY_get_bits(key))
             : HF_OK;
}
