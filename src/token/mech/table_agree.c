/* SPDX-License-Identifier: Apache-2.0 */
/* Diffie-Hellman modulo a prime, and key encapsulation; sizes of ML-KEM are of the public key, in bytes. */
#include "token/mech/mech.h"

enum { DH_MIN = 1024, DH_MAX = 8192, KEM_MIN = 800, KEM_MAX = 1568 };

#define DH(type, flags, ops)                                                    \
  {                                                                             \
    type, #type, MECH_KEY(CKK_DH), { DH_MIN, DH_MAX, flags }, NULL, NULL, &ops, \
  }
#define KEM(type, flags, ops)                                                                \
  {                                                                                          \
    type, #type, MECH_KEY(CKK_ML_KEM), { KEM_MIN, KEM_MAX, flags }, NULL, "ML-KEM-512", &ops \
  }

/* clang-format off */
static const struct mech rows[] = {
  DH(CKM_DH_PKCS_PARAMETER_GEN, CKF_GENERATE,          mech_dh_paramgen),
  DH(CKM_DH_PKCS_KEY_PAIR_GEN,  CKF_GENERATE_KEY_PAIR, mech_dh_keygen),
  DH(CKM_DH_PKCS_DERIVE,        CKF_DERIVE,            mech_dh),
  KEM(CKM_ML_KEM_KEY_PAIR_GEN,  CKF_GENERATE_KEY_PAIR, mech_kem_keygen),
  KEM(CKM_ML_KEM,               CKF_ENCAPSULATE | CKF_DECAPSULATE, mech_kem),
};
/* clang-format on */

const struct mech_table mech_table_agree = { rows, HF_ARRAY_LEN(rows) };
