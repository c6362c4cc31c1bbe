/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PKCS #11 for all of Holdfast: p11-kit's header, plus what it lacks of PKCS #11 v3.0 to v3.2. Names that a newer p11-kit may
 * define are guarded; structures have names of our own, since their layout is what counts.
 */
#ifndef HOLDFAST_PKCS11_H
#define HOLDFAST_PKCS11_H

/* p11-kit 0.25 declares these of v3.0, with types of its own that 0.24 does not have: out of our way. */
#define C_GetInterfaceList p11_kit_C_GetInterfaceList
#define C_GetInterface p11_kit_C_GetInterface
#define C_LoginUser p11_kit_C_LoginUser
#define C_SessionCancel p11_kit_C_SessionCancel
#include <p11-kit/pkcs11.h>
#undef C_GetInterfaceList
#undef C_GetInterface
#undef C_LoginUser
#undef C_SessionCancel

/* p11-kit has a number of its own for this one; here it is the standard's. */
#undef CKR_PUBLIC_KEY_INVALID
#define CKR_PUBLIC_KEY_INVALID (0x1B9UL)

#include "holdfast/pkcs11_mechanisms.h"
#include "holdfast/pkcs11_params.h"
#include "holdfast/pkcs11_values.h"

/* The functions of CK_FUNCTION_LIST (v2.40, section 4.6), in its order. */
/* clang-format off */
#define HF_CK_FUNCTIONS_2_40(X)                                                                                     \
  X(C_Initialize) X(C_Finalize) X(C_GetInfo) X(C_GetFunctionList) X(C_GetSlotList) X(C_GetSlotInfo)                 \
  X(C_GetTokenInfo) X(C_GetMechanismList) X(C_GetMechanismInfo) X(C_InitToken) X(C_InitPIN) X(C_SetPIN)             \
  X(C_OpenSession) X(C_CloseSession) X(C_CloseAllSessions) X(C_GetSessionInfo) X(C_GetOperationState)               \
  X(C_SetOperationState) X(C_Login) X(C_Logout) X(C_CreateObject) X(C_CopyObject) X(C_DestroyObject)                \
  X(C_GetObjectSize) X(C_GetAttributeValue) X(C_SetAttributeValue) X(C_FindObjectsInit) X(C_FindObjects)            \
  X(C_FindObjectsFinal) X(C_EncryptInit) X(C_Encrypt) X(C_EncryptUpdate) X(C_EncryptFinal) X(C_DecryptInit)         \
  X(C_Decrypt) X(C_DecryptUpdate) X(C_DecryptFinal) X(C_DigestInit) X(C_Digest) X(C_DigestUpdate) X(C_DigestKey)    \
  X(C_DigestFinal) X(C_SignInit) X(C_Sign) X(C_SignUpdate) X(C_SignFinal) X(C_SignRecoverInit) X(C_SignRecover)     \
  X(C_VerifyInit) X(C_Verify) X(C_VerifyUpdate) X(C_VerifyFinal) X(C_VerifyRecoverInit) X(C_VerifyRecover)          \
  X(C_DigestEncryptUpdate) X(C_DecryptDigestUpdate) X(C_SignEncryptUpdate) X(C_DecryptVerifyUpdate)                 \
  X(C_GenerateKey) X(C_GenerateKeyPair) X(C_WrapKey) X(C_UnwrapKey) X(C_DeriveKey) X(C_SeedRandom)                  \
  X(C_GenerateRandom) X(C_GetFunctionStatus) X(C_CancelFunction) X(C_WaitForSlotEvent)

/* What v3.0 adds, in the order of CK_FUNCTION_LIST_3_0, but for C_GetInterfaceList and C_GetInterface, which come first. */
#define HF_CK_FUNCTIONS_3_0(X)                                                                                      \
  X(C_LoginUser) X(C_SessionCancel)                                                                                 \
  X(C_MessageEncryptInit) X(C_EncryptMessage) X(C_EncryptMessageBegin) X(C_EncryptMessageNext)                      \
  X(C_MessageEncryptFinal) X(C_MessageDecryptInit) X(C_DecryptMessage) X(C_DecryptMessageBegin)                     \
  X(C_DecryptMessageNext) X(C_MessageDecryptFinal) X(C_MessageSignInit) X(C_SignMessage) X(C_SignMessageBegin)      \
  X(C_SignMessageNext) X(C_MessageSignFinal) X(C_MessageVerifyInit) X(C_VerifyMessage) X(C_VerifyMessageBegin)      \
  X(C_VerifyMessageNext) X(C_MessageVerifyFinal)

/* And v3.2, in the order of CK_FUNCTION_LIST_3_2. */
#define HF_CK_FUNCTIONS_3_2(X)                                                                                      \
  X(C_EncapsulateKey) X(C_DecapsulateKey) X(C_VerifySignatureInit) X(C_VerifySignature) X(C_VerifySignatureUpdate)  \
  X(C_VerifySignatureFinal) X(C_GetSessionValidationFlags) X(C_AsyncComplete) X(C_AsyncGetID) X(C_AsyncJoin)        \
  X(C_WrapKeyAuthenticated) X(C_UnwrapKeyAuthenticated)
/* clang-format on */

/* CK_INTERFACE (v3.0, section 3.3). */
struct hf_ck_interface {
  CK_UTF8CHAR *name;
  void *function_list;
  CK_FLAGS flags;
};

/* CK_FUNCTION_LIST_3_0 (v3.0, section 3.4): the 2.40 list, its version field saying 3.0, and these. */
struct hf_ck_functions_3_0 {
  CK_FUNCTION_LIST base;
  CK_RV (*C_GetInterfaceList)(struct hf_ck_interface *, CK_ULONG *);
  CK_RV (*C_GetInterface)(CK_UTF8CHAR *, CK_VERSION *, struct hf_ck_interface **, CK_FLAGS);
  CK_RV (*C_LoginUser)(CK_SESSION_HANDLE, CK_USER_TYPE, CK_UTF8CHAR *, CK_ULONG, CK_UTF8CHAR *, CK_ULONG);
  CK_RV (*C_SessionCancel)(CK_SESSION_HANDLE, CK_FLAGS);
  CK_RV (*C_MessageEncryptInit)(CK_SESSION_HANDLE, CK_MECHANISM *, CK_OBJECT_HANDLE);
  CK_RV(*C_EncryptMessage)
  (CK_SESSION_HANDLE, void *, CK_ULONG, CK_BYTE *, CK_ULONG, CK_BYTE *, CK_ULONG, CK_BYTE *, CK_ULONG *);
  CK_RV (*C_EncryptMessageBegin)(CK_SESSION_HANDLE, void *, CK_ULONG, CK_BYTE *, CK_ULONG);
  CK_RV(*C_EncryptMessageNext)
  (CK_SESSION_HANDLE, void *, CK_ULONG, CK_BYTE *, CK_ULONG, CK_BYTE *, CK_ULONG *, CK_FLAGS);
  CK_RV (*C_MessageEncryptFinal)(CK_SESSION_HANDLE);
  CK_RV (*C_MessageDecryptInit)(CK_SESSION_HANDLE, CK_MECHANISM *, CK_OBJECT_HANDLE);
  CK_RV(*C_DecryptMessage)
  (CK_SESSION_HANDLE, void *, CK_ULONG, CK_BYTE *, CK_ULONG, CK_BYTE *, CK_ULONG, CK_BYTE *, CK_ULONG *);
  CK_RV (*C_DecryptMessageBegin)(CK_SESSION_HANDLE, void *, CK_ULONG, CK_BYTE *, CK_ULONG);
  CK_RV(*C_DecryptMessageNext)
  (CK_SESSION_HANDLE, void *, CK_ULONG, CK_BYTE *, CK_ULONG, CK_BYTE *, CK_ULONG *, CK_FLAGS);
  CK_RV (*C_MessageDecryptFinal)(CK_SESSION_HANDLE);
  CK_RV (*C_MessageSignInit)(CK_SESSION_HANDLE, CK_MECHANISM *, CK_OBJECT_HANDLE);
  CK_RV (*C_SignMessage)(CK_SESSION_HANDLE, void *, CK_ULONG, CK_BYTE *, CK_ULONG, CK_BYTE *, CK_ULONG *);
  CK_RV (*C_SignMessageBegin)(CK_SESSION_HANDLE, void *, CK_ULONG);
  CK_RV (*C_SignMessageNext)(CK_SESSION_HANDLE, void *, CK_ULONG, CK_BYTE *, CK_ULONG, CK_BYTE *, CK_ULONG *);
  CK_RV (*C_MessageSignFinal)(CK_SESSION_HANDLE);
  CK_RV (*C_MessageVerifyInit)(CK_SESSION_HANDLE, CK_MECHANISM *, CK_OBJECT_HANDLE);
  CK_RV (*C_VerifyMessage)(CK_SESSION_HANDLE, void *, CK_ULONG, CK_BYTE *, CK_ULONG, CK_BYTE *, CK_ULONG);
  CK_RV (*C_VerifyMessageBegin)(CK_SESSION_HANDLE, void *, CK_ULONG);
  CK_RV (*C_VerifyMessageNext)(CK_SESSION_HANDLE, void *, CK_ULONG, CK_BYTE *, CK_ULONG, CK_BYTE *, CK_ULONG);
  CK_RV (*C_MessageVerifyFinal)(CK_SESSION_HANDLE);
};

/* CK_FUNCTION_LIST_3_2 (v3.2, section 3.4): the 3.0 list, its version field saying 3.2, and these. */
struct hf_ck_functions_3_2 {
  struct hf_ck_functions_3_0 base;
  CK_RV(*C_EncapsulateKey)
  (CK_SESSION_HANDLE, CK_MECHANISM *, CK_OBJECT_HANDLE, CK_ATTRIBUTE *, CK_ULONG, CK_BYTE *, CK_ULONG *,
   CK_OBJECT_HANDLE *);
  CK_RV(*C_DecapsulateKey)
  (CK_SESSION_HANDLE, CK_MECHANISM *, CK_OBJECT_HANDLE, CK_ATTRIBUTE *, CK_ULONG, CK_BYTE *, CK_ULONG,
   CK_OBJECT_HANDLE *);
  CK_RV (*C_VerifySignatureInit)(CK_SESSION_HANDLE, CK_MECHANISM *, CK_OBJECT_HANDLE, CK_BYTE *, CK_ULONG);
  CK_RV (*C_VerifySignature)(CK_SESSION_HANDLE, CK_BYTE *, CK_ULONG);
  CK_RV (*C_VerifySignatureUpdate)(CK_SESSION_HANDLE, CK_BYTE *, CK_ULONG);
  CK_RV (*C_VerifySignatureFinal)(CK_SESSION_HANDLE);
  CK_RV (*C_GetSessionValidationFlags)(CK_SESSION_HANDLE, CK_ULONG, CK_FLAGS *);
  CK_RV (*C_AsyncComplete)(CK_SESSION_HANDLE, CK_UTF8CHAR *, struct hf_ck_async_data *);
  CK_RV (*C_AsyncGetID)(CK_SESSION_HANDLE, CK_UTF8CHAR *, CK_ULONG *);
  CK_RV (*C_AsyncJoin)(CK_SESSION_HANDLE, CK_UTF8CHAR *, CK_ULONG, CK_BYTE *, CK_ULONG);
  CK_RV(*C_WrapKeyAuthenticated)
  (CK_SESSION_HANDLE, CK_MECHANISM *, CK_OBJECT_HANDLE, CK_OBJECT_HANDLE, CK_BYTE *, CK_ULONG, CK_BYTE *, CK_ULONG *);
  CK_RV(*C_UnwrapKeyAuthenticated)
  (CK_SESSION_HANDLE, CK_MECHANISM *, CK_OBJECT_HANDLE, CK_BYTE *, CK_ULONG, CK_ATTRIBUTE *, CK_ULONG, CK_BYTE *,
   CK_ULONG, CK_OBJECT_HANDLE *);
};

typedef CK_RV (*hf_get_interface_fn)(CK_UTF8CHAR *, CK_VERSION *, struct hf_ck_interface **, CK_FLAGS);

#endif
