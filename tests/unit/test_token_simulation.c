/* SPDX-License-Identifier: Apache-2.0 */
/* A simulated token, seen through PKCS #11: what it refuses, how it fails, and how it is switched. */
#include "simulation_rig.h"

#include "base/cleanup.h"
#include "token/simulation/simulation.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

static CK_SESSION_HANDLE user_session(CK_SLOT_ID slot)
{
  CK_SESSION_HANDLE h = rig_open_session(slot, CKF_RW_SESSION);
  assert_ok(rig_login(h, CKU_USER, USER_PIN));
  return h;
}

/* A token without a simulation, with a P-256 key; then the module anew. */
static CK_SESSION_HANDLE simulated(const char *lines, CK_SLOT_ID *ret_slot, CK_OBJECT_HANDLE *ret_key)
{
  CK_SESSION_HANDLE h = rig_user_session();
  CK_OBJECT_CLASS class = CKO_PRIVATE_KEY;
  CK_ATTRIBUTE private = { CKA_CLASS, &class, sizeof(class) };
  rig_ec(h, true);
  restart(lines);
  *ret_slot = rig_first_slot();
  h = user_session(*ret_slot);
  assert_int_equal(1, rig_find(h, &private, 1, ret_key));
  return h;
}

static void do_switch(CK_SLOT_ID slot, CK_ULONG what, const char *text)
{
  assert_ok(extension()->simulation_switch(slot, what, text));
}

static CK_ULONG slots_present(void)
{
  CK_ULONG count;
  assert_ok(C_GetSlotList(CK_TRUE, NULL, &count));
  return count;
}

static void test_nothing_configured(void **state)
{
  (void)state;
  char path[PATH_MAX], dir[PATH_MAX - 16];
  struct holdfast_simulation simulation;
  CK_SESSION_HANDLE h = rig_user_session();
  CK_SLOT_ID slot = rig_first_slot();
  struct rig_pair pair = rig_ec(h, true);
  assert_ok(sign(h, pair.private));
  /* No hook is entered, no file is made, and nobody can switch. */
  assert_false(simulation_on);
  rig_token_dir(dir, sizeof(dir));
  snprintf(path, sizeof(path), "%s/simulation", dir);
  assert_int_equal(-1, access(path, F_OK));
  assert_rv(CKR_FUNCTION_NOT_SUPPORTED, extension()->simulation_state(slot, &simulation));
  assert_rv(CKR_FUNCTION_NOT_SUPPORTED, extension()->simulation_switch(slot, HOLDFAST_UNPLUG, NULL));
  assert_rv(CKR_FUNCTION_NOT_SUPPORTED, extension()->simulation_switch(slot, HOLDFAST_FAULT, "hang"));
  restart("simulation.enabled = false\nsimulation.faults = device-error");
  assert_false(simulation_on);
}

static void test_answers(void **state)
{
  (void)state;
  CK_SLOT_ID slot;
  CK_OBJECT_HANDLE key;
  CK_SESSION_HANDLE h = simulated("simulation.faults = C_Sign every=3 device-error\n"
                                  "simulation.faults = C_Sign nth=4 CKR_FUNCTION_FAILED",
                                  &slot, &key);
  assert_ok(sign(h, key));
  assert_ok(sign(h, key));
  assert_rv(CKR_DEVICE_ERROR, sign(h, key));
  /* The operation has ended, as by any failure. A size query is no work for a device, and counts for no call. */
  CK_BYTE signature[64];
  CK_ULONG len = sizeof(signature);
  CK_MECHANISM m = { CKM_ECDSA, NULL, 0 };
  assert_ok(C_SignInit(h, &m, key));
  assert_ok(C_Sign(h, utf8("x"), 1, NULL, &len));
  assert_rv(CKR_FUNCTION_FAILED, C_Sign(h, utf8("x"), 1, signature, &len));
  assert_ok(sign(h, key));
  char text[1024], hint[256];
  assert_rv(CKR_DEVICE_ERROR, sign(h, key)); /* the sixth */
  extension()->last_error(text, sizeof(text), hint, sizeof(hint));
  assert_contains(text, "simulated: C_Sign every=3 device-error");
}

static void *unplug_soon(void *arg)
{
  nanosleep(&(struct timespec){ .tv_nsec = 50000000 }, NULL);
  do_switch(*(CK_SLOT_ID *)arg, HOLDFAST_UNPLUG, NULL);
  return NULL;
}

static void test_unplugged_as_it_works(void **state)
{
  (void)state;
  CK_SLOT_ID slot;
  CK_OBJECT_HANDLE key;
  pthread_t thread;
  CK_SESSION_HANDLE h = simulated("simulation.latency = C_Sign=200ms", &slot, &key);
  assert_int_equal(0, pthread_create(&thread, NULL, unplug_soon, &slot));
  assert_rv(CKR_DEVICE_REMOVED, sign(h, key));
  pthread_join(thread, NULL);
}

static void test_unplugged(void **state)
{
  (void)state;
  CK_SLOT_ID slot;
  CK_OBJECT_HANDLE key;
  CK_SESSION_HANDLE h = simulated("simulation.enabled = true", &slot, &key), other = rig_open_session(slot, 0);
  CK_SLOT_INFO slot_info;
  CK_TOKEN_INFO token_info;
  CK_SESSION_INFO session_info;
  assert_int_equal(2, slots_present());
  do_switch(slot, HOLDFAST_UNPLUG, NULL);
  assert_int_equal(1, slots_present());
  assert_ok(C_GetSlotInfo(slot, &slot_info));
  assert_false(slot_info.flags & CKF_TOKEN_PRESENT);
  assert_rv(CKR_TOKEN_NOT_PRESENT, C_GetTokenInfo(slot, &token_info));
  assert_rv(CKR_TOKEN_NOT_PRESENT, C_OpenSession(slot, CKF_SERIAL_SESSION, NULL, NULL, &other));
  do_switch(slot, HOLDFAST_PLUG, NULL);
  assert_int_equal(2, slots_present());
  assert_ok(C_GetTokenInfo(slot, &token_info));
  /* The sessions are gone, and the login with them. */
  assert_rv(CKR_SESSION_HANDLE_INVALID, C_GetSessionInfo(h, &session_info));
  h = rig_open_session(slot, CKF_RW_SESSION);
  assert_rv(CKR_KEY_HANDLE_INVALID, sign(h, key));
  assert_ok(rig_login(h, CKU_USER, USER_PIN));
  /* A call finds out by itself; unplugged and plugged in again unseen, too. */
  do_switch(slot, HOLDFAST_UNPLUG, NULL);
  assert_rv(CKR_DEVICE_REMOVED, C_GetSessionInfo(h, &session_info));
  assert_rv(CKR_SESSION_HANDLE_INVALID, C_GetSessionInfo(h, &session_info));
  do_switch(slot, HOLDFAST_PLUG, NULL);
  h = rig_open_session(slot, 0);
  do_switch(slot, HOLDFAST_UNPLUG, NULL);
  do_switch(slot, HOLDFAST_PLUG, NULL);
  assert_rv(CKR_SESSION_HANDLE_INVALID, C_GetSessionInfo(h, &session_info));
  do_switch(slot, HOLDFAST_UNPLUG, "20ms");
  assert_rv(CKR_TOKEN_NOT_PRESENT, C_OpenSession(slot, CKF_SERIAL_SESSION, NULL, NULL, &h));
  nanosleep(&(struct timespec){ .tv_nsec = 25000000 }, NULL);
  rig_open_session(slot, 0);
}

static void test_planned_unplug(void **state)
{
  (void)state;
  CK_SLOT_ID slot;
  CK_OBJECT_HANDLE key;
  CK_SESSION_HANDLE h = simulated("simulation.faults = C_Sign nth=2 unplug", &slot, &key);
  assert_ok(sign(h, key));
  assert_rv(CKR_DEVICE_REMOVED, sign(h, key));
  assert_int_equal(1, slots_present());
  do_switch(slot, HOLDFAST_PLUG, NULL);
  h = user_session(slot);
}

static void test_lost_sessions(void **state)
{
  (void)state;
  CK_SLOT_ID slot;
  CK_OBJECT_HANDLE key;
  CK_SESSION_HANDLE h = simulated("simulation.enabled = true", &slot, &key), other = rig_open_session(slot, 0);
  do_switch(slot, HOLDFAST_FAULT, "C_Sign session-lost times=1");
  assert_rv(CKR_SESSION_HANDLE_INVALID, sign(h, key));
  assert_rv(CKR_SESSION_HANDLE_INVALID, C_CloseSession(h));
  assert_ok(sign(other, key));
  do_switch(slot, HOLDFAST_FAULT, "C_SignInit logged-out times=1");
  assert_rv(CKR_KEY_HANDLE_INVALID, sign(other, key));
  assert_ok(rig_login(other, CKU_USER, USER_PIN));
}

static double seconds(void)
{
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void test_slow(void **state)
{
  (void)state;
  CK_SLOT_ID slot;
  CK_OBJECT_HANDLE key;
  CK_SESSION_HANDLE h =
      simulated("simulation.latency = C_Sign/P-256=30ms\nsimulation.faults = C_Sign nth=2 slow=40ms", &slot, &key);
  double start = seconds();
  assert_ok(sign(h, key));
  assert_true(seconds() - start >= 0.03);
  start = seconds();
  assert_ok(sign(h, key));
  assert_true(seconds() - start >= 0.07);
}

static void *sign_in_thread(void *arg)
{
  const CK_ULONG *what = arg;
  return (void *)(uintptr_t)sign(what[0], what[1]);
}

static CK_RV join(pthread_t thread)
{
  void *rv;
  assert_int_equal(0, pthread_join(thread, &rv));
  return (CK_RV)(uintptr_t)rv;
}

static void test_hang(void **state)
{
  (void)state;
  CK_SLOT_ID slot;
  CK_OBJECT_HANDLE key;
  struct holdfast_fault fault;
  CK_SESSION_HANDLE h = simulated("simulation.enabled = true", &slot, &key);
  CK_ULONG what[] = { h, key };
  pthread_t thread;
  struct {
    CK_ULONG what;
    CK_RV expected;
  } cases[] = { { HOLDFAST_FAULTS_OFF, CKR_OK }, { HOLDFAST_UNPLUG, CKR_DEVICE_REMOVED } };
  for (size_t i = 0; i < HF_ARRAY_LEN(cases); i++) {
    do_switch(slot, HOLDFAST_FAULT, "C_Sign hang");
    assert_int_equal(0, pthread_create(&thread, NULL, sign_in_thread, what));
    do
      assert_ok(extension()->simulation_fault(slot, 0, &fault));
    while (fault.strikes == 0);
    /* Others go on, and may even change the plan. */
    rig_open_session(slot, 0);
    do_switch(slot, HOLDFAST_FAULT, "C_Login pin-locked");
    do_switch(slot, cases[i].what, NULL);
    assert_rv(cases[i].expected, join(thread));
  }
}

static void test_hang_ends_at_finalize(void **state)
{
  (void)state;
  CK_SLOT_ID slot;
  CK_OBJECT_HANDLE key;
  struct holdfast_fault fault;
  CK_SESSION_HANDLE h = simulated("simulation.faults = C_Sign hang", &slot, &key);
  CK_ULONG what[] = { h, key };
  pthread_t thread;
  assert_int_equal(0, pthread_create(&thread, NULL, sign_in_thread, what));
  do
    assert_ok(extension()->simulation_fault(slot, 0, &fault));
  while (fault.strikes == 0);
  assert_true(fault.configured);
  assert_ok(C_Finalize(NULL));
  assert_rv(CKR_FUNCTION_CANCELED, join(thread));
}

static void test_corrupt(void **state)
{
  (void)state;
  CK_SLOT_ID slot;
  CK_OBJECT_HANDLE key, public = 0;
  CK_SESSION_HANDLE h = simulated("simulation.faults = corrupt every=2", &slot, &key);
  CK_OBJECT_CLASS class = CKO_PUBLIC_KEY;
  CK_ATTRIBUTE tmpl = { CKA_CLASS, &class, sizeof(class) };
  CK_BYTE hash[32] = { 1 }, signature[64];
  CK_MECHANISM m = { CKM_ECDSA, NULL, 0 };
  assert_int_equal(1, rig_find(h, &tmpl, 1, &public));
  for (int i = 1; i <= 4; i++) {
    CK_ULONG len = sizeof(signature);
    assert_ok(C_SignInit(h, &m, key));
    assert_ok(C_Sign(h, hash, sizeof(hash), signature, &len));
    assert_ok(C_VerifyInit(h, &m, public));
    assert_rv(i % 2 ? CKR_OK : CKR_SIGNATURE_INVALID, C_Verify(h, hash, sizeof(hash), signature, len));
  }
}

/* A function that is only in the tables of v3.0. */
static void test_newer_functions(void **state)
{
  (void)state;
  CK_SLOT_ID slot;
  CK_OBJECT_HANDLE key;
  struct hf_ck_interface *interface;
  CK_SESSION_HANDLE h = simulated("simulation.faults = C_LoginUser device-error", &slot, &key);
  assert_ok(C_GetInterface(utf8("PKCS 11"), &(CK_VERSION){ 3, 0 }, &interface, 0));
  const struct hf_ck_functions_3_0 *functions = interface->function_list;
  assert_rv(CKR_DEVICE_ERROR, functions->C_LoginUser(h, CKU_USER, utf8(USER_PIN), strlen(USER_PIN), NULL, 0));
}

static void test_switching(void **state)
{
  (void)state;
  CK_SLOT_ID slot;
  CK_OBJECT_HANDLE key;
  struct holdfast_simulation simulation;
  struct holdfast_fault fault;
  CK_SESSION_HANDLE h = simulated(
      "simulation.profile = optee\nsimulation.latency = off\nsimulation.faults = C_Login nth=9 hang", &slot, &key);
  do_switch(slot, HOLDFAST_FAULT, "C_Sign nth=2 device-error");
  assert_ok(sign(h, key));
  /* What is added does not start the others anew. */
  do_switch(slot, HOLDFAST_FAULT, "C_Sign nth=5 device-error");
  assert_rv(CKR_DEVICE_ERROR, sign(h, key));
  assert_ok(extension()->simulation_state(slot, &simulation));
  assert_string_equal("rig", simulation.label);
  assert_string_equal("optee", simulation.profile);
  assert_false(simulation.unplugged);
  assert_int_equal(3, simulation.fault_count);
  assert_ok(extension()->simulation_fault(slot, 0, &fault));
  assert_true(fault.configured);
  assert_ok(extension()->simulation_fault(slot, 1, &fault));
  assert_string_equal("C_Sign nth=2 device-error", fault.text);
  assert_int_equal(2, fault.calls);
  assert_int_equal(1, fault.strikes);
  assert_rv(CKR_ARGUMENTS_BAD, extension()->simulation_fault(slot, 3, &fault));
  assert_rv(CKR_ARGUMENTS_BAD, extension()->simulation_switch(slot, HOLDFAST_FAULT, "C_Sgin hang"));
  assert_rv(CKR_ARGUMENTS_BAD, extension()->simulation_switch(slot, HOLDFAST_FAULT, ""));
  assert_rv(CKR_ARGUMENTS_BAD, extension()->simulation_switch(slot, HOLDFAST_FAULT, NULL));
  assert_rv(CKR_ARGUMENTS_BAD, extension()->simulation_switch(slot, HOLDFAST_UNPLUG, "soon"));
  assert_rv(CKR_ARGUMENTS_BAD, extension()->simulation_switch(slot, 99, NULL));
  assert_rv(CKR_SLOT_ID_INVALID, extension()->simulation_switch(12345, HOLDFAST_PLUG, NULL));
  do_switch(slot, HOLDFAST_FAULTS_OFF, NULL);
  assert_ok(extension()->simulation_state(slot, &simulation));
  assert_int_equal(1, simulation.fault_count);
}

static CK_RV in_other_process(CK_RV (*body)(void))
{
  int status;
  pid_t child = fork();
  if (child == 0)
    _exit(C_Initialize(NULL) == CKR_OK ? (int)body() : 255);
  assert_int_equal(child, waitpid(child, &status, 0));
  return (CK_RV)WEXITSTATUS(status);
}

static CK_RV unplug_there(void)
{
  return extension()->simulation_switch(rig_first_slot(), HOLDFAST_UNPLUG, NULL);
}

static CK_RV find_and_plug_there(void)
{
  CK_SLOT_ID slots[8];
  CK_ULONG count = 8;
  assert_ok(C_GetSlotList(CK_FALSE, slots, &count));
  return extension()->simulation_switch(slots[0], HOLDFAST_PLUG, NULL);
}

static CK_RV add_fault_there(void)
{
  return extension()->simulation_switch(rig_first_slot(), HOLDFAST_FAULT, "C_GenerateRandom nth=2 device-error");
}

static CK_RV random_there(void)
{
  CK_BYTE byte;
  return C_GenerateRandom(rig_open_session(rig_first_slot(), 0), &byte, 1);
}

static void test_other_processes(void **state)
{
  (void)state;
  CK_SLOT_ID slot;
  CK_OBJECT_HANDLE key;
  CK_BYTE byte;
  CK_SESSION_HANDLE h = simulated("simulation.enabled = true", &slot, &key);
  assert_ok(in_other_process(unplug_there));
  assert_rv(CKR_DEVICE_REMOVED, sign(h, key));
  assert_ok(in_other_process(find_and_plug_there));
  h = user_session(slot);
  assert_ok(in_other_process(add_fault_there));
  /* The second call fails, wherever the first one was. */
  assert_ok(in_other_process(random_there));
  assert_rv(CKR_DEVICE_ERROR, C_GenerateRandom(h, &byte, 1));
  assert_ok(C_GenerateRandom(h, &byte, 1));
}

/* Two threads, or two processes, at a device that does one thing at a time. */
static CK_RV random_five_times(void)
{
  CK_BYTE byte;
  CK_SESSION_HANDLE h = rig_open_session(rig_first_slot(), 0);
  for (int i = 0; i < 5; i++)
    assert_ok(C_GenerateRandom(h, &byte, 1));
  return CKR_OK;
}

static void *run_there(void *arg)
{
  (void)arg;
  return (void *)(uintptr_t)random_five_times();
}

static void test_queue(void **state)
{
  (void)state;
  char profile[PATH_MAX + 16], conf[PATH_MAX + 64];
  rig_init_token(rig_first_slot());
  snprintf(profile, sizeof(profile), "%s/mine", rig_dir);
  FILE *f = fopen(profile, "w");
  fputs("queue = yes\nlatency = C_GenerateRandom=10ms\n", f);
  fclose(f);
  snprintf(conf, sizeof(conf), "simulation.profile = %s", profile);
  restart(conf);
  pthread_t thread;
  double start = seconds();
  pid_t child = fork();
  if (child == 0)
    _exit(C_Initialize(NULL) == CKR_OK ? (int)random_five_times() : 255);
  assert_int_equal(0, pthread_create(&thread, NULL, run_there, NULL));
  assert_ok(random_five_times());
  assert_ok(join(thread));
  int status;
  assert_int_equal(child, waitpid(child, &status, 0));
  assert_int_equal(0, status);
  assert_true(seconds() - start >= 0.15);
}

static void test_bad_board(void **state)
{
  (void)state;
  char path[PATH_MAX], dir[PATH_MAX - 16];
  CK_TOKEN_INFO info;
  rig_init_token(rig_first_slot());
  rig_token_dir(dir, sizeof(dir));
  snprintf(path, sizeof(path), "%s/simulation", dir);
  FILE *f = fopen(path, "w");
  fputs("not ours", f);
  fclose(f);
  restart("simulation.enabled = true");
  assert_rv(CKR_DEVICE_ERROR, C_GetTokenInfo(rig_first_slot(), &info));
  assert_int_equal(0, unlink(path));
  assert_ok(C_GetTokenInfo(rig_first_slot(), &info));
  /* Full of nonsense, but of the form: no fault can be read, and none strikes. */
  int fd = open(path, O_RDWR);
  struct stat st;
  CK_BYTE junk[64];
  memset(junk, 0xff, sizeof(junk));
  assert_int_equal(0, fstat(fd, &st));
  for (off_t at = 64; at < st.st_size; at += (off_t)sizeof(junk))
    assert_true(pwrite(fd, junk, st.st_size - at < (off_t)sizeof(junk) ? (size_t)(st.st_size - at) : sizeof(junk), at) >
                0);
  close(fd);
  restart("simulation.enabled = true");
  assert_ok(C_GetTokenInfo(rig_first_slot(), &info));
  struct holdfast_simulation simulation;
  assert_ok(extension()->simulation_state(rig_first_slot(), &simulation));
  do_switch(rig_first_slot(), HOLDFAST_FAULTS_OFF, NULL);
  assert_rv(CKR_OK, random_there());
}

static void test_bad_configuration(void **state)
{
  (void)state;
  char text[1024], hint[256];
  C_Finalize(NULL);
  rig_write_conf("simulation.faults = C_Sign nth=7 hnag");
  assert_rv(CKR_GENERAL_ERROR, C_Initialize(NULL));
  extension()->last_error(text, sizeof(text), hint, sizeof(hint));
  assert_contains(text, "line 4: simulation.faults: \"hnag\" (expected a function, a condition");
}

static void test_events(void **state)
{
  (void)state;
  CK_SLOT_ID slot, told = 0;
  CK_OBJECT_HANDLE key;
  simulated("simulation.profile = tpm2", &slot, &key);
  assert_rv(CKR_NO_EVENT, C_WaitForSlotEvent(CKF_DONT_BLOCK, &told, NULL));
  for (int i = 0; i < 2; i++) {
    do_switch(slot, i ? HOLDFAST_PLUG : HOLDFAST_UNPLUG, NULL);
    assert_ok(C_WaitForSlotEvent(CKF_DONT_BLOCK, &told, NULL));
    assert_int_equal(slot, told);
    assert_rv(CKR_NO_EVENT, C_WaitForSlotEvent(CKF_DONT_BLOCK, &told, NULL));
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
    RIG_TEST(test_events),
    RIG_TEST(test_nothing_configured),
    RIG_TEST(test_answers),
    RIG_TEST(test_unplugged),
    RIG_TEST(test_unplugged_as_it_works),
    RIG_TEST(test_planned_unplug),
    RIG_TEST(test_lost_sessions),
    RIG_TEST(test_slow),
    RIG_TEST(test_hang),
    RIG_TEST(test_hang_ends_at_finalize),
    RIG_TEST(test_corrupt),
    RIG_TEST(test_newer_functions),
    RIG_TEST(test_switching),
    RIG_TEST(test_other_processes),
    RIG_TEST(test_queue),
    RIG_TEST(test_bad_board),
    RIG_TEST(test_bad_configuration),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
