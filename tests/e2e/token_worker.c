/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signs, creates and destroys objects without end, to be killed at any moment. What a call acknowledged, it tells: a line
 * "created LABEL" or "destroyed LABEL" after C_CreateObject or C_DestroyObject returned.
 *
 * usage: token_worker MODULE PIN PREFIX
 */
#include "holdfast/pkcs11.h"

#include <dlfcn.h>
#include <stdint.h>

static CK_FUNCTION_LIST *f;

static void check(CK_RV rv, const char *what)
{
  if (rv == CKR_OK)
    return;
  fprintf(stderr, "token_worker: %s: 0x%lx\n", what, rv);
  exit(1);
}

static CK_SESSION_HANDLE start(const char *module, const char *pin)
{
  void *handle = dlopen(module, RTLD_NOW | RTLD_LOCAL);
  CK_C_GetFunctionList get = handle ? (CK_C_GetFunctionList)dlsym(handle, "C_GetFunctionList") : NULL;
  CK_SLOT_ID slots[8];
  CK_ULONG count = 8;
  CK_SESSION_HANDLE h;
  if (!get || get(&f) != CKR_OK)
    check(CKR_GENERAL_ERROR, module);
  check(f->C_Initialize(NULL), "C_Initialize");
  check(f->C_GetSlotList(CK_TRUE, slots, &count), "C_GetSlotList");
  check(f->C_OpenSession(slots[0], CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, &h), "C_OpenSession");
  check(f->C_Login(h, CKU_USER, (CK_UTF8CHAR *)(uintptr_t)pin, strlen(pin)), "C_Login");
  return h;
}

static CK_OBJECT_HANDLE create(CK_SESSION_HANDLE h, const char *label)
{
  CK_OBJECT_CLASS class = CKO_DATA;
  CK_BBOOL yes = CK_TRUE;
  CK_ATTRIBUTE tmpl[] = {
    { CKA_CLASS, &class, sizeof(class) },
    { CKA_TOKEN, &yes, 1 },
    { CKA_PRIVATE, &yes, 1 },
    { CKA_LABEL, (void *)(uintptr_t)label, strlen(label) },
    { CKA_VALUE, (void *)(uintptr_t)label, strlen(label) },
  };
  CK_OBJECT_HANDLE object;
  check(f->C_CreateObject(h, tmpl, 5, &object), "C_CreateObject");
  printf("created %s\n", label);
  return object;
}

static CK_OBJECT_HANDLE find_key(CK_SESSION_HANDLE h)
{
  CK_OBJECT_CLASS class = CKO_PRIVATE_KEY;
  CK_ATTRIBUTE tmpl = { CKA_CLASS, &class, sizeof(class) };
  CK_OBJECT_HANDLE key;
  CK_ULONG n;
  check(f->C_FindObjectsInit(h, &tmpl, 1), "C_FindObjectsInit");
  check(f->C_FindObjects(h, &key, 1, &n), "C_FindObjects");
  check(f->C_FindObjectsFinal(h), "C_FindObjectsFinal");
  check(n == 1 ? CKR_OK : CKR_KEY_HANDLE_INVALID, "the key");
  return key;
}

static void sign(CK_SESSION_HANDLE h, CK_OBJECT_HANDLE key)
{
  CK_MECHANISM m = { CKM_ECDSA, NULL, 0 };
  CK_BYTE in[32] = { 1 }, out[64];
  CK_ULONG len = sizeof(out);
  check(f->C_SignInit(h, &m, key), "C_SignInit");
  check(f->C_Sign(h, in, sizeof(in), out, &len), "C_Sign");
}

int main(int argc, char **argv)
{
  if (argc != 4)
    return 2;
  setvbuf(stdout, NULL, _IOLBF, 0);
  CK_SESSION_HANDLE h = start(argv[1], argv[2]);
  CK_OBJECT_HANDLE key = find_key(h), last = 0;
  printf("ready\n");
  for (unsigned i = 0;; i++) {
    char label[64];
    sign(h, key);
    snprintf(label, sizeof(label), "%s-%u", argv[3], i);
    CK_OBJECT_HANDLE object = create(h, label);
    if (i % 3 == 2) {
      check(f->C_DestroyObject(h, last), "C_DestroyObject");
      printf("destroyed %s-%u\n", argv[3], i - 1);
    }
    last = object;
  }
}
