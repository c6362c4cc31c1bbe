/* SPDX-License-Identifier: Apache-2.0 */
/* PINs: who may try how often, by whatever process, and what a wrap of the master key costs. */
#include "token_rig.h"

#include "token/store/header.h"

#include <signal.h>
#include <sys/wait.h>

enum { GUESSERS = 8, GUESSES = 3, TRIES = 5, VISITORS = 12 };

static const CK_FLAGS user_flags = CKF_USER_PIN_COUNT_LOW | CKF_USER_PIN_FINAL_TRY | CKF_USER_PIN_LOCKED;
static const CK_FLAGS so_flags = CKF_SO_PIN_COUNT_LOW | CKF_SO_PIN_FINAL_TRY | CKF_SO_PIN_LOCKED;

static CK_FLAGS flags_of(CK_SLOT_ID slot, CK_FLAGS mask)
{
  CK_TOKEN_INFO info;
  assert_ok(C_GetTokenInfo(slot, &info));
  return info.flags & mask;
}

/* The module anew, by these lines of configuration. */
static void restart(const char *conf)
{
  assert_ok(C_Finalize(NULL));
  rig_write_conf(conf);
  assert_ok(C_Initialize(NULL));
}

/* A token made under these lines, and a session on it. */
static CK_SESSION_HANDLE begin(const char *conf)
{
  restart(conf);
  CK_SLOT_ID slot = rig_first_slot();
  rig_init_token(slot);
  return rig_open_session(slot, CKF_RW_SESSION);
}

static void read_header(struct header *header)
{
  char dir[PATH_MAX];
  struct store *store;
  struct store_txn *txn;
  rig_token_dir(dir, sizeof(dir));
  assert_hf_ok(store_open(&token_store_kind, dir, &store));
  assert_hf_ok(store_read_begin(store, &txn));
  assert_hf_ok(header_read(txn, header));
  store_read_end(txn);
  store_close(store);
}

/* The header as it lies in the store. By a child, for one process opens a store once. */
static struct header stored_header(void)
{
  int ends[2];
  struct header header;
  assert_int_equal(0, pipe(ends));
  pid_t child = fork();
  if (child == 0) {
    assert_hf_ok(crypto_start());
    read_header(&header);
    _exit(write(ends[1], &header, sizeof(header)) == sizeof(header) ? 0 : 1);
  }
  close(ends[1]);
  assert_int_equal(sizeof(header), read(ends[0], &header, sizeof(header)));
  close(ends[0]);
  assert_int_equal(child, waitpid(child, NULL, 0));
  return header;
}

/* A process of its own, that starts with the others once go is closed, and answers with a number. */
static pid_t start_child(int go[2], int (*what)(CK_SESSION_HANDLE))
{
  pid_t child = fork();
  if (child != 0)
    return child;
  char byte;
  close(go[1]);
  if (C_Initialize(NULL) != CKR_OK)
    _exit(100);
  CK_SESSION_HANDLE h = rig_open_session(rig_first_slot(), CKF_RW_SESSION);
  _exit(read(go[0], &byte, 1) == 0 ? what(h) : 101);
}

/* Runs it in so many processes at once; yields the sum of their answers. */
static int in_children(int count, int (*what)(CK_SESSION_HANDLE))
{
  int go[2], sum = 0;
  pid_t children[VISITORS];
  assert_int_equal(0, pipe(go));
  for (int i = 0; i < count; i++)
    children[i] = start_child(go, what);
  close(go[0]);
  close(go[1]);
  for (int i = 0; i < count; i++) {
    int status;
    assert_int_equal(children[i], waitpid(children[i], &status, 0));
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) < 100);
    sum += WEXITSTATUS(status);
  }
  return sum;
}

static int guess(CK_SESSION_HANDLE h)
{
  int evaluated = 0;
  for (int i = 0; i < GUESSES; i++) {
    CK_RV rv = rig_login(h, CKU_USER, "0000");
    if (rv != CKR_PIN_INCORRECT && rv != CKR_PIN_LOCKED)
      return 102;
    evaluated += rv == CKR_PIN_INCORRECT;
  }
  return evaluated;
}

/* However many guess at once, just so many guesses are looked at. */
static void test_guessers(void **state)
{
  (void)state;
  CK_SESSION_HANDLE h = begin("pin.tries = 5\npin.kdf_memory = 1024");
  assert_int_equal(TRIES, in_children(GUESSERS, guess));
  assert_int_equal(CKF_USER_PIN_COUNT_LOW | CKF_USER_PIN_LOCKED, flags_of(rig_first_slot(), user_flags));
  assert_rv(CKR_PIN_LOCKED, rig_login(h, CKU_USER, USER_PIN));
}

static int visit(CK_SESSION_HANDLE h)
{
  return rig_login(h, CKU_USER, USER_PIN) == CKR_OK ? 0 : 1;
}

/* Who knows the PIN is not locked out by others who know it, though each try counts until it is over. */
static void test_visitors(void **state)
{
  (void)state;
  begin("pin.tries = 2\npin.kdf_memory = 4096");
  assert_int_equal(0, in_children(VISITORS, visit));
  assert_int_equal(0, flags_of(rig_first_slot(), user_flags));
}

static int visit_often(CK_SESSION_HANDLE h)
{
  int failed = 0;
  for (int i = 0; i < 20; i++)
    failed += visit(h) || C_Logout(h) != CKR_OK;
  return failed;
}

/* Nor does anybody see a wrong PIN where none was. */
static void test_looking_on(void **state)
{
  (void)state;
  begin("pin.tries = 2\npin.kdf_memory = 1024");
  CK_SLOT_ID slot = rig_first_slot();
  int go[2], status;
  assert_int_equal(0, pipe(go));
  pid_t child = start_child(go, visit_often);
  close(go[0]);
  close(go[1]);
  do
    assert_int_equal(0, flags_of(slot, user_flags));
  while (waitpid(child, &status, WNOHANG) == 0);
  assert_int_equal(0, WEXITSTATUS(status));
}

/* A try counts before it is made: it cannot be had for free by a kill. */
static void test_killed(void **state)
{
  (void)state;
  begin("pin.kdf_memory = 65536\npin.kdf_passes = 8");
  int go[2];
  assert_int_equal(0, pipe(go));
  pid_t child = start_child(go, visit);
  close(go[0]);
  close(go[1]);
  for (int i = 0; i < 1000 && stored_header().wraps[WRAP_USER].failures == 0; i++)
    usleep(1000);
  kill(child, SIGKILL);
  assert_int_equal(child, waitpid(child, NULL, 0));
  assert_int_equal(CKF_USER_PIN_COUNT_LOW, flags_of(rig_first_slot(), user_flags));
}

static void test_lengths(void **state)
{
  (void)state;
  char longest[257];
  memset(longest, 'x', sizeof(longest));
  CK_SESSION_HANDLE h = begin("pin.tries = 3");
  assert_rv(CKR_PIN_LEN_RANGE, C_SetPIN(h, utf8(USER_PIN), 4, utf8(longest), 256));
  assert_rv(CKR_PIN_LEN_RANGE, C_SetPIN(h, utf8(USER_PIN), 4, utf8(longest), 3));
  assert_ok(C_SetPIN(h, utf8(USER_PIN), 4, utf8(longest), 255));
  assert_ok(C_Login(h, CKU_USER, utf8(longest), 255));
  assert_ok(C_Logout(h));
  /* What cannot be a PIN is a wrong one, and counts. */
  assert_rv(CKR_PIN_INCORRECT, C_Login(h, CKU_USER, utf8(longest), 256));
  assert_rv(CKR_PIN_INCORRECT, C_Login(h, CKU_USER, utf8(longest), 3));
  assert_rv(CKR_PIN_INCORRECT, C_Login(h, CKU_USER, NULL, 0));
  assert_rv(CKR_PIN_LOCKED, C_Login(h, CKU_USER, utf8(longest), 255));
}

static void test_same_for_both(void **state)
{
  (void)state;
  CK_SESSION_HANDLE h = begin("");
  assert_ok(rig_login(h, CKU_SO, SO_PIN));
  assert_ok(C_InitPIN(h, utf8(SO_PIN), strlen(SO_PIN)));
  assert_ok(C_Logout(h));
  assert_ok(rig_login(h, CKU_USER, SO_PIN));
  assert_ok(C_Logout(h));
  assert_ok(rig_login(h, CKU_SO, SO_PIN));
}

/* C_SetPIN is about who is logged in, and about the user where nobody is. */
static void test_whose_pin(void **state)
{
  (void)state;
  CK_SESSION_HANDLE h = begin("");
  assert_ok(C_SetPIN(h, utf8(USER_PIN), 4, utf8("by nobody"), 9));
  assert_ok(rig_login(h, CKU_USER, "by nobody"));
  assert_ok(C_SetPIN(h, utf8("by nobody"), 9, utf8("by the user"), 11));
  assert_rv(CKR_USER_NOT_LOGGED_IN, C_InitPIN(h, utf8(USER_PIN), 4));
  assert_ok(C_Logout(h));
  assert_ok(rig_login(h, CKU_SO, SO_PIN));
  assert_rv(CKR_PIN_INCORRECT, C_SetPIN(h, utf8("by the user"), 11, utf8("no"), 4));
  assert_ok(C_SetPIN(h, utf8(SO_PIN), 8, utf8("by the officer"), 14));
  assert_ok(C_Logout(h));
  assert_rv(CKR_PIN_INCORRECT, rig_login(h, CKU_SO, SO_PIN));
  assert_ok(rig_login(h, CKU_SO, "by the officer"));
  assert_ok(C_Logout(h));
  assert_ok(rig_login(h, CKU_USER, "by the user"));
}

/* The officer's PIN locks as the user's does, and apart from it; nobody unlocks it. */
static void test_officer_locked(void **state)
{
  (void)state;
  CK_UTF8CHAR label[32];
  rig_label("again", label);
  CK_SESSION_HANDLE h = begin("pin.tries = 3");
  CK_SLOT_ID slot = rig_first_slot();
  assert_rv(CKR_PIN_INCORRECT, rig_login(h, CKU_SO, "wrong"));
  assert_int_equal(CKF_SO_PIN_COUNT_LOW, flags_of(slot, so_flags));
  assert_rv(CKR_PIN_INCORRECT, rig_login(h, CKU_SO, "wrong"));
  assert_int_equal(CKF_SO_PIN_COUNT_LOW | CKF_SO_PIN_FINAL_TRY, flags_of(slot, so_flags));
  assert_ok(rig_login(h, CKU_SO, SO_PIN));
  assert_int_equal(0, flags_of(slot, so_flags));
  assert_ok(C_CloseAllSessions(slot));
  for (int i = 0; i < 3; i++)
    assert_rv(CKR_PIN_INCORRECT, C_InitToken(slot, utf8("wrong"), 5, label));
  assert_int_equal(CKF_SO_PIN_COUNT_LOW | CKF_SO_PIN_LOCKED, flags_of(slot, so_flags));
  assert_rv(CKR_PIN_LOCKED, C_InitToken(slot, utf8(SO_PIN), 8, label));
  h = rig_open_session(slot, CKF_RW_SESSION);
  assert_rv(CKR_PIN_LOCKED, rig_login(h, CKU_SO, SO_PIN));
  assert_int_equal(0, flags_of(slot, user_flags));
  assert_ok(rig_login(h, CKU_USER, USER_PIN));
}

/* Each way to give the user's PIN counts; who is logged in stays so. */
static void test_every_way_counts(void **state)
{
  (void)state;
  CK_SESSION_HANDLE h = begin("pin.tries = 3");
  CK_BYTE p256[] = { 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7 };
  CK_BBOOL yes = CK_TRUE;
  CK_MECHANISM generate = { CKM_EC_KEY_PAIR_GEN, NULL, 0 }, m = { CKM_ECDSA, NULL, 0 };
  CK_ATTRIBUTE public[] = { { CKA_EC_PARAMS, p256, sizeof(p256) } };
  CK_ATTRIBUTE private[] = { { CKA_ALWAYS_AUTHENTICATE, &yes, 1 } };
  CK_OBJECT_HANDLE a, b;
  assert_ok(rig_login(h, CKU_USER, USER_PIN));
  assert_ok(C_GenerateKeyPair(h, &generate, public, 1, private, 1, &a, &b));
  assert_ok(C_SignInit(h, &m, b));
  assert_rv(CKR_PIN_INCORRECT, C_SetPIN(h, utf8("0000"), 4, utf8("1111"), 4));
  assert_rv(CKR_PIN_INCORRECT, rig_login(h, CKU_CONTEXT_SPECIFIC, "0000"));
  assert_int_equal(CKF_USER_PIN_COUNT_LOW | CKF_USER_PIN_FINAL_TRY, flags_of(rig_first_slot(), user_flags));
  assert_rv(CKR_PIN_INCORRECT, rig_login(h, CKU_CONTEXT_SPECIFIC, "0000"));
  assert_rv(CKR_PIN_LOCKED, rig_login(h, CKU_CONTEXT_SPECIFIC, USER_PIN));
  assert_rv(CKR_PIN_LOCKED, C_SetPIN(h, utf8(USER_PIN), 4, utf8("1111"), 4));
  CK_SESSION_INFO info;
  assert_ok(C_GetSessionInfo(h, &info));
  assert_int_equal(CKS_RW_USER_FUNCTIONS, info.state);
}

/* A costlier derivation is taken over at the next right PIN, a cheaper one is not. */
static void test_cost(void **state)
{
  (void)state;
  CK_SESSION_HANDLE h = begin("pin.kdf_memory = 16\npin.kdf_passes = 2");
  assert_ok(rig_login(h, CKU_USER, USER_PIN));
  rig_data(h, "kept", true, true);
  assert_int_equal(16, stored_header().wraps[WRAP_USER].cost.memory);
  restart("pin.kdf_memory = 64\npin.kdf_passes = 3");
  h = rig_open_session(rig_first_slot(), CKF_RW_SESSION);
  assert_rv(CKR_PIN_INCORRECT, rig_login(h, CKU_USER, "0000"));
  assert_int_equal(16, stored_header().wraps[WRAP_USER].cost.memory);
  assert_ok(rig_login(h, CKU_USER, USER_PIN));
  struct header header = stored_header();
  assert_int_equal(64, header.wraps[WRAP_USER].cost.memory);
  assert_int_equal(3, header.wraps[WRAP_USER].cost.passes);
  assert_int_equal(0, header.wraps[WRAP_USER].failures);
  assert_int_equal(16, header.wraps[WRAP_SO].cost.memory);
  restart("");
  h = rig_open_session(rig_first_slot(), CKF_RW_SESSION);
  assert_ok(rig_login(h, CKU_USER, USER_PIN));
  assert_int_equal(1, rig_find_label(h, "kept", NULL));
  assert_int_equal(64, stored_header().wraps[WRAP_USER].cost.memory);
}

/* The module's own default, for who configures nothing. */
static void test_default_cost(void **state)
{
  (void)state;
  char path[PATH_MAX + 16];
  assert_ok(C_Finalize(NULL));
  snprintf(path, sizeof(path), "%s/token.conf", rig_dir);
  FILE *f = fopen(path, "w");
  fprintf(f, "directories.tokendir = %s\n", rig_dir);
  fclose(f);
  assert_ok(C_Initialize(NULL));
  rig_init_token(rig_first_slot());
  assert_int_equal(12 * 1024, stored_header().wraps[WRAP_USER].cost.memory);
  assert_int_equal(3, stored_header().wraps[WRAP_USER].cost.passes);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
    RIG_TEST(test_guessers),  RIG_TEST(test_visitors),       RIG_TEST(test_looking_on),
    RIG_TEST(test_killed),    RIG_TEST(test_lengths),        RIG_TEST(test_same_for_both),
    RIG_TEST(test_whose_pin), RIG_TEST(test_officer_locked), RIG_TEST(test_every_way_counts),
    RIG_TEST(test_cost),      RIG_TEST(test_default_cost),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
