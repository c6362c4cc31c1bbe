/* SPDX-License-Identifier: Apache-2.0 */
/* Ciphers: AES (PKCS #11 v3.2, section 6.13), triple DES (6.16), ChaCha20 (6.62) and ChaCha20-Poly1305 (6.65). */
#include "token/mech/mech.h"

/* Of AES the standard counts bytes of a key, of triple DES nothing. */
#define AES(type, flags, alg, ops)                                       \
  {                                                                      \
    type, #type, MECH_KEY(CKK_AES), { 16, 32, (flags) }, NULL, alg, &ops \
  }
#define DES3(type, flags, alg, ops)                                         \
  {                                                                         \
    type, #type, { CKK_DES3, CKK_DES2 }, { 0, 0, (flags) }, NULL, alg, &ops \
  }
#define ONE(type, key, min, max, flags, alg, ops)                      \
  {                                                                    \
    type, #type, MECH_KEY(key), { min, max, (flags) }, NULL, alg, &ops \
  }
#define ALL (MECH_CRYPTS | MECH_WRAPS)

/* clang-format off */
static const struct mech rows[] = {
  AES(CKM_AES_ECB,     ALL, "ECB", mech_cipher),
  AES(CKM_AES_CBC,     ALL, "CBC", mech_cipher),
  AES(CKM_AES_CBC_PAD, ALL, "CBC", mech_cipher_pad),
  AES(CKM_AES_CTR,     ALL, "CTR", mech_aes_ctr),
  AES(CKM_AES_CTS,     ALL, "CBC-CTS", mech_cipher_whole),
  AES(CKM_AES_OFB,     MECH_CRYPTS, "OFB", mech_cipher),
  AES(CKM_AES_CFB1,    MECH_CRYPTS, "CFB1", mech_cipher),
  AES(CKM_AES_CFB8,    MECH_CRYPTS, "CFB8", mech_cipher),
  AES(CKM_AES_CFB128,  MECH_CRYPTS, "CFB", mech_cipher),
  AES(CKM_AES_GCM,     ALL | MECH_MESSAGES, "GCM", mech_gcm),
  AES(CKM_AES_CCM,     ALL | MECH_MESSAGES, "CCM", mech_ccm),
  AES(CKM_AES_KEY_WRAP, ALL, "WRAP", mech_key_wrap),
  /* The standard left open what it is; as SoftHSM2 and OpenSC have it, it is KWP. */
  AES(CKM_AES_KEY_WRAP_PAD,   ALL, "WRAP-PAD", mech_key_wrap_pad),
  AES(CKM_AES_KEY_WRAP_KWP,   ALL, "WRAP-PAD", mech_key_wrap_pad),
  AES(CKM_AES_KEY_WRAP_PKCS7, ALL, "WRAP", mech_key_wrap_pkcs7),
  ONE(CKM_AES_XTS, CKK_AES_XTS, 32, 64, ALL, "XTS", mech_cipher_whole),
  DES3(CKM_DES3_ECB,     ALL, "ECB", mech_cipher),
  DES3(CKM_DES3_CBC,     ALL, "CBC", mech_cipher),
  DES3(CKM_DES3_CBC_PAD, ALL, "CBC", mech_cipher_pad),
  ONE(CKM_CHACHA20, CKK_CHACHA20, 32, 32, ALL, "ChaCha20", mech_chacha20),
  ONE(CKM_CHACHA20_POLY1305, CKK_CHACHA20, 32, 32, ALL | MECH_MESSAGES, "ChaCha20-Poly1305", mech_chacha20_poly1305),
};
/* clang-format on */

const struct mech_table mech_table_cipher = { rows, HF_ARRAY_LEN(rows) };
