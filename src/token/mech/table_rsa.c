/* SPDX-License-Identifier: Apache-2.0 */
/* RSA (PKCS #11 v3.2, section 6.1). */
#include "token/mech/mech.h"

enum { MIN = 1024, MAX = 8192 };

#define ROW(type, flags, digest, ops)                                       \
  {                                                                         \
    type, #type, MECH_KEY(CKK_RSA), { MIN, MAX, flags }, digest, NULL, &ops \
  }

#define RECOVERS (CKF_SIGN_RECOVER | CKF_VERIFY_RECOVER)
#define WRAPS (CKF_WRAP | CKF_UNWRAP)
#define ALL (MECH_SIGNS | MECH_CRYPTS | RECOVERS | WRAPS)

/* clang-format off */
static const struct mech rows[] = {
  ROW(CKM_RSA_PKCS_KEY_PAIR_GEN, CKF_GENERATE_KEY_PAIR, NULL, mech_rsa_keygen),
  ROW(CKM_RSA_PKCS,              ALL, NULL, mech_rsa_pkcs),
  ROW(CKM_RSA_X_509,             ALL, NULL, mech_rsa_x509),
  ROW(CKM_RSA_PKCS_OAEP,         MECH_CRYPTS | WRAPS, NULL, mech_rsa_oaep),
  ROW(CKM_RSA_AES_KEY_WRAP,      WRAPS, NULL, mech_rsa_aes),
  ROW(CKM_SHA1_RSA_PKCS,           MECH_SIGNS, "SHA1",     mech_rsa_pkcs),
  ROW(CKM_SHA224_RSA_PKCS,         MECH_SIGNS, "SHA224",   mech_rsa_pkcs),
  ROW(CKM_SHA256_RSA_PKCS,         MECH_SIGNS, "SHA256",   mech_rsa_pkcs),
  ROW(CKM_SHA384_RSA_PKCS,         MECH_SIGNS, "SHA384",   mech_rsa_pkcs),
  ROW(CKM_SHA512_RSA_PKCS,         MECH_SIGNS, "SHA512",   mech_rsa_pkcs),
  ROW(CKM_SHA3_224_RSA_PKCS,       MECH_SIGNS, "SHA3-224", mech_rsa_pkcs),
  ROW(CKM_SHA3_256_RSA_PKCS,       MECH_SIGNS, "SHA3-256", mech_rsa_pkcs),
  ROW(CKM_SHA3_384_RSA_PKCS,       MECH_SIGNS, "SHA3-384", mech_rsa_pkcs),
  ROW(CKM_SHA3_512_RSA_PKCS,       MECH_SIGNS, "SHA3-512", mech_rsa_pkcs),
  ROW(CKM_RSA_PKCS_PSS,          MECH_SIGNS, NULL,       mech_rsa_pss),
  ROW(CKM_SHA1_RSA_PKCS_PSS,       MECH_SIGNS, "SHA1",     mech_rsa_pss),
  ROW(CKM_SHA224_RSA_PKCS_PSS,     MECH_SIGNS, "SHA224",   mech_rsa_pss),
  ROW(CKM_SHA256_RSA_PKCS_PSS,     MECH_SIGNS, "SHA256",   mech_rsa_pss),
  ROW(CKM_SHA384_RSA_PKCS_PSS,     MECH_SIGNS, "SHA384",   mech_rsa_pss),
  ROW(CKM_SHA512_RSA_PKCS_PSS,     MECH_SIGNS, "SHA512",   mech_rsa_pss),
  ROW(CKM_SHA3_224_RSA_PKCS_PSS,   MECH_SIGNS, "SHA3-224", mech_rsa_pss),
  ROW(CKM_SHA3_256_RSA_PKCS_PSS,   MECH_SIGNS, "SHA3-256", mech_rsa_pss),
  ROW(CKM_SHA3_384_RSA_PKCS_PSS,   MECH_SIGNS, "SHA3-384", mech_rsa_pss),
  ROW(CKM_SHA3_512_RSA_PKCS_PSS,   MECH_SIGNS, "SHA3-512", mech_rsa_pss),
};
/* clang-format on */

const struct mech_table mech_table_rsa = { rows, HF_ARRAY_LEN(rows) };
