/* SPDX-License-Identifier: Apache-2.0 */
/* Generation of secret keys (PKCS #11 v3.2, sections 6.8 to 6.66). */
#include "token/mech/mech.h"

/* Of a generic secret the standard counts bits, of the others bytes; of DES it counts nothing. */
#define ROW(type, key, min, max)                                                            \
  {                                                                                         \
    type, #type, MECH_KEY(key), { min, max, CKF_GENERATE }, NULL, NULL, &mech_secret_keygen \
  }

enum { ANY = 4096 };

/* clang-format off */
static const struct mech rows[] = {
  ROW(CKM_GENERIC_SECRET_KEY_GEN, CKK_GENERIC_SECRET, 8, 8 * ANY),
  ROW(CKM_AES_KEY_GEN,      CKK_AES, 16, 32),
  ROW(CKM_AES_XTS_KEY_GEN,  CKK_AES_XTS, 32, 64),
  ROW(CKM_DES2_KEY_GEN,     CKK_DES2, 0, 0),
  ROW(CKM_DES3_KEY_GEN,     CKK_DES3, 0, 0),
  ROW(CKM_CHACHA20_KEY_GEN, CKK_CHACHA20, 32, 32),
  ROW(CKM_POLY1305_KEY_GEN, CKK_POLY1305, 32, 32),
  ROW(CKM_HKDF_KEY_GEN,     CKK_HKDF, 1, ANY),
  ROW(CKM_SHA_1_KEY_GEN,    CKK_SHA_1_HMAC, 1, ANY),
  ROW(CKM_SHA224_KEY_GEN,   CKK_SHA224_HMAC, 1, ANY),
  ROW(CKM_SHA256_KEY_GEN,   CKK_SHA256_HMAC, 1, ANY),
  ROW(CKM_SHA384_KEY_GEN,   CKK_SHA384_HMAC, 1, ANY),
  ROW(CKM_SHA512_KEY_GEN,   CKK_SHA512_HMAC, 1, ANY),
  ROW(CKM_SHA512_224_KEY_GEN, CKK_SHA512_224_HMAC, 1, ANY),
  ROW(CKM_SHA512_256_KEY_GEN, CKK_SHA512_256_HMAC, 1, ANY),
  ROW(CKM_SHA3_224_KEY_GEN, CKK_SHA3_224_HMAC, 1, ANY),
  ROW(CKM_SHA3_256_KEY_GEN, CKK_SHA3_256_HMAC, 1, ANY),
  ROW(CKM_SHA3_384_KEY_GEN, CKK_SHA3_384_HMAC, 1, ANY),
  ROW(CKM_SHA3_512_KEY_GEN, CKK_SHA3_512_HMAC, 1, ANY),
};
/* clang-format on */

const struct mech_table mech_table_secret = { rows, HF_ARRAY_LEN(rows) };
