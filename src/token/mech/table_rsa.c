/* SPDX-License-Identifier: Apache-2.0 */
/* RSA (PKCS #11 v3.2, section 6.1). */
#include "token/mech/mech.h"

enum { MIN = 2048, MAX = 4096 };

#define ROW(type, flags, digest, ops)                                       \
  {                                                                         \
    type, #type, MECH_KEY(CKK_RSA), { MIN, MAX, flags }, digest, NULL, &ops \
  }

/* clang-format off */
static const struct mech rows[] = {
  ROW(CKM_RSA_PKCS_KEY_PAIR_GEN, CKF_GENERATE_KEY_PAIR, NULL, mech_rsa_keygen),
  ROW(CKM_RSA_PKCS,            MECH_SIGNS | MECH_CRYPTS, NULL, mech_rsa_pkcs),
  ROW(CKM_RSA_PKCS_OAEP,       MECH_CRYPTS, NULL,     mech_rsa_oaep),
  ROW(CKM_SHA1_RSA_PKCS,       MECH_SIGNS,  "SHA1",   mech_rsa_pkcs),
  ROW(CKM_SHA224_RSA_PKCS,     MECH_SIGNS,  "SHA224", mech_rsa_pkcs),
  ROW(CKM_SHA256_RSA_PKCS,     MECH_SIGNS,  "SHA256", mech_rsa_pkcs),
  ROW(CKM_SHA384_RSA_PKCS,     MECH_SIGNS,  "SHA384", mech_rsa_pkcs),
  ROW(CKM_SHA512_RSA_PKCS,     MECH_SIGNS,  "SHA512", mech_rsa_pkcs),
  ROW(CKM_RSA_PKCS_PSS,        MECH_SIGNS,  NULL,     mech_rsa_pss),
  ROW(CKM_SHA1_RSA_PKCS_PSS,   MECH_SIGNS,  "SHA1",   mech_rsa_pss),
  ROW(CKM_SHA224_RSA_PKCS_PSS, MECH_SIGNS,  "SHA224", mech_rsa_pss),
  ROW(CKM_SHA256_RSA_PKCS_PSS, MECH_SIGNS,  "SHA256", mech_rsa_pss),
  ROW(CKM_SHA384_RSA_PKCS_PSS, MECH_SIGNS,  "SHA384", mech_rsa_pss),
  ROW(CKM_SHA512_RSA_PKCS_PSS, MECH_SIGNS,  "SHA512", mech_rsa_pss),
};
/* clang-format on */

const struct mech_table mech_table_rsa = { rows, HF_ARRAY_LEN(rows) };
