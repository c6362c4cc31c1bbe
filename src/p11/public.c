/* SPDX-License-Identifier: Apache-2.0 */
#include "p11/public.h"

#include "p11/curve.h"
#include "p11/der.h"

enum { NUMBER_MAX = 8192 };

static const uint8_t oid_ec[] = { 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01 };
static const uint8_t oid_rsa[] = { 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01 };
static const uint8_t oid_ed25519[] = { 0x2b, 0x65, 0x70 };

void p11_public_init(struct p11_public *key)
{
  *key = (struct p11_public){
    .type = CK_UNAVAILABLE_INFORMATION,
    .point = HF_BUF(NUMBER_MAX),
    .modulus = HF_BUF(NUMBER_MAX),
    .exponent = HF_BUF(NUMBER_MAX),
  };
}

void p11_public_free(struct p11_public *key)
{
  hf_buf_free(&key->point);
  hf_buf_free(&key->modulus);
  hf_buf_free(&key->exponent);
}

/* Hands a whole key over on success, nothing on failure. */
static hf_err hand_over(hf_err e, struct p11_public *key, struct p11_public *ret_key)
{
  if (hf_failed(e)) {
    p11_public_free(key);
    return e;
  }
  p11_public_free(ret_key);
  *ret_key = *key;
  return HF_OK;
}

static bool same_bytes(const struct hf_buf *a, const struct hf_buf *b)
{
  return hf_slice_equal(hf_slice(a->data, a->len), hf_slice(b->data, b->len));
}

bool p11_public_equal(const struct p11_public *a, const struct p11_public *b)
{
  return a->type == b->type && a->curve == b->curve && same_bytes(&a->point, &b->point) &&
         same_bytes(&a->modulus, &b->modulus) && same_bytes(&a->exponent, &b->exponent);
}

static size_t number_bits(const struct hf_buf *number)
{
  if (number->len == 0)
    return 0;
  size_t bits = number->len * 8;
  for (uint8_t top = number->data[0]; bits > 0 && !(top & 0x80); top = (uint8_t)(top << 1))
    bits--;
  return bits;
}

size_t p11_public_bits(const struct p11_public *key)
{
  return key->type == CKK_RSA ? number_bits(&key->modulus) : p11_curve_by_name(key->curve)->bits;
}

static hf_err add_number(struct hf_slice number, struct hf_buf *out)
{
  while (number.len > 1 && number.data[0] == 0) {
    number.data++;
    number.len--;
  }
  return hf_buf_add(out, number.data, number.len);
}

static hf_err set_rsa(struct hf_slice modulus, struct hf_slice exponent, struct p11_public *key)
{
  if (modulus.len == 0 || exponent.len == 0)
    return hf_fail(HF_ERR_ATTRIBUTE_VALUE_INVALID, "an RSA key without modulus or exponent");
  key->type = CKK_RSA;
  HF_TRY(add_number(modulus, &key->modulus));
  return add_number(exponent, &key->exponent);
}

static bool is_point(struct hf_slice point, const struct p11_curve *curve)
{
  size_t field = (curve->bits + 7) / 8;
  if (curve->type == CKK_EC_EDWARDS)
    return point.len == field;
  return (point.len == 2 * field + 1 && point.data[0] == 4) || (point.len == field + 1 && (point.data[0] | 1) == 3);
}

/*
 * Tokens give the point both in a DER OCTET STRING, as the standard says (of Edwards curves, until v3.0), and bare.
 */
static hf_err set_point(const struct p11_curve *curve, struct hf_slice point, struct p11_public *key)
{
  struct hf_slice bare = point, der = point;
  if (!is_point(point, curve) && (hf_failed(p11_der_take(&der, DER_OCTET_STRING, &bare)) || !is_point(bare, curve)))
    return hf_fail(HF_ERR_ATTRIBUTE_VALUE_INVALID, "a point of %zu bytes on %s", point.len, curve->name);
  key->type = curve->type;
  key->curve = curve->openssl_name;
  return hf_buf_add(&key->point, bare.data, bare.len);
}

static hf_err set_ec(struct hf_slice params, struct hf_slice point, struct p11_public *key)
{
  const struct p11_curve *curve = p11_curve_by_params(params);
  if (!curve)
    return hf_fail(HF_ERR_CURVE_NOT_SUPPORTED, "a key on a curve that is not known here");
  return set_point(curve, point, key);
}

static hf_err spki_ed25519(struct hf_slice params, struct hf_slice bits, struct p11_public *key)
{
  (void)params;
  return set_point(p11_curve_by_name("edwards25519"), bits, key);
}

static hf_err spki_rsa(struct hf_slice params, struct hf_slice bits, struct p11_public *key)
{
  (void)params;
  struct hf_slice numbers, modulus, exponent;
  HF_TRY(p11_der_take(&bits, DER_SEQUENCE, &numbers));
  HF_TRY(p11_der_take_unsigned(&numbers, &modulus));
  HF_TRY(p11_der_take_unsigned(&numbers, &exponent));
  return set_rsa(modulus, exponent, key);
}

static const struct algorithm_row {
  struct hf_slice oid;
  CK_KEY_TYPE type;
  hf_err (*read)(struct hf_slice params, struct hf_slice bits, struct p11_public *key);
} algorithms[] = {
  { { oid_ec, sizeof(oid_ec) }, CKK_EC, set_ec },
  { { oid_rsa, sizeof(oid_rsa) }, CKK_RSA, spki_rsa },
  { { oid_ed25519, sizeof(oid_ed25519) }, CKK_EC_EDWARDS, spki_ed25519 },
};

static hf_err read_spki(struct hf_slice der, struct p11_public *key)
{
  struct hf_slice spki, algorithm, oid, bits;
  const uint8_t *unused;
  HF_TRY(p11_der_take(&der, DER_SEQUENCE, &spki));
  HF_TRY(p11_der_take(&spki, DER_SEQUENCE, &algorithm));
  HF_TRY(p11_der_take(&algorithm, DER_OID, &oid));
  HF_TRY(p11_der_take(&spki, DER_BIT_STRING, &bits));
  HF_TRY(hf_take(&bits, 1, &unused));
  for (size_t i = 0; i < HF_ARRAY_LEN(algorithms); i++)
    if (hf_slice_equal(algorithms[i].oid, oid))
      return algorithms[i].read(algorithm, bits, key);
  return hf_fail(HF_ERR_KEY_TYPE_INCONSISTENT, "a public key that is neither RSA nor EC nor Ed25519");
}

hf_err p11_public_from_spki(struct hf_slice der, struct p11_public *ret_key)
{
  struct p11_public key;
  p11_public_init(&key);
  return hand_over(read_spki(der, &key), &key, ret_key);
}

static hf_err add_algorithm(const struct p11_public *key, struct hf_buf *out)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf algorithm = HF_BUF(NUMBER_MAX);
  for (size_t i = 0; i < HF_ARRAY_LEN(algorithms); i++)
    if (algorithms[i].type == key->type)
      HF_TRY(p11_der_add(&algorithm, DER_OID, algorithms[i].oid.data, algorithms[i].oid.len));
  if (key->type == CKK_RSA)
    HF_TRY(p11_der_add(&algorithm, DER_NULL, NULL, 0));
  if (key->type == CKK_EC) {
    struct hf_slice params = p11_curve_by_name(key->curve)->params[0];
    HF_TRY(hf_buf_add(&algorithm, params.data, params.len));
  }
  return p11_der_add(out, DER_SEQUENCE, algorithm.data, algorithm.len);
}

static hf_err add_bits(const struct p11_public *key, struct hf_buf *out)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf bits = HF_BUF(3 * NUMBER_MAX), numbers = HF_BUF(3 * NUMBER_MAX);
  HF_TRY(hf_buf_add_u8(&bits, 0));
  if (key->type != CKK_RSA) {
    HF_TRY(hf_buf_add(&bits, key->point.data, key->point.len));
  } else {
    HF_TRY(p11_der_add_unsigned(&numbers, key->modulus.data, key->modulus.len));
    HF_TRY(p11_der_add_unsigned(&numbers, key->exponent.data, key->exponent.len));
    HF_TRY(p11_der_add(&bits, DER_SEQUENCE, numbers.data, numbers.len));
  }
  return p11_der_add(out, DER_BIT_STRING, bits.data, bits.len);
}

hf_err p11_public_to_spki(const struct p11_public *key, struct hf_buf *out)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf content = HF_BUF(4 * NUMBER_MAX);
  HF_TRY(add_algorithm(key, &content));
  HF_TRY(add_bits(key, &content));
  return p11_der_add(out, DER_SEQUENCE, content.data, content.len);
}

/* RFC 5280, section 4.1: [0] version, serial, signature, issuer, validity, subject, and then the key. */
hf_err p11_public_from_cert(struct hf_slice der, struct p11_public *ret_key)
{
  struct hf_slice cert, tbs, version;
  HF_TRY(p11_der_take(&der, DER_SEQUENCE, &cert));
  HF_TRY(p11_der_take(&cert, DER_SEQUENCE, &tbs));
  if (tbs.len && tbs.data[0] == DER_CONTEXT_0)
    HF_TRY(p11_der_take(&tbs, DER_CONTEXT_0, &version));
  for (int i = 0; i < 5; i++)
    HF_TRY(p11_der_skip(&tbs));
  return p11_public_from_spki(tbs, ret_key);
}

/* What a type of key consists of. */
static const struct parts_row {
  CK_KEY_TYPE type;
  CK_ATTRIBUTE_TYPE first, second;
  hf_err (*set)(struct hf_slice first, struct hf_slice second, struct p11_public *key);
} parts[] = {
  { CKK_RSA, CKA_MODULUS, CKA_PUBLIC_EXPONENT, set_rsa },
  { CKK_EC, CKA_EC_PARAMS, CKA_EC_POINT, set_ec },
  { CKK_EC_EDWARDS, CKA_EC_PARAMS, CKA_EC_POINT, set_ec },
};

/* NULL where it is none of ours. */
static const struct parts_row *parts_of(CK_KEY_TYPE type)
{
  for (size_t i = 0; i < HF_ARRAY_LEN(parts); i++)
    if (parts[i].type == type)
      return &parts[i];
  return NULL;
}

static hf_err read_parts(struct p11_session *session, const struct p11_object *object, struct p11_public *key)
{
  const struct parts_row *row = parts_of(object->key_type);
  HF_CLEANUP(hf_buf_free) struct hf_buf first = HF_BUF(P11_ATTRIBUTE_MAX);
  HF_CLEANUP(hf_buf_free) struct hf_buf second = HF_BUF(P11_ATTRIBUTE_MAX);
  if (!row)
    return hf_hint(hf_fail(HF_ERR_KEY_TYPE_INCONSISTENT, "a key of type %s", p11_key_type_name(object->key_type)),
                   "Use an RSA, EC or Ed25519 key.");
  HF_TRY(p11_object_get(session, object->handle, row->first, &first));
  HF_TRY(p11_object_get(session, object->handle, row->second, &second));
  return row->set(hf_slice(first.data, first.len), hf_slice(second.data, second.len), key);
}

static hf_err read_encoded(struct p11_session *session, const struct p11_object *object, CK_ATTRIBUTE_TYPE type,
                           hf_err (*read)(struct hf_slice, struct p11_public *), struct p11_public *ret_key)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf der = HF_BUF(P11_ATTRIBUTE_MAX);
  HF_TRY(p11_object_get(session, object->handle, type, &der));
  return read(hf_slice(der.data, der.len), ret_key);
}

/* The key does not say so here, and may elsewhere; any other error is the token's, and ends the search. */
static bool is_absent(hf_err e)
{
  static const enum hf_code codes[] = {
    HF_ERR_ATTRIBUTE_TYPE_INVALID, HF_ERR_ATTRIBUTE_SENSITIVE,   HF_ERR_ATTRIBUTE_VALUE_INVALID,
    HF_ERR_CURVE_NOT_SUPPORTED,    HF_ERR_KEY_TYPE_INCONSISTENT, HF_ERR_PARSE,
    HF_ERR_URI_NO_MATCH,
  };
  for (size_t i = 0; i < HF_ARRAY_LEN(codes); i++)
    if (e.code == codes[i])
      return true;
  return false;
}

hf_err p11_public_read(struct p11_session *session, const struct p11_object *object, struct p11_public *ret_key)
{
  if (object->object_class == CKO_CERTIFICATE)
    return read_encoded(session, object, CKA_VALUE, p11_public_from_cert, ret_key);
  struct p11_public key;
  p11_public_init(&key);
  hf_err e = hand_over(read_parts(session, object, &key), &key, ret_key);
  if (!is_absent(e) || !parts_of(object->key_type))
    return e;
  return read_encoded(session, object, CKA_PUBLIC_KEY_INFO, p11_public_from_spki, ret_key);
}

/* The first of a class that goes with the private key and can be read. */
static hf_err find_companion(struct p11_session *session, const struct p11_object *private_key, const char *type,
                             struct p11_public *ret_key)
{
  bool by_id = private_key->id.len > 0;
  const struct hf_buf *name = by_id ? &private_key->id : &private_key->label;
  if (name->len == 0)
    return hf_fail(HF_ERR_URI_NO_MATCH, "a private key without id and label");
  struct uri uri = { 0 };
  struct p11_object *objects = NULL;
  size_t count = 0;
  hf_err e = uri_set(&uri, URI_TYPE, type, strlen(type));
  if (!hf_failed(e))
    e = uri_set(&uri, by_id ? URI_ID : URI_OBJECT, name->data, name->len);
  if (!hf_failed(e))
    e = p11_object_list(session, &uri, &objects, &count);
  uri_free(&uri);
  HF_TRY(e);
  e = hf_fail(HF_ERR_URI_NO_MATCH, "no object of type %s goes with the private key", type);
  for (size_t i = 0; i < count && is_absent(e); i++)
    if (objects[i].object_class == CKO_CERTIFICATE || objects[i].key_type == private_key->key_type)
      e = p11_public_read(session, &objects[i], ret_key);
  p11_object_list_free(objects, count);
  return e;
}

hf_err p11_public_find(struct p11_session *session, const struct p11_object *private_key, struct p11_public *ret_key)
{
  hf_err e = p11_public_read(session, private_key, ret_key);
  if (!parts_of(private_key->key_type))
    return e;
  if (is_absent(e))
    e = find_companion(session, private_key, "public", ret_key);
  if (is_absent(e))
    e = find_companion(session, private_key, "cert", ret_key);
  if (!is_absent(e))
    return e;
  e = hf_fail(HF_ERR_URI_NO_MATCH,
              "the public half of the private key: neither a public key nor a certificate has its id");
  return hf_hint(e, "Store the public key or the certificate in the token, with the private key's id.");
}
