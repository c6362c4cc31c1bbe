/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every function of every function list, a row each, with what its arguments are: to call them all, with whatever one likes.
 * A function without a row fails the test that counts them.
 */
#ifndef HF_TESTS_TOKEN_CALLS_H
#define HF_TESTS_TOKEN_CALLS_H

#include "holdfast/pkcs11.h"

#include <stddef.h>
#include <stdint.h>

/*
 * args, a letter each:
 *   h session   s slot   o object   k key   f flags; F the same, CKF_DONT_BLOCK among them   n number   u user type
 *   m mechanism; M the same, where NULL cancels
 *   t template and count; T the same, never NULL; g the same, to be filled
 *   i bytes and their length; p a PIN likewise; v a signature likewise, never NULL; q a message's parameter likewise; w room likewise;
 *     y bytes likewise, of which there are none
 *   r where bytes go, and a pointer to its size; R the same for an array; a an array, its size, and a pointer to a count
 *   H where a handle goes   N where a number goes   I where a structure goes   l a label   z NULL   x anything
 */
struct call {
  const char *name;
  size_t place; /* of its pointer, in struct hf_ck_functions_3_2 */
  const char *args;
};

#define CALL_2(name, args)                                            \
  {                                                                   \
#name, offsetof(struct hf_ck_functions_3_2, base.base.name), args \
  }
#define CALL_3(name, args)                                       \
  {                                                              \
#name, offsetof(struct hf_ck_functions_3_2, base.name), args \
  }
#define CALL_32(name, args)                                 \
  {                                                         \
#name, offsetof(struct hf_ck_functions_3_2, name), args \
  }

/* clang-format off */
static const struct call calls[] = {
  CALL_2(C_Initialize, "z"), CALL_2(C_Finalize, "z"), CALL_2(C_GetInfo, "I"), CALL_2(C_GetFunctionList, "I"),
  CALL_2(C_GetSlotList, "nR"), CALL_2(C_GetSlotInfo, "sI"), CALL_2(C_GetTokenInfo, "sI"), CALL_2(C_GetMechanismList, "sR"),
  CALL_2(C_GetMechanismInfo, "snI"), CALL_2(C_InitToken, "spl"), CALL_2(C_InitPIN, "hp"), CALL_2(C_SetPIN, "hpp"),
  CALL_2(C_OpenSession, "sfxxH"), CALL_2(C_CloseSession, "h"), CALL_2(C_CloseAllSessions, "s"), CALL_2(C_GetSessionInfo, "hI"),
  CALL_2(C_GetOperationState, "hr"), CALL_2(C_SetOperationState, "hikk"), CALL_2(C_Login, "hup"), CALL_2(C_Logout, "h"),
  CALL_2(C_CreateObject, "hTH"), CALL_2(C_CopyObject, "hotH"), CALL_2(C_DestroyObject, "ho"), CALL_2(C_GetObjectSize, "hoN"),
  CALL_2(C_GetAttributeValue, "hog"), CALL_2(C_SetAttributeValue, "hoT"), CALL_2(C_FindObjectsInit, "ht"),
  CALL_2(C_FindObjects, "ha"), CALL_2(C_FindObjectsFinal, "h"), CALL_2(C_EncryptInit, "hMk"), CALL_2(C_Encrypt, "hir"),
  CALL_2(C_EncryptUpdate, "hir"), CALL_2(C_EncryptFinal, "hr"), CALL_2(C_DecryptInit, "hMk"), CALL_2(C_Decrypt, "hir"),
  CALL_2(C_DecryptUpdate, "hir"), CALL_2(C_DecryptFinal, "hr"), CALL_2(C_DigestInit, "hM"), CALL_2(C_Digest, "hir"),
  CALL_2(C_DigestUpdate, "hi"), CALL_2(C_DigestKey, "hk"), CALL_2(C_DigestFinal, "hr"), CALL_2(C_SignInit, "hMk"),
  CALL_2(C_Sign, "hir"), CALL_2(C_SignUpdate, "hi"), CALL_2(C_SignFinal, "hr"), CALL_2(C_SignRecoverInit, "hMk"),
  CALL_2(C_SignRecover, "hir"), CALL_2(C_VerifyInit, "hMk"), CALL_2(C_Verify, "hiv"), CALL_2(C_VerifyUpdate, "hi"),
  CALL_2(C_VerifyFinal, "hv"), CALL_2(C_VerifyRecoverInit, "hMk"), CALL_2(C_VerifyRecover, "hvr"),
  CALL_2(C_DigestEncryptUpdate, "hir"), CALL_2(C_DecryptDigestUpdate, "hir"), CALL_2(C_SignEncryptUpdate, "hir"),
  CALL_2(C_DecryptVerifyUpdate, "hir"), CALL_2(C_GenerateKey, "hmtH"), CALL_2(C_GenerateKeyPair, "hmttHH"),
  CALL_2(C_WrapKey, "hmkkr"), CALL_2(C_UnwrapKey, "hmkitH"), CALL_2(C_DeriveKey, "hmktH"), CALL_2(C_SeedRandom, "hi"),
  CALL_2(C_GenerateRandom, "hw"), CALL_2(C_GetFunctionStatus, "h"), CALL_2(C_CancelFunction, "h"),
  CALL_2(C_WaitForSlotEvent, "FNz"),

  CALL_3(C_GetInterfaceList, "R"), CALL_3(C_GetInterface, "xxIf"), CALL_3(C_LoginUser, "hupy"), CALL_3(C_SessionCancel, "hf"),
  CALL_3(C_MessageEncryptInit, "hMk"), CALL_3(C_EncryptMessage, "hqiir"), CALL_3(C_EncryptMessageBegin, "hqi"),
  CALL_3(C_EncryptMessageNext, "hqirf"), CALL_3(C_MessageEncryptFinal, "h"), CALL_3(C_MessageDecryptInit, "hMk"),
  CALL_3(C_DecryptMessage, "hqiir"), CALL_3(C_DecryptMessageBegin, "hqi"), CALL_3(C_DecryptMessageNext, "hqirf"),
  CALL_3(C_MessageDecryptFinal, "h"), CALL_3(C_MessageSignInit, "hMk"), CALL_3(C_SignMessage, "hqir"),
  CALL_3(C_SignMessageBegin, "hq"), CALL_3(C_SignMessageNext, "hqixx"), CALL_3(C_MessageSignFinal, "h"),
  CALL_3(C_MessageVerifyInit, "hMk"), CALL_3(C_VerifyMessage, "hqiv"), CALL_3(C_VerifyMessageBegin, "hq"),
  CALL_3(C_VerifyMessageNext, "hqii"), CALL_3(C_MessageVerifyFinal, "h"),

  CALL_32(C_EncapsulateKey, "hmktrH"), CALL_32(C_DecapsulateKey, "hmktiH"), CALL_32(C_VerifySignatureInit, "hMkv"),
  CALL_32(C_VerifySignature, "hi"), CALL_32(C_VerifySignatureUpdate, "hi"), CALL_32(C_VerifySignatureFinal, "h"),
  CALL_32(C_GetSessionValidationFlags, "hnN"), CALL_32(C_AsyncComplete, "hlx"), CALL_32(C_AsyncGetID, "hlN"),
  CALL_32(C_AsyncJoin, "hlnw"), CALL_32(C_WrapKeyAuthenticated, "hmkkir"), CALL_32(C_UnwrapKeyAuthenticated, "hmkitiH"),
};
/* clang-format on */

enum { CALLS = sizeof(calls) / sizeof(calls[0]), CALL_WORDS = 12 };

/* How many words an argument takes. */
static inline unsigned call_words(char letter)
{
  switch (letter) {
  case 't':
  case 'T':
  case 'g':
  case 'i':
  case 'p':
  case 'v':
  case 'q':
  case 'w':
  case 'y':
  case 'r':
  case 'R':
    return 2;
  case 'a':
    return 3;
  default:
    return 1;
  }
}

CK_RV C_GetInterface(CK_UTF8CHAR *name, CK_VERSION *version, struct hf_ck_interface **interface, CK_FLAGS flags);

/* The largest list that there is, and how many bytes of it there are. */
static inline const unsigned char *call_list(size_t *ret_size)
{
  static const struct {
    CK_VERSION version;
    size_t size;
  } lists[] = { { { 3, 2 }, sizeof(struct hf_ck_functions_3_2) }, { { 3, 0 }, sizeof(struct hf_ck_functions_3_0) } };
  for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
    struct hf_ck_interface *interface;
    CK_VERSION version = lists[i].version;
    if (C_GetInterface(NULL, &version, &interface, 0) == CKR_OK) {
      *ret_size = lists[i].size;
      return interface->function_list;
    }
  }
  *ret_size = 0;
  return NULL;
}

/* Words and pointers are passed alike on every machine that this runs on; what a function does not take, it does not see. */
typedef CK_RV (*call_fn)(uintptr_t, uintptr_t, uintptr_t, uintptr_t, uintptr_t, uintptr_t, uintptr_t, uintptr_t,
                         uintptr_t, uintptr_t, uintptr_t, uintptr_t);

static inline CK_RV call_with(const struct call *call, const uintptr_t w[CALL_WORDS])
{
  size_t size;
  call_fn fn;
  const unsigned char *list = call_list(&size);
  if (!list || call->place + sizeof(fn) > size)
    return CKR_FUNCTION_NOT_SUPPORTED;
  __builtin_memcpy(&fn, list + call->place, sizeof(fn));
  return fn(w[0], w[1], w[2], w[3], w[4], w[5], w[6], w[7], w[8], w[9], w[10], w[11]);
}

#endif
