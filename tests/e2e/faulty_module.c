/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A test double, not an HSM's module: it passes every call on to a real module ($HF_FAULTY_REAL), until the file
 * $HF_FAULTY_CONTROL says "FAULT CALL [NUMBER]", like "crash C_Sign". Then that call crashes, hangs, takes NUMBER
 * seconds, leaks NUMBER MiB or answers NUMBER, once: the file is removed first. "always" before it keeps the file. Each C_Login adds a byte to
 * $HF_FAULTY_LOGINS.
 */
#include "holdfast/pkcs11.h"

#include <dlfcn.h>
#include <signal.h>
#include <stdbool.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

static CK_FUNCTION_LIST *real, faulty;

EXPORT CK_RV C_GetFunctionList(CK_FUNCTION_LIST **list);

static void *volatile leaked; /* so that the compiler does not see that nobody reads it */

static CK_RV leak(unsigned long mib)
{
  size_t size = mib << 20;
  void *memory = malloc(size);
  if (memory)
    memset(memory, 1, size);
  leaked = memory;
  return CKR_OK;
}

static CK_RV commit(const char *fault, unsigned long number)
{
  if (strcmp(fault, "crash") == 0) {
    signal(SIGSEGV, SIG_DFL); /* a sanitizer's handler would make an exit of it */
    raise(SIGSEGV);
  }
  if (strcmp(fault, "hang") == 0)
    for (;;)
      pause();
  if (strcmp(fault, "leak") == 0)
    return leak(number);
  if (strcmp(fault, "slow") == 0) {
    sleep((unsigned)number);
    return CKR_OK;
  }
  return number;
}

/* What the control file wants of this call. */
static CK_RV plan(const char *call)
{
  char line[128] = "", fault[32], named[64];
  unsigned long number = CKR_GENERAL_ERROR;
  const char *control = getenv("HF_FAULTY_CONTROL");
  FILE *file = control ? fopen(control, "re") : NULL;
  if (!file)
    return CKR_OK;
  if (!fgets(line, sizeof(line), file))
    line[0] = '\0';
  fclose(file);
  bool always = strncmp(line, "always ", 7) == 0;
  int found = sscanf(line + (always ? 7 : 0), "%31s %63s %lu", fault, named, &number);
  if (found < 2 || strcmp(named, call) != 0)
    return CKR_OK;
  if (!always)
    unlink(control);
  return commit(fault, number);
}

#define FAULTY(name, parameters, arguments)    \
  static CK_RV faulty_##name parameters        \
  {                                            \
    CK_RV rv = plan("C_" #name);               \
    return rv ? rv : real->C_##name arguments; \
  }

FAULTY(Initialize, (void *args), (args))
FAULTY(GetTokenInfo, (CK_SLOT_ID slot, CK_TOKEN_INFO *info), (slot, info))
FAULTY(OpenSession, (CK_SLOT_ID slot, CK_FLAGS flags, void *application, CK_NOTIFY notify, CK_SESSION_HANDLE *session),
       (slot, flags, application, notify, session))
FAULTY(Login, (CK_SESSION_HANDLE session, CK_USER_TYPE user, CK_UTF8CHAR *pin, CK_ULONG len), (session, user, pin, len))
FAULTY(FindObjectsInit, (CK_SESSION_HANDLE session, CK_ATTRIBUTE *attrs, CK_ULONG count), (session, attrs, count))
FAULTY(GetAttributeValue, (CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object, CK_ATTRIBUTE *attrs, CK_ULONG count),
       (session, object, attrs, count))
FAULTY(SignInit, (CK_SESSION_HANDLE session, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key), (session, mechanism, key))
FAULTY(Sign, (CK_SESSION_HANDLE session, CK_BYTE *data, CK_ULONG len, CK_BYTE *signature, CK_ULONG *signature_len),
       (session, data, len, signature, signature_len))

static CK_RV counted_login(CK_SESSION_HANDLE session, CK_USER_TYPE user, CK_UTF8CHAR *pin, CK_ULONG len)
{
  const char *path = getenv("HF_FAULTY_LOGINS");
  FILE *file = path ? fopen(path, "ae") : NULL;
  if (file) {
    fputc('.', file);
    fclose(file);
  }
  return faulty_Login(session, user, pin, len);
}

static CK_RV get_info(CK_INFO *info)
{
  static const char name[] = "Holdfast's test double          ";
  CK_RV rv = real->C_GetInfo(info);
  memcpy(info->libraryDescription, name, sizeof(info->libraryDescription));
  return rv;
}

CK_RV C_GetFunctionList(CK_FUNCTION_LIST **list)
{
  const char *path = getenv("HF_FAULTY_REAL");
  void *library = path ? dlopen(path, RTLD_NOW | RTLD_LOCAL) : NULL;
  CK_C_GetFunctionList get_list = NULL;
  if (library)
    *(void **)&get_list = dlsym(library, "C_GetFunctionList");
  if (!get_list || get_list(&real) != CKR_OK)
    return CKR_GENERAL_ERROR;
  faulty = *real;
  faulty.C_GetInfo = get_info;
  faulty.C_Initialize = faulty_Initialize;
  faulty.C_GetTokenInfo = faulty_GetTokenInfo;
  faulty.C_OpenSession = faulty_OpenSession;
  faulty.C_Login = counted_login;
  faulty.C_FindObjectsInit = faulty_FindObjectsInit;
  faulty.C_GetAttributeValue = faulty_GetAttributeValue;
  faulty.C_SignInit = faulty_SignInit;
  faulty.C_Sign = faulty_Sign;
  *list = &faulty;
  return CKR_OK;
}
