/* SPDX-License-Identifier: Apache-2.0 */
#include "p11/curve.h"

#include "p11/der.h"

#define DER(tag, ...)                                                                \
  {                                                                                  \
    (const uint8_t[]){ tag, sizeof((const uint8_t[]){ __VA_ARGS__ }), __VA_ARGS__ }, \
        2 + sizeof((const uint8_t[]){ __VA_ARGS__ })                                 \
  }
#define OID(...) DER(0x06, __VA_ARGS__)
#define PRINTABLE_STRING(...) DER(0x13, __VA_ARGS__)

/* clang-format off */
static const struct p11_curve curves[] = {
  { "secp256r1", "prime256v1", CKK_EC, 256, { OID(0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07) } },
  { "secp384r1", "secp384r1", CKK_EC, 384, { OID(0x2b, 0x81, 0x04, 0x00, 0x22) } },
  { "secp521r1", "secp521r1", CKK_EC, 521, { OID(0x2b, 0x81, 0x04, 0x00, 0x23) } },
  { "secp256k1", "secp256k1", CKK_EC, 256, { OID(0x2b, 0x81, 0x04, 0x00, 0x0a) } },
  { "brainpoolP256r1", "brainpoolP256r1", CKK_EC, 256, { OID(0x2b, 0x24, 0x03, 0x03, 0x02, 0x08, 0x01, 0x01, 0x07) } },
  { "brainpoolP384r1", "brainpoolP384r1", CKK_EC, 384, { OID(0x2b, 0x24, 0x03, 0x03, 0x02, 0x08, 0x01, 0x01, 0x0b) } },
  { "brainpoolP512r1", "brainpoolP512r1", CKK_EC, 512, { OID(0x2b, 0x24, 0x03, 0x03, 0x02, 0x08, 0x01, 0x01, 0x0d) } },
  /* RFC 8410's OID, which PKCS #11 v3.1 took up and SoftHSM2 2.6 wants; v3.0's name, which YubiKeys want; and v3.0's OID. */
  { "edwards25519", "ED25519", CKK_EC_EDWARDS, 255,
    { OID(0x2b, 0x65, 0x70),
      PRINTABLE_STRING('e', 'd', 'w', 'a', 'r', 'd', 's', '2', '5', '5', '1', '9'),
      OID(0x2b, 0x06, 0x01, 0x04, 0x01, 0xda, 0x47, 0x0f, 0x01) } },
};
/* clang-format on */

/* Their fields' primes (SEC 2), each of one curve here. */
static const struct prime_row {
  const char *curve;
  struct hf_slice prime;
} primes[] = {
#define PRIME(curve, ...)                                                        \
  {                                                                              \
    curve,                                                                       \
    {                                                                            \
      (const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ }) \
    }                                                                            \
  }
/* clang-format off */
#define FF4 0xff, 0xff, 0xff, 0xff
#define FF16 FF4, FF4, FF4, FF4
  PRIME("secp256r1", FF4, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, FF4, FF4, FF4),
  PRIME("secp384r1", FF16, FF4, FF4, FF4, 0xff, 0xff, 0xff, 0xfe, FF4, 0, 0, 0, 0, 0, 0, 0, 0, FF4),
  PRIME("secp521r1", 0x01, 0xff, FF16, FF16, FF16, FF16),
  /* clang-format on */
};

/* SEC 1, section C.2: what some tokens spell out in place of the name. */
static const struct p11_curve *by_explicit(struct hf_slice params)
{
  struct hf_slice fields, version, field, oid, prime;
  if (hf_failed(p11_der_take(&params, DER_SEQUENCE, &fields)) ||
      hf_failed(p11_der_take(&fields, DER_INTEGER, &version)) ||
      hf_failed(p11_der_take(&fields, DER_SEQUENCE, &field)) || hf_failed(p11_der_take(&field, DER_OID, &oid)) ||
      hf_failed(p11_der_take_unsigned(&field, &prime)))
    return NULL;
  for (size_t i = 0; i < HF_ARRAY_LEN(primes); i++)
    if (hf_slice_equal(primes[i].prime, prime))
      return p11_curve_by_name(primes[i].curve);
  return NULL;
}

const struct p11_curve *p11_curve_by_params(struct hf_slice params)
{
  if (params.len && params.data[0] == DER_SEQUENCE)
    return by_explicit(params);
  for (size_t i = 0; i < HF_ARRAY_LEN(curves); i++)
    for (size_t form = 0; form < P11_CURVE_FORMS && curves[i].params[form].len; form++)
      if (hf_slice_equal(curves[i].params[form], params))
        return &curves[i];
  return NULL;
}

const struct p11_curve *p11_curve_by_name(const char *name)
{
  for (size_t i = 0; i < HF_ARRAY_LEN(curves); i++)
    if (strcmp(curves[i].name, name) == 0 || strcmp(curves[i].openssl_name, name) == 0)
      return &curves[i];
  return NULL;
}
