/* SPDX-License-Identifier: Apache-2.0 */
/* MACs: HMAC (PKCS #11 v3.2, sections 6.21 to 6.30), CMAC (6.17, 6.18), GMAC (6.13.12), Poly1305 (6.63). */
#include "token/mech/mech.h"

#include "token/attrs.h"

/* clang-format off */
#define MAC(type, key, other, min, max, alg, ops)                          \
  {                                                                        \
    type, #type, { key, other }, { min, max, MECH_SIGNS }, NULL, alg, &ops \
  }
/* Both forms; of a key that was made for it, or any generic secret. */
#define HMAC(type, general, key, alg)                                                                         \
  { type, #type, { CKK_GENERIC_SECRET, key }, { 1, ATTRS_MAX_BYTES, MECH_SIGNS }, NULL, alg, &mech_hmac },        \
  { general, #general, { CKK_GENERIC_SECRET, key }, { 1, ATTRS_MAX_BYTES, MECH_SIGNS }, NULL, alg,                \
    &mech_hmac_general }

static const struct mech rows[] = {
  HMAC(CKM_SHA_1_HMAC,      CKM_SHA_1_HMAC_GENERAL,      CKK_SHA_1_HMAC,      "SHA1"),
  HMAC(CKM_SHA224_HMAC,     CKM_SHA224_HMAC_GENERAL,     CKK_SHA224_HMAC,     "SHA224"),
  HMAC(CKM_SHA256_HMAC,     CKM_SHA256_HMAC_GENERAL,     CKK_SHA256_HMAC,     "SHA256"),
  HMAC(CKM_SHA384_HMAC,     CKM_SHA384_HMAC_GENERAL,     CKK_SHA384_HMAC,     "SHA384"),
  HMAC(CKM_SHA512_HMAC,     CKM_SHA512_HMAC_GENERAL,     CKK_SHA512_HMAC,     "SHA512"),
  HMAC(CKM_SHA512_224_HMAC, CKM_SHA512_224_HMAC_GENERAL, CKK_SHA512_224_HMAC, "SHA512-224"),
  HMAC(CKM_SHA512_256_HMAC, CKM_SHA512_256_HMAC_GENERAL, CKK_SHA512_256_HMAC, "SHA512-256"),
  HMAC(CKM_SHA3_224_HMAC,   CKM_SHA3_224_HMAC_GENERAL,   CKK_SHA3_224_HMAC,   "SHA3-224"),
  HMAC(CKM_SHA3_256_HMAC,   CKM_SHA3_256_HMAC_GENERAL,   CKK_SHA3_256_HMAC,   "SHA3-256"),
  HMAC(CKM_SHA3_384_HMAC,   CKM_SHA3_384_HMAC_GENERAL,   CKK_SHA3_384_HMAC,   "SHA3-384"),
  HMAC(CKM_SHA3_512_HMAC,   CKM_SHA3_512_HMAC_GENERAL,   CKK_SHA3_512_HMAC,   "SHA3-512"),
  MAC(CKM_AES_CMAC,          CKK_AES, CKK_AES, 16, 32, "CBC", mech_cmac),
  MAC(CKM_AES_CMAC_GENERAL,  CKK_AES, CKK_AES, 16, 32, "CBC", mech_cmac_general),
  MAC(CKM_DES3_CMAC,         CKK_DES3, CKK_DES2, 0, 0, "CBC", mech_cmac),
  MAC(CKM_DES3_CMAC_GENERAL, CKK_DES3, CKK_DES2, 0, 0, "CBC", mech_cmac_general),
  MAC(CKM_AES_GMAC,          CKK_AES, CKK_AES, 16, 32, "GCM", mech_gmac),
  MAC(CKM_POLY1305,          CKK_POLY1305, CKK_POLY1305, 32, 32, NULL, mech_poly1305),
};
/* clang-format on */

const struct mech_table mech_table_mac = { rows, HF_ARRAY_LEN(rows) };
