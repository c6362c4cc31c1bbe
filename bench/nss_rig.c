/* SPDX-License-Identifier: Apache-2.0 */
#include "nss_rig.h"

#include <dlfcn.h>
#include <stdint.h>
#include <sys/stat.h>

enum { DATABASE_SLOT_INDEX = 1, MODULUS = 256 };

/* CK_C_INITIALIZE_ARGS as NSS has it. */
static struct {
  void *mutexes[4];
  CK_FLAGS flags;
  const char *parameters;
  void *reserved;
} args;

static char parameters[2 * RIG_PATH_MAX];

static void set_pin(const struct rig *rig)
{
  CK_UTF8CHAR none[1] = "", pin[] = RIG_PIN;
  rig_check(rig, rig->f->C_Login(rig->session, CKU_SO, none, 0), "C_Login (SO)");
  rig_check(rig, rig->f->C_InitPIN(rig->session, pin, sizeof(pin) - 1), "C_InitPIN");
  rig_check(rig, rig->f->C_Logout(rig->session), "C_Logout");
  rig_check(rig, rig->f->C_Login(rig->session, CKU_USER, pin, sizeof(pin) - 1), "C_Login");
}

bool nss_rig_open(struct rig *rig, const char *base)
{
  char dir[RIG_PATH_MAX];
  void *handle = dlopen("libsoftokn3.so", RTLD_NOW | RTLD_LOCAL);
  CK_C_GetFunctionList get = handle ? (CK_C_GetFunctionList)dlsym(handle, "C_GetFunctionList") : NULL;
  *rig = (struct rig){ .name = "NSS", .initialize_args = &args, .slot_index = DATABASE_SLOT_INDEX };
  if (!get || get(&rig->f) != CKR_OK)
    return false;
  snprintf(dir, sizeof(dir), "%.200s/NSS", base);
  mkdir(dir, 0700);
  snprintf(parameters, sizeof(parameters), "configdir='sql:%s' certPrefix='' keyPrefix='' secmod='secmod.db'", dir);
  args.flags = CKF_OS_LOCKING_OK;
  args.parameters = parameters;
  rig_start_module(rig);
  set_pin(rig);
  return true;
}

static void put_key(const struct rig *rig, unsigned number)
{
  CK_OBJECT_CLASS class = CKO_PUBLIC_KEY;
  CK_KEY_TYPE type = CKK_RSA;
  CK_BBOOL yes = CK_TRUE;
  CK_OBJECT_HANDLE object;
  char label[32];
  unsigned char modulus[MODULUS], exponent[] = { 1, 0, 1 };
  snprintf(label, sizeof(label), "object-%u", number);
  memset(modulus, 0xa5, sizeof(modulus));
  memcpy(modulus + 1, &number, sizeof(number));
  CK_ATTRIBUTE tmpl[] = {
    { CKA_CLASS, &class, sizeof(class) },
    { CKA_KEY_TYPE, &type, sizeof(type) },
    { CKA_TOKEN, &yes, 1 },
    { CKA_LABEL, label, strlen(label) },
    { CKA_ID, label, strlen(label) },
    { CKA_MODULUS, modulus, sizeof(modulus) },
    { CKA_PUBLIC_EXPONENT, exponent, sizeof(exponent) },
  };
  rig_check(rig, rig->f->C_CreateObject(rig->session, tmpl, 7, &object), "C_CreateObject");
}

void nss_rig_fill(const struct rig *rig, unsigned from, unsigned to, unsigned threads)
{
  (void)threads;
  for (unsigned i = from; i < to; i++)
    put_key(rig, i);
}
