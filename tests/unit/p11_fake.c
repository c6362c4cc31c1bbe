/* SPDX-License-Identifier: Apache-2.0 */
#include "p11_fake.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>

#define EXPORT __attribute__((visibility("default")))

EXPORT struct fake_controls fake_controls;
EXPORT CK_RV C_GetFunctionList(CK_FUNCTION_LIST **list);

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static CK_FUNCTION_LIST *real, fake;

static CK_RV plan(enum fake_call call)
{
  if (fake_controls.dead)
    return CKR_DEVICE_ERROR;
  pthread_mutex_lock(&lock);
  fake_controls.calls[call].seen++;
  CK_RV rv = fake_controls.calls[call].fail ? fake_controls.calls[call].rv : CKR_OK;
  if (fake_controls.calls[call].fail)
    fake_controls.calls[call].fail--;
  pthread_mutex_unlock(&lock);
  return rv;
}

static CK_RV open_session(CK_SLOT_ID slot, CK_FLAGS flags, void *application, CK_NOTIFY notify,
                          CK_SESSION_HANDLE *session)
{
  CK_RV rv = plan(FAKE_OPEN);
  pthread_mutex_lock(&lock);
  if (rv == CKR_OK && fake_controls.sessions_max && fake_controls.sessions >= fake_controls.sessions_max)
    rv = CKR_SESSION_COUNT;
  if (rv == CKR_OK)
    rv = real->C_OpenSession(slot, flags, application, notify, session);
  if (rv == CKR_OK && ++fake_controls.sessions > fake_controls.sessions_peak)
    fake_controls.sessions_peak = fake_controls.sessions;
  pthread_mutex_unlock(&lock);
  return rv;
}

static CK_RV close_session(CK_SESSION_HANDLE session)
{
  pthread_mutex_lock(&lock);
  fake_controls.sessions--;
  pthread_mutex_unlock(&lock);
  return real->C_CloseSession(session);
}

static CK_RV login(CK_SESSION_HANDLE session, CK_USER_TYPE user, CK_UTF8CHAR *pin, CK_ULONG len)
{
  CK_RV rv = plan(FAKE_LOGIN);
  if (rv == CKR_OK)
    rv = real->C_Login(session, user, pin, len);
  if (rv == CKR_OK)
    fake_controls.unverified = 0;
  return rv;
}

static CK_RV find_init(CK_SESSION_HANDLE session, CK_ATTRIBUTE *attrs, CK_ULONG count)
{
  CK_RV rv = plan(FAKE_FIND);
  return rv == CKR_OK ? real->C_FindObjectsInit(session, attrs, count) : rv;
}

static CK_RV sign_init(CK_SESSION_HANDLE session, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key)
{
  CK_RV rv = plan(FAKE_SIGN_INIT);
  if (fake_controls.stuck)
    rv = fake_controls.stuck_rv;
  else if (fake_controls.unverified)
    rv = CKR_USER_NOT_LOGGED_IN;
  return rv == CKR_OK ? real->C_SignInit(session, mechanism, key) : rv;
}

static CK_RV sign(CK_SESSION_HANDLE session, CK_BYTE *data, CK_ULONG len, CK_BYTE *signature, CK_ULONG *signature_len)
{
  CK_RV rv = plan(FAKE_SIGN);
  return rv == CKR_OK ? real->C_Sign(session, data, len, signature, signature_len) : rv;
}

static CK_RV decrypt(CK_SESSION_HANDLE session, CK_BYTE *data, CK_ULONG len, CK_BYTE *out, CK_ULONG *out_len)
{
  CK_RV rv = plan(FAKE_DECRYPT);
  return rv == CKR_OK ? real->C_Decrypt(session, data, len, out, out_len) : rv;
}

static CK_RV derive(CK_SESSION_HANDLE session, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE base, CK_ATTRIBUTE *attrs,
                    CK_ULONG count, CK_OBJECT_HANDLE *key)
{
  CK_RV rv = plan(FAKE_DERIVE);
  return rv == CKR_OK ? real->C_DeriveKey(session, mechanism, base, attrs, count, key) : rv;
}

static CK_RV get_slot_list(CK_BBOOL present, CK_SLOT_ID *slots, CK_ULONG *count)
{
  return fake_controls.dead ? CKR_DEVICE_ERROR : real->C_GetSlotList(present, slots, count);
}

static CK_RV finalize(void *reserved)
{
  fake_controls.dead = 0;
  fake_controls.stuck -= fake_controls.stuck > 0;
  fake_controls.sessions = 0;
  fake_controls.restarts++;
  return real->C_Finalize(reserved);
}

static CK_RV get_token_info(CK_SLOT_ID slot, CK_TOKEN_INFO *info)
{
  CK_RV rv = real->C_GetTokenInfo(slot, info);
  info->flags |= fake_controls.token_flags;
  return rv;
}

static CK_RV get_mechanism_info(CK_SLOT_ID slot, CK_MECHANISM_TYPE type, CK_MECHANISM_INFO *info)
{
  CK_RV rv = real->C_GetMechanismInfo(slot, type, info);
  if (rv == CKR_OK && fake_controls.bits_max)
    info->ulMaxKeySize = fake_controls.bits_max;
  return rv;
}

static CK_RV generate(CK_SESSION_HANDLE session, CK_MECHANISM *mechanism, CK_ATTRIBUTE *public, CK_ULONG public_count,
                      CK_ATTRIBUTE *private, CK_ULONG private_count, CK_OBJECT_HANDLE *public_key,
                      CK_OBJECT_HANDLE *private_key)
{
  CK_RV rv = plan(FAKE_GENERATE);
  for (CK_ULONG i = 0; i < private_count && fake_controls.plain; i++)
    if (private[i].type == CKA_EXTRACTABLE)
      rv = CKR_ATTRIBUTE_TYPE_INVALID;
  return rv == CKR_OK ? real->C_GenerateKeyPair(session, mechanism, public, public_count, private, private_count,
                                                public_key, private_key)
                      : rv;
}

CK_RV C_GetFunctionList(CK_FUNCTION_LIST **list)
{
  void *library = dlopen(getenv("HF_FAKE_REAL"), RTLD_NOW | RTLD_LOCAL);
  CK_C_GetFunctionList get_list = NULL;
  if (library)
    *(void **)&get_list = dlsym(library, "C_GetFunctionList");
  if (!get_list || get_list(&real) != CKR_OK)
    return CKR_GENERAL_ERROR;
  fake = *real;
  fake.C_Finalize = finalize;
  fake.C_GetSlotList = get_slot_list;
  fake.C_OpenSession = open_session;
  fake.C_CloseSession = close_session;
  fake.C_Login = login;
  fake.C_FindObjectsInit = find_init;
  fake.C_Decrypt = decrypt;
  fake.C_DeriveKey = derive;
  fake.C_SignInit = sign_init;
  fake.C_Sign = sign;
  fake.C_GetTokenInfo = get_token_info;
  fake.C_GetMechanismInfo = get_mechanism_info;
  fake.C_GenerateKeyPair = generate;
  *list = &fake;
  return CKR_OK;
}
