/* SPDX-License-Identifier: Apache-2.0 */
/* Keys on our own token behind a module that fails on command: recovery, PINs, sessions, threads and forks. */
#include "hf_test.h"
#include "p11_fake.h"

#include "p11/key.h"

#include <dlfcn.h>
#include <pthread.h>
#include <sys/wait.h>

static const char pin_text[] = "654321", so_pin_text[] = "12345678";
static char directory[] = "/tmp/hf-p11-XXXXXX";
static struct fake_controls *controls;
static struct p11_module *module;

static struct hf_secret *secret(const char *text)
{
  struct hf_secret *s = NULL;
  assert_hf_ok(hf_secret_new(text, strlen(text), &s));
  return s;
}

static struct uri uri_of(const char *text)
{
  struct uri uri = { 0 };
  assert_hf_ok(uri_parse(text, &uri));
  return uri;
}

static CK_SLOT_ID slot_of(const char *label)
{
  struct p11_token *tokens = NULL;
  size_t count = 0;
  assert_hf_ok(p11_token_list(module, &tokens, &count));
  CK_SLOT_ID slot = CK_UNAVAILABLE_INFORMATION;
  for (size_t i = 0; i < count; i++)
    if (strcmp(tokens[i].label, label) == 0 && (label[0] || !(tokens[i].flags & CKF_TOKEN_INITIALIZED)))
      slot = tokens[i].slot;
  free(tokens);
  assert_int_not_equal(slot, CK_UNAVAILABLE_INFORMATION);
  return slot;
}

static void make_token(const char *label)
{
  struct hf_secret *pin = secret(pin_text), *so_pin = secret(so_pin_text);
  assert_hf_ok(p11_token_init(module, slot_of(""), so_pin, label));
  assert_hf_ok(p11_token_set_user_pin(module, slot_of(label), so_pin, pin));
  hf_secret_free(pin);
  hf_secret_free(so_pin);
}

static struct p11_session *log_in(enum p11_mode mode)
{
  struct p11_session *session = NULL;
  struct hf_secret *pin = secret(pin_text);
  assert_hf_ok(p11_session_open(module, slot_of("device"), mode, &session));
  assert_hf_ok(p11_session_login(session, CKU_USER, pin, P11_LOGIN_CAREFUL));
  hf_secret_free(pin);
  return session;
}

static void make_key(enum p11_key_kind kind, const char *label, uint8_t id)
{
  struct p11_session *session = log_in(P11_READ_WRITE);
  CK_OBJECT_HANDLE public, private;
  struct p11_key_spec spec = { .kind = kind, .rsa_bits = 2048, .label = label, .id = &id, .id_len = 1 };
  assert_hf_ok(p11_key_generate(session, &spec, &public, &private));
  p11_session_close(session);
}

static void destroy_key(const char *label)
{
  struct p11_session *session = log_in(P11_READ_WRITE);
  struct uri uri = { 0 };
  struct p11_object *objects;
  size_t count;
  assert_hf_ok(uri_set(&uri, URI_OBJECT, label, strlen(label)));
  assert_hf_ok(p11_object_list(session, &uri, &objects, &count));
  assert_int_equal(count, 2);
  for (size_t i = 0; i < count; i++)
    assert_hf_ok(p11_object_destroy(session, objects[i].handle));
  p11_object_list_free(objects, count);
  uri_free(&uri);
  p11_session_close(session);
}

static hf_err open_key(const char *text, const char *pin, struct p11_key **ret_key)
{
  struct uri uri = uri_of(text);
  struct hf_secret *s = pin ? secret(pin) : NULL;
  hf_err e = p11_key_open(module, &uri, s, ret_key);
  hf_secret_free(s);
  uri_free(&uri);
  return e;
}

static struct p11_key *the_key(void)
{
  struct p11_key *key = NULL;
  assert_hf_ok(open_key("pkcs11:token=device;object=ec", pin_text, &key));
  return key;
}

static hf_err sign(struct p11_key *key)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf out = HF_BUF(P11_SIGNATURE_MAX);
  uint8_t digest[32] = { 1 };
  struct p11_sign how = { .scheme = P11_SIGN_ECDSA };
  HF_TRY(p11_key_sign(key, &how, digest, sizeof(digest), &out));
  assert_int_equal(out.len, 64);
  return HF_OK;
}

static void fail_next(enum fake_call call, CK_RV rv, unsigned times)
{
  controls->calls[call].rv = rv;
  controls->calls[call].fail = times;
}

static int start(void **state)
{
  (void)state;
  char path[256];
  if (!mkdtemp(directory))
    return -1;
  snprintf(path, sizeof(path), "%s/token.conf", directory);
  FILE *conf = fopen(path, "we");
  if (!conf)
    return -1;
  fprintf(conf, "directories.tokendir = %s\n", directory);
  fclose(conf);
  setenv("HOLDFAST_TOKEN_CONF", path, 1);
  setenv("SOFTHSM2_CONF", path, 1);
  assert_hf_ok(p11_module_open(getenv("HF_FAKE_MODULE"), &module));
  void *library = dlopen(getenv("HF_FAKE_MODULE"), RTLD_NOW | RTLD_NOLOAD);
  controls = dlsym(library, FAKE_CONTROLS);
  make_token("device");
  make_key(P11_EC_P256, "ec", 1);
  make_key(P11_RSA, "rsa", 2);
  return 0;
}

static int stop(void **state)
{
  (void)state;
  p11_module_unref(module);
  char command[256];
  snprintf(command, sizeof(command), "rm -rf '%s'", directory);
  return system(command);
}

static int calm(void **state)
{
  (void)state;
  unsigned sessions = controls->sessions;
  *controls = (struct fake_controls){ .sessions = sessions };
  return 0;
}

/* Tests */

static void comes_back_from_what_may_pass(void **state)
{
  (void)state;
  static const struct {
    enum fake_call call;
    CK_RV rv;
  } rows[] = {
    { FAKE_SIGN_INIT, CKR_SESSION_HANDLE_INVALID },
    { FAKE_SIGN_INIT, CKR_KEY_HANDLE_INVALID },
    { FAKE_SIGN_INIT, CKR_OBJECT_HANDLE_INVALID },
    { FAKE_SIGN_INIT, CKR_USER_NOT_LOGGED_IN },
    { FAKE_SIGN_INIT, CKR_OPERATION_ACTIVE },
    { FAKE_SIGN, CKR_DEVICE_ERROR },
    { FAKE_SIGN, CKR_DEVICE_REMOVED },
    { FAKE_SIGN, CKR_GENERAL_ERROR },
    { FAKE_SIGN, CKR_SESSION_CLOSED },
    { FAKE_SIGN, CKR_TOKEN_NOT_PRESENT },
    { FAKE_SIGN_INIT, CKR_CRYPTOKI_NOT_INITIALIZED },
  };
  struct p11_key *key = the_key();
  for (size_t i = 0; i < HF_ARRAY_LEN(rows); i++) {
    fail_next(rows[i].call, rows[i].rv, 1);
    assert_hf_ok(sign(key));
    assert_hf_ok(sign(key));
  }
  p11_key_unref(key);
}

/* ECDH of two keys of the token gives the same from either side, whatever passes meanwhile. */
static void derives_and_comes_back(void **state)
{
  (void)state;
  static const CK_RV passing[] = { CKR_OK, CKR_SESSION_HANDLE_INVALID, CKR_USER_NOT_LOGGED_IN, CKR_DEVICE_ERROR };
  struct p11_key *one = the_key(), *other = NULL;
  make_key(P11_EC_P256, "other", 7);
  assert_hf_ok(open_key("pkcs11:token=device;object=other", pin_text, &other));
  const struct hf_buf *one_point = &p11_key_public(one)->point, *other_point = &p11_key_public(other)->point;
  HF_CLEANUP(hf_buf_free) struct hf_buf expected = HF_BUF(64);
  assert_hf_ok(p11_key_derive(other, one_point->data, one_point->len, &expected));
  assert_int_equal(expected.len, 32);
  for (size_t i = 0; i < HF_ARRAY_LEN(passing); i++) {
    HF_CLEANUP(hf_buf_free) struct hf_buf secret = HF_BUF(64);
    fail_next(FAKE_DERIVE, passing[i], i > 0);
    assert_hf_ok(p11_key_derive(one, other_point->data, other_point->len, &secret));
    assert_true(hf_slice_equal(hf_slice(secret.data, secret.len), hf_slice(expected.data, expected.len)));
  }
  HF_CLEANUP(hf_buf_free) struct hf_buf none = HF_BUF(64);
  unsigned seen = controls->calls[FAKE_DERIVE].seen;
  assert_hf_err(p11_key_derive(one, other_point->data, other_point->len - 1, &none), MECHANISM_PARAM_INVALID);
  assert_int_equal(controls->calls[FAKE_DERIVE].seen, seen + 1);
  p11_key_unref(one);
  p11_key_unref(other);
  destroy_key("other");
}

/* A padding that is wrong is wrong for good: it is not tried again. */
static void decrypts_and_comes_back(void **state)
{
  (void)state;
  struct p11_key *key = NULL;
  assert_hf_ok(open_key("pkcs11:token=device;object=rsa", pin_text, &key));
  CK_MECHANISM pkcs1 = { CKM_RSA_PKCS, NULL, 0 };
  uint8_t encrypted[256] = { 0, 1 };
  HF_CLEANUP(hf_buf_free) struct hf_buf out = HF_BUF(256);
  unsigned seen = controls->calls[FAKE_DECRYPT].seen;
  assert_hf_err(p11_key_decrypt(key, &pkcs1, encrypted, sizeof(encrypted), &out), ENCRYPTED_DATA_INVALID);
  assert_int_equal(controls->calls[FAKE_DECRYPT].seen, seen + 1);
  fail_next(FAKE_DECRYPT, CKR_DEVICE_ERROR, 1);
  assert_hf_err(p11_key_decrypt(key, &pkcs1, encrypted, sizeof(encrypted), &out), ENCRYPTED_DATA_INVALID);
  assert_int_equal(controls->calls[FAKE_DECRYPT].seen, seen + 3);
  assert_hf_err(p11_key_derive(key, encrypted, 65, &out), KEY_TYPE_INCONSISTENT);
  p11_key_unref(key);
}

static void gives_up_after_one_retry(void **state)
{
  (void)state;
  struct p11_key *key = the_key();
  fail_next(FAKE_SIGN, CKR_FUNCTION_FAILED, 10);
  assert_hf_err(sign(key), FUNCTION_FAILED);
  assert_int_equal(controls->calls[FAKE_SIGN].seen, 2);
  fail_next(FAKE_SIGN, CKR_OK, 0);
  assert_hf_ok(sign(key));
  p11_key_unref(key);
}

static void a_dead_module_is_started_anew(void **state)
{
  (void)state;
  struct p11_key *key = the_key(), *other = NULL;
  controls->dead = 1;
  assert_hf_ok(sign(key));
  assert_int_equal(controls->restarts, 1);
  sleep(1);
  controls->dead = 1;
  assert_hf_ok(open_key("pkcs11:token=device;object=rsa", pin_text, &other));
  assert_hf_ok(sign(key));
  assert_int_equal(controls->restarts, 2);
  /* Not more than once a second. */
  controls->dead = 1;
  hf_ignore(sign(key));
  hf_ignore(sign(key));
  hf_ignore(sign(key));
  assert_in_range(controls->restarts, 2, 3);
  controls->dead = 0;
  assert_hf_ok(sign(key));
  p11_key_unref(other);
  p11_key_unref(key);
}

static void a_stuck_module_is_started_anew_ever_more_seldom(void **state)
{
  (void)state;
  struct p11_key *key = the_key();
  static const CK_RV codes[] = { CKR_DEVICE_REMOVED, CKR_GENERAL_ERROR };
  for (size_t i = 0; i < HF_ARRAY_LEN(codes); i++) {
    sleep(1);
    controls->stuck_rv = codes[i];
    controls->stuck = 1;
    assert_hf_ok(sign(key));
    assert_int_equal(controls->restarts, i + 1);
  }
  controls->stuck = 100;
  for (time_t end = time(NULL) + 1; time(NULL) < end;)
    assert_hf_err(sign(key), GENERAL_ERROR);
  assert_in_range(controls->restarts, 2, 4);
  controls->stuck = 0;
  assert_hf_ok(sign(key));
  p11_key_unref(key);
}

static void a_login_that_the_token_does_not_know_of_is_made_again(void **state)
{
  (void)state;
  struct p11_key *key = the_key();
  /* Keeps the module logged in. */
  struct p11_session *other = log_in(P11_READ_WRITE);
  controls->unverified = 1;
  assert_hf_ok(sign(key));
  p11_session_close(other);
  p11_key_unref(key);
}

static void a_logout_behind_our_back_hides_nothing(void **state)
{
  (void)state;
  struct p11_key *key = the_key();
  struct p11_session *other = log_in(P11_READ_WRITE);
  assert_hf_ok(p11_session_logout(other));
  bool same = false;
  assert_hf_ok(p11_key_check(key, &same));
  assert_true(same);
  p11_session_close(other);
  p11_key_unref(key);
}

static void a_key_stays_in_a_token_that_is_not_told(void **state)
{
  (void)state;
  controls->plain = 1;
  make_key(P11_EC_P256, "plain", 9);
  assert_int_equal(controls->calls[FAKE_GENERATE].seen, 2);
  controls->plain = 0;
  destroy_key("plain");
}

static void the_so_must_name_a_place(void **state)
{
  (void)state;
  struct hf_secret *pin = secret(so_pin_text);
  struct p11_session *session = NULL;
  CK_OBJECT_HANDLE public, private;
  struct p11_key_spec spec = { .kind = P11_EC_P256, .id = "\1\2", .id_len = 2 };
  assert_hf_ok(p11_session_open(module, slot_of("device"), P11_READ_WRITE, &session));
  assert_hf_ok(p11_session_login(session, CKU_SO, pin, P11_LOGIN_CAREFUL));
  assert_hf_err(p11_key_generate(session, &spec, &public, &private), ATTRIBUTE_VALUE_INVALID);
  assert_int_equal(controls->calls[FAKE_GENERATE].seen, 0);
  p11_session_close(session);
  hf_secret_free(pin);
}

static void a_pin_that_is_no_pin_here(void **state)
{
  (void)state;
  struct p11_key *key = NULL;
  fail_next(FAKE_LOGIN, CKR_ARGUMENTS_BAD, 1);
  assert_hf_err(open_key("pkcs11:token=device;object=ec", "1234", &key), PIN_LEN_RANGE);
}

static void does_not_retry_a_refusal(void **state)
{
  (void)state;
  struct p11_key *key = the_key();
  fail_next(FAKE_SIGN_INIT, CKR_MECHANISM_INVALID, 10);
  assert_hf_err(sign(key), MECHANISM_INVALID);
  assert_int_equal(controls->calls[FAKE_SIGN_INIT].seen, 1);
  p11_key_unref(key);
}

static void keeps_session_login_and_handle(void **state)
{
  (void)state;
  struct p11_key *key = the_key();
  assert_hf_ok(sign(key));
  unsigned opened = controls->calls[FAKE_OPEN].seen, logins = controls->calls[FAKE_LOGIN].seen;
  unsigned finds = controls->calls[FAKE_FIND].seen;
  for (int i = 0; i < 20; i++)
    assert_hf_ok(sign(key));
  assert_int_equal(controls->calls[FAKE_OPEN].seen, opened);
  assert_int_equal(controls->calls[FAKE_LOGIN].seen, logins);
  assert_int_equal(controls->calls[FAKE_FIND].seen, finds);
  p11_key_unref(key);
}

static void a_wrong_pin_is_tried_once(void **state)
{
  (void)state;
  struct p11_key *key = NULL;
  for (int i = 0; i < 3; i++)
    assert_hf_err(open_key("pkcs11:token=device;object=ec", "000000", &key), PIN_INCORRECT);
  assert_int_equal(controls->calls[FAKE_LOGIN].seen, 1);
  assert_null(strstr(hf_err_context(), "000000"));
  /* Another PIN is another matter. */
  p11_key_unref(the_key());
}

static void the_final_try_is_not_spent(void **state)
{
  (void)state;
  struct p11_key *key = NULL;
  controls->token_flags = CKF_USER_PIN_FINAL_TRY;
  assert_hf_err(open_key("pkcs11:token=device;object=ec", pin_text, &key), PIN_INCORRECT);
  controls->token_flags = CKF_USER_PIN_LOCKED;
  assert_hf_err(open_key("pkcs11:token=device;object=ec", pin_text, &key), PIN_LOCKED);
  assert_int_equal(controls->calls[FAKE_LOGIN].seen, 0);
  controls->token_flags = 0;
  assert_hf_err(open_key("pkcs11:token=device;object=ec", NULL, &key), PIN_MISSING);
}

static void *sign_many(void *key)
{
  for (int i = 0; i < 50; i++)
    if (hf_failed(sign(key)))
      return key;
  return NULL;
}

static void sign_in_threads(struct p11_key *key)
{
  pthread_t threads[8];
  for (size_t i = 0; i < HF_ARRAY_LEN(threads); i++)
    assert_int_equal(pthread_create(&threads[i], NULL, sign_many, key), 0);
  for (size_t i = 0; i < HF_ARRAY_LEN(threads); i++) {
    void *failed = NULL;
    assert_int_equal(pthread_join(threads[i], &failed), 0);
    assert_null(failed);
  }
}

static void threads_share_one_session(void **state)
{
  (void)state;
  controls->sessions_max = 1;
  struct p11_key *key = the_key(), *other = NULL;
  assert_hf_ok(open_key("pkcs11:token=device;object=rsa", pin_text, &other));
  sign_in_threads(key);
  assert_int_equal(controls->sessions_peak, 1);
  p11_key_unref(other);
  p11_key_unref(key);
}

static void threads_use_several_sessions_and_recover(void **state)
{
  (void)state;
  struct p11_key *key = the_key();
  fail_next(FAKE_SIGN, CKR_SESSION_HANDLE_INVALID, 1);
  sign_in_threads(key);
  p11_key_unref(key);
  assert_int_equal(controls->sessions, 0);
}

static void a_forked_child_signs(void **state)
{
  (void)state;
  struct p11_key *key = the_key();
  assert_hf_ok(sign(key));
  pid_t child = fork();
  if (child == 0)
    _exit(hf_failed(sign(key)) || hf_failed(sign(key)) ? 1 : 0);
  int status = -1;
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_int_equal(status, 0);
  assert_hf_ok(sign(key));
  p11_key_unref(key);
}

static void a_replaced_key_is_noticed(void **state)
{
  (void)state;
  make_key(P11_EC_P256, "passing", 7);
  struct p11_key *key = NULL, *again = NULL;
  assert_hf_ok(open_key("pkcs11:token=device;object=passing", pin_text, &key));
  bool same = false;
  assert_hf_ok(p11_key_check(key, &same));
  assert_true(same);
  destroy_key("passing");
  assert_hf_err(sign(key), URI_NO_MATCH);
  assert_hf_err(p11_key_check(key, &same), URI_NO_MATCH);
  make_key(P11_EC_P256, "passing", 7);
  assert_hf_ok(p11_key_check(key, &same));
  assert_false(same);
  assert_hf_err(sign(key), KEY_HANDLE_INVALID);
  assert_contains(hf_err_context(), "replaced");
  assert_hf_ok(open_key("pkcs11:token=device;object=passing", pin_text, &again));
  assert_hf_ok(sign(again));
  p11_key_unref(again);
  p11_key_unref(key);
  destroy_key("passing");
}

static void names_what_does_not_match(void **state)
{
  (void)state;
  struct p11_key *key = NULL;
  assert_hf_err(open_key("pkcs11:token=device;object=none", pin_text, &key), URI_NO_MATCH);
  assert_contains(hf_err_context(), "object=none");
  assert_hf_err(open_key("pkcs11:token=device", pin_text, &key), URI_AMBIGUOUS);
  assert_contains(hf_err_context(), "object=ec;type=private");
  assert_contains(hf_err_context(), "object=rsa;type=private");
  assert_hf_err(open_key("pkcs11:token=none", pin_text, &key), TOKEN_NOT_FOUND);
  assert_contains(hf_err_context(), "token=none");
}

static void names_the_tokens_that_match(void **state)
{
  (void)state;
  make_token("second");
  struct uri uri = uri_of("pkcs11:manufacturer=nobody");
  struct p11_token token;
  assert_hf_err(p11_token_find(module, &uri, &token), TOKEN_NOT_FOUND);
  uri_unset(&uri, URI_MANUFACTURER);
  assert_hf_err(p11_token_find(module, &uri, &token), TOKEN_AMBIGUOUS);
  assert_contains(hf_err_context(), "token=device");
  assert_contains(hf_err_context(), "token=second");
  assert_hf_ok(uri_set(&uri, URI_TOKEN, "second", 6));
  assert_hf_ok(p11_token_find(module, &uri, &token));
  assert_string_equal(token.label, "second");
  uri_free(&uri);
}

static void one_module_by_two_paths(void **state)
{
  (void)state;
  char other[512];
  snprintf(other, sizeof(other), "%s/link.so", directory);
  assert_int_equal(symlink(getenv("HF_FAKE_MODULE"), other), 0);
  struct p11_module *again = NULL;
  assert_hf_ok(p11_module_open(other, &again));
  assert_ptr_equal(again, module);
  p11_module_unref(again);
}

static void a_module_that_is_none(void **state)
{
  (void)state;
  struct p11_module *other = NULL;
  assert_hf_err(p11_module_open("/nowhere.so", &other), MODULE_LOAD);
  assert_contains(hf_err_context(), "/nowhere.so");
  assert_hf_err(p11_module_open("libm.so.6", &other), MODULE_LOAD);
  assert_contains(hf_err_context(), "C_GetFunctionList");
}

#define TEST(function) cmocka_unit_test_setup(function, calm)

int main(void)
{
  const struct CMUnitTest tests[] = {
    TEST(keeps_session_login_and_handle),
    TEST(comes_back_from_what_may_pass),
    TEST(derives_and_comes_back),
    TEST(decrypts_and_comes_back),
    TEST(gives_up_after_one_retry),
    TEST(a_dead_module_is_started_anew),
    TEST(a_stuck_module_is_started_anew_ever_more_seldom),
    TEST(a_login_that_the_token_does_not_know_of_is_made_again),
    TEST(a_logout_behind_our_back_hides_nothing),
    TEST(a_key_stays_in_a_token_that_is_not_told),
    TEST(the_so_must_name_a_place),
    TEST(a_pin_that_is_no_pin_here),
    TEST(does_not_retry_a_refusal),
    TEST(a_wrong_pin_is_tried_once),
    TEST(the_final_try_is_not_spent),
    TEST(threads_share_one_session),
    TEST(threads_use_several_sessions_and_recover),
    TEST(a_forked_child_signs),
    TEST(a_replaced_key_is_noticed),
    TEST(names_what_does_not_match),
    TEST(names_the_tokens_that_match),
    TEST(one_module_by_two_paths),
    TEST(a_module_that_is_none),
  };
  return cmocka_run_group_tests(tests, start, stop);
}
