/* SPDX-License-Identifier: Apache-2.0 */
/* What sessions do beyond one operation at a time: messages, signatures that come first, states, cancelling, events. */
#include "token_rig.h"

#include <pthread.h>
#include <sys/wait.h>

enum { DIGEST_BYTES = 32, SIGNATURE_BYTES = 64 };

static CK_MECHANISM ecdsa = { CKM_ECDSA_SHA256, NULL, 0 }, sha256 = { CKM_SHA256, NULL, 0 };
static CK_BYTE text[] = "so that there is something to sign";

static void sign(CK_SESSION_HANDLE h, CK_OBJECT_HANDLE key, CK_BYTE signature[SIGNATURE_BYTES])
{
  CK_ULONG len = SIGNATURE_BYTES;
  assert_ok(C_SignInit(h, &ecdsa, key));
  assert_ok(C_Sign(h, text, sizeof(text), signature, &len));
  assert_int_equal(SIGNATURE_BYTES, len);
}

static void test_verify_signature(void **state)
{
  (void)state;
  const struct hf_ck_functions_3_2 *list = rig_list();
  CK_SESSION_HANDLE h = rig_user_session();
  struct rig_pair pair = rig_ec(h, false);
  CK_BYTE signature[SIGNATURE_BYTES];
  sign(h, pair.private, signature);
  assert_rv(CKR_OPERATION_NOT_INITIALIZED, list->C_VerifySignature(h, text, sizeof(text)));
  assert_ok(list->C_VerifySignatureInit(h, &ecdsa, pair.public, signature, SIGNATURE_BYTES));
  assert_rv(CKR_OPERATION_ACTIVE, list->C_VerifySignatureInit(h, &ecdsa, pair.public, signature, SIGNATURE_BYTES));
  assert_ok(C_VerifyInit(h, &ecdsa, pair.public)); /* another operation */
  assert_ok(list->C_VerifySignature(h, text, sizeof(text)));
  assert_ok(C_Verify(h, text, sizeof(text), signature, SIGNATURE_BYTES));
  assert_ok(list->C_VerifySignatureInit(h, &ecdsa, pair.public, signature, SIGNATURE_BYTES));
  assert_ok(list->C_VerifySignatureUpdate(h, text, 5));
  assert_ok(list->C_VerifySignatureUpdate(h, text + 5, sizeof(text) - 5));
  assert_ok(list->C_VerifySignatureFinal(h));
  assert_ok(list->C_VerifySignatureInit(h, &ecdsa, pair.public, signature, SIGNATURE_BYTES));
  assert_rv(CKR_SIGNATURE_INVALID, list->C_VerifySignature(h, text, sizeof(text) - 1));
  assert_rv(CKR_SIGNATURE_LEN_RANGE, list->C_VerifySignatureInit(h, &ecdsa, pair.public, signature, 63));
  assert_rv(CKR_KEY_TYPE_INCONSISTENT,
            list->C_VerifySignatureInit(h, &ecdsa, pair.private, signature, SIGNATURE_BYTES));
  assert_ok(list->C_VerifySignatureInit(h, &ecdsa, pair.public, signature, SIGNATURE_BYTES));
  assert_ok(list->C_VerifySignatureInit(h, NULL, 0, NULL, 0));
  assert_rv(CKR_OPERATION_NOT_INITIALIZED, list->C_VerifySignatureFinal(h));
}

static void test_signed_messages(void **state)
{
  (void)state;
  const struct hf_ck_functions_3_0 *list = &rig_list()->base;
  CK_SESSION_HANDLE h = rig_user_session();
  struct rig_pair pair = rig_ec(h, false);
  CK_BYTE signatures[2][SIGNATURE_BYTES];
  CK_ULONG len = 0;
  assert_rv(CKR_OPERATION_NOT_INITIALIZED, list->C_SignMessage(h, NULL, 0, text, 5, signatures[0], &len));
  assert_ok(list->C_MessageSignInit(h, &ecdsa, pair.private));
  assert_ok(list->C_SignMessage(h, NULL, 0, text, 5, NULL, &len));
  assert_int_equal(SIGNATURE_BYTES, len);
  len = 1;
  assert_rv(CKR_BUFFER_TOO_SMALL, list->C_SignMessage(h, NULL, 0, text, 5, signatures[0], &len));
  assert_ok(list->C_SignMessage(h, NULL, 0, text, 5, signatures[0], &len));
  assert_rv(CKR_MECHANISM_PARAM_INVALID, list->C_SignMessage(h, text, 5, text, 5, signatures[0], &len));
  assert_rv(CKR_OPERATION_NOT_INITIALIZED, list->C_SignMessageNext(h, NULL, 0, text, 5, NULL, NULL));
  assert_ok(list->C_SignMessageBegin(h, NULL, 0));
  assert_rv(CKR_OPERATION_ACTIVE, list->C_SignMessageBegin(h, NULL, 0));
  assert_rv(CKR_OPERATION_ACTIVE, list->C_SignMessage(h, NULL, 0, text, 5, signatures[1], &len));
  assert_rv(CKR_OPERATION_ACTIVE, list->C_MessageSignFinal(h));
  assert_ok(list->C_SignMessageNext(h, NULL, 0, text, 3, NULL, NULL));
  len = 1;
  assert_rv(CKR_BUFFER_TOO_SMALL, list->C_SignMessageNext(h, NULL, 0, text + 3, 4, signatures[1], &len));
  assert_ok(list->C_SignMessageNext(h, NULL, 0, text + 3, 4, signatures[1], &len));
  assert_ok(list->C_MessageSignFinal(h));
  assert_rv(CKR_OPERATION_NOT_INITIALIZED, list->C_MessageSignFinal(h));

  assert_ok(list->C_MessageVerifyInit(h, &ecdsa, pair.public));
  assert_ok(list->C_VerifyMessage(h, NULL, 0, text, 5, signatures[0], SIGNATURE_BYTES));
  assert_rv(CKR_SIGNATURE_INVALID, list->C_VerifyMessage(h, NULL, 0, text, 6, signatures[0], SIGNATURE_BYTES));
  assert_rv(CKR_SIGNATURE_LEN_RANGE, list->C_VerifyMessage(h, NULL, 0, text, 5, signatures[0], 5));
  assert_ok(list->C_VerifyMessageBegin(h, NULL, 0));
  assert_ok(list->C_VerifyMessageNext(h, NULL, 0, text, 6, NULL, 0));
  assert_ok(list->C_VerifyMessageNext(h, NULL, 0, text + 6, 1, signatures[1], SIGNATURE_BYTES));
  assert_ok(list->C_VerifyMessage(h, NULL, 0, text, 7, signatures[1], SIGNATURE_BYTES));
  assert_ok(list->C_MessageVerifyInit(h, NULL, 0));
  assert_rv(CKR_OPERATION_NOT_INITIALIZED, list->C_MessageVerifyFinal(h));
}

/* The PIN is good for one message. */
static void test_messages_of_a_key_that_asks(void **state)
{
  (void)state;
  static CK_BYTE p256[] = { 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7 };
  const struct hf_ck_functions_3_0 *list = &rig_list()->base;
  CK_SESSION_HANDLE h = rig_user_session();
  CK_BBOOL yes = CK_TRUE;
  CK_MECHANISM generate = { CKM_EC_KEY_PAIR_GEN, NULL, 0 };
  CK_ATTRIBUTE public = { CKA_EC_PARAMS, p256, sizeof(p256) }, private = { CKA_ALWAYS_AUTHENTICATE, &yes, 1 };
  CK_OBJECT_HANDLE key, public_key;
  CK_BYTE signature[SIGNATURE_BYTES];
  CK_ULONG len = sizeof(signature);
  assert_ok(C_GenerateKeyPair(h, &generate, &public, 1, &private, 1, &public_key, &key));
  assert_ok(list->C_MessageSignInit(h, &ecdsa, key));
  assert_rv(CKR_USER_NOT_LOGGED_IN, list->C_SignMessage(h, NULL, 0, text, 5, signature, &len));
  assert_ok(rig_login(h, CKU_CONTEXT_SPECIFIC, USER_PIN));
  assert_ok(list->C_SignMessage(h, NULL, 0, text, 5, signature, &len));
  assert_rv(CKR_USER_NOT_LOGGED_IN, list->C_SignMessage(h, NULL, 0, text, 5, signature, &len));
}

static void digest(CK_SESSION_HANDLE h, CK_BYTE out[DIGEST_BYTES])
{
  CK_ULONG len = DIGEST_BYTES;
  assert_ok(C_DigestInit(h, &sha256));
  assert_ok(C_Digest(h, text, sizeof(text), out, &len));
}

static void test_digest_states(void **state)
{
  (void)state;
  CK_SESSION_HANDLE h = rig_user_session(), other = rig_open_session(rig_first_slot(), 0);
  CK_BYTE saved[64], expected[DIGEST_BYTES], out[DIGEST_BYTES];
  CK_ULONG len = 0, out_len = sizeof(out);
  struct rig_pair pair = rig_ec(h, false);
  digest(h, expected);
  assert_rv(CKR_OPERATION_NOT_INITIALIZED, C_GetOperationState(h, saved, &len));
  assert_ok(C_DigestInit(h, &sha256));
  assert_ok(C_DigestUpdate(h, text, 7));
  assert_ok(C_GetOperationState(h, NULL, &len));
  len--;
  assert_rv(CKR_BUFFER_TOO_SMALL, C_GetOperationState(h, saved, &len));
  assert_ok(C_GetOperationState(h, saved, &len));
  assert_ok(C_DigestUpdate(h, text, 1)); /* goes on by itself */
  assert_rv(CKR_KEY_NOT_NEEDED, C_SetOperationState(other, saved, len, pair.private, 0));
  for (int i = 0; i < 2; i++) {
    assert_ok(C_SetOperationState(other, saved, len, 0, 0));
    assert_ok(C_DigestUpdate(other, text + 7, sizeof(text) - 7));
    assert_ok(C_DigestFinal(other, out, &out_len));
    assert_memory_equal(expected, out, DIGEST_BYTES);
  }
  assert_ok(C_SignInit(h, &ecdsa, pair.private));
  assert_rv(CKR_STATE_UNSAVEABLE, C_GetOperationState(h, saved, &len));
  saved[0] ^= 1;
  assert_rv(CKR_SAVED_STATE_INVALID, C_SetOperationState(other, saved, len, 0, 0));
  saved[0] ^= 1;
  assert_rv(CKR_SAVED_STATE_INVALID, C_SetOperationState(other, saved, len - 1, 0, 0));
  /* Nothing was hashed yet. */
  assert_ok(C_DigestInit(other, &sha256));
  assert_ok(C_GetOperationState(other, saved, &len));
  assert_ok(C_SetOperationState(h, saved, len, 0, 0));
  assert_ok(C_Digest(h, text, sizeof(text), out, &out_len));
  assert_memory_equal(expected, out, DIGEST_BYTES);
  assert_ok(C_Finalize(NULL));
  assert_ok(C_Initialize(NULL));
  h = rig_open_session(rig_first_slot(), 0);
  assert_rv(CKR_SAVED_STATE_INVALID, C_SetOperationState(h, saved, len, 0, 0));
}

static void test_digest_key(void **state)
{
  (void)state;
  CK_SESSION_HANDLE h = rig_user_session();
  CK_OBJECT_CLASS class = CKO_SECRET_KEY;
  CK_KEY_TYPE generic = CKK_GENERIC_SECRET;
  CK_ATTRIBUTE tmpl[] = { { CKA_CLASS, &class, sizeof(class) },
                          { CKA_KEY_TYPE, &generic, sizeof(generic) },
                          { CKA_VALUE, text, 10 } };
  CK_OBJECT_HANDLE key;
  CK_BYTE expected[DIGEST_BYTES], out[DIGEST_BYTES];
  CK_ULONG len = sizeof(out);
  assert_ok(C_CreateObject(h, tmpl, 3, &key));
  digest(h, expected);
  assert_rv(CKR_OPERATION_NOT_INITIALIZED, C_DigestKey(h, key));
  assert_ok(C_DigestInit(h, &sha256));
  assert_rv(CKR_KEY_HANDLE_INVALID, C_DigestKey(h, key + 1));
  assert_rv(CKR_KEY_INDIGESTIBLE, C_DigestKey(h, rig_ec(h, false).private));
  assert_ok(C_DigestKey(h, key));
  assert_ok(C_DigestUpdate(h, text + 10, sizeof(text) - 10));
  assert_ok(C_DigestFinal(h, out, &len));
  assert_memory_equal(expected, out, DIGEST_BYTES);
}

static void test_cancel(void **state)
{
  (void)state;
  const struct hf_ck_functions_3_2 *list = rig_list();
  CK_SESSION_HANDLE h = rig_user_session();
  struct rig_pair pair = rig_ec(h, false);
  CK_BYTE signature[SIGNATURE_BYTES] = { 0 };
  CK_ULONG len = sizeof(signature);
  assert_ok(C_SignInit(h, &ecdsa, pair.private));
  assert_ok(C_DigestInit(h, &sha256));
  assert_ok(list->base.C_MessageSignInit(h, &ecdsa, pair.private));
  assert_ok(list->C_VerifySignatureInit(h, &ecdsa, pair.public, signature, SIGNATURE_BYTES));
  assert_ok(C_FindObjectsInit(h, NULL, 0));
  assert_ok(list->base.C_SessionCancel(h, CKF_SIGN | CKF_VERIFY | CKF_MESSAGE_SIGN | CKF_FIND_OBJECTS));
  assert_rv(CKR_OPERATION_NOT_INITIALIZED, C_Sign(h, text, 5, signature, &len));
  assert_rv(CKR_OPERATION_NOT_INITIALIZED, list->base.C_MessageSignFinal(h));
  assert_rv(CKR_OPERATION_NOT_INITIALIZED, list->C_VerifySignatureFinal(h));
  assert_rv(CKR_OPERATION_NOT_INITIALIZED, C_FindObjectsFinal(h));
  assert_ok(C_Digest(h, text, 5, signature, &len)); /* was not named */
}

static void test_nothing_asynchronous(void **state)
{
  (void)state;
  const struct hf_ck_functions_3_2 *list = rig_list();
  CK_SESSION_HANDLE h = rig_user_session(), other;
  CK_ULONG id;
  CK_FLAGS flags = 1;
  assert_rv(CKR_SESSION_ASYNC_NOT_SUPPORTED,
            C_OpenSession(rig_first_slot(), CKF_SERIAL_SESSION | CKF_ASYNC_SESSION, NULL, NULL, &other));
  assert_rv(CKR_OPERATION_NOT_INITIALIZED, list->C_AsyncComplete(h, utf8("C_Sign"), NULL));
  assert_rv(CKR_OPERATION_NOT_INITIALIZED, list->C_AsyncGetID(h, utf8("C_Sign"), &id));
  assert_rv(CKR_SAVED_STATE_INVALID, list->C_AsyncJoin(h, utf8("C_Sign"), 1, NULL, 0));
  assert_ok(list->C_GetSessionValidationFlags(h, CKS_LAST_VALIDATION_OK, &flags));
  assert_int_equal(0, flags);
  assert_rv(CKR_ARGUMENTS_BAD, list->C_GetSessionValidationFlags(h, 77, &flags));
}

/* Another process makes a token, or deletes it. */
static void in_child(void (*act)(void))
{
  pid_t child = fork();
  if (child == 0) {
    assert_ok(C_Initialize(NULL));
    act();
    C_Finalize(NULL);
    _exit(0);
  }
  int status;
  assert_int_equal(child, waitpid(child, &status, 0));
  assert_int_equal(0, status);
}

static void make_token(void)
{
  rig_init_token(rig_first_slot());
}

static void *wait_for_slot(void *arg)
{
  CK_SLOT_ID slot;
  *(CK_RV *)arg = C_WaitForSlotEvent(0, &slot, NULL);
  return NULL;
}

static void test_slot_events(void **state)
{
  (void)state;
  CK_SLOT_ID slot;
  CK_TOKEN_INFO info;
  assert_rv(CKR_NO_EVENT, C_WaitForSlotEvent(CKF_DONT_BLOCK, &slot, NULL));
  in_child(make_token);
  assert_ok(C_WaitForSlotEvent(CKF_DONT_BLOCK, &slot, NULL));
  assert_ok(C_GetTokenInfo(slot, &info));
  assert_true(info.flags & CKF_TOKEN_INITIALIZED);
  assert_rv(CKR_NO_EVENT, C_WaitForSlotEvent(CKF_DONT_BLOCK, &slot, NULL));
  pthread_t thread;
  CK_RV rv = CKR_OK;
  assert_int_equal(0, pthread_create(&thread, NULL, wait_for_slot, &rv));
  usleep(20 * 1000);
  assert_ok(C_Finalize(NULL));
  assert_int_equal(0, pthread_join(thread, NULL));
  assert_rv(CKR_CRYPTOKI_NOT_INITIALIZED, rv);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
    RIG_TEST(test_verify_signature),     RIG_TEST(test_signed_messages), RIG_TEST(test_messages_of_a_key_that_asks),
    RIG_TEST(test_digest_states),        RIG_TEST(test_digest_key),      RIG_TEST(test_cancel),
    RIG_TEST(test_nothing_asynchronous), RIG_TEST(test_slot_events),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
