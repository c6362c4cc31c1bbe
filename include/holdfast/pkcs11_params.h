/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parameters of mechanisms that p11-kit 0.24 lacks, with the standard's members under names of our own: what counts is
 * their layout, and a newer p11-kit may have the standard's names.
 */
#ifndef HOLDFAST_PKCS11_PARAMS_H
#define HOLDFAST_PKCS11_PARAMS_H

/* CK_EDDSA_PARAMS (v3.0, section 2.3.15). */
struct hf_ck_eddsa_params {
  CK_BBOOL phFlag;
  CK_ULONG ulContextDataLen;
  CK_BYTE *pContextData;
};

/* CK_SIGN_ADDITIONAL_CONTEXT and CK_HASH_SIGN_ADDITIONAL_CONTEXT (v3.2): ML-DSA and SLH-DSA; hedgeVariant is a CKH_. */
struct hf_ck_sign_context {
  CK_ULONG hedgeVariant;
  CK_BYTE *pContext;
  CK_ULONG ulContextLen;
};

struct hf_ck_hash_sign_context {
  CK_ULONG hedgeVariant;
  CK_BYTE *pContext;
  CK_ULONG ulContextLen;
  CK_MECHANISM_TYPE hash;
};

/* CK_RSA_AES_KEY_WRAP_PARAMS and CK_ECDH_AES_KEY_WRAP_PARAMS. */
struct hf_ck_rsa_aes_key_wrap_params {
  CK_ULONG ulAESKeyBits;
  CK_RSA_PKCS_OAEP_PARAMS *pOAEPParams;
};

struct hf_ck_ecdh_aes_key_wrap_params {
  CK_ULONG ulAESKeyBits;
  CK_ULONG kdf;
  CK_ULONG ulSharedDataLen;
  CK_BYTE *pSharedData;
};

/* CK_X9_42_DH1_DERIVE_PARAMS. */
struct hf_ck_x9_42_dh1_derive_params {
  CK_ULONG kdf;
  CK_ULONG ulOtherInfoLen;
  CK_BYTE *pOtherInfo;
  CK_ULONG ulPublicDataLen;
  CK_BYTE *pPublicData;
};

/* CK_DSA_PARAMETER_GEN_PARAM. */
struct hf_ck_dsa_parameter_gen_param {
  CK_MECHANISM_TYPE hash;
  CK_BYTE *pSeed;
  CK_ULONG ulSeedLen;
  CK_ULONG ulIndex;
};

/* CK_GCM_MESSAGE_PARAMS, CK_GCM_WRAP_PARAMS (v3.0, section 2.14; v3.2); the generators are CKG_. CK_GCM_PARAMS is p11-kit's. */
struct hf_ck_gcm_message_params {
  CK_BYTE *pIv;
  CK_ULONG ulIvLen;
  CK_ULONG ulIvFixedBits;
  CK_ULONG ivGenerator;
  CK_BYTE *pTag;
  CK_ULONG ulTagBits;
};

struct hf_ck_gcm_wrap_params {
  CK_BYTE *pIv;
  CK_ULONG ulIvLen;
  CK_ULONG ulIvFixedBits;
  CK_ULONG ivGenerator;
  CK_BYTE *pAAD;
  CK_ULONG ulAADLen;
  CK_ULONG ulTagBits;
};

/* CK_CCM_PARAMS, CK_CCM_MESSAGE_PARAMS, CK_CCM_WRAP_PARAMS. */
struct hf_ck_ccm_params {
  CK_ULONG ulDataLen;
  CK_BYTE *pNonce;
  CK_ULONG ulNonceLen;
  CK_BYTE *pAAD;
  CK_ULONG ulAADLen;
  CK_ULONG ulMACLen;
};

struct hf_ck_ccm_message_params {
  CK_ULONG ulDataLen;
  CK_BYTE *pNonce;
  CK_ULONG ulNonceLen;
  CK_ULONG ulNonceFixedBits;
  CK_ULONG nonceGenerator;
  CK_BYTE *pMAC;
  CK_ULONG ulMACLen;
};

struct hf_ck_ccm_wrap_params {
  CK_ULONG ulDataLen;
  CK_BYTE *pNonce;
  CK_ULONG ulNonceLen;
  CK_ULONG ulNonceFixedBits;
  CK_ULONG nonceGenerator;
  CK_BYTE *pAAD;
  CK_ULONG ulAADLen;
  CK_ULONG ulMACLen;
};

/* CK_CHACHA20_PARAMS, CK_SALSA20_CHACHA20_POLY1305_PARAMS, CK_SALSA20_CHACHA20_POLY1305_MSG_PARAMS. */
struct hf_ck_chacha20_params {
  CK_BYTE *pBlockCounter;
  CK_ULONG blockCounterBits;
  CK_BYTE *pNonce;
  CK_ULONG ulNonceBits;
};

struct hf_ck_chacha20_poly1305_params {
  CK_BYTE *pNonce;
  CK_ULONG ulNonceLen;
  CK_BYTE *pAAD;
  CK_ULONG ulAADLen;
};

struct hf_ck_chacha20_poly1305_msg_params {
  CK_BYTE *pNonce;
  CK_ULONG ulNonceLen;
  CK_BYTE *pTag;
};

/* CK_HKDF_PARAMS (v3.0, section 2.50); ulSaltType is a CKF_HKDF_SALT_. */
struct hf_ck_hkdf_params {
  CK_BBOOL bExtract;
  CK_BBOOL bExpand;
  CK_MECHANISM_TYPE prfHashMechanism;
  CK_ULONG ulSaltType;
  CK_BYTE *pSalt;
  CK_ULONG ulSaltLen;
  CK_OBJECT_HANDLE hSaltKey;
  CK_BYTE *pInfo;
  CK_ULONG ulInfoLen;
};

/*
 * CK_PKCS5_PBKD2_PARAMS2; the older CK_PKCS5_PBKD2_PARAMS is as large, and differs in its last member alone, which points to
 * the length.
 */
struct hf_ck_pbkd2_params2 {
  CK_ULONG saltSource;
  void *pSaltSourceData;
  CK_ULONG ulSaltSourceDataLen;
  CK_ULONG iterations;
  CK_ULONG prf;
  void *pPrfData;
  CK_ULONG ulPrfDataLen;
  CK_UTF8CHAR *pPassword;
  CK_ULONG ulPasswordLen;
};

/* SP 800-108 (v3.0, section 2.42): CK_PRF_DATA_PARAM, the formats that it points to, CK_DERIVED_KEY, and the parameters. */
struct hf_ck_prf_data_param {
  CK_ULONG type;
  void *pValue;
  CK_ULONG ulValueLen;
};

struct hf_ck_sp800_108_counter_format {
  CK_BBOOL bLittleEndian;
  CK_ULONG ulWidthInBits;
};

struct hf_ck_sp800_108_dkm_length_format {
  CK_ULONG dkmLengthMethod;
  CK_BBOOL bLittleEndian;
  CK_ULONG ulWidthInBits;
};

struct hf_ck_derived_key {
  CK_ATTRIBUTE *pTemplate;
  CK_ULONG ulAttributeCount;
  CK_OBJECT_HANDLE *phKey;
};

struct hf_ck_sp800_108_kdf_params {
  CK_MECHANISM_TYPE prfType;
  CK_ULONG ulNumberOfDataParams;
  struct hf_ck_prf_data_param *pDataParams;
  CK_ULONG ulAdditionalDerivedKeys;
  struct hf_ck_derived_key *pAdditionalDerivedKeys;
};

struct hf_ck_sp800_108_feedback_kdf_params {
  CK_MECHANISM_TYPE prfType;
  CK_ULONG ulNumberOfDataParams;
  struct hf_ck_prf_data_param *pDataParams;
  CK_ULONG ulIVLen;
  CK_BYTE *pIV;
  CK_ULONG ulAdditionalDerivedKeys;
  struct hf_ck_derived_key *pAdditionalDerivedKeys;
};

/* TLS (v3.0, sections 2.30 and 2.31): CK_SSL3_RANDOM_DATA, CK_SSL3_KEY_MAT_OUT, CK_TLS12_..., CK_TLS_KDF_PARAMS, CK_TLS_MAC_PARAMS. */
struct hf_ck_ssl3_random_data {
  CK_BYTE *pClientRandom;
  CK_ULONG ulClientRandomLen;
  CK_BYTE *pServerRandom;
  CK_ULONG ulServerRandomLen;
};

struct hf_ck_ssl3_key_mat_out {
  CK_OBJECT_HANDLE hClientMacSecret;
  CK_OBJECT_HANDLE hServerMacSecret;
  CK_OBJECT_HANDLE hClientKey;
  CK_OBJECT_HANDLE hServerKey;
  CK_BYTE *pIVClient;
  CK_BYTE *pIVServer;
};

struct hf_ck_tls12_master_key_derive_params {
  struct hf_ck_ssl3_random_data RandomInfo;
  CK_VERSION *pVersion;
  CK_MECHANISM_TYPE prfHashMechanism;
};

struct hf_ck_tls12_extended_master_key_derive_params {
  CK_MECHANISM_TYPE prfHashMechanism;
  CK_BYTE *pSessionHash;
  CK_ULONG ulSessionHashLen;
  CK_VERSION *pVersion;
};

struct hf_ck_tls12_key_mat_params {
  CK_ULONG ulMacSizeInBits;
  CK_ULONG ulKeySizeInBits;
  CK_ULONG ulIVSizeInBits;
  CK_BBOOL bIsExport;
  struct hf_ck_ssl3_random_data RandomInfo;
  struct hf_ck_ssl3_key_mat_out *pReturnedKeyMaterial;
  CK_MECHANISM_TYPE prfHashMechanism;
};

struct hf_ck_tls_kdf_params {
  CK_MECHANISM_TYPE prfMechanism;
  CK_BYTE *pLabel;
  CK_ULONG ulLabelLength;
  struct hf_ck_ssl3_random_data RandomInfo;
  CK_BYTE *pContextData;
  CK_ULONG ulContextDataLength;
};

struct hf_ck_tls_mac_params {
  CK_MECHANISM_TYPE prfHashMechanism;
  CK_ULONG ulMacLength;
  CK_ULONG ulServerOrClient;
};

/* CK_TLS_PRF_PARAMS. */
struct hf_ck_tls_prf_params {
  CK_BYTE *pSeed;
  CK_ULONG ulSeedLen;
  CK_BYTE *pLabel;
  CK_ULONG ulLabelLen;
  CK_BYTE *pOutput;
  CK_ULONG *pulOutputLen;
};

/* CK_ASYNC_DATA (v3.2, section 3.9). */
struct hf_ck_async_data {
  CK_ULONG ulVersion;
  CK_BYTE *pValue;
  CK_ULONG ulValue;
  CK_OBJECT_HANDLE hObject;
  CK_OBJECT_HANDLE hAdditionalObject;
};

#endif
