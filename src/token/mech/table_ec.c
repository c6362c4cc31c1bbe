/* SPDX-License-Identifier: Apache-2.0 */
/* Elliptic curves (PKCS #11 v3.2, section 6.3). */
#include "token/mech/mech.h"

enum { MIN = 192, MAX = 521, RAW_MIN = 255, RAW_MAX = 448 };

#define EC_FLAGS (CKF_EC_F_P | CKF_EC_NAMEDCURVE | CKF_EC_UNCOMPRESS)
#define EC(type, flags, digest, ops)                                                    \
  {                                                                                     \
    type, #type, MECH_KEY(CKK_EC), { MIN, MAX, (flags) | EC_FLAGS }, digest, NULL, &ops \
  }
#define ED(type, flags, ops)                                                                                   \
  {                                                                                                            \
    type, #type, MECH_KEY(CKK_EC_EDWARDS), { RAW_MIN, RAW_MAX, (flags) | CKF_EC_NAMEDCURVE }, NULL, NULL, &ops \
  }
#define DH_FLAGS (CKF_DERIVE | CKF_ENCAPSULATE | CKF_DECAPSULATE | EC_FLAGS)
#define DH(type, other)                                                            \
  {                                                                                \
    type, #type, { CKK_EC, other }, { MIN, MAX, DH_FLAGS }, NULL, NULL, &mech_ecdh \
  }
#define WRAP(type, key, other)                                                                              \
  {                                                                                                         \
    type, #type, { key, other }, { MIN, MAX, CKF_WRAP | CKF_UNWRAP | EC_FLAGS }, NULL, NULL, &mech_ecdh_aes \
  }

/* clang-format off */
static const struct mech rows[] = {
  EC(CKM_EC_KEY_PAIR_GEN,  CKF_GENERATE_KEY_PAIR, NULL, mech_ec_keygen),
  EC(CKM_ECDSA,            MECH_SIGNS, NULL,       mech_ecdsa),
  EC(CKM_ECDSA_SHA1,       MECH_SIGNS, "SHA1",     mech_ecdsa),
  EC(CKM_ECDSA_SHA224,     MECH_SIGNS, "SHA224",   mech_ecdsa),
  EC(CKM_ECDSA_SHA256,     MECH_SIGNS, "SHA256",   mech_ecdsa),
  EC(CKM_ECDSA_SHA384,     MECH_SIGNS, "SHA384",   mech_ecdsa),
  EC(CKM_ECDSA_SHA512,     MECH_SIGNS, "SHA512",   mech_ecdsa),
  EC(CKM_ECDSA_SHA3_224,   MECH_SIGNS, "SHA3-224", mech_ecdsa),
  EC(CKM_ECDSA_SHA3_256,   MECH_SIGNS, "SHA3-256", mech_ecdsa),
  EC(CKM_ECDSA_SHA3_384,   MECH_SIGNS, "SHA3-384", mech_ecdsa),
  EC(CKM_ECDSA_SHA3_512,   MECH_SIGNS, "SHA3-512", mech_ecdsa),
  DH(CKM_ECDH1_DERIVE, CKK_EC_MONTGOMERY),
  DH(CKM_ECDH1_COFACTOR_DERIVE, CKK_EC),
  WRAP(CKM_ECDH_AES_KEY_WRAP,     CKK_EC, CKK_EC_MONTGOMERY),
  WRAP(CKM_ECDH_COF_AES_KEY_WRAP, CKK_EC, CKK_EC),
  WRAP(CKM_ECDH_X_AES_KEY_WRAP,   CKK_EC_MONTGOMERY, CKK_EC_MONTGOMERY),
  ED(CKM_EC_EDWARDS_KEY_PAIR_GEN, CKF_GENERATE_KEY_PAIR, mech_ec_keygen),
  ED(CKM_EDDSA,            MECH_SIGNS, mech_eddsa),
  { CKM_EC_MONTGOMERY_KEY_PAIR_GEN, "CKM_EC_MONTGOMERY_KEY_PAIR_GEN", MECH_KEY(CKK_EC_MONTGOMERY),
    { RAW_MIN, RAW_MAX, CKF_GENERATE_KEY_PAIR | CKF_EC_NAMEDCURVE }, NULL, NULL, &mech_ec_keygen },
};
/* clang-format on */

const struct mech_table mech_table_ec = { rows, HF_ARRAY_LEN(rows) };
