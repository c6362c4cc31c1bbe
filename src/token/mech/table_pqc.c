/* SPDX-License-Identifier: Apache-2.0 */
/* ML-DSA and SLH-DSA (PKCS #11 v3.2, sections 6.67 and 6.68); sizes are of the public key, in bytes. */
#include "token/mech/mech.h"

enum { ML_MIN = 1312, ML_MAX = 2592, SLH_MIN = 32, SLH_MAX = 64 };

/* Where libcrypto has one of a scheme's parameter sets, it has them all. */
#define ML(type, flags, ops)                                                              \
  {                                                                                       \
    type, #type, MECH_KEY(CKK_ML_DSA), { ML_MIN, ML_MAX, flags }, NULL, "ML-DSA-44", &ops \
  }
#define SLH(type, flags, ops)                                                                        \
  {                                                                                                  \
    type, #type, MECH_KEY(CKK_SLH_DSA), { SLH_MIN, SLH_MAX, flags }, NULL, "SLH-DSA-SHA2-128s", &ops \
  }

/* clang-format off */
static const struct mech rows[] = {
  ML(CKM_ML_DSA_KEY_PAIR_GEN,    CKF_GENERATE_KEY_PAIR, mech_pqc_keygen),
  ML(CKM_ML_DSA,                 MECH_SIGNS, mech_pqc),
  ML(CKM_ML_DSA_EXTERNAL_MU,     MECH_SIGNS, mech_pqc_mu),
  ML(CKM_HASH_ML_DSA,            MECH_SIGNS, mech_pqc_prehashed),
  ML(CKM_HASH_ML_DSA_SHA224,     MECH_SIGNS, mech_pqc_hash),
  ML(CKM_HASH_ML_DSA_SHA256,     MECH_SIGNS, mech_pqc_hash),
  ML(CKM_HASH_ML_DSA_SHA384,     MECH_SIGNS, mech_pqc_hash),
  ML(CKM_HASH_ML_DSA_SHA512,     MECH_SIGNS, mech_pqc_hash),
  ML(CKM_HASH_ML_DSA_SHA3_224,   MECH_SIGNS, mech_pqc_hash),
  ML(CKM_HASH_ML_DSA_SHA3_256,   MECH_SIGNS, mech_pqc_hash),
  ML(CKM_HASH_ML_DSA_SHA3_384,   MECH_SIGNS, mech_pqc_hash),
  ML(CKM_HASH_ML_DSA_SHA3_512,   MECH_SIGNS, mech_pqc_hash),
  ML(CKM_HASH_ML_DSA_SHAKE128,   MECH_SIGNS, mech_pqc_hash),
  ML(CKM_HASH_ML_DSA_SHAKE256,   MECH_SIGNS, mech_pqc_hash),
  SLH(CKM_SLH_DSA_KEY_PAIR_GEN,   CKF_GENERATE_KEY_PAIR, mech_pqc_keygen),
  SLH(CKM_SLH_DSA,                MECH_SIGNS, mech_pqc),
  SLH(CKM_HASH_SLH_DSA,           MECH_SIGNS, mech_pqc_prehashed),
  SLH(CKM_HASH_SLH_DSA_SHA224,    MECH_SIGNS, mech_pqc_hash),
  SLH(CKM_HASH_SLH_DSA_SHA256,    MECH_SIGNS, mech_pqc_hash),
  SLH(CKM_HASH_SLH_DSA_SHA384,    MECH_SIGNS, mech_pqc_hash),
  SLH(CKM_HASH_SLH_DSA_SHA512,    MECH_SIGNS, mech_pqc_hash),
  SLH(CKM_HASH_SLH_DSA_SHA3_224,  MECH_SIGNS, mech_pqc_hash),
  SLH(CKM_HASH_SLH_DSA_SHA3_256,  MECH_SIGNS, mech_pqc_hash),
  SLH(CKM_HASH_SLH_DSA_SHA3_384,  MECH_SIGNS, mech_pqc_hash),
  SLH(CKM_HASH_SLH_DSA_SHA3_512,  MECH_SIGNS, mech_pqc_hash),
  SLH(CKM_HASH_SLH_DSA_SHAKE128,  MECH_SIGNS, mech_pqc_hash),
  SLH(CKM_HASH_SLH_DSA_SHAKE256,  MECH_SIGNS, mech_pqc_hash),
};
/* clang-format on */

const struct mech_table mech_table_pqc = { rows, HF_ARRAY_LEN(rows) };
