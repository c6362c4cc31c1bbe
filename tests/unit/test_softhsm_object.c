/* SPDX-License-Identifier: Apache-2.0 */
/* SoftHSM2's objects and PIN blobs: what its own library wrote, and what nobody should have. */
#include "hf_test.h"

#include "base/cleanup.h"
#include "softhsm/crypto.h"
#include "softhsm/object.h"

/* Written by Debian's softhsm2 2.6.1: the user PIN is 1234, the SO PIN 12345. */
static const char user_blob[] =
    "f6f6fd60c86d57e57b779b6f8a1b63517e4154f30055b5109597b8a75028ab74dce66abd26aece36f8774400f0"
    "77bd86b677fec8d9fbfcb803f611b47a635bd122fc2e876781fd7d";
static const char so_blob[] =
    "cb797baf48f2bcc08e1254e9fe310bffe5d1e30563a04425a1f4dc41a41a50aa68802366742235c0f163b88fc854"
    "419dd7bb5a8b4e1e60dbf08e8ebfb5887805a5346db39c2f3459";
static const char master[] = "7c11bd088a8645b8e0fd031e371f9ebcd4f2496e79612fed2255d6af4d301fb3";

static struct hf_buf bytes;

static struct hf_slice from_hex(const char *hex)
{
  hf_buf_free(&bytes);
  assert_hf_ok(hf_hex_decode(hex, &bytes));
  return hf_slice(bytes.data, bytes.len);
}

static hf_err open_blob(const char *hex, const char *pin, struct hf_secret **ret_key)
{
  return softhsm_blob_open(from_hex(hex), hf_slice(pin, strlen(pin)), "PIN", ret_key);
}

static void test_blob(void **state)
{
  (void)state;
  HF_CLEANUP(hf_secret_freep) struct hf_secret *user = NULL, *so = NULL, *none = NULL;
  assert_hf_ok(open_blob(user_blob, "1234", &user));
  assert_hf_ok(open_blob(so_blob, "12345", &so));
  struct hf_slice expected = from_hex(master);
  assert_memory_equal(expected.data, hf_secret_data(user), SOFTHSM_KEY_BYTES);
  assert_memory_equal(expected.data, hf_secret_data(so), SOFTHSM_KEY_BYTES);
  assert_hf_err(open_blob(user_blob, "12345", &none), PIN_INCORRECT);
  assert_hf_err(open_blob(user_blob, "", &none), PIN_INCORRECT);
  assert_hf_err(open_blob("00", "1234", &none), TOKEN_STORE);
  assert_hf_err(open_blob("", "1234", &none), TOKEN_STORE);
}

/* A file by its parts. */
static struct hf_buf file;

static void start(void)
{
  hf_buf_free(&file);
  assert_hf_ok(hf_buf_add_u64(&file, 7));
}

static void head(uint64_t type, uint64_t kind)
{
  assert_hf_ok(hf_buf_add_u64(&file, type));
  assert_hf_ok(hf_buf_add_u64(&file, kind));
}

static void number(uint64_t type, uint64_t kind, uint64_t value)
{
  head(type, kind);
  assert_hf_ok(hf_buf_add_u64(&file, value));
}

static void boolean(uint64_t type, uint8_t value)
{
  head(type, SOFTHSM_BOOL);
  assert_hf_ok(hf_buf_add_u8(&file, value));
}

static void data(uint64_t type, const void *value, size_t len)
{
  number(type, SOFTHSM_BYTES, len);
  assert_hf_ok(hf_buf_add(&file, value, len));
}

static hf_err parse(const uint8_t *key, struct softhsm_object *ret_object)
{
  return softhsm_object_parse(hf_slice(file.data, file.len), key, ret_object);
}

static void test_each_kind(void **state)
{
  (void)state;
  HF_CLEANUP(softhsm_object_free) struct softhsm_object object = { .count = 0 };
  start();
  number(CKA_CLASS, SOFTHSM_ULONG, CKO_SECRET_KEY);
  boolean(CKA_TOKEN, 0xff);
  data(CKA_LABEL, "label", 5);
  data(CKA_ID, "", 0);
  number(CKA_KEY_GEN_MECHANISM, SOFTHSM_ULONG, UINT32_MAX);
  number(CKA_WRAP_TEMPLATE, SOFTHSM_MAP, 17 + 24);
  boolean(CKA_EXTRACTABLE, 0xff);
  number(CKA_KEY_TYPE, SOFTHSM_ULONG, CKK_AES);
  number(CKA_ALLOWED_MECHANISMS, SOFTHSM_MECHANISMS, 2);
  assert_hf_ok(hf_buf_add_u64(&file, CKM_AES_CBC));
  assert_hf_ok(hf_buf_add_u64(&file, CKM_AES_ECB));
  assert_hf_ok(parse(NULL, &object));
  assert_int_equal(7, object.count);
  assert_int_equal(CKO_SECRET_KEY, softhsm_object_ulong(&object, CKA_CLASS, 99));
  assert_true(softhsm_object_true(&object, CKA_TOKEN));
  assert_true(hf_slice_equal(hf_slice("label", 5), softhsm_object_bytes(&object, CKA_LABEL)));
  assert_int_equal(0, softhsm_object_bytes(&object, CKA_ID).len);
  /* A 32-bit machine's "unavailable". */
  assert_int_equal(CK_UNAVAILABLE_INFORMATION, softhsm_object_ulong(&object, CKA_KEY_GEN_MECHANISM, 99));
  const CK_ATTRIBUTE *map = softhsm_object_attr(&object, CKA_WRAP_TEMPLATE), *in_map = map->pValue;
  assert_int_equal(2 * sizeof(CK_ATTRIBUTE), map->ulValueLen);
  assert_int_equal(CKA_EXTRACTABLE, in_map[0].type);
  assert_int_equal(CK_TRUE, *(CK_BBOOL *)in_map[0].pValue);
  assert_int_equal(CKA_KEY_TYPE, in_map[1].type);
  static const CK_MECHANISM_TYPE mechanisms[] = { CKM_AES_CBC, CKM_AES_ECB };
  assert_true(
      hf_slice_equal(hf_slice(mechanisms, sizeof(mechanisms)), softhsm_object_bytes(&object, CKA_ALLOWED_MECHANISMS)));
  assert_null(softhsm_object_attr(&object, CKA_VALUE));
}

/* The label of a private object of the same token. */
static void test_private(void **state)
{
  (void)state;
  static const char label[] = "91ee4913f833afd6b6fc9d34f866ec24727c92d5e82f4791d43f8ff217aa6aa5";
  HF_CLEANUP(softhsm_object_free) struct softhsm_object object = { .count = 0 };
  uint8_t key[SOFTHSM_KEY_BYTES];
  struct hf_slice sealed = from_hex(label);
  start();
  /* What makes it private may stand behind. */
  data(CKA_LABEL, sealed.data, sealed.len);
  data(CKA_START_DATE, "20260101", 8);
  boolean(CKA_PRIVATE, 0xff);
  memcpy(key, from_hex(master).data, sizeof(key));
  assert_hf_err(parse(NULL, &object), PIN_MISSING);
  assert_hf_ok(parse(key, &object));
  assert_true(hf_slice_equal(hf_slice("secret", 6), softhsm_object_bytes(&object, CKA_LABEL)));
  assert_true(hf_slice_equal(hf_slice("20260101", 8), softhsm_object_bytes(&object, CKA_START_DATE)));
  key[0] ^= 1;
  assert_hf_err(parse(key, &(struct softhsm_object){ .count = 0 }), TOKEN_STORE);
}

static void test_x25519_is_no_edwards_curve(void **state)
{
  (void)state;
  static const uint8_t x25519[] = { 6, 3, 0x2b, 0x65, 0x6e }, ed25519[] = { 6, 3, 0x2b, 0x65, 0x70 };
  for (size_t i = 0; i < 2; i++) {
    HF_CLEANUP(softhsm_object_free) struct softhsm_object object = { .count = 0 };
    start();
    number(CKA_KEY_TYPE, SOFTHSM_ULONG, CKK_EC_EDWARDS);
    data(CKA_EC_PARAMS, i ? ed25519 : x25519, 5);
    assert_hf_ok(parse(NULL, &object));
    assert_int_equal(i ? CKK_EC_EDWARDS : CKK_EC_MONTGOMERY, softhsm_object_ulong(&object, CKA_KEY_TYPE, 99));
  }
}

static void fails(const char *why)
{
  struct softhsm_object object;
  assert_hf_err(parse(NULL, &object), TOKEN_STORE);
  if (!strstr(hf_err_context(), why))
    fail_msg("\"%s\", not \"%s\"", hf_err_context(), why);
}

static void test_hostile(void **state)
{
  (void)state;
  hf_buf_free(&file);
  fails("in the middle of a number");
  start();
  assert_hf_ok(hf_buf_add_u8(&file, 0));
  fails("in the middle of a number");
  start();
  number(CKA_LABEL, SOFTHSM_BYTES, UINT64_MAX);
  fails("longer than the object");
  start();
  number(CKA_ALLOWED_MECHANISMS, SOFTHSM_MECHANISMS, UINT64_MAX / 8 + 2);
  fails("longer than the object");
  start();
  number(CKA_WRAP_TEMPLATE, SOFTHSM_MAP, 24);
  number(CKA_UNWRAP_TEMPLATE, SOFTHSM_MAP, 0);
  fails("within a template");
  start();
  head(CKA_LABEL, 6);
  fails("unknown kind");
  start();
  head(CKA_LABEL, 0);
  fails("unknown kind");
  start();
  boolean(CKA_TOKEN, 1);
  fails("neither true nor false");
  start();
  boolean(CKA_TOKEN, 0);
  boolean(CKA_TOKEN, 0xff);
  fails("twice");
  start();
  for (unsigned i = 0; i <= SOFTHSM_ATTRS_MAX; i++)
    boolean(i, 0);
  fails("too many");
}

/* Cut anywhere, it is no object, or a shorter one. */
static void test_truncated(void **state)
{
  (void)state;
  start();
  number(CKA_CLASS, SOFTHSM_ULONG, CKO_DATA);
  data(CKA_LABEL, "label", 5);
  number(CKA_WRAP_TEMPLATE, SOFTHSM_MAP, 17);
  boolean(CKA_TOKEN, 0xff);
  for (size_t len = 0; len < file.len; len++) {
    HF_CLEANUP(softhsm_object_free) struct softhsm_object object = { .count = 0 };
    hf_err e = softhsm_object_parse(hf_slice(file.data, len), NULL, &object);
    bool at_a_row = len == 8 || len == 32 || len == 61;
    assert_int_equal(at_a_row, !hf_failed(e));
  }
}

static int down(void **state)
{
  (void)state;
  hf_buf_free(&bytes);
  hf_buf_free(&file);
  return 0;
}

static int up(void **state)
{
  (void)state;
  bytes = HF_BUF(4096);
  file = HF_BUF(4096);
  return 0;
}

int main(void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_blob),    cmocka_unit_test(test_each_kind), cmocka_unit_test(test_private),
    cmocka_unit_test(test_hostile), cmocka_unit_test(test_truncated), cmocka_unit_test(test_x25519_is_no_edwards_curve),
  };
  return cmocka_run_group_tests(tests, up, down);
}
