/* SPDX-License-Identifier: Apache-2.0 */
/* A token for the tests of src/token: a fresh directory, a cheap key derivation, and the calls that every test needs. */
#ifndef HF_TESTS_TOKEN_RIG_H
#define HF_TESTS_TOKEN_RIG_H

#include "hf_test.h"

#include "holdfast/pkcs11.h"

#include <dirent.h>
#include <ftw.h>
#include <limits.h>
#include <stdbool.h>
#include <unistd.h>

#define SO_PIN "12345678"
#define USER_PIN "1234"

static char rig_dir[PATH_MAX];

#define assert_rv(expected, call) assert_int_equal(expected, call)
#define assert_ok(call) assert_int_equal(CKR_OK, call)

static inline CK_UTF8CHAR *utf8(const char *text)
{
  return (CK_UTF8CHAR *)(uintptr_t)text;
}

static inline int rig_remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
  (void)st;
  (void)type;
  (void)ftw;
  return remove(path);
}

static inline void rig_write_conf(const char *extra)
{
  char path[PATH_MAX + 16];
  snprintf(path, sizeof(path), "%s/token.conf", rig_dir);
  FILE *f = fopen(path, "w");
  assert_non_null(f);
  fprintf(f, "directories.tokendir = %s\npin.kdf_memory = 8\npin.kdf_passes = 1\n%s\n", rig_dir, extra);
  fclose(f);
  setenv("HOLDFAST_TOKEN_CONF", path, 1);
}

/* The first directory of a token below rig_dir. */
static inline void rig_token_dir(char *out, size_t size)
{
  DIR *dir = opendir(rig_dir);
  assert_non_null(dir);
  for (struct dirent *entry; (entry = readdir(dir)) != NULL;)
    if (strlen(entry->d_name) == 36)
      snprintf(out, size, "%.200s/%.36s", rig_dir, entry->d_name);
  closedir(dir);
}

static inline void rig_label(const char *text, CK_UTF8CHAR label[32])
{
  memset(label, ' ', 32);
  memcpy(label, text, strlen(text));
}

static inline CK_SLOT_ID rig_first_slot(void)
{
  CK_SLOT_ID slots[8];
  CK_ULONG count = 8;
  assert_ok(C_GetSlotList(CK_TRUE, NULL, &(CK_ULONG){ 0 }));
  assert_ok(C_GetSlotList(CK_TRUE, slots, &count));
  return slots[0];
}

static inline CK_SESSION_HANDLE rig_open_session(CK_SLOT_ID slot, CK_FLAGS flags)
{
  CK_SESSION_HANDLE h;
  assert_ok(C_OpenSession(slot, CKF_SERIAL_SESSION | flags, NULL, NULL, &h));
  return h;
}

static inline CK_RV rig_login(CK_SESSION_HANDLE h, CK_USER_TYPE user, const char *pin)
{
  return C_Login(h, user, utf8(pin), strlen(pin));
}

static inline void rig_init_token(CK_SLOT_ID slot)
{
  CK_UTF8CHAR label[32];
  rig_label("rig", label);
  assert_ok(C_InitToken(slot, utf8(SO_PIN), strlen(SO_PIN), label));
  CK_SESSION_HANDLE h = rig_open_session(slot, CKF_RW_SESSION);
  assert_ok(rig_login(h, CKU_SO, SO_PIN));
  assert_ok(C_InitPIN(h, utf8(USER_PIN), strlen(USER_PIN)));
  assert_ok(C_CloseSession(h));
}

/* Set-up and tear-down: an initialised module on an empty directory. */
static inline int rig_up(void **state)
{
  (void)state;
  snprintf(rig_dir, sizeof(rig_dir), "/tmp/hf-token-XXXXXX");
  assert_non_null(mkdtemp(rig_dir));
  rig_write_conf("");
  assert_ok(C_Initialize(NULL));
  return 0;
}

static inline int rig_down(void **state)
{
  (void)state;
  C_Finalize(NULL);
  nftw(rig_dir, rig_remove_one, 16, FTW_DEPTH | FTW_PHYS);
  return 0;
}

/* With a token and its user logged in: a read/write session. */
static inline CK_SESSION_HANDLE rig_user_session(void)
{
  CK_SLOT_ID slot = rig_first_slot();
  rig_init_token(slot);
  CK_SESSION_HANDLE h = rig_open_session(slot, CKF_RW_SESSION);
  assert_ok(rig_login(h, CKU_USER, USER_PIN));
  return h;
}

static inline CK_OBJECT_HANDLE rig_data(CK_SESSION_HANDLE h, const char *label, bool token, bool private)
{
  CK_OBJECT_CLASS class = CKO_DATA;
  CK_BBOOL is_token = token, is_private = private;
  CK_ATTRIBUTE tmpl[] = {
    { CKA_CLASS, &class, sizeof(class) },      { CKA_TOKEN, &is_token, 1 },     { CKA_PRIVATE, &is_private, 1 },
    { CKA_LABEL, utf8(label), strlen(label) }, { CKA_VALUE, utf8("value"), 5 },
  };
  CK_OBJECT_HANDLE object;
  assert_ok(C_CreateObject(h, tmpl, 5, &object));
  return object;
}

static inline CK_ULONG rig_find(CK_SESSION_HANDLE h, CK_ATTRIBUTE *tmpl, CK_ULONG count, CK_OBJECT_HANDLE *first)
{
  CK_OBJECT_HANDLE found[64];
  CK_ULONG n;
  assert_ok(C_FindObjectsInit(h, tmpl, count));
  assert_ok(C_FindObjects(h, found, 64, &n));
  assert_ok(C_FindObjectsFinal(h));
  if (n && first)
    *first = found[0];
  return n;
}

static inline CK_ULONG rig_find_label(CK_SESSION_HANDLE h, const char *label, CK_OBJECT_HANDLE *first)
{
  CK_ATTRIBUTE tmpl = { CKA_LABEL, utf8(label), strlen(label) };
  return rig_find(h, &tmpl, 1, first);
}

struct rig_pair {
  CK_OBJECT_HANDLE public, private;
};

static inline struct rig_pair rig_generate(CK_SESSION_HANDLE h, CK_MECHANISM_TYPE type, CK_ATTRIBUTE *special,
                                           bool token)
{
  struct rig_pair pair;
  CK_BBOOL is_token = token;
  CK_MECHANISM m = { type, NULL, 0 };
  CK_ATTRIBUTE public[] = { { CKA_TOKEN, &is_token, 1 }, { CKA_ID, utf8("\1\2"), 2 }, *special };
  CK_ATTRIBUTE private[] = { { CKA_TOKEN, &is_token, 1 }, { CKA_ID, utf8("\1\2"), 2 }, { CKA_LABEL, utf8("key"), 3 } };
  assert_ok(C_GenerateKeyPair(h, &m, public, 3, private, 3, &pair.public, &pair.private));
  return pair;
}

static inline struct rig_pair rig_ec(CK_SESSION_HANDLE h, bool token)
{
  static CK_BYTE p256[] = { 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7 };
  CK_ATTRIBUTE special = { CKA_EC_PARAMS, p256, sizeof(p256) };
  return rig_generate(h, CKM_EC_KEY_PAIR_GEN, &special, token);
}

static inline struct rig_pair rig_rsa(CK_SESSION_HANDLE h, bool token)
{
  static CK_ULONG bits = 2048;
  CK_ATTRIBUTE special = { CKA_MODULUS_BITS, &bits, sizeof(bits) };
  return rig_generate(h, CKM_RSA_PKCS_KEY_PAIR_GEN, &special, token);
}

CK_RV C_GetInterface(CK_UTF8CHAR *name, CK_VERSION *version, struct hf_ck_interface **interface, CK_FLAGS flags);

/* The newest function list. */
static inline struct hf_ck_functions_3_2 *rig_list(void)
{
  struct hf_ck_interface *interface;
  CK_VERSION version = { 3, 2 };
  assert_ok(C_GetInterface(utf8("PKCS 11"), &version, &interface, 0));
  return interface->function_list;
}

#define RIG_TEST(name) cmocka_unit_test_setup_teardown(name, rig_up, rig_down)

#endif
