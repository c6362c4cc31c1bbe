/* SPDX-License-Identifier: Apache-2.0 */
/* DSA (PKCS #11 v3.2, section 6.2). */
#include "token/mech/mech.h"

enum { MIN = 1024, MAX = 3072 };

#define ROW(type, flags, digest, ops)                                       \
  {                                                                         \
    type, #type, MECH_KEY(CKK_DSA), { MIN, MAX, flags }, digest, NULL, &ops \
  }

/* clang-format off */
static const struct mech rows[] = {
  ROW(CKM_DSA_PARAMETER_GEN, CKF_GENERATE, NULL, mech_dsa_paramgen),
  ROW(CKM_DSA_KEY_PAIR_GEN,  CKF_GENERATE_KEY_PAIR, NULL, mech_dsa_keygen),
  ROW(CKM_DSA,          MECH_SIGNS, NULL,       mech_dsa),
  ROW(CKM_DSA_SHA1,     MECH_SIGNS, "SHA1",     mech_dsa),
  ROW(CKM_DSA_SHA224,   MECH_SIGNS, "SHA224",   mech_dsa),
  ROW(CKM_DSA_SHA256,   MECH_SIGNS, "SHA256",   mech_dsa),
  ROW(CKM_DSA_SHA384,   MECH_SIGNS, "SHA384",   mech_dsa),
  ROW(CKM_DSA_SHA512,   MECH_SIGNS, "SHA512",   mech_dsa),
  ROW(CKM_DSA_SHA3_224, MECH_SIGNS, "SHA3-224", mech_dsa),
  ROW(CKM_DSA_SHA3_256, MECH_SIGNS, "SHA3-256", mech_dsa),
  ROW(CKM_DSA_SHA3_384, MECH_SIGNS, "SHA3-384", mech_dsa),
  ROW(CKM_DSA_SHA3_512, MECH_SIGNS, "SHA3-512", mech_dsa),
};
/* clang-format on */

const struct mech_table mech_table_dsa = { rows, HF_ARRAY_LEN(rows) };
