/* SPDX-License-Identifier: Apache-2.0 */
/* Threads that change a token at once, share its syncs, and are killed as they do. */
#include "token_rig.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/wait.h>

enum { WRITERS = 6, CHANGES = 40, KILLS = 25 };

struct writer {
  CK_SLOT_ID slot;
  int number;
  int acknowledged; /* a pipe's end: the labels of what is there for sure */
};

static void *create_forever(void *arg)
{
  struct writer *w = arg;
  CK_SESSION_HANDLE h = rig_open_session(w->slot, CKF_RW_SESSION);
  for (unsigned i = 0;; i++) {
    char label[24] = "";
    snprintf(label, sizeof(label), "%d-%d-%u", getpid(), w->number, i);
    rig_data(h, label, true, true);
    if (write(w->acknowledged, label, sizeof(label)) != sizeof(label))
      return NULL;
  }
}

static void work_until_killed(int acknowledged)
{
  pthread_t threads[WRITERS];
  struct writer writers[WRITERS];
  assert_ok(C_Initialize(NULL));
  CK_SLOT_ID slot = rig_first_slot();
  CK_SESSION_HANDLE h = rig_open_session(slot, CKF_RW_SESSION);
  assert_ok(rig_login(h, CKU_USER, USER_PIN));
  for (int i = 0; i < WRITERS; i++) {
    writers[i] = (struct writer){ slot, i, acknowledged };
    pthread_create(&threads[i], NULL, create_forever, &writers[i]);
  }
  pause();
}

/* Everything that was acknowledged is there, once; what was not is there or is not. */
static unsigned check_acknowledged(int from)
{
  char label[24];
  unsigned count = 0;
  assert_ok(C_Initialize(NULL));
  CK_SESSION_HANDLE h = rig_open_session(rig_first_slot(), CKF_RW_SESSION);
  assert_ok(rig_login(h, CKU_USER, USER_PIN));
  for (; read(from, label, sizeof(label)) == sizeof(label); count++)
    assert_int_equal(1, rig_find_label(h, label, NULL));
  assert_ok(C_Finalize(NULL));
  return count;
}

static void test_killed(void **state)
{
  (void)state;
  unsigned checked = 0;
  rig_user_session();
  assert_ok(C_Finalize(NULL));
  for (int i = 0; i < KILLS; i++) {
    int ends[2];
    char first[24];
    assert_int_equal(0, pipe(ends));
    pid_t child = fork();
    if (child == 0) {
      close(ends[0]);
      work_until_killed(ends[1]);
      _exit(1);
    }
    close(ends[1]);
    assert_int_equal(sizeof(first), read(ends[0], first, sizeof(first)));
    usleep((useconds_t)(random() % 20000));
    kill(child, SIGKILL);
    assert_int_equal(child, waitpid(child, NULL, 0));
    checked += check_acknowledged(ends[0]);
    close(ends[0]);
  }
  assert_true(checked > KILLS);
}

static CK_OBJECT_HANDLE shared;
static atomic_int destroyed;

static CK_RV set_label(CK_SESSION_HANDLE h, CK_OBJECT_HANDLE object, const char *label)
{
  CK_ATTRIBUTE tmpl = { CKA_LABEL, utf8(label), strlen(label) };
  return C_SetAttributeValue(h, object, &tmpl, 1);
}

static void *rename_shared(void *arg)
{
  struct writer *w = arg;
  CK_SESSION_HANDLE h = rig_open_session(w->slot, CKF_RW_SESSION);
  for (int i = 0; i < CHANGES; i++) {
    char label[24];
    snprintf(label, sizeof(label), "%d-%d", w->number, i);
    assert_ok(set_label(h, shared, label));
  }
  return NULL;
}

static void in_threads(CK_SLOT_ID slot, void *(*what)(void *))
{
  pthread_t threads[WRITERS];
  struct writer writers[WRITERS];
  for (int i = 0; i < WRITERS; i++) {
    writers[i] = (struct writer){ slot, i, -1 };
    pthread_create(&threads[i], NULL, what, &writers[i]);
  }
  for (int i = 0; i < WRITERS; i++)
    pthread_join(threads[i], NULL);
}

/* Of many renamings the last one holds, and the index knows no other: a label that was left in it would be found again. */
static void test_renamed(void **state)
{
  (void)state;
  CK_SESSION_HANDLE h = rig_user_session();
  CK_SLOT_ID slot = rig_first_slot();
  shared = rig_data(h, "first", true, true);
  in_threads(slot, rename_shared);
  CK_BYTE label[24];
  CK_ATTRIBUTE tmpl = { CKA_LABEL, label, sizeof(label) };
  assert_ok(C_GetAttributeValue(h, shared, &tmpl, 1));
  assert_int_equal(1, rig_find(h, &tmpl, 1, NULL));
  assert_ok(set_label(h, shared, "last"));
  assert_int_equal(0, rig_find(h, &tmpl, 1, NULL));
  assert_int_equal(1, rig_find_label(h, "last", NULL));
  assert_ok(C_DestroyObject(h, shared));
  assert_int_equal(0, rig_find(h, NULL, 0, NULL));
}

static void *destroy_shared(void *arg)
{
  struct writer *w = arg;
  CK_SESSION_HANDLE h = rig_open_session(w->slot, CKF_RW_SESSION);
  CK_RV rv = C_DestroyObject(h, shared);
  assert_true(rv == CKR_OK || rv == CKR_OBJECT_HANDLE_INVALID);
  destroyed += rv == CKR_OK;
  return NULL;
}

static void test_destroyed_once(void **state)
{
  (void)state;
  CK_SESSION_HANDLE h = rig_user_session();
  CK_SLOT_ID slot = rig_first_slot();
  for (int i = 0; i < CHANGES; i++) {
    shared = rig_data(h, "shared", true, true);
    destroyed = 0;
    in_threads(slot, destroy_shared);
    assert_int_equal(1, destroyed);
  }
}

static void *create_until_logout(void *arg)
{
  struct writer *w = arg;
  CK_OBJECT_CLASS class = CKO_DATA;
  CK_BBOOL yes = CK_TRUE;
  CK_OBJECT_HANDLE object;
  CK_RV rv = CKR_OK;
  CK_ATTRIBUTE tmpl[] = { { CKA_CLASS, &class, sizeof(class) }, { CKA_TOKEN, &yes, 1 }, { CKA_PRIVATE, &yes, 1 } };
  CK_SESSION_HANDLE h = rig_open_session(w->slot, CKF_RW_SESSION);
  while (rv == CKR_OK)
    rv = C_CreateObject(h, tmpl, 3, &object);
  assert_rv(CKR_USER_NOT_LOGGED_IN, rv);
  return NULL;
}

/* A logout takes the keys from under nobody who writes; what was written before it opens after the next login. */
static void test_logout_meanwhile(void **state)
{
  (void)state;
  CK_SESSION_HANDLE h = rig_user_session();
  CK_SLOT_ID slot = rig_first_slot();
  pthread_t threads[WRITERS];
  struct writer writers[WRITERS];
  for (int round = 0; round < 10; round++) {
    for (int i = 0; i < WRITERS; i++) {
      writers[i] = (struct writer){ slot, i, -1 };
      pthread_create(&threads[i], NULL, create_until_logout, &writers[i]);
    }
    usleep(3000);
    assert_ok(C_Logout(h));
    for (int i = 0; i < WRITERS; i++)
      pthread_join(threads[i], NULL);
    assert_ok(rig_login(h, CKU_USER, USER_PIN));
  }
  CK_OBJECT_HANDLE found[64];
  CK_ULONG n;
  assert_ok(C_FindObjectsInit(h, NULL, 0));
  do {
    assert_ok(C_FindObjects(h, found, 64, &n));
    for (CK_ULONG i = 0; i < n; i++)
      assert_ok(C_DestroyObject(h, found[i]));
  } while (n);
  assert_ok(C_FindObjectsFinal(h));
}

int main(void)
{
  const struct CMUnitTest tests[] = {
    RIG_TEST(test_killed),
    RIG_TEST(test_renamed),
    RIG_TEST(test_destroyed_once),
    RIG_TEST(test_logout_meanwhile),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
