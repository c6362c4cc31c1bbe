/* SPDX-License-Identifier: Apache-2.0 */
#include "token/key_type.h"

#include "token/crypto.h"

#include <openssl/core_names.h>
#include <openssl/ec.h>

enum { POINT_MAX = 256, CURVE_NAME_MAX = 64, DER_OCTET_STRING = 0x04, UNCOMPRESSED = 0x04 };

static size_t bytes_of(const struct curve *curve)
{
  return (curve->bits + 7) / 8;
}

/*
 * CKA_EC_POINT is a DER OCTET STRING; the bare point is accepted. The standard has Edwards points bare since v3.1; but
 * clients know them as v3.0 has them, and as SoftHSM2 gives them.
 */
static struct hf_slice bare_point(struct hf_slice point, const struct curve *curve)
{
  size_t field = bytes_of(curve), bare = curve->type == CKK_EC ? 1 + 2 * field : field;
  if (point.len == bare || point.len < 2 || point.data[0] != DER_OCTET_STRING)
    return point;
  size_t head = point.data[1] < 0x80 ? 2 : 3;
  size_t len = head == 2 ? point.data[1] : point.len > 2 ? point.data[2] : 0;
  return point.len == head + len ? hf_slice(point.data + head, len) : point;
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

static hf_err curve_of(CK_KEY_TYPE type, const struct attrs *open, const struct curve **ret_curve)
{
  struct hf_slice params = { 0 };
  (void)attrs_get(open, CKA_EC_PARAMS, &params);
  return curve_find(type, params, ret_curve);
}

static hf_err public_of_private(const struct curve *curve, const BIGNUM *scalar, uint8_t *point, size_t *ret_len)
{
  EC_GROUP *group = EC_GROUP_new_by_curve_name_ex(crypto_ctx(), NULL, OBJ_sn2nid(curve->name));
  EC_POINT *at = group ? EC_POINT_new(group) : NULL;
  size_t len = 0;
  if (at && !BN_is_zero(scalar) && BN_cmp(scalar, EC_GROUP_get0_order(group)) < 0 &&
      EC_POINT_mul(group, at, scalar, NULL, NULL, NULL) == 1)
    len = EC_POINT_point2oct(group, at, POINT_CONVERSION_UNCOMPRESSED, point, POINT_MAX, NULL);
  EC_POINT_free(at);
  EC_GROUP_free(group);
  *ret_len = len;
  return len ? HF_OK : key_bad("the value is no private key of this curve");
}

/* On the curve or not, libcrypto says; but it also takes the point at infinity and forms that are no longer in use. */
static hf_err check_form(const struct curve *curve, struct hf_slice point)
{
  size_t field = bytes_of(curve);
  bool whole = point.len == 1 + 2 * field && point.data[0] == UNCOMPRESSED;
  bool compressed = point.len == 1 + field && (point.data[0] == 2 || point.data[0] == 3);
  return whole || compressed ? HF_OK
                             : hf_fail(HF_ERR_ATTRIBUTE_VALUE_INVALID, "CKA_EC_POINT of %zu bytes is none of %s",
                                       point.len, curve->name);
}

static hf_err build_private(struct key_build *build, const struct curve *curve, const struct attrs *secret,
                            uint8_t *point, size_t *ret_len)
{
  struct hf_slice value = { 0 };
  BIGNUM *scalar;
  (void)attrs_get(secret, CKA_VALUE, &value);
  HF_TRY(key_number(value, &scalar));
  HF_TRY(key_build_number(build, OSSL_PKEY_PARAM_PRIV_KEY, scalar));
  /* Derived rather than taken from the object: a foreign point beside a private key would make wrong signatures. */
  return public_of_private(curve, scalar, point, ret_len);
}

static hf_err decode(struct kind kind, const struct attrs *open, const struct attrs *secret, EVP_PKEY **ret_key)
{
  HF_CLEANUP(key_build_free) struct key_build build = { 0 };
  const struct curve *curve = NULL;
  struct hf_slice point = { 0 };
  uint8_t own[POINT_MAX];
  bool private = kind.class == CKO_PRIVATE_KEY;
  HF_TRY(curve_of(kind.key_type, open, &curve));
  HF_TRY(key_build_start(&build));
  if (private) {
    point.data = own;
    HF_TRY(build_private(&build, curve, secret, own, &point.len));
  } else {
    (void)attrs_get(open, CKA_EC_POINT, &point);
    point = bare_point(point, curve);
    HF_TRY(check_form(curve, point));
  }
  if (!OSSL_PARAM_BLD_push_utf8_string(build.bld, OSSL_PKEY_PARAM_GROUP_NAME, curve->name, 0) ||
      !OSSL_PARAM_BLD_push_octet_string(build.bld, OSSL_PKEY_PARAM_PUB_KEY, point.data, point.len))
    return hf_fail(HF_ERR_NO_MEMORY, "a key");
  return key_build_done(&build, "EC", private ? EVP_PKEY_KEYPAIR : EVP_PKEY_PUBLIC_KEY, ret_key);
}

static hf_err set_params(struct attrs *open, struct hf_slice params)
{
  struct hf_slice have;
  return attrs_get(open, CKA_EC_PARAMS, &have) && have.len ? HF_OK : attrs_set(open, CKA_EC_PARAMS, params);
}

/* Both get the curve in the form in which the pair's template has it. */
static hf_err encode_public(const struct curve *curve, struct hf_slice point, struct attr_halves *public,
                            struct attr_halves *private)
{
  struct hf_slice params = curve->params[0];
  if (public) {
    HF_TRY(set_params(&public->open, params));
    HF_TRY(set_point(&public->open, point));
    (void)attrs_get(&public->open, CKA_EC_PARAMS, &params);
  }
  if (!private)
    return HF_OK;
  HF_TRY(set_params(&private->open, params));
  return set_point(&private->open, point);
}

static hf_err get_coordinate(const EVP_PKEY *key, const char *name, uint8_t *out, size_t len)
{
  HF_CLEANUP(key_number_free) BIGNUM *number = NULL;
  if (EVP_PKEY_get_bn_param(key, name, &number) != 1 || BN_bn2binpad(number, out, (int)len) < 0)
    return crypto_fail(HF_ERR_FUNCTION_FAILED, "reading a key");
  return HF_OK;
}

static hf_err encode_scalar(const EVP_PKEY *key, const struct curve *curve, struct attrs *secret)
{
  HF_CLEANUP(key_number_free) BIGNUM *scalar = NULL;
  struct hf_slice have;
  if (attrs_get(secret, CKA_VALUE, &have))
    return HF_OK;
  if (EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_PRIV_KEY, &scalar) != 1)
    return crypto_fail(HF_ERR_FUNCTION_FAILED, "reading a key");
  return key_set_number(secret, CKA_VALUE, scalar, bytes_of(curve));
}

static hf_err encode(const EVP_PKEY *key, struct attr_halves *public, struct attr_halves *private)
{
  const struct curve *curve = NULL;
  char name[CURVE_NAME_MAX];
  uint8_t point[POINT_MAX] = { UNCOMPRESSED };
  if (EVP_PKEY_get_group_name(key, name, sizeof(name), NULL) != 1)
    return hf_fail(HF_ERR_CURVE_NOT_SUPPORTED, "a curve without a name");
  HF_TRY(curve_find_name(CKK_EC, name, &curve));
  size_t field = bytes_of(curve);
  HF_TRY(get_coordinate(key, OSSL_PKEY_PARAM_EC_PUB_X, point + 1, field));
  HF_TRY(get_coordinate(key, OSSL_PKEY_PARAM_EC_PUB_Y, point + 1 + field, field));
  HF_TRY(encode_public(curve, hf_slice(point, 1 + 2 * field), public, private));
  return private ? encode_scalar(key, curve, &private->secret) : HF_OK;
}

/* Curves whose keys are strings of bytes (RFC 8032, RFC 7748). */
static hf_err decode_raw(struct kind kind, const struct attrs *open, const struct attrs *secret, EVP_PKEY **ret_key)
{
  struct hf_slice raw = { 0 };
  const struct curve *curve = NULL;
  bool private = kind.class == CKO_PRIVATE_KEY;
  HF_TRY(curve_of(kind.key_type, open, &curve));
  (void)attrs_get(private ? secret : open, private ? CKA_VALUE : CKA_EC_POINT, &raw);
  if (!private)
    raw = bare_point(raw, curve);
  EVP_PKEY *key = (private ? EVP_PKEY_new_raw_private_key_ex
                           : EVP_PKEY_new_raw_public_key_ex)(crypto_ctx(), curve->name, NULL, raw.data, raw.len);
  if (!key)
    return key_bad("the value is no key of this curve");
  *ret_key = key;
  return HF_OK;
}

static hf_err encode_raw(CK_KEY_TYPE type, const EVP_PKEY *key, struct attr_halves *public, struct attr_halves *private)
{
  static const struct key_part value[] = {
    { CKA_VALUE, OSSL_PKEY_PARAM_PRIV_KEY, KEY_IN_PRIVATE | KEY_SECRET | KEY_OCTETS },
  };
  const struct curve *curve = NULL;
  uint8_t point[POINT_MAX];
  size_t len = sizeof(point);
  if (EVP_PKEY_get_raw_public_key(key, point, &len) != 1)
    return crypto_fail(HF_ERR_FUNCTION_FAILED, "reading a key");
  HF_TRY(curve_find_name(type, EVP_PKEY_get0_type_name(key), &curve));
  HF_TRY(encode_public(curve, hf_slice(point, len), public, private));
  return key_parts_encode(key, value, HF_ARRAY_LEN(value), public, private);
}

static hf_err encode_edwards(const EVP_PKEY *key, struct attr_halves *public, struct attr_halves *private)
{
  return encode_raw(CKK_EC_EDWARDS, key, public, private);
}

static hf_err encode_montgomery(const EVP_PKEY *key, struct attr_halves *public, struct attr_halves *private)
{
  return encode_raw(CKK_EC_MONTGOMERY, key, public, private);
}

static const char *const ec_names[] = { "EC", NULL }, *const edwards_names[] = { "ED25519", "ED448", NULL };
static const char *const montgomery_names[] = { "X25519", "X448", NULL };
const struct key_type key_type_ec = { .type = CKK_EC, .names = ec_names, .decode = decode, .encode = encode };
const struct key_type key_type_edwards = { .type = CKK_EC_EDWARDS,
                                           .names = edwards_names,
                                           .decode = decode_raw,
                                           .encode = encode_edwards,
                                           .check = key_check_edwards };
const struct key_type key_type_montgomery = {
  .type = CKK_EC_MONTGOMERY, .names = montgomery_names, .decode = decode_raw, .encode = encode_montgomery
};

hf_err key_peer(const struct attrs *own, struct hf_slice point, EVP_PKEY **ret_peer)
{
  HF_CLEANUP(attrs_free) struct attrs open = ATTRS_EMPTY;
  struct hf_slice params = { 0 };
  (void)attrs_get(own, CKA_EC_PARAMS, &params);
  HF_TRY(attrs_set(&open, CKA_EC_PARAMS, params));
  HF_TRY(attrs_set(&open, CKA_EC_POINT, point));
  struct kind kind = { CKO_PUBLIC_KEY, policy_kind_of(own).key_type };
  return key_decode(kind, &open, &ATTRS_EMPTY, ret_peer);
}

hf_err key_generate_ec(const struct curve *curve, struct attr_halves *public, struct attr_halves *private)
{
  HF_CLEANUP(key_free)
  EVP_PKEY *key = curve->type == CKK_EC ? EVP_PKEY_Q_keygen(crypto_ctx(), NULL, "EC", curve->name)
                                        : EVP_PKEY_Q_keygen(crypto_ctx(), NULL, curve->name);
  return key ? key_encode(curve->type, key, public, private)
             : crypto_fail(HF_ERR_FUNCTION_FAILED, "generating an EC key");
}
