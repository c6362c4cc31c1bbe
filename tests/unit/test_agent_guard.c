/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guarded function list on our own token behind a module that fails on command: recovery, a token with one session,
 * clients on threads. And the frames that libp11-kit must not see.
 */
#include "hf_test.h"
#include "p11_fake.h"

#include "agent/guard.h"
#include "agent/p11_frame.h"

#include <dlfcn.h>
#include <pthread.h>

static const char pin_text[] = "654321", so_pin_text[] = "12345678";
static char directory[] = "/tmp/hf-guard-XXXXXX";
static struct fake_controls *controls;
static struct agent agent;
static struct peer peer;
static CK_FUNCTION_LIST *f;

#define assert_rv(call, expected) assert_int_equal(call, expected)
#define assert_ok(call) assert_rv(call, CKR_OK)

static struct hf_secret *secret(const char *text)
{
  struct hf_secret *s = NULL;
  assert_hf_ok(hf_secret_new(text, strlen(text), &s));
  return s;
}

static CK_SLOT_ID slot_of(struct p11_module *module, const char *label)
{
  struct p11_token *tokens = NULL;
  size_t count = 0;
  CK_SLOT_ID slot = CK_UNAVAILABLE_INFORMATION;
  assert_hf_ok(p11_token_list(module, &tokens, &count));
  for (size_t i = 0; i < count; i++)
    if (strcmp(tokens[i].label, label) == 0)
      slot = tokens[i].slot;
  free(tokens);
  return slot;
}

static void make_token(struct p11_module *module)
{
  struct hf_secret *pin = secret(pin_text), *so_pin = secret(so_pin_text);
  struct p11_session *session = NULL;
  CK_OBJECT_HANDLE public, private;
  uint8_t id = 1;
  struct p11_key_spec spec = { .kind = P11_EC_P256, .label = "ec", .id = &id, .id_len = 1 };
  assert_hf_ok(p11_token_init(module, slot_of(module, ""), so_pin, "device"));
  assert_hf_ok(p11_token_set_user_pin(module, slot_of(module, "device"), so_pin, pin));
  assert_hf_ok(p11_session_open(module, slot_of(module, "device"), P11_READ_WRITE, &session));
  assert_hf_ok(p11_session_login(session, CKU_USER, pin, P11_LOGIN_CAREFUL));
  assert_hf_ok(p11_key_generate(session, &spec, &public, &private));
  p11_session_close(session);
  hf_secret_free(pin);
  hf_secret_free(so_pin);
}

static void make_agent(void)
{
  struct hf_secret *pin = secret(pin_text);
  struct keyring_options options = { .module_path = getenv("HF_FAKE_MODULE"), .pin = pin };
  assert_hf_ok(keyring_open(&options, &agent.keyring));
  assert_hf_ok(policy_load(NULL, (gid_t)-1, &agent.policy));
  assert_hf_ok(metrics_new(&agent.metrics));
  assert_hf_ok(audit_open("holdfast-agent", AUDIT_OFF, -1));
  hf_secret_free(pin);
  peer = (struct peer){ .uid = getuid(), .gid = getgid(), .pid = getpid() };
}

static int start(void **state)
{
  (void)state;
  char path[128];
  struct p11_module *module;
  assert_non_null(mkdtemp(directory));
  snprintf(path, sizeof(path), "%s/token.conf", directory);
  FILE *conf = fopen(path, "we");
  assert_non_null(conf);
  fprintf(conf, "directories.tokendir = %s\npin.kdf_memory = 8\npin.kdf_passes = 1\n", directory);
  fclose(conf);
  setenv("HOLDFAST_TOKEN_CONF", path, 1);
  assert_hf_ok(p11_module_open(getenv("HF_FAKE_MODULE"), &module));
  controls = dlsym(dlopen(getenv("HF_FAKE_MODULE"), RTLD_NOW | RTLD_NOLOAD), FAKE_CONTROLS);
  assert_non_null(controls);
  make_token(module);
  make_agent();
  f = guard_functions();
  return 0;
}

static int stop(void **state)
{
  (void)state;
  char command[128];
  keyring_close(agent.keyring);
  policy_free(agent.policy);
  metrics_free(agent.metrics);
  snprintf(command, sizeof(command), "rm -r %s", directory);
  return system(command);
}

static int begin(void **state)
{
  (void)state;
  memset(controls->calls, 0, sizeof(controls->calls));
  controls->sessions_max = 0;
  controls->token_flags = 0;
  assert_hf_ok(guard_begin(&agent, &peer));
  assert_ok(f->C_Initialize(NULL));
  return 0;
}

static int end(void **state)
{
  (void)state;
  guard_end();
  return 0;
}

static CK_RV open_device(CK_FLAGS flags, CK_SESSION_HANDLE *session)
{
  CK_SLOT_ID slots[8];
  CK_ULONG count = HF_ARRAY_LEN(slots);
  CK_RV rv = f->C_GetSlotList(CK_TRUE, slots, &count);
  return rv == CKR_OK ? f->C_OpenSession(slots[0], CKF_SERIAL_SESSION | flags, NULL, NULL, session) : rv;
}

static CK_SESSION_HANDLE session_of(CK_FLAGS flags)
{
  CK_SESSION_HANDLE session = 0;
  assert_ok(open_device(flags, &session));
  return session;
}

static CK_RV find(CK_SESSION_HANDLE session, CK_OBJECT_CLASS class, CK_OBJECT_HANDLE *found, CK_ULONG *count)
{
  CK_ATTRIBUTE by = { CKA_CLASS, &class, sizeof(class) };
  CK_RV rv = f->C_FindObjectsInit(session, &by, 1);
  if (rv != CKR_OK)
    return rv;
  assert_ok(f->C_FindObjects(session, found, *count, count));
  return f->C_FindObjectsFinal(session);
}

static CK_OBJECT_HANDLE key_of(CK_SESSION_HANDLE session)
{
  CK_OBJECT_HANDLE key = 0;
  CK_ULONG count = 1;
  assert_ok(find(session, CKO_PRIVATE_KEY, &key, &count));
  assert_int_equal(count, 1);
  return key;
}

static CK_RV sign_begin(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE key)
{
  CK_MECHANISM mechanism = { CKM_ECDSA, NULL, 0 };
  return f->C_SignInit(session, &mechanism, key);
}

static CK_RV sign_finish(CK_SESSION_HANDLE session)
{
  CK_BYTE digest[32] = { 1 }, signature[128];
  CK_ULONG len = sizeof(signature);
  CK_RV rv = f->C_Sign(session, digest, sizeof(digest), signature, &len);
  if (rv == CKR_OK)
    assert_int_equal(len, 64);
  return rv;
}

static CK_RV sign(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE key)
{
  CK_RV rv = sign_begin(session, key);
  return rv == CKR_OK ? sign_finish(session) : rv;
}

static void fail_next(enum fake_call call, CK_RV rv, unsigned times)
{
  controls->calls[call].rv = rv;
  controls->calls[call].fail = times;
}

static const CK_RV losses[] = { CKR_SESSION_HANDLE_INVALID, CKR_SESSION_CLOSED,           CKR_DEVICE_ERROR,
                                CKR_DEVICE_REMOVED,         CKR_TOKEN_NOT_PRESENT,        CKR_GENERAL_ERROR,
                                CKR_USER_NOT_LOGGED_IN,     CKR_CRYPTOKI_NOT_INITIALIZED, CKR_FUNCTION_FAILED };

static void a_client_goes_on_after_each_loss(void **state)
{
  (void)state;
  static const enum fake_call calls[] = { FAKE_SIGN_INIT, FAKE_SIGN, FAKE_FIND };
  CK_SESSION_HANDLE session = session_of(0);
  CK_OBJECT_HANDLE key = key_of(session);
  for (size_t i = 0; i < HF_ARRAY_LEN(losses); i++)
    for (size_t c = 0; c < HF_ARRAY_LEN(calls); c++) {
      unsigned long recoveries = metrics_get(agent.metrics, METRIC_RECOVERIES);
      fail_next(calls[c], losses[i], 1);
      if (calls[c] == FAKE_FIND)
        key_of(session);
      assert_ok(sign(session, key));
      assert_true(metrics_get(agent.metrics, METRIC_RECOVERIES) > recoveries);
    }
}

static void what_stays_broken_is_told(void **state)
{
  (void)state;
  CK_SESSION_HANDLE session = session_of(0);
  CK_OBJECT_HANDLE key = key_of(session);
  fail_next(FAKE_SIGN, CKR_DEVICE_ERROR, 100);
  assert_ok(sign_begin(session, key));
  assert_rv(sign_finish(session), CKR_DEVICE_ERROR);
  assert_true(controls->calls[FAKE_SIGN].seen <= 3);
  assert_rv(sign_finish(session), CKR_OPERATION_NOT_INITIALIZED);
  fail_next(FAKE_SIGN, CKR_OK, 0);
  assert_ok(sign(session, key));
}

static void a_refusal_is_no_loss(void **state)
{
  (void)state;
  CK_SESSION_HANDLE session = session_of(0);
  CK_OBJECT_HANDLE key = key_of(session);
  fail_next(FAKE_SIGN_INIT, CKR_MECHANISM_INVALID, 1);
  assert_rv(sign_begin(session, key), CKR_MECHANISM_INVALID);
  assert_int_equal(controls->calls[FAKE_SIGN_INIT].seen, 1);
  assert_ok(sign(session, key));
}

static void a_part_that_went_in_is_not_said_again(void **state)
{
  (void)state;
  CK_SESSION_HANDLE session = session_of(0);
  CK_BYTE part[8] = { 0 };
  CK_OBJECT_HANDLE key = key_of(session);
  assert_ok(sign_begin(session, key));
  (void)f->C_SignUpdate(session, part, sizeof(part));
  fail_next(FAKE_SIGN, CKR_DEVICE_ERROR, 1);
  assert_true(sign_finish(session) != CKR_OK);
  assert_ok(sign(session, key));
}

static void the_length_is_asked_for_first(void **state)
{
  (void)state;
  CK_SESSION_HANDLE session = session_of(0);
  CK_BYTE digest[32] = { 1 }, small[8];
  CK_ULONG len = 0;
  assert_ok(sign_begin(session, key_of(session)));
  assert_ok(f->C_Sign(session, digest, sizeof(digest), NULL, &len));
  assert_int_equal(len, 64);
  len = sizeof(small);
  assert_rv(f->C_Sign(session, digest, sizeof(digest), small, &len), CKR_BUFFER_TOO_SMALL);
  assert_ok(sign_finish(session));
  assert_rv(sign_finish(session), CKR_OPERATION_NOT_INITIALIZED);
}

static void sessions_are_borrowed_for_as_long_as_it_takes(void **state)
{
  (void)state;
  CK_SESSION_HANDLE sessions[20];
  CK_OBJECT_HANDLE key = 0;
  controls->sessions_peak = controls->sessions;
  for (size_t i = 0; i < HF_ARRAY_LEN(sessions); i++) {
    sessions[i] = session_of(0);
    key = key_of(sessions[i]);
    assert_ok(sign(sessions[i], key));
  }
  assert_true(controls->sessions_peak <= 2);
}

struct worker {
  unsigned signatures;
  CK_RV rv;
};

static void *sign_often(void *arg)
{
  struct worker *worker = arg;
  CK_SESSION_HANDLE session;
  CK_OBJECT_HANDLE key = 0;
  CK_ULONG count = 1;
  if (hf_failed(guard_begin(&agent, &peer)))
    return NULL;
  worker->rv = f->C_Initialize(NULL);
  if (worker->rv == CKR_OK)
    worker->rv = open_device(CKF_RW_SESSION, &session);
  if (worker->rv == CKR_OK)
    worker->rv = find(session, CKO_PRIVATE_KEY, &key, &count);
  for (int i = 0; worker->rv == CKR_OK && i < 30; i++) {
    worker->rv = sign(session, key);
    worker->signatures++;
  }
  guard_end();
  return NULL;
}

static void clients_share_the_one_session_of_a_token(void **state)
{
  (void)state;
  pthread_t threads[4];
  struct worker workers[HF_ARRAY_LEN(threads)] = { 0 };
  /* As after a start: no session of before is open. */
  CK_SESSION_HANDLE session = session_of(0);
  fail_next(FAKE_SIGN_INIT, CKR_CRYPTOKI_NOT_INITIALIZED, 1);
  assert_ok(sign(session, key_of(session)));
  controls->sessions_max = controls->sessions_peak = controls->sessions = 1;
  for (size_t i = 0; i < HF_ARRAY_LEN(threads); i++)
    assert_int_equal(pthread_create(&threads[i], NULL, sign_often, &workers[i]), 0);
  for (size_t i = 0; i < HF_ARRAY_LEN(threads); i++) {
    pthread_join(threads[i], NULL);
    assert_ok(workers[i].rv);
    assert_int_equal(workers[i].signatures, 30);
  }
  assert_int_equal(controls->sessions_peak, 1);
}

static void a_pin_is_not_tried_again(void **state)
{
  (void)state;
  struct hf_secret *wrong = secret("000000");
  struct keyring_options options = { .module_path = getenv("HF_FAKE_MODULE"), .pin = wrong };
  struct keyring *right = agent.keyring;
  CK_SESSION_HANDLE session = session_of(0);
  assert_hf_ok(keyring_open(&options, &agent.keyring));
  /* The log-in is lost with the sessions. */
  fail_next(FAKE_SIGN_INIT, CKR_CRYPTOKI_NOT_INITIALIZED, 1);
  controls->calls[FAKE_LOGIN].seen = 0;
  CK_OBJECT_HANDLE key = key_of(session);
  struct p11_module *module;
  assert_hf_ok(keyring_module(right, &module));
  /* Not twice within a second, which other tests may have done. */
  while (!p11_module_renew(module))
    usleep(50000);
  for (int i = 0; i < 5; i++)
    assert_rv(sign(session, key), CKR_PIN_INCORRECT);
  assert_true(controls->calls[FAKE_LOGIN].seen <= 1);
  keyring_close(agent.keyring);
  agent.keyring = right;
  hf_secret_free(wrong);
  assert_ok(sign(session, key));
}

static void nothing_works_before_initialize(void **state)
{
  (void)state;
  CK_SESSION_HANDLE session = session_of(0);
  CK_INFO info;
  assert_ok(f->C_Finalize(NULL));
  assert_rv(f->C_Finalize(NULL), CKR_CRYPTOKI_NOT_INITIALIZED);
  assert_rv(f->C_GetInfo(&info), CKR_CRYPTOKI_NOT_INITIALIZED);
  assert_rv(sign_finish(session), CKR_CRYPTOKI_NOT_INITIALIZED);
  assert_rv(f->C_OpenSession(0, CKF_SERIAL_SESSION, NULL, NULL, &session), CKR_CRYPTOKI_NOT_INITIALIZED);
  assert_ok(f->C_Initialize(NULL));
  assert_rv(f->C_Initialize(NULL), CKR_CRYPTOKI_ALREADY_INITIALIZED);
}

static void parameters_of_unknown_form_stay_outside(void **state)
{
  (void)state;
  CK_SESSION_HANDLE session = session_of(0);
  CK_BYTE bytes[24] = { 1 };
  CK_MECHANISM strange = { 0x80000001, bytes, sizeof(bytes) };
  CK_MECHANISM short_pss = { CKM_RSA_PKCS_PSS, bytes, 8 };
  CK_OBJECT_HANDLE key = key_of(session);
  assert_rv(f->C_SignInit(session, &strange, key), CKR_MECHANISM_PARAM_INVALID);
  assert_rv(f->C_SignInit(session, &short_pss, key), CKR_MECHANISM_PARAM_INVALID);
  CK_ATTRIBUTE nested = { CKA_WRAP_TEMPLATE, bytes, sizeof(bytes) };
  assert_rv(f->C_FindObjectsInit(session, &nested, 1), CKR_ATTRIBUTE_TYPE_INVALID);
  assert_int_equal(controls->calls[FAKE_SIGN_INIT].seen, 0);
}

static void a_key_is_used_and_never_had(void **state)
{
  (void)state;
  CK_SESSION_HANDLE session = session_of(CKF_RW_SESSION);
  CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
  CK_BYTE label[16], value[64], p256[] = { 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7 };
  CK_MECHANISM mechanism = { CKM_EC_KEY_PAIR_GEN, NULL, 0 };
  CK_ATTRIBUTE public[] = { { CKA_TOKEN, &yes, 1 }, { CKA_EC_PARAMS, p256, sizeof(p256) } };
  CK_ATTRIBUTE private[] = {
    { CKA_TOKEN, &yes, 1 },    { CKA_PRIVATE, &yes, 1 },     { CKA_SIGN, &yes, 1 },
    { CKA_SENSITIVE, &no, 1 }, { CKA_EXTRACTABLE, &yes, 1 }, { CKA_LABEL, label, 4 },
  };
  CK_OBJECT_HANDLE halves[2];
  memcpy(label, "open", 4);
  assert_rv(f->C_GenerateKeyPair(session_of(0), &mechanism, public, 2, private, 6, &halves[0], &halves[1]),
            CKR_SESSION_READ_ONLY);
  assert_ok(f->C_GenerateKeyPair(session, &mechanism, public, 2, private, 6, &halves[0], &halves[1]));
  CK_ATTRIBUTE asked[] = { { CKA_VALUE, value, sizeof(value) }, { CKA_LABEL, label, sizeof(label) } };
  assert_rv(f->C_GetAttributeValue(session, halves[1], asked, 2), CKR_ATTRIBUTE_SENSITIVE);
  assert_int_equal(asked[0].ulValueLen, CK_UNAVAILABLE_INFORMATION);
  assert_int_equal(asked[1].ulValueLen, 4);
  assert_ok(sign(session, halves[1]));
}

/* Frames */

static CK_RV check_frame(const char *hex)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf message = HF_BUF(4096);
  assert_hf_ok(hf_hex_decode(hex, &message));
  return p11_frame_check(hf_slice(message.data, message.len));
}

/* clang-format off */
static const struct {
  const char *hex;
  CK_RV rv;
} frames[] = {
  /* C_GetInfo "" */
  { "0000000300000000", CKR_OK },
  { "000000030000000000", CKR_ARGUMENTS_BAD },
  { "000000", CKR_ARGUMENTS_BAD },
  { "00000003ffffffff", CKR_ARGUMENTS_BAD },
  /* C_GetSlotList "yfu" */
  { "0000000400000003796675" "01" "00000010", CKR_OK },
  { "0000000400000003796675" "01" "00100000", CKR_DEVICE_MEMORY },
  /* C_Sign "uayfy" */
  { "0000002b000000057561796679" "0000000000000001" "01" "00000002" "aabb" "00000200", CKR_OK },
  { "0000002b000000057561796679" "0000000000000001" "01" "00000002" "aabb" "7fffffff", CKR_DEVICE_MEMORY },
  { "0000002b000000057561796679" "0000000000000001" "01" "7fffffff" "aabb" "00000200", CKR_ARGUMENTS_BAD },
  /* C_GetAttributeValue "uufA" */
  { "000000180000000475756641" "0000000000000001" "0000000000000001" "00000001" "00000003" "00000100", CKR_OK },
  { "000000180000000475756641" "0000000000000001" "0000000000000001" "00000001" "00" "00000003" "00" "00000100", CKR_OK },
  { "000000180000000475756641" "0000000000000001" "0000000000000001" "00000001" "00000003" "40000000", CKR_DEVICE_MEMORY },
  { "000000180000000475756641" "0000000000000001" "0000000000000001" "7fffffff" "00000003" "00000100", CKR_ARGUMENTS_BAD },
  /* C_FindObjectsInit "uaA" */
  { "0000001a00000003756141" "0000000000000001" "00000000", CKR_OK },
  { "0000001a00000003756141" "0000000000000001" "7fffffff", CKR_ARGUMENTS_BAD },
};
/* clang-format on */

/* What goes in: numbers alone, of these lengths, and one structure that libp11-kit rebuilds in memory of its own. */
static const struct {
  CK_MECHANISM_TYPE type;
  CK_ULONG len;
} let_in[] = {
  { CKM_RSA_PKCS_PSS, sizeof(CK_RSA_PKCS_PSS_PARAMS) },
  { CKM_SHA1_RSA_PKCS_PSS, sizeof(CK_RSA_PKCS_PSS_PARAMS) },
  { CKM_SHA224_RSA_PKCS_PSS, sizeof(CK_RSA_PKCS_PSS_PARAMS) },
  { CKM_SHA256_RSA_PKCS_PSS, sizeof(CK_RSA_PKCS_PSS_PARAMS) },
  { CKM_SHA384_RSA_PKCS_PSS, sizeof(CK_RSA_PKCS_PSS_PARAMS) },
  { CKM_SHA512_RSA_PKCS_PSS, sizeof(CK_RSA_PKCS_PSS_PARAMS) },
  { CKM_RSA_PKCS_OAEP, sizeof(CK_RSA_PKCS_OAEP_PARAMS) },
  { CKM_AES_CBC, 16 },
  { CKM_AES_CBC_PAD, 16 },
  { CKM_DES3_CBC, 8 },
  { CKM_DES3_CBC_PAD, 8 },
};

static bool is_let_in(CK_MECHANISM_TYPE type, CK_ULONG len)
{
  for (size_t i = 0; i < HF_ARRAY_LEN(let_in); i++)
    if (let_in[i].type == type && let_in[i].len == len)
      return true;
  return false;
}

/* By every function that takes a mechanism. */
static void assert_kept_out(CK_SESSION_HANDLE session, CK_MECHANISM *m)
{
  CK_OBJECT_HANDLE a = 0, b = 0;
  CK_BYTE bytes[16];
  CK_ULONG len = sizeof(bytes);
  CK_RV rv[] = {
    f->C_EncryptInit(session, m, 0),
    f->C_DecryptInit(session, m, 0),
    f->C_SignInit(session, m, 0),
    f->C_VerifyInit(session, m, 0),
    f->C_SignRecoverInit(session, m, 0),
    f->C_VerifyRecoverInit(session, m, 0),
    f->C_DigestInit(session, m),
    f->C_GenerateKey(session, m, NULL, 0, &a),
    f->C_GenerateKeyPair(session, m, NULL, 0, NULL, 0, &a, &b),
    f->C_WrapKey(session, m, 0, 0, bytes, &len),
    f->C_UnwrapKey(session, m, 0, bytes, sizeof(bytes), NULL, 0, &a),
    f->C_DeriveKey(session, m, 0, NULL, 0, &a),
  };
  for (size_t i = 0; i < HF_ARRAY_LEN(rv); i++)
    if (rv[i] != CKR_MECHANISM_PARAM_INVALID)
      fail_msg("mechanism 0x%lx, %lu bytes, function %zu: 0x%lx", m->mechanism, m->ulParameterLen, i, rv[i]);
}

/*
 * Of all that the token offers. libp11-kit hands what it does not know on as the bytes came: addresses of another process. What it
 * knows differs from version to version.
 */
static void no_address_goes_in(void **state)
{
  (void)state;
  CK_SESSION_HANDLE session = session_of(CKF_RW_SESSION);
  CK_SLOT_ID slots[8];
  CK_MECHANISM_TYPE types[512];
  CK_ULONG slot_count = HF_ARRAY_LEN(slots), count = HF_ARRAY_LEN(types);
  CK_BYTE addresses[128];
  memset(addresses, 'A', sizeof(addresses));
  assert_ok(f->C_GetSlotList(CK_TRUE, slots, &slot_count));
  assert_ok(f->C_GetMechanismList(slots[0], types, &count));
  assert_true(count > 50);
  for (CK_ULONG i = 0; i < count; i++) {
    for (CK_ULONG len = 1; len <= sizeof(addresses); len++) {
      CK_MECHANISM m = { types[i], addresses, len };
      if (!is_let_in(types[i], len))
        assert_kept_out(session, &m);
    }
  }
}

static void frames_that_ask_for_too_much(void **state)
{
  (void)state;
  for (size_t i = 0; i < HF_ARRAY_LEN(frames); i++)
    if (check_frame(frames[i].hex) != frames[i].rv)
      fail_msg("frame %zu: 0x%lx", i, check_frame(frames[i].hex));
}

static void headers_and_error_frames(void **state)
{
  (void)state;
  struct p11_frame frame;
  const uint8_t good[] = { 0, 0, 0, 7, 0, 0, 0, 6, 0, 0, 0, 8 }, large[] = { 0, 0, 0, 7, 0, 0, 0, 6, 0xff, 0, 0, 8 };
  const uint8_t answer[] = {
    0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 17, 0, 0, 0, 0, 0, 0, 0, 1, 'u', 0, 0, 0, 0, 0, 0, 0, 0x31
  };
  HF_CLEANUP(hf_buf_free) struct hf_buf out = HF_BUF(64);
  assert_hf_ok(p11_frame_header(good, &frame));
  assert_int_equal(frame.code, 7);
  assert_int_equal(frame.options_len, 6);
  assert_int_equal(frame.message_len, 8);
  assert_hf_err(p11_frame_header(large, &frame), LIMIT);
  assert_hf_ok(p11_frame_error(7, CKR_DEVICE_MEMORY, &out));
  assert_int_equal(out.len, sizeof(answer));
  assert_memory_equal(out.data, answer, sizeof(answer));
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, begin, end)

int main(void)
{
  const struct CMUnitTest tests[] = {
    TEST(a_client_goes_on_after_each_loss),
    TEST(what_stays_broken_is_told),
    TEST(a_refusal_is_no_loss),
    TEST(a_part_that_went_in_is_not_said_again),
    TEST(the_length_is_asked_for_first),
    TEST(sessions_are_borrowed_for_as_long_as_it_takes),
    TEST(clients_share_the_one_session_of_a_token),
    TEST(a_pin_is_not_tried_again),
    TEST(nothing_works_before_initialize),
    TEST(parameters_of_unknown_form_stay_outside),
    TEST(no_address_goes_in),
    TEST(a_key_is_used_and_never_had),
    cmocka_unit_test(frames_that_ask_for_too_much),
    cmocka_unit_test(headers_and_error_frames),
  };
  return cmocka_run_group_tests(tests, start, stop);
}
