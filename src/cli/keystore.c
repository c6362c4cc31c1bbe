/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/keyfile.h"
#include "p11/der.h"
#include "p11/object.h"

#include <openssl/core_names.h>
#include <openssl/ec.h>

enum { ATTRS_MAX = 32, VALUES_MAX = 64 * 1024, FIELD_MAX = 66 };

/* A template. Values lie in one buffer that wipes itself; pValue is set when all are in. */
struct attrs {
  CK_ATTRIBUTE list[ATTRS_MAX];
  size_t offsets[ATTRS_MAX];
  size_t count;
  struct hf_buf values;
};

#define ATTRS ((struct attrs){ .values = HF_BUF(VALUES_MAX) })

static void attrs_free(struct attrs *attrs)
{
  hf_buf_free(&attrs->values);
}

static hf_err add(struct attrs *attrs, CK_ATTRIBUTE_TYPE type, const void *value, size_t len)
{
  if (attrs->count == ATTRS_MAX)
    abort();
  attrs->offsets[attrs->count] = attrs->values.len;
  HF_TRY(hf_buf_add(&attrs->values, value, len));
  attrs->list[attrs->count++] = (CK_ATTRIBUTE){ type, NULL, len };
  return HF_OK;
}

static hf_err add_ulong(struct attrs *attrs, CK_ATTRIBUTE_TYPE type, CK_ULONG value)
{
  return add(attrs, type, &value, sizeof(value));
}

struct bool_row {
  CK_ATTRIBUTE_TYPE type;
  CK_BBOOL value;
};

static hf_err add_bools(struct attrs *attrs, const struct bool_row *rows, size_t count)
{
  for (size_t i = 0; i < count; i++)
    HF_TRY(add(attrs, rows[i].type, &rows[i].value, sizeof(rows[i].value)));
  return HF_OK;
}

static hf_err add_name(struct attrs *attrs, const struct cli_key_name *name)
{
  HF_TRY(add(attrs, CKA_LABEL, name->label, strlen(name->label)));
  return add(attrs, CKA_ID, name->id, name->id_len);
}

static hf_err create(struct p11_session *session, struct attrs *attrs, CK_OBJECT_HANDLE *ret_object)
{
  for (size_t i = 0; i < attrs->count; i++)
    attrs->list[i].pValue = attrs->values.data + attrs->offsets[i];
  return p11_object_create(session, attrs->list, attrs->count, ret_object);
}

static hf_err no_number(const char *param)
{
  return hf_fail(HF_ERR_KEY_FILE, "the key has no usable \"%s\"", param);
}

/* A number of the key, big-endian; at least width bytes. */
static hf_err add_number(struct hf_buf *out, EVP_PKEY *key, const char *param, size_t width)
{
  BIGNUM *number = NULL;
  if (EVP_PKEY_get_bn_param(key, param, &number) != 1)
    return no_number(param);
  size_t len = (size_t)BN_num_bytes(number);
  if (len < width)
    len = width;
  uint8_t *room;
  hf_err e = hf_buf_reserve(out, len, &room);
  if (!hf_failed(e) && BN_bn2binpad(number, room, (int)len) < 0)
    e = no_number(param);
  if (!hf_failed(e))
    hf_buf_commit(out, len);
  BN_clear_free(number);
  return e;
}

static hf_err add_number_attr(struct attrs *attrs, CK_ATTRIBUTE_TYPE type, EVP_PKEY *key, const char *param,
                              size_t width)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf value = HF_BUF(VALUES_MAX);
  HF_TRY(add_number(&value, key, param, width));
  return add(attrs, type, value.data, value.len);
}

static const struct number_row {
  CK_ATTRIBUTE_TYPE type;
  const char *param;
} rsa_numbers[] = {
  { CKA_MODULUS, OSSL_PKEY_PARAM_RSA_N },
  { CKA_PUBLIC_EXPONENT, OSSL_PKEY_PARAM_RSA_E },
  { CKA_PRIVATE_EXPONENT, OSSL_PKEY_PARAM_RSA_D },
  { CKA_PRIME_1, OSSL_PKEY_PARAM_RSA_FACTOR1 },
  { CKA_PRIME_2, OSSL_PKEY_PARAM_RSA_FACTOR2 },
  { CKA_EXPONENT_1, OSSL_PKEY_PARAM_RSA_EXPONENT1 },
  { CKA_EXPONENT_2, OSSL_PKEY_PARAM_RSA_EXPONENT2 },
  { CKA_COEFFICIENT, OSSL_PKEY_PARAM_RSA_COEFFICIENT1 },
};
enum { RSA_PUBLIC_NUMBERS = 2 };

static hf_err add_rsa(struct attrs *attrs, EVP_PKEY *key, bool private)
{
  for (size_t i = 0; i < (private ? HF_ARRAY_LEN(rsa_numbers) : RSA_PUBLIC_NUMBERS); i++)
    HF_TRY(add_number_attr(attrs, rsa_numbers[i].type, key, rsa_numbers[i].param, 0));
  return HF_OK;
}

static hf_err add_dsa(struct attrs *attrs, EVP_PKEY *key, bool private)
{
  static const struct number_row numbers[] = {
    { CKA_PRIME, OSSL_PKEY_PARAM_FFC_P },
    { CKA_SUBPRIME, OSSL_PKEY_PARAM_FFC_Q },
    { CKA_BASE, OSSL_PKEY_PARAM_FFC_G },
  };
  for (size_t i = 0; i < HF_ARRAY_LEN(numbers); i++)
    HF_TRY(add_number_attr(attrs, numbers[i].type, key, numbers[i].param, 0));
  return add_number_attr(attrs, CKA_VALUE, key, private ? OSSL_PKEY_PARAM_PRIV_KEY : OSSL_PKEY_PARAM_PUB_KEY, 0);
}

/* The curve's OID: what CKA_EC_PARAMS holds. */
static hf_err add_curve(struct attrs *attrs, EVP_PKEY *key)
{
  char group[64];
  size_t len = 0;
  if (EVP_PKEY_get_utf8_string_param(key, OSSL_PKEY_PARAM_GROUP_NAME, group, sizeof(group), &len) != 1)
    return hf_fail(HF_ERR_CURVE_NOT_SUPPORTED, "a curve without a name");
  ASN1_OBJECT *oid = OBJ_txt2obj(group, 0);
  uint8_t *der = NULL;
  int der_len = oid ? i2d_ASN1_OBJECT(oid, &der) : -1;
  hf_err e =
      der_len > 0 ? add(attrs, CKA_EC_PARAMS, der, (size_t)der_len) : hf_fail(HF_ERR_CURVE_NOT_SUPPORTED, "%s", group);
  OPENSSL_free(der);
  ASN1_OBJECT_free(oid);
  return e;
}

/* From the coordinates: the file may hold the point compressed, or not at all. */
static hf_err add_point(struct attrs *attrs, EVP_PKEY *key, size_t width)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf point = HF_BUF(2 * FIELD_MAX + 1), der = HF_BUF(2 * FIELD_MAX + 8);
  HF_TRY(hf_buf_add_u8(&point, POINT_CONVERSION_UNCOMPRESSED));
  HF_TRY(add_number(&point, key, OSSL_PKEY_PARAM_EC_PUB_X, width));
  HF_TRY(add_number(&point, key, OSSL_PKEY_PARAM_EC_PUB_Y, width));
  HF_TRY(p11_der_add(&der, DER_OCTET_STRING, point.data, point.len));
  return add(attrs, CKA_EC_POINT, der.data, der.len);
}

static hf_err add_ec(struct attrs *attrs, EVP_PKEY *key, bool private)
{
  size_t width = ((size_t)EVP_PKEY_get_bits(key) + 7) / 8;
  HF_TRY(add_curve(attrs, key));
  return private ? add_number_attr(attrs, CKA_VALUE, key, OSSL_PKEY_PARAM_PRIV_KEY, width)
                 : add_point(attrs, key, width);
}

/* RFC 8410's curves, by the last byte of their OIDs. The value raw, as softhsm2-util has it. */
static hf_err add_raw(struct attrs *attrs, EVP_PKEY *key, bool private)
{
  static const struct {
    const char *name;
    uint8_t last;
  } curves[] = { { "X25519", 0x6e }, { "X448", 0x6f }, { "ED25519", 0x70 }, { "ED448", 0x71 } };
  uint8_t oid[] = { 0x06, 0x03, 0x2b, 0x65, 0 }, value[64];
  size_t len = sizeof(value);
  for (size_t i = 0; i < HF_ARRAY_LEN(curves); i++)
    if (EVP_PKEY_is_a(key, curves[i].name))
      oid[sizeof(oid) - 1] = curves[i].last;
  HF_TRY(add(attrs, CKA_EC_PARAMS, oid, sizeof(oid)));
  int ok = private ? EVP_PKEY_get_raw_private_key(key, value, &len) : EVP_PKEY_get_raw_public_key(key, value, &len);
  hf_err e = ok == 1 ? add(attrs, private ? CKA_VALUE : CKA_EC_POINT, value, len) : no_number("value");
  hf_wipe(value, sizeof(value));
  return e;
}

enum { SIGNS = 1 << 0, ENCRYPTS = 1 << 1, DERIVES = 1 << 2 };

static const struct type_row {
  const char *name;
  CK_KEY_TYPE type;
  unsigned can;
  hf_err (*add)(struct attrs *attrs, EVP_PKEY *key, bool private);
} types[] = {
  { "RSA", CKK_RSA, SIGNS | ENCRYPTS, add_rsa },
  { "EC", CKK_EC, SIGNS | DERIVES, add_ec },
  { "ED25519", CKK_EC_EDWARDS, SIGNS, add_raw },
  { "ED448", CKK_EC_EDWARDS, SIGNS, add_raw },
  { "X25519", CKK_EC_MONTGOMERY, DERIVES, add_raw },
  { "X448", CKK_EC_MONTGOMERY, DERIVES, add_raw },
  { "DSA", CKK_DSA, SIGNS, add_dsa },
};

static const struct type_row *type_of(EVP_PKEY *key)
{
  for (size_t i = 0; i < HF_ARRAY_LEN(types); i++)
    if (EVP_PKEY_is_a(key, types[i].name))
      return &types[i];
  return NULL;
}

static hf_err store(struct p11_session *session, EVP_PKEY *key, const struct cli_key_name *name, bool private,
                    bool derives, CK_OBJECT_HANDLE *ret_object)
{
  HF_CLEANUP(attrs_free) struct attrs attrs = ATTRS;
  const struct type_row *type = type_of(key);
  CK_BBOOL signs = (type->can & SIGNS) != 0, encrypts = (type->can & ENCRYPTS) != 0;
  /* A key that can do nothing else agrees on secrets whoever imports it. */
  CK_BBOOL agrees = type->can & DERIVES && (derives || type->can == DERIVES);
  const struct bool_row private_bools[] = {
    { CKA_TOKEN, CK_TRUE }, { CKA_PRIVATE, CK_TRUE },  { CKA_SENSITIVE, CK_TRUE }, { CKA_EXTRACTABLE, CK_FALSE },
    { CKA_SIGN, signs },    { CKA_DECRYPT, encrypts }, { CKA_UNWRAP, encrypts },   { CKA_DERIVE, agrees },
  };
  const struct bool_row public_bools[] = {
    { CKA_TOKEN, CK_TRUE },    { CKA_PRIVATE, CK_FALSE }, { CKA_VERIFY, signs },
    { CKA_ENCRYPT, encrypts }, { CKA_WRAP, encrypts },
  };
  HF_TRY(add_ulong(&attrs, CKA_CLASS, private ? CKO_PRIVATE_KEY : CKO_PUBLIC_KEY));
  HF_TRY(add_ulong(&attrs, CKA_KEY_TYPE, type->type));
  if (private)
    HF_TRY(add_bools(&attrs, private_bools, HF_ARRAY_LEN(private_bools)));
  else
    HF_TRY(add_bools(&attrs, public_bools, HF_ARRAY_LEN(public_bools)));
  HF_TRY(add_name(&attrs, name));
  HF_TRY(type->add(&attrs, key, private));
  return create(session, &attrs, ret_object);
}

hf_err cli_key_store(struct p11_session *session, EVP_PKEY *key, const struct cli_key_name *name, unsigned how)
{
  if (!type_of(key))
    return hf_hint(hf_fail(HF_ERR_KEY_TYPE_INCONSISTENT, "%s", EVP_PKEY_get0_type_name(key)),
                   "Import an RSA, EC, Edwards-curve, Montgomery-curve or DSA key.");
  CK_OBJECT_HANDLE private_key, public_key;
  HF_TRY(store(session, key, name, true, how & CLI_KEY_DERIVES, &private_key));
  hf_err e = how & CLI_KEY_PUBLIC ? store(session, key, name, false, false, &public_key) : HF_OK;
  if (hf_failed(e)) {
    /* The first failure is the one to tell; what it said must survive the clean-up. */
    char context[HF_CONTEXT_MAX];
    snprintf(context, sizeof(context), "%s", hf_err_context());
    hf_ignore(p11_object_destroy(session, private_key));
    return hf_fail(e.code, "%s", context);
  }
  return HF_OK;
}

hf_err cli_aes_store(struct p11_session *session, const struct hf_buf *value, const struct cli_key_name *name)
{
  HF_CLEANUP(attrs_free) struct attrs attrs = ATTRS;
  static const struct bool_row bools[] = {
    { CKA_TOKEN, CK_TRUE },   { CKA_PRIVATE, CK_TRUE }, { CKA_SENSITIVE, CK_TRUE }, { CKA_EXTRACTABLE, CK_FALSE },
    { CKA_ENCRYPT, CK_TRUE }, { CKA_DECRYPT, CK_TRUE }, { CKA_WRAP, CK_TRUE },      { CKA_UNWRAP, CK_TRUE },
  };
  CK_OBJECT_HANDLE object;
  HF_TRY(add_ulong(&attrs, CKA_CLASS, CKO_SECRET_KEY));
  HF_TRY(add_ulong(&attrs, CKA_KEY_TYPE, CKK_AES));
  HF_TRY(add_bools(&attrs, bools, HF_ARRAY_LEN(bools)));
  HF_TRY(add_name(&attrs, name));
  HF_TRY(add(&attrs, CKA_VALUE, value->data, value->len));
  return create(session, &attrs, &object);
}
