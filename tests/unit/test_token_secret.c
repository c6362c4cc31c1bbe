/* SPDX-License-Identifier: Apache-2.0 */
/* Secret keys that the token makes: how long they are, what they say of themselves, and what is refused. */
#include "token_rig.h"

#include "base/cleanup.h"

static CK_RV generate(CK_SESSION_HANDLE h, CK_MECHANISM_TYPE type, CK_ULONG len, CK_OBJECT_HANDLE *ret_key)
{
  CK_MECHANISM m = { type, NULL, 0 };
  CK_BBOOL no = CK_FALSE, yes = CK_TRUE;
  CK_ATTRIBUTE tmpl[] = {
    { CKA_SENSITIVE, &no, 1 },
    { CKA_EXTRACTABLE, &yes, 1 },
    { CKA_VALUE_LEN, &len, sizeof(len) },
  };
  return C_GenerateKey(h, &m, tmpl, len ? 3 : 2, ret_key);
}

static CK_ULONG get_ulong(CK_SESSION_HANDLE h, CK_OBJECT_HANDLE key, CK_ATTRIBUTE_TYPE type)
{
  CK_ULONG value;
  CK_ATTRIBUTE attr = { type, &value, sizeof(value) };
  assert_ok(C_GetAttributeValue(h, key, &attr, 1));
  return value;
}

static bool get_bool(CK_SESSION_HANDLE h, CK_OBJECT_HANDLE key, CK_ATTRIBUTE_TYPE type)
{
  CK_BBOOL value;
  CK_ATTRIBUTE attr = { type, &value, sizeof(value) };
  assert_ok(C_GetAttributeValue(h, key, &attr, 1));
  return value;
}

static CK_ULONG get_value(CK_SESSION_HANDLE h, CK_OBJECT_HANDLE key, CK_BYTE value[128])
{
  CK_ATTRIBUTE attr = { CKA_VALUE, value, 128 };
  assert_ok(C_GetAttributeValue(h, key, &attr, 1));
  return attr.ulValueLen;
}

/* given: CKA_VALUE_LEN in the template, 0: none. */
static const struct {
  CK_MECHANISM_TYPE type;
  CK_KEY_TYPE key;
  CK_ULONG given, made;
} good[] = {
  { CKM_AES_KEY_GEN, CKK_AES, 16, 16 },
  { CKM_AES_KEY_GEN, CKK_AES, 24, 24 },
  { CKM_AES_KEY_GEN, CKK_AES, 32, 32 },
  { CKM_AES_XTS_KEY_GEN, CKK_AES_XTS, 32, 32 },
  { CKM_AES_XTS_KEY_GEN, CKK_AES_XTS, 64, 64 },
  { CKM_GENERIC_SECRET_KEY_GEN, CKK_GENERIC_SECRET, 1, 1 },
  { CKM_GENERIC_SECRET_KEY_GEN, CKK_GENERIC_SECRET, 127, 127 },
  { CKM_DES2_KEY_GEN, CKK_DES2, 0, 16 },
  { CKM_DES3_KEY_GEN, CKK_DES3, 0, 24 },
  { CKM_CHACHA20_KEY_GEN, CKK_CHACHA20, 0, 32 },
  { CKM_CHACHA20_KEY_GEN, CKK_CHACHA20, 32, 32 },
  { CKM_POLY1305_KEY_GEN, CKK_POLY1305, 0, 32 },
  { CKM_HKDF_KEY_GEN, CKK_HKDF, 48, 48 },
  { CKM_SHA_1_KEY_GEN, CKK_SHA_1_HMAC, 20, 20 },
  { CKM_SHA224_KEY_GEN, CKK_SHA224_HMAC, 28, 28 },
  { CKM_SHA256_KEY_GEN, CKK_SHA256_HMAC, 32, 32 },
  { CKM_SHA384_KEY_GEN, CKK_SHA384_HMAC, 48, 48 },
  { CKM_SHA512_KEY_GEN, CKK_SHA512_HMAC, 64, 64 },
  { CKM_SHA512_224_KEY_GEN, CKK_SHA512_224_HMAC, 28, 28 },
  { CKM_SHA512_256_KEY_GEN, CKK_SHA512_256_HMAC, 32, 32 },
  { CKM_SHA3_224_KEY_GEN, CKK_SHA3_224_HMAC, 28, 28 },
  { CKM_SHA3_256_KEY_GEN, CKK_SHA3_256_HMAC, 32, 32 },
  { CKM_SHA3_384_KEY_GEN, CKK_SHA3_384_HMAC, 48, 48 },
  { CKM_SHA3_512_KEY_GEN, CKK_SHA3_512_HMAC, 64, 64 },
};

static void test_generated(void **state)
{
  (void)state;
  CK_SESSION_HANDLE h = rig_user_session();
  for (size_t i = 0; i < HF_ARRAY_LEN(good); i++) {
    CK_OBJECT_HANDLE key, other;
    CK_BYTE value[128], again[128];
    assert_ok(generate(h, good[i].type, good[i].given, &key));
    assert_ok(generate(h, good[i].type, good[i].given, &other));
    assert_int_equal(CKO_SECRET_KEY, get_ulong(h, key, CKA_CLASS));
    assert_int_equal(good[i].key, get_ulong(h, key, CKA_KEY_TYPE));
    assert_int_equal(good[i].type, get_ulong(h, key, CKA_KEY_GEN_MECHANISM));
    assert_true(get_bool(h, key, CKA_LOCAL));
    assert_int_equal(good[i].made, get_value(h, key, value));
    assert_int_equal(good[i].made, get_value(h, other, again));
    assert_true(good[i].made == 1 || memcmp(value, again, good[i].made) != 0);
  }
}

static void test_parity(void **state)
{
  (void)state;
  CK_SESSION_HANDLE h = rig_user_session();
  CK_OBJECT_HANDLE key;
  CK_BYTE value[128];
  assert_ok(generate(h, CKM_DES3_KEY_GEN, 0, &key));
  assert_int_equal(24, get_value(h, key, value));
  for (size_t i = 0; i < 24; i++)
    assert_int_equal(1, __builtin_parity(value[i]));
}

static void test_history(void **state)
{
  (void)state;
  CK_SESSION_HANDLE h = rig_user_session();
  CK_OBJECT_HANDLE key;
  CK_MECHANISM m = { CKM_AES_KEY_GEN, NULL, 0 };
  CK_ULONG len = 32;
  CK_BYTE value[32];
  CK_ATTRIBUTE tmpl = { CKA_VALUE_LEN, &len, sizeof(len) }, attr = { CKA_VALUE, value, sizeof(value) };
  assert_ok(C_GenerateKey(h, &m, &tmpl, 1, &key));
  assert_true(get_bool(h, key, CKA_ALWAYS_SENSITIVE));
  assert_true(get_bool(h, key, CKA_NEVER_EXTRACTABLE));
  assert_int_equal(32, get_ulong(h, key, CKA_VALUE_LEN));
  assert_rv(CKR_ATTRIBUTE_SENSITIVE, C_GetAttributeValue(h, key, &attr, 1));
}

static void test_refused(void **state)
{
  (void)state;
  CK_SESSION_HANDLE h = rig_user_session();
  CK_OBJECT_HANDLE key = 4711;
  CK_ULONG len = 16;
  CK_KEY_TYPE des3 = CKK_DES3;
  CK_BYTE value[16] = { 0 };
  assert_rv(CKR_TEMPLATE_INCOMPLETE, generate(h, CKM_AES_KEY_GEN, 0, &key));
  assert_rv(CKR_TEMPLATE_INCOMPLETE, generate(h, CKM_GENERIC_SECRET_KEY_GEN, 0, &key));
  assert_rv(CKR_KEY_SIZE_RANGE, generate(h, CKM_AES_KEY_GEN, 17, &key));
  assert_rv(CKR_KEY_SIZE_RANGE, generate(h, CKM_AES_KEY_GEN, (CK_ULONG)-1, &key));
  assert_rv(CKR_KEY_SIZE_RANGE, generate(h, CKM_AES_XTS_KEY_GEN, 48, &key));
  assert_rv(CKR_KEY_SIZE_RANGE, generate(h, CKM_CHACHA20_KEY_GEN, 16, &key));
  assert_rv(CKR_KEY_SIZE_RANGE, generate(h, CKM_GENERIC_SECRET_KEY_GEN, 1UL << 40, &key));
  assert_rv(CKR_MECHANISM_INVALID, generate(h, CKM_EC_KEY_PAIR_GEN, 16, &key));
  assert_rv(CKR_MECHANISM_INVALID, generate(h, CKM_SHA256, 16, &key));
  CK_MECHANISM m = { CKM_AES_KEY_GEN, NULL, 0 }, with = { CKM_AES_KEY_GEN, value, 4 };
  CK_ATTRIBUTE tmpl[] = { { CKA_VALUE_LEN, &len, sizeof(len) }, { CKA_KEY_TYPE, &des3, sizeof(des3) } };
  CK_ATTRIBUTE given[] = { tmpl[0], { CKA_VALUE, value, sizeof(value) } };
  assert_rv(CKR_TEMPLATE_INCONSISTENT, C_GenerateKey(h, &m, tmpl, 2, &key));
  assert_rv(CKR_ATTRIBUTE_READ_ONLY, C_GenerateKey(h, &m, given, 2, &key));
  assert_rv(CKR_MECHANISM_PARAM_INVALID, C_GenerateKey(h, &with, tmpl, 1, &key));
  assert_rv(CKR_ARGUMENTS_BAD, C_GenerateKey(h, NULL, tmpl, 1, &key));
  assert_rv(CKR_ARGUMENTS_BAD, C_GenerateKey(h, &m, tmpl, 1, NULL));
  assert_rv(CKR_ARGUMENTS_BAD, C_GenerateKey(h, &m, NULL, 1, &key));
  assert_ok(C_Logout(h));
  assert_rv(CKR_USER_NOT_LOGGED_IN, C_GenerateKey(h, &m, tmpl, 1, &key));
  assert_int_equal(4711, key);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
    RIG_TEST(test_generated),
    RIG_TEST(test_parity),
    RIG_TEST(test_history),
    RIG_TEST(test_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
