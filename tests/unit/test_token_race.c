/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Threads that sign, while another takes away what they use: the login, the session, the key, the module. Each call is done, or says
 * why not by a code that tells so; what was signed verifies. Under ThreadSanitizer (./dev tsan) this finds what else is wrong.
 */
#include "token_rig.h"

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

enum { SIGNERS = 3, MILLISECONDS = 400, DIGEST_BYTES = 32, SIGNATURE_BYTES = 64 };

static struct {
  _Atomic(CK_SLOT_ID) slot;
  _Atomic(CK_OBJECT_HANDLE) private, public;
  atomic_bool stop;
  atomic_bool handles_change; /* what the two handles mean, while somebody uses them */
  atomic_uint signatures, refusals;
} shared;

static bool may_refuse(CK_RV rv)
{
  static const CK_RV reasons[] = { CKR_CRYPTOKI_NOT_INITIALIZED, CKR_SESSION_HANDLE_INVALID,    CKR_KEY_HANDLE_INVALID,
                                   CKR_OBJECT_HANDLE_INVALID,    CKR_OPERATION_NOT_INITIALIZED, CKR_USER_NOT_LOGGED_IN,
                                   CKR_SLOT_ID_INVALID };
  for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
    if (rv == reasons[i])
      return true;
  return false;
}

/* A thread must not assert by longjmp. */
static bool done(CK_RV rv, const char *what)
{
  if (rv == CKR_OK)
    return true;
  if (!may_refuse(rv) && !((rv == CKR_SIGNATURE_INVALID || rv == CKR_KEY_TYPE_INCONSISTENT) && shared.handles_change)) {
    fprintf(stderr, "%s: 0x%lx: %s\n", what, rv, hf_err_context());
    abort();
  }
  shared.refusals++;
  return false;
}

static bool sign_and_verify(CK_SESSION_HANDLE h)
{
  CK_MECHANISM m = { CKM_ECDSA, NULL, 0 };
  CK_BYTE digest[DIGEST_BYTES] = { 7 }, signature[SIGNATURE_BYTES];
  CK_ULONG len = sizeof(signature);
  if (!done(C_SignInit(h, &m, shared.private), "C_SignInit") ||
      !done(C_Sign(h, digest, sizeof(digest), signature, &len), "C_Sign"))
    return false;
  shared.signatures++;
  return done(C_VerifyInit(h, &m, shared.public), "C_VerifyInit") &&
         done(C_Verify(h, digest, sizeof(digest), signature, len), "C_Verify");
}

static void *signer(void *arg)
{
  (void)arg;
  while (!shared.stop) {
    CK_SESSION_HANDLE h;
    CK_ULONG n;
    CK_OBJECT_HANDLE found[4];
    if (!done(C_OpenSession(shared.slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, &h), "C_OpenSession"))
      continue;
    for (int i = 0; i < 20 && !shared.stop; i++)
      if (!sign_and_verify(h))
        break;
    if (done(C_FindObjectsInit(h, NULL, 0), "C_FindObjectsInit") &&
        done(C_FindObjects(h, found, 4, &n), "C_FindObjects"))
      done(C_FindObjectsFinal(h), "C_FindObjectsFinal");
    done(C_CloseSession(h), "C_CloseSession");
  }
  return NULL;
}

static CK_SESSION_HANDLE user_session(void)
{
  CK_SESSION_HANDLE h = rig_open_session(shared.slot, CKF_RW_SESSION);
  CK_RV rv = rig_login(h, CKU_USER, USER_PIN);
  assert_true(rv == CKR_OK || rv == CKR_USER_ALREADY_LOGGED_IN);
  return h;
}

static void find_keys(CK_SESSION_HANDLE h)
{
  CK_OBJECT_CLASS private = CKO_PRIVATE_KEY, public = CKO_PUBLIC_KEY;
  CK_ATTRIBUTE tmpl = { CKA_CLASS, &private, sizeof(private) };
  CK_OBJECT_HANDLE handle;
  assert_int_equal(1, rig_find(h, &tmpl, 1, &handle));
  shared.private = handle;
  tmpl.pValue = &public;
  assert_int_equal(1, rig_find(h, &tmpl, 1, &handle));
  shared.public = handle;
}

/* disturb is called over and over while others sign. */
static void race(void (*disturb)(CK_SESSION_HANDLE *h), bool refused)
{
  pthread_t threads[SIGNERS];
  struct timespec begin, now;
  CK_SESSION_HANDLE h = rig_user_session();
  shared.slot = rig_first_slot();
  rig_ec(h, true);
  find_keys(h);
  shared.stop = false;
  shared.signatures = shared.refusals = 0;
  for (int i = 0; i < SIGNERS; i++)
    assert_int_equal(0, pthread_create(&threads[i], NULL, signer, NULL));
  clock_gettime(CLOCK_MONOTONIC, &begin);
  do {
    disturb(&h);
    clock_gettime(CLOCK_MONOTONIC, &now);
  } while ((now.tv_sec - begin.tv_sec) * 1000 + (now.tv_nsec - begin.tv_nsec) / 1000000 < MILLISECONDS);
  shared.stop = true;
  for (int i = 0; i < SIGNERS; i++)
    pthread_join(threads[i], NULL);
  assert_true(shared.signatures > 0);
  assert_int_equal(refused, shared.refusals > 0);
  /* And all is as good as before. */
  h = user_session();
  find_keys(h);
  assert_true(sign_and_verify(h));
}

static void pause_for(long microseconds)
{
  nanosleep(&(struct timespec){ .tv_nsec = microseconds * 1000 }, NULL);
}

static void log_out_and_in(CK_SESSION_HANDLE *h)
{
  pause_for(2000);
  assert_ok(C_Logout(*h));
  assert_ok(rig_login(*h, CKU_USER, USER_PIN));
  find_keys(*h);
}

static void test_logout(void **state)
{
  (void)state;
  race(log_out_and_in, true);
}

static void close_all(CK_SESSION_HANDLE *h)
{
  pause_for(2000);
  assert_ok(C_CloseAllSessions(shared.slot));
  *h = user_session();
  find_keys(*h);
}

static void test_close_all(void **state)
{
  (void)state;
  race(close_all, true);
}

static void destroy_and_make(CK_SESSION_HANDLE *h)
{
  pause_for(2000);
  assert_ok(C_DestroyObject(*h, shared.private));
  assert_ok(C_DestroyObject(*h, shared.public));
  struct rig_pair pair = rig_ec(*h, true);
  shared.private = pair.private;
  shared.public = pair.public;
}

/* For a moment the two handles are of different pairs. */
static void test_destroy(void **state)
{
  (void)state;
  shared.handles_change = true;
  race(destroy_and_make, true);
  shared.handles_change = false;
}

static void change_other(CK_SESSION_HANDLE *h)
{
  CK_ATTRIBUTE label = { CKA_LABEL, utf8("another label"), 13 };
  CK_OBJECT_HANDLE object = rig_data(*h, "an object", true, true);
  assert_ok(C_SetAttributeValue(*h, object, &label, 1));
  assert_ok(C_DestroyObject(*h, object));
}

/* What happens to other objects, the key does not feel. */
static void test_other_objects(void **state)
{
  (void)state;
  race(change_other, false);
}

static void finalize(CK_SESSION_HANDLE *h)
{
  pause_for(5000);
  assert_ok(C_Finalize(NULL));
  assert_ok(C_Initialize(NULL));
  shared.slot = rig_first_slot();
  *h = user_session();
  find_keys(*h);
}

/* Handles of before may be others' now. */
static void test_finalize(void **state)
{
  (void)state;
  shared.handles_change = true;
  race(finalize, true);
  shared.handles_change = false;
}

static void *initialize(void *arg)
{
  *(CK_RV *)arg = C_Initialize(NULL);
  return NULL;
}

/* Of several that call C_Initialize at once one is the first, and the others are told. */
static void test_initialize_at_once(void **state)
{
  (void)state;
  for (int round = 0; round < 20; round++) {
    pthread_t threads[SIGNERS];
    CK_RV rvs[SIGNERS];
    int firsts = 0;
    assert_ok(C_Finalize(NULL));
    for (int i = 0; i < SIGNERS; i++)
      assert_int_equal(0, pthread_create(&threads[i], NULL, initialize, &rvs[i]));
    for (int i = 0; i < SIGNERS; i++) {
      pthread_join(threads[i], NULL);
      assert_true(rvs[i] == CKR_OK || rvs[i] == CKR_CRYPTOKI_ALREADY_INITIALIZED);
      firsts += rvs[i] == CKR_OK;
    }
    assert_int_equal(1, firsts);
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
    RIG_TEST(test_logout),        RIG_TEST(test_close_all), RIG_TEST(test_destroy),
    RIG_TEST(test_other_objects), RIG_TEST(test_finalize),  RIG_TEST(test_initialize_at_once),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
