/* SPDX-License-Identifier: Apache-2.0 */
/* Each kind of key: made, read back, signed with; and what is said of a token that lacks it. */
#include "hf_test.h"
#include "p11_fake.h"

#include "base/file.h"
#include "p11/der.h"
#include "p11/key.h"

#include <dlfcn.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

static const char pin_text[] = "654321", so_pin_text[] = "12345678";
static char directory[] = "/tmp/hf-kind-XXXXXX";
static struct fake_controls *controls;
static struct p11_module *module;
static struct p11_session *session;

static const struct kind_case {
  enum p11_key_kind kind;
  unsigned rsa_bits;
  const char *label, *shown_curve, *curve;
  CK_KEY_TYPE type;
  struct p11_sign how;
  const char *hash; /* of the message, for libcrypto too; NULL: the message itself is signed */
} kinds[] = {
  { P11_EC_P256, 0, "p256", "secp256r1", "prime256v1", CKK_EC, { P11_SIGN_ECDSA, NULL, NULL, 0 }, "SHA256" },
  { P11_EC_P384, 0, "p384", "secp384r1", "secp384r1", CKK_EC, { P11_SIGN_ECDSA, NULL, NULL, 0 }, "SHA384" },
  { P11_EC_P521, 0, "p521", "secp521r1", "secp521r1", CKK_EC, { P11_SIGN_ECDSA, NULL, NULL, 0 }, "SHA512" },
  { P11_ED25519, 0, "ed25519", "edwards25519", "ED25519", CKK_EC_EDWARDS, { P11_SIGN_EDDSA, NULL, NULL, 0 }, NULL },
  { P11_RSA, 2048, "rsa", NULL, NULL, CKK_RSA, { P11_SIGN_RSA_PKCS1, "SHA256", NULL, 0 }, "SHA256" },
};

static struct hf_secret *secret(const char *text)
{
  struct hf_secret *s = NULL;
  assert_hf_ok(hf_secret_new(text, strlen(text), &s));
  return s;
}

static hf_err make_token(struct p11_token *ret_token)
{
  struct hf_secret *pin = secret(pin_text), *so_pin = secret(so_pin_text);
  struct p11_token *tokens = NULL;
  size_t count = 0;
  HF_TRY(p11_token_list(module, &tokens, &count));
  HF_TRY(p11_token_setup(module, tokens[count - 1].slot, "device", so_pin, ret_token));
  HF_TRY(p11_token_set_user_pin(module, ret_token->slot, so_pin, pin));
  HF_TRY(p11_session_open(module, ret_token->slot, P11_READ_WRITE, &session));
  HF_TRY(p11_session_login(session, CKU_USER, pin, P11_LOGIN_CAREFUL));
  free(tokens);
  hf_secret_free(pin);
  hf_secret_free(so_pin);
  return HF_OK;
}

static int start(void **state)
{
  (void)state;
  if (!mkdtemp(directory))
    return -1;
  char path[64], conf[96];
  struct p11_token token;
  snprintf(path, sizeof(path), "%s/token.conf", directory);
  snprintf(conf, sizeof(conf), "directories.tokendir = %s\n", directory);
  assert_hf_ok(hf_file_write(path, conf, strlen(conf), 0600));
  setenv("HOLDFAST_TOKEN_CONF", path, 1);
  assert_hf_ok(p11_module_open(getenv("HF_FAKE_MODULE"), &module));
  void *library = dlopen(getenv("HF_FAKE_MODULE"), RTLD_NOW | RTLD_NOLOAD);
  controls = dlsym(library, FAKE_CONTROLS);
  assert_hf_ok(make_token(&token));
  return 0;
}

static int stop(void **state)
{
  (void)state;
  p11_session_close(session);
  p11_module_unref(module);
  char command[256];
  snprintf(command, sizeof(command), "rm -rf '%s'", directory);
  return system(command);
}

static int calm(void **state)
{
  (void)state;
  *controls = (struct fake_controls){ .sessions = controls->sessions };
  return 0;
}

static hf_err generate(enum p11_key_kind kind, unsigned rsa_bits, const char *label)
{
  struct p11_key_spec spec = {
    .kind = kind, .rsa_bits = rsa_bits, .label = label, .id = label, .id_len = strlen(label)
  };
  CK_OBJECT_HANDLE public, private;
  return p11_key_generate(session, &spec, &public, &private);
}

static struct p11_object find(const char *label, const char *type)
{
  struct uri uri = { 0 };
  struct p11_object object;
  assert_hf_ok(uri_set(&uri, URI_OBJECT, label, strlen(label)));
  assert_hf_ok(uri_set(&uri, URI_TYPE, type, strlen(type)));
  assert_hf_ok(p11_object_find(session, &uri, &object));
  uri_free(&uri);
  return object;
}

static struct p11_key *open_key(const char *label)
{
  struct uri uri = { 0 };
  struct hf_secret *pin = secret(pin_text);
  struct p11_key *key = NULL;
  assert_hf_ok(uri_set(&uri, URI_OBJECT, label, strlen(label)));
  assert_hf_ok(p11_key_open(module, &uri, pin, &key));
  hf_secret_free(pin);
  uri_free(&uri);
  return key;
}

#define OID_EC "\x06\x07\x2a\x86\x48\xce\x3d\x02\x01"

/* What stands in the AlgorithmIdentifier of a key on the curve. */
static const struct {
  const char *curve, *algorithm;
  size_t len;
} algorithms[] = {
  { "prime256v1", OID_EC "\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07", 19 },
  { "secp384r1", OID_EC "\x06\x05\x2b\x81\x04\x00\x22", 16 },
  { "secp521r1", OID_EC "\x06\x05\x2b\x81\x04\x00\x23", 16 },
  { "ED25519", "\x06\x03\x2b\x65\x70", 5 },
};

static void add_spki(size_t row, const struct hf_buf *point, struct hf_buf *out)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf bits = HF_BUF(256), content = HF_BUF(512);
  assert_hf_ok(hf_buf_add_u8(&bits, 0));
  assert_hf_ok(hf_buf_add(&bits, point->data, point->len));
  assert_hf_ok(p11_der_add(&content, DER_SEQUENCE, algorithms[row].algorithm, algorithms[row].len));
  assert_hf_ok(p11_der_add(&content, DER_BIT_STRING, bits.data, bits.len));
  assert_hf_ok(p11_der_add(out, DER_SEQUENCE, content.data, content.len));
}

/* By way of a SubjectPublicKeyInfo, in which our own reader finds the same; NULL for RSA. */
static EVP_PKEY *to_libcrypto(const struct p11_public *key)
{
  for (size_t i = 0; i < HF_ARRAY_LEN(algorithms); i++) {
    if (!key->curve || strcmp(key->curve, algorithms[i].curve) != 0)
      continue;
    HF_CLEANUP(hf_buf_free) struct hf_buf der = HF_BUF(512);
    struct p11_public again;
    add_spki(i, &key->point, &der);
    p11_public_init(&again);
    assert_hf_ok(p11_public_from_spki(hf_slice(der.data, der.len), &again));
    assert_true(p11_public_equal(key, &again));
    p11_public_free(&again);
    const unsigned char *at = der.data;
    EVP_PKEY *made = d2i_PUBKEY(NULL, &at, (long)der.len);
    assert_non_null(made);
    return made;
  }
  return NULL;
}

static void check_signature(const struct kind_case *row, struct p11_key *key)
{
  static const uint8_t message[] = "what is to be signed";
  HF_CLEANUP(hf_buf_free) struct hf_buf signature = HF_BUF(P11_SIGNATURE_MAX);
  uint8_t digest[EVP_MAX_MD_SIZE];
  unsigned len = sizeof(message);
  memcpy(digest, message, sizeof(message));
  if (row->hash)
    assert_int_equal(EVP_Digest(message, sizeof(message), digest, &len, EVP_get_digestbyname(row->hash), NULL), 1);
  assert_hf_ok(p11_key_sign_der(key, &row->how, digest, len, &signature));
  EVP_PKEY *public = to_libcrypto(p11_key_public(key));
  if (!public)
    return;
  EVP_MD_CTX *ctx = EVP_MD_CTX_new();
  const EVP_MD *md = row->hash ? EVP_get_digestbyname(row->hash) : NULL;
  assert_int_equal(EVP_DigestVerifyInit(ctx, NULL, md, NULL, public), 1);
  assert_int_equal(EVP_DigestVerify(ctx, signature.data, signature.len, message, sizeof(message)), 1);
  EVP_MD_CTX_free(ctx);
  EVP_PKEY_free(public);
}

static void each_kind_is_made_read_and_signs(void **state)
{
  (void)state;
  for (size_t i = 0; i < HF_ARRAY_LEN(kinds); i++) {
    const struct kind_case *row = &kinds[i];
    assert_hf_ok(generate(row->kind, row->rsa_bits, row->label));
    struct p11_object object = find(row->label, "private");
    assert_int_equal(object.key_type, row->type);
    assert_true(object.curve == row->shown_curve || strcmp(object.curve, row->shown_curve) == 0);
    assert_false(object.flags & P11_FLAG_EXTRACTABLE);
    p11_object_free(&object);
    struct p11_key *key = open_key(row->label);
    assert_int_equal(p11_key_public(key)->type, row->type);
    if (row->curve)
      assert_string_equal(p11_key_public(key)->curve, row->curve);
    check_signature(row, key);
    p11_key_unref(key);
  }
}

static void a_scheme_of_another_type_is_refused(void **state)
{
  (void)state;
  HF_CLEANUP(hf_buf_free) struct hf_buf out = HF_BUF(P11_SIGNATURE_MAX);
  assert_hf_ok(generate(P11_ED25519, 0, "wrong"));
  struct p11_key *key = open_key("wrong");
  struct p11_sign how = { .scheme = P11_SIGN_ECDSA };
  assert_hf_err(p11_key_sign_der(key, &how, pin_text, sizeof(pin_text), &out), KEY_TYPE_INCONSISTENT);
  p11_key_unref(key);
}

/* A YubiKey knows edwards25519 by its name alone, SoftHSM2 by its OID. */
static void the_next_form_of_a_curve_is_tried(void **state)
{
  (void)state;
  HF_CLEANUP(hf_buf_free) struct hf_buf params = HF_BUF(64);
  controls->calls[FAKE_GENERATE].rv = CKR_CURVE_NOT_SUPPORTED;
  controls->calls[FAKE_GENERATE].fail = 1;
  assert_hf_ok(generate(P11_ED25519, 0, "by-name"));
  assert_int_equal(controls->calls[FAKE_GENERATE].seen, 2);
  struct p11_object object = find("by-name", "public");
  assert_hf_ok(p11_object_get(session, object.handle, CKA_EC_PARAMS, &params));
  assert_int_equal(params.len, 14);
  assert_memory_equal(params.data,
                      "\x13\x0c"
                      "edwards25519",
                      14);
  p11_object_free(&object);
  struct p11_key *key = open_key("by-name");
  check_signature(&kinds[3], key);
  p11_key_unref(key);
}

static void other_errors_are_not_tried_again(void **state)
{
  (void)state;
  controls->calls[FAKE_GENERATE].rv = CKR_DEVICE_MEMORY;
  controls->calls[FAKE_GENERATE].fail = 10;
  assert_hf_err(generate(P11_ED25519, 0, "none"), DEVICE_MEMORY);
  assert_int_equal(controls->calls[FAKE_GENERATE].seen, 1);
}

/* A TPM answers CKR_GENERAL_ERROR and the like; what it lists is clear. */
static void what_is_not_offered_is_named(void **state)
{
  (void)state;
  controls->calls[FAKE_GENERATE].rv = CKR_GENERAL_ERROR;
  controls->calls[FAKE_GENERATE].fail = 100;
  controls->bits_max = 384;
  hf_err e = generate(P11_EC_P521, 0, "none");
  assert_hf_err(e, KEY_SIZE_RANGE);
  assert_string_equal(hf_err_context(), "P-521 keys in token 'device'");
  assert_string_equal(hf_err_hint(e), "It offers P-256, P-384, Ed25519, RSA.");
  e = generate(P11_EC_P256, 0, "none");
  assert_hf_err(e, GENERAL_ERROR); /* what it says that it offers is refused for another reason */
  controls->bits_max = 3072;
  e = generate(P11_RSA, 4096, "none");
  assert_hf_err(e, KEY_SIZE_RANGE);
  assert_string_equal(hf_err_context(), "RSA-4096 keys in token 'device'");
  assert_contains(hf_err_hint(e), "RSA of 1024 to 3072 bits");
}

static void points_of_the_wrong_length_are_refused(void **state)
{
  (void)state;
  static const uint8_t head[] = { 0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00 };
  uint8_t der[sizeof(head) + 32] = { 0 };
  struct p11_public key;
  p11_public_init(&key);
  memcpy(der, head, sizeof(head));
  assert_hf_ok(p11_public_from_spki(hf_slice(der, sizeof(der)), &key));
  assert_int_equal(key.point.len, 32);
  assert_int_equal(p11_public_bits(&key), 255);
  for (size_t len = 0; len < sizeof(der); len++)
    assert_hf_err(p11_public_from_spki(hf_slice(der, len), &key), PARSE);
  der[1]--;
  der[10]--;
  assert_hf_err(p11_public_from_spki(hf_slice(der, sizeof(der) - 1), &key), ATTRIBUTE_VALUE_INVALID);
  p11_public_free(&key);
}

#define TEST(function) cmocka_unit_test_setup(function, calm)

int main(void)
{
  const struct CMUnitTest tests[] = {
    TEST(each_kind_is_made_read_and_signs),  TEST(a_scheme_of_another_type_is_refused),
    TEST(the_next_form_of_a_curve_is_tried), TEST(other_errors_are_not_tried_again),
    TEST(what_is_not_offered_is_named),      TEST(points_of_the_wrong_length_are_refused),
  };
  return cmocka_run_group_tests(tests, start, stop);
}
