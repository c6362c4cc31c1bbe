/* SPDX-License-Identifier: Apache-2.0 */
/* Taking over a token from elsewhere: unseen until it is whole, with the history that its objects bring along. */
#include "token_rig.h"

#include "base/cleanup.h"
#include "holdfast/token-ext.h"

#include <signal.h>
#include <sys/wait.h>

CK_RV C_GetInterface(CK_UTF8CHAR *name, CK_VERSION *version, struct hf_ck_interface **interface, CK_FLAGS flags);

#define SERIAL "0123456789abcdef"

static const struct holdfast_token_ext *ext(void)
{
  struct hf_ck_interface *interface;
  assert_ok(C_GetInterface(utf8(HOLDFAST_TOKEN_INTERFACE), NULL, &interface, 0));
  return interface->function_list;
}

static CK_RV begin(const char *serial, CK_SLOT_ID *slot)
{
  CK_UTF8CHAR label[32];
  rig_label("old", label);
  return ext()->restore_begin(label, serial ? utf8(serial) : NULL, utf8(SO_PIN), strlen(SO_PIN), slot);
}

static CK_SESSION_HANDLE user_session(CK_SLOT_ID slot)
{
  CK_SESSION_HANDLE h = rig_open_session(slot, CKF_RW_SESSION);
  assert_ok(rig_login(h, CKU_SO, SO_PIN));
  assert_ok(C_InitPIN(h, utf8(USER_PIN), strlen(USER_PIN)));
  assert_ok(C_Logout(h));
  assert_ok(rig_login(h, CKU_USER, USER_PIN));
  return h;
}

static CK_ULONG tokens_elsewhere(void)
{
  /* Another process: what this one knows of is no answer. */
  int status;
  pid_t child = fork();
  if (child == 0) {
    CK_ULONG count = 0;
    _exit(C_Initialize(NULL) == CKR_OK && C_GetSlotList(CK_TRUE, NULL, &count) == CKR_OK ? (int)count - 1 : 99);
  }
  assert_int_equal(child, waitpid(child, &status, 0));
  return (CK_ULONG)WEXITSTATUS(status);
}

static size_t directories(void)
{
  size_t count = 0;
  DIR *dir = opendir(rig_dir);
  assert_non_null(dir);
  for (struct dirent *entry; (entry = readdir(dir)) != NULL;)
    count += strlen(entry->d_name) >= 36;
  closedir(dir);
  return count;
}

static CK_OBJECT_HANDLE restore_key(CK_SESSION_HANDLE h)
{
  static CK_BYTE p256[] = { 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7 }, value[32] = { 1, 2, 3 };
  CK_OBJECT_CLASS class = CKO_PRIVATE_KEY;
  CK_KEY_TYPE type = CKK_EC;
  CK_BBOOL yes = CK_TRUE;
  CK_MECHANISM_TYPE made_by = CKM_EC_KEY_PAIR_GEN;
  CK_ATTRIBUTE tmpl[] = {
    { CKA_CLASS, &class, sizeof(class) },
    { CKA_KEY_TYPE, &type, sizeof(type) },
    { CKA_TOKEN, &yes, 1 },
    { CKA_SENSITIVE, &yes, 1 },
    { CKA_LOCAL, &yes, 1 },
    { CKA_ALWAYS_SENSITIVE, &yes, 1 },
    { CKA_EC_PARAMS, p256, sizeof(p256) },
    { CKA_KEY_GEN_MECHANISM, &made_by, sizeof(made_by) },
    { CKA_VALUE, value, sizeof(value) },
    { CKA_LABEL, utf8("k"), 1 },
  };
  CK_OBJECT_HANDLE object = 0;
  assert_ok(ext()->restore_object(h, tmpl, HF_ARRAY_LEN(tmpl), &object));
  return object;
}

static bool is_true(CK_SESSION_HANDLE h, CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type)
{
  CK_BBOOL value = 2;
  CK_ATTRIBUTE attr = { type, &value, 1 };
  assert_ok(C_GetAttributeValue(h, object, &attr, 1));
  return value == CK_TRUE;
}

static void test_a_token_is_seen_once_it_is_whole(void **state)
{
  (void)state;
  CK_SLOT_ID slot;
  CK_TOKEN_INFO info;
  assert_ok(begin(SERIAL, &slot));
  assert_int_equal(0x09abcdef, slot);
  CK_SESSION_HANDLE h = user_session(slot);
  restore_key(h);
  assert_int_equal(0, tokens_elsewhere());
  assert_rv(CKR_SESSION_EXISTS, ext()->restore_end(slot, CK_TRUE));
  assert_ok(C_CloseSession(h));
  assert_ok(ext()->restore_end(slot, CK_TRUE));
  assert_int_equal(1, tokens_elsewhere());
  assert_ok(C_GetTokenInfo(slot, &info));
  assert_memory_equal(SERIAL, info.serialNumber, 16);
  assert_memory_equal("old ", info.label, 4);
  assert_rv(CKR_ACTION_PROHIBITED, ext()->restore_end(slot, CK_FALSE));

  assert_ok(C_Finalize(NULL));
  assert_ok(C_Initialize(NULL));
  CK_OBJECT_HANDLE object = 0;
  h = rig_open_session(slot, CKF_RW_SESSION);
  assert_ok(rig_login(h, CKU_USER, USER_PIN));
  assert_int_equal(1, rig_find_label(h, "k", &object));
  assert_true(is_true(h, object, CKA_LOCAL));
  assert_true(is_true(h, object, CKA_ALWAYS_SENSITIVE));
  /* What the template did not say is what a creator would get. */
  assert_false(is_true(h, object, CKA_NEVER_EXTRACTABLE));
}

static void test_what_is_given_up_leaves_nothing(void **state)
{
  (void)state;
  CK_SLOT_ID slot;
  assert_ok(begin(SERIAL, &slot));
  assert_int_equal(1, directories());
  assert_ok(ext()->restore_end(slot, CK_FALSE));
  assert_int_equal(0, directories());
  assert_rv(CKR_SLOT_ID_INVALID, ext()->restore_end(slot, CK_FALSE));
  assert_ok(begin(NULL, &slot));
  assert_ok(C_Finalize(NULL));
  assert_int_equal(0, directories());
  assert_ok(C_Initialize(NULL));
}

static void test_what_a_killed_process_left_goes_with_the_next(void **state)
{
  (void)state;
  CK_SLOT_ID slot;
  int status, ready[2];
  assert_int_equal(0, pipe(ready));
  pid_t child = fork();
  if (child == 0) {
    CK_UTF8CHAR label[32];
    rig_label("lost", label);
    if (C_Initialize(NULL) != CKR_OK || ext()->restore_begin(label, NULL, utf8(SO_PIN), 8, &slot) != CKR_OK ||
        write(ready[1], "x", 1) != 1)
      _exit(1);
    pause();
  }
  char byte;
  assert_int_equal(1, read(ready[0], &byte, 1));
  /* One that still runs keeps its own. */
  assert_ok(begin(NULL, &slot));
  assert_int_equal(2, directories());
  assert_ok(ext()->restore_end(slot, CK_FALSE));
  assert_int_equal(1, directories());
  kill(child, SIGKILL);
  assert_int_equal(child, waitpid(child, &status, 0));
  assert_ok(begin(NULL, &slot));
  assert_int_equal(1, directories());
  close(ready[0]);
  close(ready[1]);
}

static void test_a_serial_is_given_once(void **state)
{
  (void)state;
  CK_SLOT_ID slot;
  assert_ok(begin(SERIAL, &slot));
  assert_ok(ext()->restore_end(slot, CK_TRUE));
  assert_rv(CKR_GENERAL_ERROR, begin(SERIAL, &slot));
  assert_ok(begin(NULL, &slot));
}

static void test_an_object_is_restored_in_such_a_token_alone(void **state)
{
  (void)state;
  CK_SESSION_HANDLE h = rig_user_session();
  CK_OBJECT_CLASS class = CKO_DATA;
  CK_ATTRIBUTE tmpl = { CKA_CLASS, &class, sizeof(class) };
  CK_OBJECT_HANDLE object = 0;
  assert_rv(CKR_ACTION_PROHIBITED, ext()->restore_object(h, &tmpl, 1, &object));
  assert_rv(CKR_ARGUMENTS_BAD, ext()->restore_object(h, NULL, 1, &object));
  assert_rv(CKR_ARGUMENTS_BAD, ext()->restore_begin(NULL, NULL, utf8(SO_PIN), 8, &(CK_SLOT_ID){ 0 }));
  assert_rv(CKR_SLOT_ID_INVALID, ext()->restore_end(4242, CK_TRUE));
}

int main(void)
{
  const struct CMUnitTest tests[] = {
    RIG_TEST(test_a_token_is_seen_once_it_is_whole),
    RIG_TEST(test_what_is_given_up_leaves_nothing),
    RIG_TEST(test_what_a_killed_process_left_goes_with_the_next),
    RIG_TEST(test_a_serial_is_given_once),
    RIG_TEST(test_an_object_is_restored_in_such_a_token_alone),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
