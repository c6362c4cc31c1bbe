/* SPDX-License-Identifier: Apache-2.0 */
#include "token/key.h"

#define DER(bytes)                              \
  {                                             \
    (const uint8_t *)(bytes), sizeof(bytes) - 1 \
  }
#define BRAINPOOL(number) DER("\x06\x09\x2b\x24\x03\x03\x02\x08\x01\x01" number)

/* clang-format off */
static const struct curve curves[] = {
  { "prime192v1", CKK_EC, 192, { DER("\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x01") } },
  { "secp224r1",  CKK_EC, 224, { DER("\x06\x05\x2b\x81\x04\x00\x21") } },
  { "prime256v1", CKK_EC, 256, { DER("\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07") } },
  { "secp384r1",  CKK_EC, 384, { DER("\x06\x05\x2b\x81\x04\x00\x22") } },
  { "secp521r1",  CKK_EC, 521, { DER("\x06\x05\x2b\x81\x04\x00\x23") } },
  { "secp256k1",  CKK_EC, 256, { DER("\x06\x05\x2b\x81\x04\x00\x0a") } },
  { "brainpoolP192r1", CKK_EC, 192, { BRAINPOOL("\x03") } },
  { "brainpoolP192t1", CKK_EC, 192, { BRAINPOOL("\x04") } },
  { "brainpoolP224r1", CKK_EC, 224, { BRAINPOOL("\x05") } },
  { "brainpoolP224t1", CKK_EC, 224, { BRAINPOOL("\x06") } },
  { "brainpoolP256r1", CKK_EC, 256, { BRAINPOOL("\x07") } },
  { "brainpoolP256t1", CKK_EC, 256, { BRAINPOOL("\x08") } },
  { "brainpoolP320r1", CKK_EC, 320, { BRAINPOOL("\x09") } },
  { "brainpoolP320t1", CKK_EC, 320, { BRAINPOOL("\x0a") } },
  { "brainpoolP384r1", CKK_EC, 384, { BRAINPOOL("\x0b") } },
  { "brainpoolP384t1", CKK_EC, 384, { BRAINPOOL("\x0c") } },
  { "brainpoolP512r1", CKK_EC, 512, { BRAINPOOL("\x0d") } },
  { "brainpoolP512t1", CKK_EC, 512, { BRAINPOOL("\x0e") } },
  /* PKCS #11 v3.1's OID (RFC 8410), v3.0's name and v3.0's OID: clients use them all. */
  { "ED25519", CKK_EC_EDWARDS, 255, { DER("\x06\x03\x2b\x65\x70"),
                                      DER("\x13\x0c" "edwards25519"),
                                      DER("\x06\x09\x2b\x06\x01\x04\x01\xda\x47\x0f\x01") } },
  { "ED448",   CKK_EC_EDWARDS, 448, { DER("\x06\x03\x2b\x65\x71"),
                                      DER("\x13\x0a" "edwards448") } },
  { "X25519",  CKK_EC_MONTGOMERY, 255, { DER("\x06\x03\x2b\x65\x6e"),
                                         DER("\x13\x0a" "curve25519") } },
  { "X448",    CKK_EC_MONTGOMERY, 448, { DER("\x06\x03\x2b\x65\x6f"),
                                         DER("\x13\x08" "curve448") } },
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

hf_err curve_find_name(CK_KEY_TYPE type, const char *name, const struct curve **ret_curve)
{
  for (size_t i = 0; i < HF_ARRAY_LEN(curves); i++) {
    if (curves[i].type == type && strcmp(curves[i].name, name) == 0) {
      *ret_curve = &curves[i];
      return HF_OK;
    }
  }
  return hf_fail(HF_ERR_CURVE_NOT_SUPPORTED, "%s", name);
}
