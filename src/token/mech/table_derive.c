/* SPDX-License-Identifier: Apache-2.0 */
/* Derivation from secret keys. */
#include "token/mech/mech.h"

#define ROW(type, key, alg, ops)                                                    \
  {                                                                                 \
    type, #type, MECH_KEY(key), { 0, 0, CKF_DERIVE }, NULL, alg, &ops, false, false \
  }
#define SHOWS(type, ops)                                                                        \
  {                                                                                             \
    type, #type, MECH_KEY(MECH_ANY_SECRET), { 0, 0, CKF_DERIVE }, NULL, NULL, &ops, false, true \
  }
#define KDF(type, alg, ops)                                                                     \
  {                                                                                             \
    type, #type, MECH_KEY(MECH_ANY_SECRET), { 0, 0, CKF_DERIVE }, NULL, alg, &ops, false, false \
  }
#define DATA(type, ops)                                                                         \
  {                                                                                             \
    type, #type, MECH_KEY(MECH_ANY_SECRET), { 0, 0, CKF_DERIVE }, NULL, NULL, &ops, true, false \
  }
#define MAC(type, ops)                                                                              \
  {                                                                                                 \
    type, #type, MECH_KEY(CKK_GENERIC_SECRET), { 0, 0, MECH_SIGNS }, NULL, NULL, &ops, false, false \
  }

/* clang-format off */
static const struct mech rows[] = {
  SHOWS(CKM_CONCATENATE_BASE_AND_KEY,  mech_concatenate_key),
  SHOWS(CKM_CONCATENATE_BASE_AND_DATA, mech_concatenate_data),
  SHOWS(CKM_CONCATENATE_DATA_AND_BASE, mech_concatenate_base),
  SHOWS(CKM_XOR_BASE_AND_DATA,         mech_xor),
  SHOWS(CKM_EXTRACT_KEY_FROM_KEY,      mech_extract),

  KDF(CKM_SHA1_KEY_DERIVATION,     "SHA1",     mech_hash_key),
  KDF(CKM_SHA224_KEY_DERIVATION,   "SHA224",   mech_hash_key),
  KDF(CKM_SHA256_KEY_DERIVATION,   "SHA256",   mech_hash_key),
  KDF(CKM_SHA384_KEY_DERIVATION,   "SHA384",   mech_hash_key),
  KDF(CKM_SHA512_KEY_DERIVATION,   "SHA512",   mech_hash_key),
  KDF(CKM_SHA512_224_KEY_DERIVATION, "SHA512-224", mech_hash_key),
  KDF(CKM_SHA512_256_KEY_DERIVATION, "SHA512-256", mech_hash_key),
  KDF(CKM_SHAKE_128_KEY_DERIVATION, "SHAKE-128", mech_xof_key),
  KDF(CKM_SHAKE_256_KEY_DERIVATION, "SHAKE-256", mech_xof_key),
  KDF(CKM_SHA3_224_KEY_DERIVATION, "SHA3-224", mech_hash_key),
  KDF(CKM_SHA3_256_KEY_DERIVATION, "SHA3-256", mech_hash_key),
  KDF(CKM_SHA3_384_KEY_DERIVATION, "SHA3-384", mech_hash_key),
  KDF(CKM_SHA3_512_KEY_DERIVATION, "SHA3-512", mech_hash_key),

  ROW(CKM_AES_ECB_ENCRYPT_DATA,  CKK_AES,  "ECB", mech_encrypt_data),
  ROW(CKM_AES_CBC_ENCRYPT_DATA,  CKK_AES,  "CBC", mech_encrypt_data),
  ROW(CKM_DES3_ECB_ENCRYPT_DATA, CKK_DES3, "ECB", mech_encrypt_data),
  ROW(CKM_DES3_CBC_ENCRYPT_DATA, CKK_DES3, "CBC", mech_encrypt_data),

  { CKM_PKCS5_PBKD2, "CKM_PKCS5_PBKD2", MECH_KEY(MECH_ANY_SECRET), { 0, 0, CKF_GENERATE }, NULL, NULL, &mech_pbkdf2,
    false, false },
  KDF(CKM_HKDF_DERIVE, NULL, mech_hkdf),
  DATA(CKM_HKDF_DATA, mech_hkdf),

  KDF(CKM_SP800_108_COUNTER_KDF,         NULL, mech_sp800_108),
  KDF(CKM_SP800_108_FEEDBACK_KDF,        NULL, mech_sp800_108),
  KDF(CKM_SP800_108_DOUBLE_PIPELINE_KDF, NULL, mech_sp800_108),

  ROW(CKM_TLS12_MASTER_KEY_DERIVE,             CKK_GENERIC_SECRET, "RSA", mech_tls_master),
  ROW(CKM_TLS12_MASTER_KEY_DERIVE_DH,          CKK_GENERIC_SECRET, "DH",  mech_tls_master),
  ROW(CKM_TLS12_EXTENDED_MASTER_KEY_DERIVE,    CKK_GENERIC_SECRET, "RSA", mech_tls_master),
  ROW(CKM_TLS12_EXTENDED_MASTER_KEY_DERIVE_DH, CKK_GENERIC_SECRET, "DH",  mech_tls_master),
  ROW(CKM_TLS12_KEY_AND_MAC_DERIVE,            CKK_GENERIC_SECRET, NULL,  mech_tls_keys),
  ROW(CKM_TLS12_KEY_SAFE_DERIVE,               CKK_GENERIC_SECRET, NULL,  mech_tls_keys),
  ROW(CKM_TLS_KDF,                             CKK_GENERIC_SECRET, NULL,  mech_tls_export),
  ROW(CKM_TLS12_KDF,                           CKK_GENERIC_SECRET, NULL,  mech_tls_export),
  MAC(CKM_TLS_MAC,   mech_tls_mac),
  MAC(CKM_TLS12_MAC, mech_tls_mac),
};
/* clang-format on */

const struct mech_table mech_table_derive = { rows, HF_ARRAY_LEN(rows) };
