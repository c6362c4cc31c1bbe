/* SPDX-License-Identifier: Apache-2.0 */
/* The token as a program first meets it: tables, slots, PINs, sessions, forks. */
#include "token_rig.h"

#include "holdfast/token-ext.h"

#include <pthread.h>
#include <sys/stat.h>
#include <sys/wait.h>

CK_RV C_GetInterface(CK_UTF8CHAR *name, CK_VERSION *version, struct hf_ck_interface **interface, CK_FLAGS flags);
CK_RV C_GetInterfaceList(struct hf_ck_interface *list, CK_ULONG *count);

static const struct holdfast_token_ext *extension(void)
{
  struct hf_ck_interface *interface;
  assert_ok(C_GetInterface(utf8(HOLDFAST_TOKEN_INTERFACE), NULL, &interface, 0));
  return interface->function_list;
}

static void assert_last_error(const char *part)
{
  char text[1024], hint[256];
  extension()->last_error(text, sizeof(text), hint, sizeof(hint));
  assert_contains(text, part);
}

static CK_FLAGS token_flags(CK_SLOT_ID slot)
{
  CK_TOKEN_INFO info;
  assert_ok(C_GetTokenInfo(slot, &info));
  return info.flags;
}

static void assert_info_says(CK_C_GetInfo get_info, int major, int minor)
{
  CK_INFO info;
  assert_ok(get_info(&info));
  assert_int_equal(major, info.cryptokiVersion.major);
  assert_int_equal(minor, info.cryptokiVersion.minor);
}

static void test_tables(void **state)
{
  (void)state;
  CK_FUNCTION_LIST *list;
  struct hf_ck_interface *interface;
  CK_VERSION v3 = { 3, 0 }, v2 = { 2, 40 }, v9 = { 9, 0 };
  assert_ok(C_GetFunctionList(&list));
  assert_int_equal(2, list->version.major);
  assert_int_equal(40, list->version.minor);
  for (void **f = (void **)&list->C_Initialize; f <= (void **)&list->C_WaitForSlotEvent; f++)
    assert_non_null(*f);
  assert_ok(C_GetInterface(NULL, NULL, &interface, 0));
  assert_int_equal(3, ((CK_VERSION *)interface->function_list)->major);
  assert_int_equal(2, ((CK_VERSION *)interface->function_list)->minor);
  struct hf_ck_functions_3_2 *newest = interface->function_list;
  for (void **f = (void **)&newest->C_EncapsulateKey; f <= (void **)&newest->C_UnwrapKeyAuthenticated; f++)
    assert_non_null(*f);
  assert_ok(C_GetInterface(utf8("PKCS 11"), &v3, &interface, CKF_INTERFACE_FORK_SAFE));
  struct hf_ck_functions_3_0 *functions = interface->function_list;
  assert_int_equal(0, functions->base.version.minor);
  for (void **f = (void **)&functions->C_GetInterfaceList; f <= (void **)&functions->C_MessageVerifyFinal; f++) {
    assert_non_null(*f);
    assert_ptr_equal(*f, ((void **)&newest->base.C_GetInterfaceList)[f - (void **)&functions->C_GetInterfaceList]);
  }
  assert_info_says(list->C_GetInfo, 2, 40);
  assert_info_says(functions->base.C_GetInfo, 3, 0);
  assert_info_says(newest->base.base.C_GetInfo, 3, 2);
  assert_ok(C_GetInterface(utf8("PKCS 11"), &v2, &interface, 0));
  assert_ptr_equal(list, interface->function_list);
  assert_rv(CKR_ARGUMENTS_BAD, C_GetInterface(utf8("PKCS 11"), &v9, &interface, 0));
  assert_rv(CKR_ARGUMENTS_BAD, C_GetInterface(utf8("no such"), NULL, &interface, 0));
  CK_ULONG count = 1;
  struct hf_ck_interface interfaces[8];
  assert_rv(CKR_BUFFER_TOO_SMALL, C_GetInterfaceList(interfaces, &count));
  assert_ok(C_GetInterfaceList(interfaces, &count));
  assert_int_equal(4, count);
}

static void test_initialize(void **state)
{
  (void)state;
  CK_C_INITIALIZE_ARGS args = { .CreateMutex = (CK_CREATEMUTEX)1 };
  CK_INFO info;
  assert_rv(CKR_CRYPTOKI_ALREADY_INITIALIZED, C_Initialize(NULL));
  assert_rv(CKR_ARGUMENTS_BAD, C_Finalize(&args));
  assert_ok(C_Finalize(NULL));
  assert_rv(CKR_CRYPTOKI_NOT_INITIALIZED, C_Finalize(NULL));
  assert_rv(CKR_CRYPTOKI_NOT_INITIALIZED, C_GetInfo(&info));
  assert_rv(CKR_CRYPTOKI_NOT_INITIALIZED, C_GetInfo(NULL));
  assert_rv(CKR_ARGUMENTS_BAD, C_Initialize(&args));
  assert_ok(C_Initialize(NULL));
  assert_rv(CKR_ARGUMENTS_BAD, C_GetInfo(NULL));
  assert_ok(C_GetInfo(&info));
}

/* A line that is wrong, and what the error must name. */
static const struct {
  const char *line;
  const char *named;
} bad_confs[] = {
  { "log.level = LOUD", "log.level = LOUD" },
  { "slots.removable = maybe", "slots.removable" },
  { "pin.tries = 1", "pin.tries = 1" },
  { "pin.kdf_memory = -5", "pin.kdf_memory" },
  { "objectstore.umask = 8", "objectstore.umask" },
  { "objectstore.backend = tape", "objectstore.backend" },
  { "no equals sign", "line 4" },
  { "directories.tokendir = /nonexistent/hf", "/nonexistent/hf" },
};

static void test_bad_conf(void **state)
{
  (void)state;
  assert_ok(C_Finalize(NULL));
  for (size_t i = 0; i < sizeof(bad_confs) / sizeof(bad_confs[0]); i++) {
    rig_write_conf(bad_confs[i].line);
    assert_rv(CKR_GENERAL_ERROR, C_Initialize(NULL));
    assert_last_error(bad_confs[i].named);
  }
  setenv("HOLDFAST_TOKEN_CONF", "/nonexistent/token.conf", 1);
  assert_rv(CKR_GENERAL_ERROR, C_Initialize(NULL));
  assert_last_error("/nonexistent/token.conf");
  rig_write_conf("# a comment\nunknown.key = 1\nslots.mechanisms = -CKM_ECDSA, CKM_NO_SUCH\nslots.removable = true");
  assert_ok(C_Initialize(NULL));
  CK_MECHANISM_INFO mechanism;
  CK_SLOT_INFO slot;
  assert_rv(CKR_MECHANISM_INVALID, C_GetMechanismInfo(0, CKM_ECDSA, &mechanism));
  assert_ok(C_GetMechanismInfo(0, CKM_RSA_PKCS, &mechanism));
  assert_ok(C_GetSlotInfo(0, &slot));
  assert_true(slot.flags & CKF_REMOVABLE_DEVICE);
}

static void test_slots(void **state)
{
  (void)state;
  CK_SLOT_ID slots[4];
  CK_ULONG count = 4;
  CK_UTF8CHAR label[32];
  CK_TOKEN_INFO info;
  assert_ok(C_GetSlotList(CK_FALSE, slots, &count));
  assert_int_equal(1, count);
  assert_int_equal(0, slots[0]);
  assert_false(token_flags(0) & CKF_TOKEN_INITIALIZED);
  assert_rv(CKR_SLOT_ID_INVALID, C_GetTokenInfo(7, &info));
  assert_rv(CKR_TOKEN_NOT_RECOGNIZED, C_OpenSession(0, CKF_SERIAL_SESSION, NULL, NULL, &(CK_SESSION_HANDLE){ 0 }));
  rig_label("one", label);
  assert_rv(CKR_PIN_LEN_RANGE, C_InitToken(0, utf8("123"), 3, label));
  assert_ok(C_InitToken(0, utf8(SO_PIN), 8, label));
  assert_true(token_flags(0) & CKF_TOKEN_INITIALIZED);
  assert_false(token_flags(0) & CKF_USER_PIN_INITIALIZED);
  count = 1;
  assert_rv(CKR_BUFFER_TOO_SMALL, C_GetSlotList(CK_TRUE, slots, &count));
  assert_int_equal(2, count);
  assert_ok(C_GetTokenInfo(0, &info));
  assert_memory_equal("one                             ", info.label, 32);

  /* A new process sees it by the number in its serial, and the free slot behind it. */
  assert_ok(C_Finalize(NULL));
  assert_ok(C_Initialize(NULL));
  count = 4;
  assert_ok(C_GetSlotList(CK_TRUE, slots, &count));
  assert_int_equal(2, count);
  char serial[9] = "";
  memcpy(serial, info.serialNumber + 8, 8);
  assert_int_equal(strtoul(serial, NULL, 16) & 0x7FFFFFFF, slots[0]);
  assert_int_equal(1, slots[1]);
}

static void test_reinit(void **state)
{
  (void)state;
  CK_SESSION_HANDLE h = rig_user_session();
  CK_SLOT_ID slot = rig_first_slot();
  CK_UTF8CHAR label[32];
  CK_TOKEN_INFO before, after;
  rig_data(h, "gone", true, true);
  rig_label("again", label);
  assert_ok(C_GetTokenInfo(slot, &before));
  assert_rv(CKR_SESSION_EXISTS, C_InitToken(slot, utf8(SO_PIN), 8, label));
  assert_ok(C_CloseAllSessions(slot));
  assert_rv(CKR_PIN_INCORRECT, C_InitToken(slot, utf8("wrong pin"), 9, label));
  assert_ok(C_InitToken(slot, utf8(SO_PIN), 8, label));
  assert_ok(C_GetTokenInfo(slot, &after));
  assert_memory_equal(before.serialNumber, after.serialNumber, 16);
  assert_false(after.flags & CKF_USER_PIN_INITIALIZED);
  h = rig_open_session(slot, CKF_RW_SESSION);
  assert_rv(CKR_USER_PIN_NOT_INITIALIZED, rig_login(h, CKU_USER, USER_PIN));
  assert_int_equal(0, rig_find(h, NULL, 0, NULL));
}

static void test_pin_lockout(void **state)
{
  (void)state;
  assert_ok(C_Finalize(NULL));
  rig_write_conf("pin.tries = 3");
  assert_ok(C_Initialize(NULL));
  CK_SLOT_ID slot = rig_first_slot();
  rig_init_token(slot);
  CK_SESSION_HANDLE h = rig_open_session(slot, CKF_RW_SESSION);
  CK_FLAGS all = CKF_USER_PIN_COUNT_LOW | CKF_USER_PIN_FINAL_TRY | CKF_USER_PIN_LOCKED;
  assert_int_equal(0, token_flags(slot) & all);
  assert_rv(CKR_PIN_INCORRECT, rig_login(h, CKU_USER, "0000"));
  assert_int_equal(CKF_USER_PIN_COUNT_LOW, token_flags(slot) & all);
  assert_rv(CKR_PIN_INCORRECT, rig_login(h, CKU_USER, "0000"));
  assert_int_equal(CKF_USER_PIN_COUNT_LOW | CKF_USER_PIN_FINAL_TRY, token_flags(slot) & all);
  assert_ok(rig_login(h, CKU_USER, USER_PIN));
  assert_int_equal(0, token_flags(slot) & all);
  assert_ok(C_Logout(h));
  for (int i = 0; i < 3; i++)
    assert_rv(CKR_PIN_INCORRECT, rig_login(h, CKU_USER, "0000"));
  assert_int_equal(CKF_USER_PIN_COUNT_LOW | CKF_USER_PIN_LOCKED, token_flags(slot) & all);
  assert_rv(CKR_PIN_LOCKED, rig_login(h, CKU_USER, USER_PIN));

  /* The count outlives the process; the security officer unlocks. */
  assert_ok(C_Finalize(NULL));
  assert_ok(C_Initialize(NULL));
  slot = rig_first_slot();
  h = rig_open_session(slot, CKF_RW_SESSION);
  assert_rv(CKR_PIN_LOCKED, rig_login(h, CKU_USER, USER_PIN));
  assert_ok(rig_login(h, CKU_SO, SO_PIN));
  assert_ok(C_InitPIN(h, utf8("4321"), 4));
  assert_ok(C_Logout(h));
  assert_ok(rig_login(h, CKU_USER, "4321"));
}

static void test_set_pin(void **state)
{
  (void)state;
  CK_SESSION_HANDLE h = rig_user_session();
  CK_SLOT_ID slot = rig_first_slot();
  rig_data(h, "kept", true, true);
  assert_rv(CKR_PIN_INCORRECT, C_SetPIN(h, utf8("0000"), 4, utf8("56789"), 5));
  assert_rv(CKR_PIN_LEN_RANGE, C_SetPIN(h, utf8(USER_PIN), 4, utf8("1"), 1));
  assert_ok(C_SetPIN(h, utf8(USER_PIN), 4, utf8("56789"), 5));
  assert_ok(C_CloseAllSessions(slot));
  h = rig_open_session(slot, 0);
  assert_rv(CKR_PIN_INCORRECT, rig_login(h, CKU_USER, USER_PIN));
  assert_rv(CKR_SESSION_READ_ONLY, C_SetPIN(h, utf8("56789"), 5, utf8("1111"), 4));
  assert_ok(rig_login(h, CKU_USER, "56789"));
  assert_int_equal(1, rig_find_label(h, "kept", NULL));
}

static void test_session_states(void **state)
{
  (void)state;
  CK_SLOT_ID slot = rig_first_slot();
  rig_init_token(slot);
  CK_SESSION_HANDLE ro = rig_open_session(slot, 0), rw = rig_open_session(slot, CKF_RW_SESSION), other;
  CK_SESSION_INFO info;
  assert_rv(CKR_SESSION_PARALLEL_NOT_SUPPORTED, C_OpenSession(slot, 0, NULL, NULL, &other));
  assert_rv(CKR_SESSION_READ_ONLY_EXISTS, rig_login(rw, CKU_SO, SO_PIN));
  assert_rv(CKR_USER_TYPE_INVALID, rig_login(rw, 7, SO_PIN));
  assert_ok(rig_login(ro, CKU_USER, USER_PIN));
  assert_rv(CKR_USER_ALREADY_LOGGED_IN, rig_login(rw, CKU_USER, USER_PIN));
  assert_ok(C_GetSessionInfo(ro, &info));
  assert_int_equal(CKS_RO_USER_FUNCTIONS, info.state);
  assert_ok(C_GetSessionInfo(rw, &info));
  assert_int_equal(CKS_RW_USER_FUNCTIONS, info.state);
  assert_ok(C_CloseSession(ro));
  assert_rv(CKR_SESSION_HANDLE_INVALID, C_CloseSession(ro));
  assert_rv(CKR_SESSION_HANDLE_INVALID, C_GetSessionInfo(ro, &info));
  assert_rv(CKR_USER_ANOTHER_ALREADY_LOGGED_IN, rig_login(rw, CKU_SO, SO_PIN));
  assert_ok(C_Logout(rw));
  assert_rv(CKR_USER_NOT_LOGGED_IN, C_Logout(rw));
  assert_ok(rig_login(rw, CKU_SO, SO_PIN));
  assert_rv(CKR_SESSION_READ_WRITE_SO_EXISTS, C_OpenSession(slot, CKF_SERIAL_SESSION, NULL, NULL, &other));

  /* Closing the last session logs out. */
  assert_ok(C_CloseAllSessions(slot));
  rw = rig_open_session(slot, CKF_RW_SESSION);
  assert_ok(C_GetSessionInfo(rw, &info));
  assert_int_equal(CKS_RW_PUBLIC_SESSION, info.state);
}

/* 0 where the child saw what it should. */
static int in_child(int (*what)(CK_SESSION_HANDLE), CK_SESSION_HANDLE h)
{
  pid_t child = fork();
  if (child == 0)
    _exit(what(h));
  int status;
  assert_int_equal(child, waitpid(child, &status, 0));
  assert_true(WIFEXITED(status));
  return WEXITSTATUS(status);
}

static int child_creates(CK_SESSION_HANDLE h)
{
  CK_SESSION_INFO info;
  if (C_GetSessionInfo(h, &info) != CKR_CRYPTOKI_NOT_INITIALIZED)
    return 1;
  if (C_Initialize(NULL) != CKR_OK || C_GetSessionInfo(h, &info) != CKR_SESSION_HANDLE_INVALID)
    return 2;
  h = rig_open_session(rig_first_slot(), CKF_RW_SESSION);
  if (rig_login(h, CKU_USER, USER_PIN) != CKR_OK)
    return 3;
  rig_data(h, "by the child", true, true);
  return C_Finalize(NULL) == CKR_OK ? 0 : 4;
}

static void test_fork(void **state)
{
  (void)state;
  CK_SESSION_HANDLE h = rig_user_session();
  CK_SESSION_INFO info;
  assert_int_equal(0, rig_find_label(h, "by the child", NULL));
  assert_int_equal(0, in_child(child_creates, h));
  assert_ok(C_GetSessionInfo(h, &info));
  assert_int_equal(1, rig_find_label(h, "by the child", NULL));
}

static int child_makes_token(CK_SESSION_HANDLE h)
{
  (void)h;
  if (C_Initialize(NULL) != CKR_OK)
    return 1;
  rig_init_token(rig_first_slot());
  return 0;
}

static int child_deletes_token(CK_SESSION_HANDLE h)
{
  (void)h;
  char dir[PATH_MAX];
  if (C_Initialize(NULL) != CKR_OK)
    return 1;
  return extension()->delete_token(rig_first_slot(), dir, sizeof(dir)) == CKR_OK && access(dir, F_OK) != 0 ? 0 : 2;
}

static void test_tokens_of_others(void **state)
{
  (void)state;
  CK_ULONG count;
  CK_SESSION_INFO info;
  CK_OBJECT_HANDLE object;
  CK_OBJECT_CLASS class = CKO_DATA;
  CK_ATTRIBUTE tmpl[] = { { CKA_CLASS, &class, sizeof(class) } };
  assert_int_equal(0, in_child(child_makes_token, 0));
  assert_ok(C_GetSlotList(CK_TRUE, NULL, &count));
  assert_int_equal(2, count);
  CK_SLOT_ID slot = rig_first_slot();
  CK_SESSION_HANDLE h = rig_open_session(slot, CKF_RW_SESSION);
  assert_ok(rig_login(h, CKU_USER, USER_PIN));
  assert_rv(CKR_SESSION_EXISTS, extension()->delete_token(slot, NULL, 0));
  assert_int_equal(0, in_child(child_deletes_token, 0));
  assert_rv(CKR_TOKEN_NOT_PRESENT, C_CreateObject(h, tmpl, 1, &object));
  assert_ok(C_GetSlotList(CK_TRUE, NULL, &count));
  assert_int_equal(1, count);
  assert_ok(C_GetSessionInfo(h, &info));
}

enum { RACERS = 4 };

static void *call_until_down(void *arg)
{
  CK_SESSION_HANDLE h = *(CK_SESSION_HANDLE *)arg;
  CK_SESSION_INFO info;
  CK_RV rv;
  do
    rv = C_GetSessionInfo(h, &info);
  while (rv == CKR_OK);
  return (void *)(uintptr_t)rv;
}

static void test_finalize_races(void **state)
{
  (void)state;
  CK_SESSION_HANDLE h = rig_user_session();
  for (int round = 0; round < 20; round++) {
    pthread_t threads[RACERS];
    for (int i = 0; i < RACERS; i++)
      pthread_create(&threads[i], NULL, call_until_down, &h);
    usleep(2000);
    assert_ok(C_Finalize(NULL));
    for (int i = 0; i < RACERS; i++) {
      void *rv;
      pthread_join(threads[i], &rv);
      assert_int_equal(CKR_CRYPTOKI_NOT_INITIALIZED, (uintptr_t)rv);
    }
    assert_ok(C_Initialize(NULL));
    h = rig_open_session(rig_first_slot(), 0);
  }
}

static void test_files_are_private(void **state)
{
  (void)state;
  rig_user_session();
  char dir[PATH_MAX], file[PATH_MAX + 16];
  struct stat st;
  rig_token_dir(dir, sizeof(dir));
  assert_int_equal(0, stat(dir, &st));
  assert_int_equal(0700, st.st_mode & 0777);
  snprintf(file, sizeof(file), "%s/data.mdb", dir);
  assert_int_equal(0, stat(file, &st));
  assert_int_equal(0600, st.st_mode & 0777);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
    RIG_TEST(test_tables),         RIG_TEST(test_initialize),
    RIG_TEST(test_bad_conf),       RIG_TEST(test_slots),
    RIG_TEST(test_reinit),         RIG_TEST(test_pin_lockout),
    RIG_TEST(test_set_pin),        RIG_TEST(test_session_states),
    RIG_TEST(test_fork),           RIG_TEST(test_tokens_of_others),
    RIG_TEST(test_finalize_races), RIG_TEST(test_files_are_private),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
