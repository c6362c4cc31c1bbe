/* SPDX-License-Identifier: Apache-2.0 */
/* The signing service without its socket: what each frame does on our own token, what fails, and many threads at once. */
#include "hf_test.h"

#include "agent/sign_service.h"
#include "wire/frame.h"

#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <sys/stat.h>

enum { THREADS = 4, ROUNDS = 40 };

static const char pin_text[] = "654321", so_pin_text[] = "12345678";
static char directory[] = "/tmp/hf-agent-XXXXXX";
static struct agent agent;
static struct peer peer;

static struct wire_text text(const char *value)
{
  return wire_text(value, strlen(value));
}

/* The response; its texts are in out. */
static struct wire_frame ask(struct wire_frame *request, struct hf_buf *out)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf bytes = HF_BUF(WIRE_REQUEST_MAX);
  struct wire_frame response;
  hf_buf_free(out);
  assert_hf_ok(wire_frame_encode(request, &bytes));
  assert_hf_ok(sign_service_answer(&agent, &peer, hf_slice(bytes.data, bytes.len), out));
  assert_hf_ok(wire_frame_decode(hf_slice(out->data, out->len), WIRE_DIRECTION_RESPONSE, &response));
  return response;
}

static void assert_refused(struct wire_frame *request, const char *why)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf out = HF_BUF(WIRE_RESPONSE_MAX), said = HF_BUF(WIRE_RESPONSE_MAX);
  struct wire_frame response = ask(request, &out);
  assert_int_equal(response.number, WIRE_ERROR);
  assert_hf_ok(hf_buf_add(&said, response.text.bytes.data, response.text.bytes.len));
  assert_contains(hf_buf_str(&said), why);
}

static void assert_answered(struct wire_frame *request, enum wire_number number)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf out = HF_BUF(WIRE_RESPONSE_MAX);
  struct wire_frame response = ask(request, &out);
  if (response.number == WIRE_ERROR)
    print_error("%.*s\n", (int)response.text.bytes.len, (const char *)response.text.bytes.data);
  assert_int_equal(response.number, number);
  wire_frame_free(&response);
}

static struct wire_frame sign_request(const char *uri)
{
  return (struct wire_frame){ .number = WIRE_SIGN, .bytes = text("data"), .uri = text(uri) };
}

static void create_key(const char *label, enum wire_key_type type, uint16_t size)
{
  struct wire_frame request = { .number = WIRE_CREATE_KEY,
                                .uri = text("pkcs11:token=device"),
                                .label = text(label),
                                .key_type = { true, (uint16_t)type },
                                .key_size = size };
  assert_answered(&request, WIRE_CREATED_KEY);
}

static void use_policy(const char *rules)
{
  char path[64];
  snprintf(path, sizeof(path), "%s/policy", directory);
  FILE *f = fopen(path, "we");
  assert_non_null(f);
  fputs(rules, f);
  fclose(f);
  agent.policy = policy_free(agent.policy);
  assert_hf_ok(policy_load(path, (gid_t)-1, &agent.policy));
}

static void keys_are_made_listed_used_and_deleted(void **state)
{
  (void)state;
  HF_CLEANUP(hf_buf_free) struct hf_buf out = HF_BUF(WIRE_RESPONSE_MAX);
  create_key("ec", WIRE_KEY_EC, 384);
  create_key("rsa", WIRE_KEY_RSA, 2048);
  struct wire_frame list = { .number = WIRE_LIST_KEYS, .uri = text("pkcs11:token=device") };
  struct wire_frame response = ask(&list, &out);
  assert_int_equal(response.number, WIRE_KEYS);
  assert_int_equal(response.item_count, 4);
  wire_frame_free(&response);
  struct wire_frame choose = {
    .number = WIRE_CHOOSE_SCHEME, .uri = text("pkcs11:object=rsa"), .offered_count = 2, .offered = { 0x0401, 0x0804 }
  };
  response = ask(&choose, &out);
  assert_int_equal(response.scheme.value, 0x0804);
  assert_int_equal(response.algorithm, 1);
  struct wire_frame sign = sign_request("pkcs11:object=rsa");
  assert_answered(&sign, WIRE_SIGNATURE);
  struct wire_frame pem = { .number = WIRE_GET_PUBLIC_KEY, .uri = text("pkcs11:object=ec") };
  assert_answered(&pem, WIRE_PUBLIC_KEY);
  struct wire_frame delete = { .number = WIRE_DELETE_KEY, .uri = text("pkcs11:object=rsa") };
  response = ask(&delete, &out);
  assert_int_equal(response.item_count, 2);
  wire_frame_free(&response);
  assert_refused(&sign, "PKCS #11 service failed: Failed to find a signing key: Failed to find a key: ");
  delete.uri = text("pkcs11:object=ec");
  assert_answered(&delete, WIRE_DELETED_KEY);
}

static void nothing_happens_without_policy(void **state)
{
  (void)state;
  create_key("kept", WIRE_KEY_EC, 256);
  use_policy("deny all\n");
  struct wire_frame requests[] = {
    sign_request("pkcs11:object=kept"),
    { .number = WIRE_CHOOSE_SCHEME, .uri = text("pkcs11:object=kept"), .offered_count = 1, .offered = { 0x0403 } },
    { .number = WIRE_GET_PUBLIC_KEY, .uri = text("pkcs11:object=kept") },
    { .number = WIRE_CREATE_KEY,
      .uri = text("pkcs11:token=device"),
      .label = text("new"),
      .key_type = { true, WIRE_KEY_EC },
      .key_size = 256 },
    { .number = WIRE_DELETE_KEY, .uri = text("pkcs11:object=kept") },
    { .number = WIRE_LIST_KEYS },
    { .number = WIRE_LIST_TOKENS },
    { .number = WIRE_GET_TOKENS_URIS },
    { .number = WIRE_INIT_TOKEN, .label = text("new"), .pin = text(pin_text), .so_pin = text(so_pin_text) },
    { .number = WIRE_CHANGE_PIN,
      .uri = text("pkcs11:token=device"),
      .new_pin = text("777777"),
      .old_pin = text(pin_text) },
    { .number = WIRE_CHANGE_PIN,
      .uri = text("pkcs11:token=device"),
      .new_pin = text("777777"),
      .so_pin = text(so_pin_text),
      .reset = true },
  };
  for (size_t i = 0; i < HF_ARRAY_LEN(requests); i++)
    assert_refused(&requests[i], "permission denied");
  struct wire_frame ping = { .number = WIRE_PING };
  assert_answered(&ping, WIRE_PONG);
  use_policy("allow all\n");
  struct wire_frame list = { .number = WIRE_LIST_KEYS };
  HF_CLEANUP(hf_buf_free) struct hf_buf out = HF_BUF(WIRE_RESPONSE_MAX);
  struct wire_frame response = ask(&list, &out);
  assert_int_equal(response.item_count, 2);
  wire_frame_free(&response);
  struct wire_frame delete = { .number = WIRE_DELETE_KEY, .uri = text("pkcs11:object=kept") };
  assert_answered(&delete, WIRE_DELETED_KEY);
}

static void bad_values_are_refused_by_name(void **state)
{
  (void)state;
  static const struct {
    const char *uri, *why;
  } rows[] = {
    { "pkcs11:object", "not a valid PKCS #11 URI" },
    { "pkcs11:object=none", "Failed to find a signing key" },
    { "pkcs11:token=none", "Didn't find a slot to use" },
    { "pkcs11:object=none?pin-value=111111", "The specified PIN is incorrect" },
  };
  struct wire_frame list = { .number = WIRE_LIST_KEYS };
  assert_answered(&list, WIRE_KEYS);
  for (size_t i = 0; i < HF_ARRAY_LEN(rows); i++) {
    struct wire_frame request = sign_request(rows[i].uri);
    assert_refused(&request, rows[i].why);
  }
  struct wire_frame nul = { .number = WIRE_SIGN, .bytes = text("x"), .uri = wire_text("pkcs11:\0", 8) };
  assert_refused(&nul, "it holds a NUL");
}

static hf_err answer_bytes(const void *bytes, size_t len, struct wire_frame *ret_response)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf out = HF_BUF(WIRE_RESPONSE_MAX);
  HF_TRY(sign_service_answer(&agent, &peer, hf_slice(bytes, len), &out));
  HF_TRY(wire_frame_decode(hf_slice(out.data, out.len), WIRE_DIRECTION_RESPONSE, ret_response));
  wire_frame_free(ret_response);
  return HF_OK;
}

static void garbage_gets_an_error_frame(void **state)
{
  (void)state;
  uint8_t bytes[3];
  for (unsigned i = 0; i < 1u << 16; i += 7) {
    struct wire_frame response;
    bytes[0] = 0;
    bytes[1] = (uint8_t)i;
    bytes[2] = (uint8_t)(i >> 8);
    assert_hf_ok(answer_bytes(bytes, sizeof(bytes), &response));
  }
}

static void *sign_many(void *arg)
{
  size_t *signatures = arg;
  for (int i = 0; i < ROUNDS; i++) {
    HF_CLEANUP(hf_buf_free) struct hf_buf bytes = HF_BUF(WIRE_REQUEST_MAX), out = HF_BUF(WIRE_RESPONSE_MAX);
    struct wire_frame request = sign_request("pkcs11:object=shared");
    if (!hf_failed(wire_frame_encode(&request, &bytes)) &&
        !hf_failed(sign_service_answer(&agent, &peer, hf_slice(bytes.data, bytes.len), &out)))
      *signatures += out.len > 2 && out.data[1] == WIRE_SIGNATURE;
  }
  return NULL;
}

/* Others list, and give up what is kept, meanwhile. */
static void threads_sign_at_once(void **state)
{
  (void)state;
  pthread_t threads[THREADS];
  size_t signatures[THREADS] = { 0 };
  create_key("shared", WIRE_KEY_EC, 256);
  for (size_t i = 0; i < THREADS; i++)
    assert_int_equal(pthread_create(&threads[i], NULL, sign_many, &signatures[i]), 0);
  for (int i = 0; i < ROUNDS / 4; i++) {
    struct wire_frame list = { .number = WIRE_LIST_KEYS };
    assert_answered(&list, WIRE_KEYS);
    keyring_drop(agent.keyring, NULL);
  }
  for (size_t i = 0; i < THREADS; i++) {
    pthread_join(threads[i], NULL);
    assert_int_equal(signatures[i], ROUNDS);
  }
}

static void make_token(void)
{
  struct wire_frame request = { .number = WIRE_INIT_TOKEN, .label = text("device"), .so_pin = text(so_pin_text) };
  assert_answered(&request, WIRE_INITED_TOKEN);
  assert_refused(&request, "not overwritten");
  request.uri = text("pkcs11:token=device");
  request.label = text("other");
  assert_refused(&request, "not overwritten");
}

static int start(void **state)
{
  (void)state;
  char path[64], pin_path[64];
  assert_non_null(mkdtemp(directory));
  snprintf(path, sizeof(path), "%s/token.conf", directory);
  snprintf(pin_path, sizeof(pin_path), "%s/pin", directory);
  FILE *conf = fopen(path, "we"), *pin = fopen(pin_path, "we");
  assert_true(conf && pin);
  fprintf(conf, "directories.tokendir = %s\npin.kdf_memory = 8\npin.kdf_passes = 1\n", directory);
  fprintf(pin, "%s\n", pin_text);
  fclose(conf);
  fclose(pin);
  setenv("HOLDFAST_TOKEN_CONF", path, 1);
  const char *module = getenv("HF_FAKE_REAL");
  assert_non_null(module);
  struct keyring_options options = { .module_path = module, .pin_source = pin_path };
  assert_hf_ok(keyring_open(&options, &agent.keyring));
  assert_hf_ok(metrics_new(&agent.metrics));
  assert_hf_ok(audit_open("holdfast-agent", AUDIT_JSON, open("/dev/null", O_WRONLY | O_CLOEXEC)));
  use_policy("allow all\n");
  peer = (struct peer){ .uid = 1000, .pid = 1 };
  make_token();
  return 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
  (void)st;
  (void)type;
  (void)ftw;
  return remove(path);
}

static int stop(void **state)
{
  (void)state;
  agent.keyring = keyring_close(agent.keyring);
  agent.policy = policy_free(agent.policy);
  agent.metrics = metrics_free(agent.metrics);
  return nftw(directory, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(keys_are_made_listed_used_and_deleted),
    cmocka_unit_test(nothing_happens_without_policy),
    cmocka_unit_test(bad_values_are_refused_by_name),
    cmocka_unit_test(garbage_gets_an_error_frame),
    cmocka_unit_test(threads_sign_at_once),
  };
  return cmocka_run_group_tests(tests, start, stop);
}
