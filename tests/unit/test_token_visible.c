/* SPDX-License-Identifier: Apache-2.0 */
/* What another process does to a token shows in this one at the next call, whatever this one has open, kept or begun. */
#include "token_rig.h"

#include "holdfast/token-ext.h"

#include <sys/wait.h>

CK_RV C_GetInterface(CK_UTF8CHAR *name, CK_VERSION *version, struct hf_ck_interface **interface, CK_FLAGS flags);

/* In the child, which must not assert: its exit status is the line where it went wrong. */
#define NEED(so)             \
  do {                       \
    if (!(so))               \
      _exit(__LINE__ % 256); \
  } while (0)

static CK_SLOT_ID first_slot(void)
{
  CK_SLOT_ID slots[8];
  CK_ULONG count = 8;
  NEED(C_GetSlotList(CK_TRUE, slots, &count) == CKR_OK);
  return slots[0];
}

static CK_SESSION_HANDLE session(CK_USER_TYPE user, const char *pin)
{
  CK_SESSION_HANDLE h;
  NEED(C_OpenSession(first_slot(), CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, &h) == CKR_OK);
  NEED(rig_login(h, user, pin) == CKR_OK);
  return h;
}

static CK_OBJECT_HANDLE find(CK_SESSION_HANDLE h, CK_ATTRIBUTE_TYPE type, const void *value, CK_ULONG len)
{
  CK_ATTRIBUTE tmpl = { type, (void *)(uintptr_t)value, len };
  CK_OBJECT_HANDLE object = 0;
  CK_ULONG n = 0;
  NEED(C_FindObjectsInit(h, &tmpl, 1) == CKR_OK && C_FindObjects(h, &object, 1, &n) == CKR_OK &&
       C_FindObjectsFinal(h) == CKR_OK && n == 1);
  return object;
}

static CK_OBJECT_HANDLE find_key(CK_SESSION_HANDLE h)
{
  CK_OBJECT_CLASS class = CKO_PRIVATE_KEY;
  return find(h, CKA_CLASS, &class, sizeof(class));
}

/* Another process does it, from C_Initialize on. */
static void elsewhere(void (*what)(void))
{
  pid_t child = fork();
  if (child == 0) {
    NEED(C_Initialize(NULL) == CKR_OK);
    what();
    NEED(C_Finalize(NULL) == CKR_OK);
    _exit(0);
  }
  int status;
  assert_int_equal(child, waitpid(child, &status, 0));
  assert_true(WIFEXITED(status));
  assert_int_equal(0, WEXITSTATUS(status));
}

static CK_MECHANISM ecdsa = { CKM_ECDSA, NULL, 0 };

static CK_RV sign(CK_SESSION_HANDLE h, CK_OBJECT_HANDLE key)
{
  CK_BYTE digest[32] = { 1 }, signature[64];
  CK_ULONG len = sizeof(signature);
  CK_RV rv = C_SignInit(h, &ecdsa, key);
  return rv == CKR_OK ? C_Sign(h, digest, sizeof(digest), signature, &len) : rv;
}

static void destroy_key(void)
{
  CK_SESSION_HANDLE h = session(CKU_USER, USER_PIN);
  NEED(C_DestroyObject(h, find_key(h)) == CKR_OK);
}

/* Its handle, the key that is kept decoded, the context that is kept prepared: all of no use any more. */
static void test_a_key_destroyed(void **state)
{
  (void)state;
  CK_SESSION_HANDLE h = rig_user_session();
  CK_OBJECT_HANDLE key = rig_ec(h, true).private;
  CK_ULONG size;
  assert_ok(sign(h, key));
  assert_ok(sign(h, key));
  elsewhere(destroy_key);
  assert_rv(CKR_KEY_HANDLE_INVALID, sign(h, key));
  assert_rv(CKR_OBJECT_HANDLE_INVALID, C_GetObjectSize(h, key, &size));
  assert_rv(CKR_OBJECT_HANDLE_INVALID, C_DestroyObject(h, key));
  assert_rv(CKR_KEY_HANDLE_INVALID, sign(h, key));
}

static void forbid_signing(void)
{
  CK_BBOOL no = CK_FALSE;
  CK_ATTRIBUTE attr = { CKA_SIGN, &no, 1 };
  CK_SESSION_HANDLE h = session(CKU_USER, USER_PIN);
  NEED(C_SetAttributeValue(h, find_key(h), &attr, 1) == CKR_OK);
}

static void test_a_key_changed(void **state)
{
  (void)state;
  CK_SESSION_HANDLE h = rig_user_session();
  CK_OBJECT_HANDLE key = rig_ec(h, true).private;
  assert_ok(sign(h, key));
  elsewhere(forbid_signing);
  assert_rv(CKR_KEY_FUNCTION_NOT_PERMITTED, sign(h, key));
}

static void destroy_one(void)
{
  CK_SESSION_HANDLE h = session(CKU_USER, USER_PIN);
  NEED(C_DestroyObject(h, find(h, CKA_LABEL, "one", 3)) == CKR_OK);
}

/* A search that is open goes on with what it found; what of it is gone has no handle any more. */
static void test_an_open_search(void **state)
{
  (void)state;
  CK_SESSION_HANDLE h = rig_user_session();
  CK_OBJECT_HANDLE one = rig_data(h, "one", true, true), found[4];
  CK_ULONG n, size;
  rig_data(h, "two", true, true);
  assert_ok(C_FindObjectsInit(h, NULL, 0));
  elsewhere(destroy_one);
  assert_ok(C_FindObjects(h, found, 4, &n));
  assert_ok(C_FindObjectsFinal(h));
  for (CK_ULONG i = 0; i < n; i++)
    assert_rv(found[i] == one ? CKR_OBJECT_HANDLE_INVALID : CKR_OK, C_GetObjectSize(h, found[i], &size));
  assert_int_equal(1, rig_find(h, NULL, 0, NULL));
}

static void make_token(void)
{
  CK_SLOT_ID slots[8];
  CK_ULONG count = 8;
  CK_UTF8CHAR label[32] = "another";
  NEED(C_GetSlotList(CK_TRUE, slots, &count) == CKR_OK);
  NEED(C_InitToken(slots[count - 1], utf8(SO_PIN), strlen(SO_PIN), label) == CKR_OK);
}

/* Without C_Initialize; and the slots that were there keep their numbers. */
static void test_tokens_made(void **state)
{
  (void)state;
  CK_SLOT_ID before[8], after[8];
  CK_ULONG count = 8, more = 8;
  CK_SESSION_HANDLE h = rig_user_session();
  CK_OBJECT_HANDLE key = rig_ec(h, true).private;
  assert_ok(C_GetSlotList(CK_TRUE, before, &count));
  elsewhere(make_token);
  elsewhere(make_token);
  assert_ok(C_GetSlotList(CK_TRUE, NULL, &more));
  assert_int_equal(count + 2, more);
  more = 8;
  assert_ok(C_GetSlotList(CK_TRUE, after, &more));
  for (CK_ULONG i = 0; i < count; i++) {
    bool there = false;
    for (CK_ULONG k = 0; k < more; k++)
      there |= after[k] == before[i];
    assert_true(there);
  }
  assert_ok(sign(h, key));
}

static void delete_token(void)
{
  struct hf_ck_interface *interface;
  NEED(C_GetInterface(utf8(HOLDFAST_TOKEN_INTERFACE), NULL, &interface, 0) == CKR_OK);
  NEED(((const struct holdfast_token_ext *)interface->function_list)->delete_token(first_slot(), NULL, 0) == CKR_OK);
}

/* Sessions stay open and say so; nothing that was kept is used. */
static void test_a_token_deleted(void **state)
{
  (void)state;
  CK_SESSION_HANDLE h = rig_user_session();
  CK_SLOT_ID slot = rig_first_slot();
  CK_OBJECT_HANDLE key = rig_ec(h, true).private;
  CK_SESSION_INFO info;
  CK_TOKEN_INFO token;
  CK_ULONG count;
  assert_ok(sign(h, key));
  elsewhere(delete_token);
  assert_rv(CKR_TOKEN_NOT_PRESENT, sign(h, key));
  assert_rv(CKR_TOKEN_NOT_PRESENT, C_FindObjectsInit(h, NULL, 0));
  assert_rv(CKR_TOKEN_NOT_PRESENT, C_GetTokenInfo(slot, &token));
  assert_rv(CKR_TOKEN_NOT_PRESENT, C_OpenSession(slot, CKF_SERIAL_SESSION, NULL, NULL, &(CK_SESSION_HANDLE){ 0 }));
  assert_ok(C_GetSessionInfo(h, &info));
  assert_ok(C_GetSlotList(CK_TRUE, NULL, &count));
  assert_int_equal(1, count);
  assert_rv(CKR_SLOT_ID_INVALID, C_GetTokenInfo(slot, &token));
  assert_ok(C_CloseSession(h));
}

static void initialise_anew(void)
{
  CK_UTF8CHAR label[32] = "anew";
  NEED(C_InitToken(first_slot(), utf8(SO_PIN), strlen(SO_PIN), label) == CKR_OK);
}

/* Nobody is logged in to what is another token now, and no handle means anything. */
static void test_a_token_initialised_anew(void **state)
{
  (void)state;
  CK_SESSION_HANDLE h = rig_user_session();
  CK_OBJECT_HANDLE key = rig_ec(h, true).private;
  CK_SESSION_INFO info;
  assert_ok(sign(h, key));
  elsewhere(initialise_anew);
  assert_rv(CKR_KEY_HANDLE_INVALID, sign(h, key));
  assert_ok(C_GetSessionInfo(h, &info));
  assert_int_equal(CKS_RW_PUBLIC_SESSION, info.state);
  assert_rv(CKR_USER_PIN_NOT_INITIALIZED, rig_login(h, CKU_USER, USER_PIN));
  assert_int_equal(0, rig_find(h, NULL, 0, NULL));
}

static void change_pin(void)
{
  CK_SESSION_HANDLE h = session(CKU_USER, USER_PIN);
  NEED(C_SetPIN(h, utf8(USER_PIN), strlen(USER_PIN), utf8("another"), 7) == CKR_OK);
}

/* Who is logged in stays so; the next login needs the new one. */
static void test_a_pin_changed(void **state)
{
  (void)state;
  CK_SESSION_HANDLE h = rig_user_session();
  CK_OBJECT_HANDLE key = rig_ec(h, true).private;
  elsewhere(change_pin);
  assert_ok(sign(h, key));
  assert_ok(C_Logout(h));
  assert_rv(CKR_PIN_INCORRECT, rig_login(h, CKU_USER, USER_PIN));
  assert_ok(rig_login(h, CKU_USER, "another"));
}

int main(void)
{
  const struct CMUnitTest tests[] = {
    RIG_TEST(test_a_key_destroyed), RIG_TEST(test_a_key_changed),   RIG_TEST(test_an_open_search),
    RIG_TEST(test_tokens_made),     RIG_TEST(test_a_token_deleted), RIG_TEST(test_a_token_initialised_anew),
    RIG_TEST(test_a_pin_changed),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
