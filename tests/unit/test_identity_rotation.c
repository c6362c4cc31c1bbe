/* SPDX-License-Identifier: Apache-2.0 */
/* A new key beside the old one, and keys that go, in our own token. */
#include "identity/rotation.h"
#include "hf_test.h"

#include "base/file.h"
#include "p11/object.h"

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>

#define TOKEN "pkcs11:token=device;"

static char dir[] = "/tmp/hf-rotation-XXXXXX";
static char config_file[64];
static const char *module_path;
static struct p11_module *module;
static struct config *config;
static EVP_PKEY *p256;

static void make_token(void)
{
  struct p11_token *tokens = NULL, token;
  struct hf_secret *pin = NULL, *so_pin = NULL;
  size_t count = 0;
  assert_hf_ok(hf_secret_new("654321", 6, &pin));
  assert_hf_ok(hf_secret_new("12345678", 8, &so_pin));
  assert_hf_ok(p11_token_list(module, &tokens, &count));
  assert_int_equal(count, 1);
  assert_hf_ok(p11_token_setup(module, tokens[0].slot, "device", so_pin, &token));
  assert_hf_ok(p11_token_set_user_pin(module, token.slot, so_pin, pin));
  free(tokens);
  hf_secret_free(pin);
  hf_secret_free(so_pin);
}

static void put(const char *name, const char *text)
{
  char path[128];
  snprintf(path, sizeof(path), "%s/%s", dir, name);
  assert_hf_ok(hf_file_write(path, text, strlen(text), 0600));
}

static int start(void **state)
{
  (void)state;
  char text[256], path[128];
  module_path = getenv("HF_FAKE_REAL");
  if (!module_path || !mkdtemp(dir))
    return -1;
  snprintf(text, sizeof(text), "directories.tokendir = %s\n", dir);
  put("token.conf", text);
  snprintf(path, sizeof(path), "%s/token.conf", dir);
  setenv("HOLDFAST_TOKEN_CONF", path, 1);
  setenv("PIN", "654321", 1);
  put("config.json", "{\"device\": {\"cryptoki\": {\"pin\": \"654321\"}}}");
  snprintf(config_file, sizeof(config_file), "%s/config.json", dir);
  assert_hf_ok(config_load(config_file, &config));
  assert_hf_ok(p11_module_open(module_path, &module));
  make_token();
  p256 = EVP_EC_gen("P-256");
  return p256 ? 0 : -1;
}

static int stop(void **state)
{
  (void)state;
  char command[128];
  EVP_PKEY_free(p256);
  config_free(config);
  p11_module_unref(module);
  snprintf(command, sizeof(command), "rm -rf %s", dir);
  return system(command);
}

static void open_hsm(struct hsm *hsm)
{
  HF_CLEANUP(uri_free) struct uri uri = { 0 };
  assert_hf_ok(uri_parse(TOKEN "type=private", &uri));
  assert_hf_ok(hsm_open(config, module_path, &uri, P11_READ_WRITE, hsm));
}

static void make_key(enum p11_key_kind kind, const char *label, const char *id)
{
  HF_CLEANUP(hsm_close) struct hsm hsm = { 0 };
  struct p11_key_spec spec = { .kind = kind, .rsa_bits = 2048, .label = label, .id = id, .id_len = strlen(id) };
  CK_OBJECT_HANDLE public_key, private_key;
  open_hsm(&hsm);
  assert_hf_ok(p11_key_generate(hsm.session, &spec, &public_key, &private_key));
}

/* How many objects (a key pair is two) the URI matches; the first one's kind. */
static size_t count_of(const char *text, struct p11_object *ret_first)
{
  HF_CLEANUP(hsm_close) struct hsm hsm = { 0 };
  HF_CLEANUP(uri_free) struct uri uri = { 0 };
  struct p11_object *objects = NULL;
  size_t count = 0;
  open_hsm(&hsm);
  assert_hf_ok(uri_parse(text, &uri));
  assert_hf_ok(p11_object_list(hsm.session, &uri, &objects, &count));
  if (ret_first && count)
    *ret_first =
        (struct p11_object){ .key_type = objects[0].key_type, .bits = objects[0].bits, .curve = objects[0].curve };
  p11_object_list_free(objects, count);
  return count;
}

static int empty(void **state)
{
  (void)state;
  HF_CLEANUP(hsm_close) struct hsm hsm = { 0 };
  struct p11_object *objects = NULL;
  size_t count = 0;
  open_hsm(&hsm);
  assert_hf_ok(p11_object_list(hsm.session, NULL, &objects, &count));
  for (size_t i = 0; i < count; i++)
    assert_hf_ok(p11_object_destroy(hsm.session, objects[i].handle));
  p11_object_list_free(objects, count);
  return 0;
}

static void test_the_label_of_the_next_generation(void **state)
{
  (void)state;
  static const char *const cases[][2] = {
    { "key", "key-2" },
    { "key-2", "key-3" },
    { "key-9", "key-10" },
    { "my-key", "my-key-2" },
    { "-7", "-7-2" },
    { "key-", "key--2" },
    { "key-02", "key-02-2" },
    { "key-2x", "key-2x-2" },
    { "key-999999", "key-1000000" },
    { "key-1234567", "key-1234567-2" },
  };
  char out[ROTATION_LABEL_MAX], longest[ROTATION_LABEL_MAX];
  for (size_t i = 0; i < HF_ARRAY_LEN(cases); i++) {
    assert_hf_ok(rotation_next_label(cases[i][0], out));
    assert_string_equal(out, cases[i][1]);
  }
  memset(longest, 'x', sizeof(longest) - 1);
  longest[sizeof(longest) - 1] = '\0';
  assert_hf_err(rotation_next_label(longest, out), LIMIT);
}

static void test_a_new_key_of_the_same_kind_beside_the_old_one(void **state)
{
  (void)state;
  static const struct {
    enum p11_key_kind kind;
    const char *openssl;
    CK_KEY_TYPE type;
    size_t bits;
  } cases[] = {
    { P11_EC_P256, "P-256", CKK_EC, 256 }, { P11_EC_P384, "P-384", CKK_EC, 384 },
    { P11_EC_P521, "P-521", CKK_EC, 521 }, { P11_ED25519, "ED25519", CKK_EC_EDWARDS, 255 },
    { P11_RSA, "RSA", CKK_RSA, 2048 },
  };
  for (size_t i = 0; i < HF_ARRAY_LEN(cases); i++) {
    HF_CLEANUP(rotation_free) struct rotation r = { 0 };
    struct p11_object made = { 0 };
    bool ec = cases[i].openssl[0] == 'P';
    EVP_PKEY *key = ec                         ? EVP_EC_gen(cases[i].openssl)
                    : cases[i].kind == P11_RSA ? EVP_RSA_gen(2048)
                                               : EVP_PKEY_Q_keygen(NULL, NULL, cases[i].openssl);
    empty(NULL);
    make_key(cases[i].kind, "key", "\1");
    assert_hf_ok(rotation_plan(config, module_path, TOKEN "object=key?pin-source=env:PIN", key, &r));
    assert_string_equal(r.label, "key-2");
    assert_contains(r.old_uri, ";id=%01;object=key;type=private");
    assert_contains(r.new_uri, TOKEN "id=%");
    assert_contains(r.new_uri, ";object=key-2;type=private?pin-source=env:PIN");
    assert_int_equal(count_of(r.new_uri, NULL), 0);
    assert_hf_ok(rotation_make(&r));
    assert_int_equal(count_of(r.new_uri, &made), 1);
    assert_int_equal(made.key_type, cases[i].type);
    assert_int_equal(made.bits, cases[i].bits);
    assert_int_equal(count_of(TOKEN "object=key", NULL), 2);
    EVP_PKEY_free(key);
  }
}

static void test_a_label_that_is_taken_is_passed_over(void **state)
{
  (void)state;
  HF_CLEANUP(rotation_free) struct rotation r = { 0 };
  make_key(P11_EC_P256, "key", "\1");
  make_key(P11_EC_P256, "key-2", "\2");
  assert_hf_ok(rotation_plan(config, module_path, TOKEN "object=key", p256, &r));
  assert_string_equal(r.label, "key-3");
}

static void test_what_cannot_be_rotated(void **state)
{
  (void)state;
  static const struct {
    const char *uri, *text;
    enum hf_code code;
  } cases[] = {
    { TOKEN "type=private", "neither id nor object", HF_ERR_CONFIG },
    { TOKEN "object=key?pin-value=654321", "holds a PIN", HF_ERR_CONFIG },
    { TOKEN "object=other", "object=other", HF_ERR_URI_NO_MATCH },
    { "pkcs11:token=other;object=key", "token=other", HF_ERR_TOKEN_NOT_FOUND },
  };
  make_key(P11_EC_P256, "key", "\1");
  for (size_t i = 0; i < HF_ARRAY_LEN(cases); i++) {
    struct rotation r = { 0 };
    hf_assert_code(rotation_plan(config, module_path, cases[i].uri, p256, &r), cases[i].code, __FILE__, __LINE__);
    assert_contains(hf_err_context(), cases[i].text);
    assert_null(strstr(hf_err_context(), "654321"));
    assert_null(r.new_uri);
  }
  struct rotation r = { 0 };
  EVP_PKEY *strange = EVP_PKEY_Q_keygen(NULL, NULL, "ED448");
  assert_hf_err(rotation_plan(config, module_path, TOKEN "object=key", strange, &r), FUNCTION_NOT_SUPPORTED);
  EVP_PKEY_free(strange);
  strange = EVP_EC_gen("brainpoolP256r1");
  assert_hf_err(rotation_plan(config, module_path, TOKEN "object=key", strange, &r), FUNCTION_NOT_SUPPORTED);
  EVP_PKEY_free(strange);
}

static void test_a_key_without_a_label_keeps_none(void **state)
{
  (void)state;
  HF_CLEANUP(rotation_free) struct rotation r = { 0 };
  make_key(P11_EC_P256, NULL, "\1");
  assert_hf_ok(rotation_plan(config, module_path, TOKEN "id=%01", p256, &r));
  assert_string_equal(r.label, "");
  assert_null(strstr(r.new_uri, "object="));
  assert_hf_ok(rotation_make(&r));
  assert_int_equal(count_of(r.new_uri, NULL), 1);
}

static void test_a_pair_is_deleted_and_nothing_else(void **state)
{
  (void)state;
  make_key(P11_EC_P256, "key", "\1");
  make_key(P11_EC_P256, "key-2", "\2");
  static const char keep[] = TOKEN "object=key-2";
  for (int i = 0; i < 2; i++) {
    assert_hf_ok(rotation_delete(config, module_path, TOKEN "object=key;id=%01;type=private", keep));
    assert_int_equal(count_of("pkcs11:token=device", NULL), 2);
    assert_int_equal(count_of(keep, NULL), 2);
  }
}

static void test_the_device_s_own_key_is_never_deleted(void **state)
{
  (void)state;
  make_key(P11_EC_P256, "key", "\1");
  assert_hf_err(rotation_delete(config, module_path, TOKEN "id=%01", TOKEN "object=key"), CONFIG);
  make_key(P11_EC_P256, "other", "\2");
  assert_hf_err(rotation_delete(config, module_path, TOKEN "type=private", TOKEN "object=key"), URI_AMBIGUOUS);
  assert_int_equal(count_of("pkcs11:token=device", NULL), 4);
}

#define TEST(name) cmocka_unit_test_setup(name, empty)

int main(void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_the_label_of_the_next_generation),
    TEST(test_a_new_key_of_the_same_kind_beside_the_old_one),
    TEST(test_a_label_that_is_taken_is_passed_over),
    TEST(test_what_cannot_be_rotated),
    TEST(test_a_key_without_a_label_keeps_none),
    TEST(test_a_pair_is_deleted_and_nothing_else),
    TEST(test_the_device_s_own_key_is_never_deleted),
  };
  return cmocka_run_group_tests(tests, start, stop);
}
