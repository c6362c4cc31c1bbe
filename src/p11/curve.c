/* SPDX-License-Identifier: Apache-2.0 */
#include "p11/curve.h"

#define OID(...)                                                                      \
  {                                                                                   \
    (const uint8_t[]){ 0x06, sizeof((const uint8_t[]){ __VA_ARGS__ }), __VA_ARGS__ }, \
        2 + sizeof((const uint8_t[]){ __VA_ARGS__ })                                  \
  }

static const struct p11_curve curves[] = {
  { "secp256r1", "prime256v1", 256, OID(0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07) },
  { "secp384r1", "secp384r1", 384, OID(0x2b, 0x81, 0x04, 0x00, 0x22) },
  { "secp521r1", "secp521r1", 521, OID(0x2b, 0x81, 0x04, 0x00, 0x23) },
  { "secp256k1", "secp256k1", 256, OID(0x2b, 0x81, 0x04, 0x00, 0x0a) },
  { "brainpoolP256r1", "brainpoolP256r1", 256, OID(0x2b, 0x24, 0x03, 0x03, 0x02, 0x08, 0x01, 0x01, 0x07) },
  { "brainpoolP384r1", "brainpoolP384r1", 384, OID(0x2b, 0x24, 0x03, 0x03, 0x02, 0x08, 0x01, 0x01, 0x0b) },
  { "brainpoolP512r1", "brainpoolP512r1", 512, OID(0x2b, 0x24, 0x03, 0x03, 0x02, 0x08, 0x01, 0x01, 0x0d) },
  { "edwards25519", "ED25519", 255, OID(0x2b, 0x65, 0x70) },
};

const struct p11_curve *p11_curve_by_params(struct hf_slice params)
{
  for (size_t i = 0; i < HF_ARRAY_LEN(curves); i++)
    if (hf_slice_equal(curves[i].oid, params))
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
