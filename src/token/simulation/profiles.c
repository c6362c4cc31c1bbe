/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The built-in profiles. Mechanisms, sizes, limits and codes are those of the devices' own modules (tpm2-pkcs11 1.9, ykcs11 2.2,
 * OpenSC 0.23, OP-TEE 4), as far as the token has the mechanism. Times are approximate: devices of one kind differ by a factor
 * of two and more.
 */
#include "token/simulation/profile.h"

#include "base/cleanup.h"

static const char tpm2[] = "manufacturer = IBM\n"
                           "model = TPM 2.0\n"
                           "slot = TPM 2.0 by tpm2-pkcs11\n"
                           "firmware = 1.64\n"
                           "queue = yes\n"
                           "mechanism = CKM_RSA_PKCS_KEY_PAIR_GEN 1024-2048 generate hw\n"
                           "mechanism = CKM_RSA_X_509 CKM_RSA_PKCS 1024-2048 encrypt decrypt sign verify hw\n"
                           "mechanism = CKM_RSA_PKCS_OAEP 1024-2048 encrypt decrypt hw\n"
                           "mechanism = CKM_SHA1_RSA_PKCS CKM_SHA256_RSA_PKCS CKM_SHA384_RSA_PKCS CKM_SHA512_RSA_PKCS "
                           "1024-2048 sign verify hw\n"
                           "mechanism = CKM_EC_KEY_PAIR_GEN 256-384 generate hw\n"
                           "mechanism = CKM_ECDSA CKM_ECDSA_SHA1 CKM_ECDSA_SHA256 CKM_ECDSA_SHA384 CKM_ECDSA_SHA512 "
                           "256-384 sign verify hw\n"
                           "mechanism = CKM_AES_KEY_GEN 16-32 generate hw\n"
                           "mechanism = CKM_AES_CBC CKM_AES_CBC_PAD CKM_AES_CFB128 CKM_AES_ECB CKM_AES_CTR 16-32 "
                           "encrypt decrypt hw\n"
                           "mechanism = CKM_SHA_1 CKM_SHA256 CKM_SHA384 CKM_SHA512 digest\n"
                           "mechanism = CKM_SHA_1_HMAC CKM_SHA256_HMAC CKM_SHA384_HMAC CKM_SHA512_HMAC sign verify hw\n"
                           "key = RSA-1024 RSA-2048 P-256 P-384 generate\n"
                           "extractable = no\n"
                           "objects = certificate public-key private-key secret-key\n"
                           "refuse = key CKR_ATTRIBUTE_VALUE_INVALID\n"
                           "refuse = import CKR_ATTRIBUTE_VALUE_INVALID\n"
                           "limits = sessions=1024, pin=4-128, tries=32\n"
                           "latency = C_Sign/P-256=100ms-250ms, C_Sign/P-384=200ms-400ms\n"
                           "latency = C_Sign/RSA=120ms-300ms, C_Decrypt/RSA=120ms-300ms, C_Sign=20ms-40ms\n"
                           "latency = C_GenerateKeyPair/P-256=150ms-400ms, C_GenerateKeyPair/P-384=300ms-700ms\n"
                           "latency = C_GenerateKeyPair/RSA=3s-15s, C_GenerateKey=100ms-200ms\n"
                           "latency = C_Login=100ms-200ms, C_GenerateRandom=20ms-30ms, C_Encrypt=20ms-50ms\n";

static const char yubikey_piv[] =
    "manufacturer = Yubico (www.yubico.com)\n"
    "model = YubiKey YK5\n"
    "slot = Yubico YubiKey OTP+FIDO+CCID 00 00\n"
    "firmware = 5.4\n"
    "removable = yes\n"
    "queue = yes\n"
    "mechanism = CKM_RSA_PKCS_KEY_PAIR_GEN 1024-2048 generate hw\n"
    "mechanism = CKM_RSA_PKCS CKM_RSA_X_509 1024-2048 encrypt decrypt sign verify hw\n"
    "mechanism = CKM_RSA_PKCS_PSS 1024-2048 sign verify hw\n"
    "mechanism = CKM_RSA_PKCS_OAEP 1024-2048 encrypt decrypt hw\n"
    "mechanism = CKM_SHA1_RSA_PKCS CKM_SHA256_RSA_PKCS CKM_SHA384_RSA_PKCS CKM_SHA512_RSA_PKCS "
    "CKM_SHA1_RSA_PKCS_PSS CKM_SHA256_RSA_PKCS_PSS CKM_SHA384_RSA_PKCS_PSS CKM_SHA512_RSA_PKCS_PSS "
    "1024-2048 sign verify hw\n"
    "mechanism = CKM_EC_KEY_PAIR_GEN 256-384 generate hw\n"
    "mechanism = CKM_ECDSA CKM_ECDSA_SHA1 CKM_ECDSA_SHA224 CKM_ECDSA_SHA256 CKM_ECDSA_SHA384 CKM_ECDSA_SHA512 "
    "256-384 sign verify hw\n"
    "mechanism = CKM_ECDH1_DERIVE 256-384 derive hw\n"
    "mechanism = CKM_SHA_1 CKM_SHA256 CKM_SHA384 CKM_SHA512 digest\n"
    "key = RSA-1024 RSA-2048 P-256 P-384 generate import\n"
    "extractable = no\n"
    "objects = data certificate public-key private-key\n"
    "ids = 1-24\n"
    "authenticate = 2\n"
    "refuse = key CKR_ATTRIBUTE_VALUE_INVALID\n"
    "refuse = object CKR_ATTRIBUTE_VALUE_INVALID\n"
    "refuse = id CKR_ATTRIBUTE_VALUE_INVALID\n"
    "limits = sessions=16, keys=24, objects=96, pin=6-8, tries=3\n"
    "latency = C_Sign/P-256=35ms-50ms, C_Sign/P-384=70ms-100ms\n"
    "latency = C_Sign/RSA=90ms-130ms, C_Decrypt/RSA=90ms-130ms, C_DeriveKey=35ms-60ms\n"
    "latency = C_GenerateKeyPair/P-256=150ms-300ms, C_GenerateKeyPair/P-384=250ms-450ms\n"
    "latency = C_GenerateKeyPair/RSA=3s-15s, C_CreateObject=50ms-150ms\n"
    "latency = C_Login=30ms-50ms, C_GenerateRandom=10ms-15ms\n";

static const char smartcard_hsm[] =
    "manufacturer = www.CardContact.de\n"
    "model = PKCS%2315 emulated\n"
    "slot = Nitrokey Nitrokey HSM (DENK02) 00 00\n"
    "firmware = 3.5\n"
    "removable = yes\n"
    "queue = yes\n"
    "mechanism = CKM_RSA_PKCS_KEY_PAIR_GEN 1024-4096 generate hw\n"
    "mechanism = CKM_RSA_X_509 CKM_RSA_PKCS 1024-4096 decrypt sign verify hw\n"
    "mechanism = CKM_RSA_PKCS_PSS CKM_SHA1_RSA_PKCS CKM_SHA256_RSA_PKCS CKM_SHA384_RSA_PKCS CKM_SHA512_RSA_PKCS "
    "CKM_SHA1_RSA_PKCS_PSS CKM_SHA256_RSA_PKCS_PSS 1024-4096 sign verify\n"
    "mechanism = CKM_EC_KEY_PAIR_GEN 192-521 generate hw\n"
    "mechanism = CKM_ECDSA CKM_ECDSA_SHA1 CKM_ECDSA_SHA224 CKM_ECDSA_SHA256 CKM_ECDSA_SHA384 CKM_ECDSA_SHA512 "
    "192-521 sign verify hw\n"
    "mechanism = CKM_ECDH1_DERIVE 192-521 derive hw\n"
    "mechanism = CKM_AES_KEY_GEN 16-32 generate hw\n"
    "mechanism = CKM_AES_CBC 16-32 encrypt decrypt hw\n"
    "mechanism = CKM_SHA_1 CKM_SHA224 CKM_SHA256 CKM_SHA384 CKM_SHA512 digest\n"
    "key = RSA P-224 P-256 P-384 P-521 secp256k1 generate\n"
    "extractable = no\n"
    "refuse = key CKR_FUNCTION_NOT_SUPPORTED\n"
    "refuse = import CKR_FUNCTION_NOT_SUPPORTED\n"
    "limits = keys=38, objects=150, pin=6-15, tries=3\n"
    "latency = C_Initialize=1.8s\n"
    "latency = C_Sign/P-256=60ms-90ms, C_Sign/P-384=90ms-130ms, C_Sign/P-521=130ms-180ms\n"
    "latency = C_Sign/RSA=180ms-250ms, C_Sign/RSA-4096=1s-1.3s\n"
    "latency = C_Decrypt/RSA=180ms-250ms, C_Decrypt/RSA-4096=1s-1.3s, C_DeriveKey=60ms-100ms\n"
    "latency = C_GenerateKeyPair=1s-1.5s, C_GenerateKeyPair/RSA=3s-20s, C_GenerateKeyPair/RSA-4096=30s-2m\n"
    "latency = C_Login=50ms-80ms, C_GenerateRandom=20ms-30ms, C_CreateObject=150ms-300ms\n";

static const char optee[] =
    "manufacturer = Linaro\n"
    "model = OP-TEE TA\n"
    "slot = OP-TEE PKCS11 TA\n"
    "firmware = 4.0\n"
    "mechanism = CKM_RSA_PKCS_KEY_PAIR_GEN 1024-4096 generate\n"
    "mechanism = CKM_RSA_PKCS 1024-4096 encrypt decrypt sign verify\n"
    "mechanism = CKM_RSA_PKCS_OAEP 1024-4096 encrypt decrypt\n"
    "mechanism = CKM_RSA_PKCS_PSS CKM_SHA1_RSA_PKCS CKM_SHA224_RSA_PKCS CKM_SHA256_RSA_PKCS CKM_SHA384_RSA_PKCS "
    "CKM_SHA512_RSA_PKCS CKM_SHA1_RSA_PKCS_PSS CKM_SHA224_RSA_PKCS_PSS CKM_SHA256_RSA_PKCS_PSS "
    "CKM_SHA384_RSA_PKCS_PSS CKM_SHA512_RSA_PKCS_PSS 1024-4096 sign verify\n"
    "mechanism = CKM_EC_KEY_PAIR_GEN 160-521 generate\n"
    "mechanism = CKM_ECDSA CKM_ECDSA_SHA1 CKM_ECDSA_SHA224 CKM_ECDSA_SHA256 CKM_ECDSA_SHA384 CKM_ECDSA_SHA512 "
    "160-521 sign verify\n"
    "mechanism = CKM_ECDH1_DERIVE 160-521 derive\n"
    "mechanism = CKM_EC_EDWARDS_KEY_PAIR_GEN 255-448 generate\n"
    "mechanism = CKM_EDDSA 255-448 sign verify\n"
    "mechanism = CKM_AES_KEY_GEN 16-32 generate\n"
    "mechanism = CKM_AES_ECB CKM_AES_CBC CKM_AES_CBC_PAD CKM_AES_CTR CKM_AES_CTS 16-32 encrypt decrypt\n"
    "mechanism = CKM_AES_CMAC CKM_AES_CMAC_GENERAL 16-32 sign verify\n"
    "mechanism = CKM_GENERIC_SECRET_KEY_GEN generate\n"
    "mechanism = CKM_SHA_1 CKM_SHA224 CKM_SHA256 CKM_SHA384 CKM_SHA512 digest\n"
    "mechanism = CKM_SHA_1_HMAC CKM_SHA224_HMAC CKM_SHA256_HMAC CKM_SHA384_HMAC CKM_SHA512_HMAC sign verify\n"
    "key = RSA P-224 P-256 P-384 P-521 Ed25519 Ed448 generate import\n"
    "refuse = key CKR_ATTRIBUTE_VALUE_INVALID\n"
    "limits = pin=4-128, tries=7\n"
    "latency = C_Sign/P-256=3ms-8ms, C_Sign/P-384=6ms-15ms, C_Sign/P-521=10ms-25ms, C_Sign/Ed25519=3ms-8ms\n"
    "latency = C_Sign/RSA=10ms-25ms, C_Sign/RSA-4096=60ms-150ms, C_Decrypt/RSA=10ms-25ms\n"
    "latency = C_GenerateKeyPair=10ms-30ms, C_GenerateKeyPair/RSA=500ms-3s, C_Login=5ms-10ms\n"
    "latency = *=500us-1ms\n";

static const struct profile_text built_in[] = {
  { "tpm2", tpm2 },
  { "yubikey-piv", yubikey_piv },
  { "smartcard-hsm", smartcard_hsm },
  { "optee", optee },
};

const struct profile_text *profile_built_in(size_t i)
{
  return i < HF_ARRAY_LEN(built_in) ? &built_in[i] : NULL;
}
