/* SPDX-License-Identifier: Apache-2.0 */
/* Objects: the rules of attributes, who sees what, and look-ups. */
#include "token_rig.h"

static CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
static CK_OBJECT_CLASS data_class = CKO_DATA, private_class = CKO_PRIVATE_KEY, public_class = CKO_PUBLIC_KEY;

static CK_BBOOL get_bool(CK_SESSION_HANDLE h, CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type)
{
  CK_BBOOL value = 7;
  CK_ATTRIBUTE attr = { type, &value, 1 };
  assert_ok(C_GetAttributeValue(h, object, &attr, 1));
  return value;
}

static CK_RV set_bool(CK_SESSION_HANDLE h, CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type, CK_BBOOL value)
{
  CK_ATTRIBUTE attr = { type, &value, 1 };
  return C_SetAttributeValue(h, object, &attr, 1);
}

static void test_generated_history(void **state)
{
  (void)state;
  CK_SESSION_HANDLE h = rig_user_session();
  struct rig_pair pair = rig_ec(h, true);
  CK_ULONG mechanism = 0;
  CK_ATTRIBUTE attr = { CKA_KEY_GEN_MECHANISM, &mechanism, sizeof(mechanism) };
  assert_true(get_bool(h, pair.private, CKA_LOCAL));
  assert_true(get_bool(h, pair.private, CKA_PRIVATE));
  assert_true(get_bool(h, pair.private, CKA_SENSITIVE));
  assert_true(get_bool(h, pair.private, CKA_ALWAYS_SENSITIVE));
  assert_false(get_bool(h, pair.private, CKA_EXTRACTABLE));
  assert_true(get_bool(h, pair.private, CKA_NEVER_EXTRACTABLE));
  assert_ok(C_GetAttributeValue(h, pair.private, &attr, 1));
  assert_int_equal(CKM_EC_KEY_PAIR_GEN, mechanism);
}

/* All attributes are answered, whatever happens to one. */
static void test_get_treats_all(void **state)
{
  (void)state;
  CK_SESSION_HANDLE h = rig_user_session();
  struct rig_pair pair = rig_ec(h, true);
  CK_BYTE value[64], id[8], small[1];
  CK_ATTRIBUTE attrs[] = {
    { CKA_VALUE, value, sizeof(value) }, { CKA_ID, id, sizeof(id) }, { CKA_MODULUS, value, sizeof(value) },
    { CKA_LABEL, small, sizeof(small) }, { CKA_EC_PARAMS, NULL, 0 },
  };
  CK_RV rv = C_GetAttributeValue(h, pair.private, attrs, 5);
  assert_true(rv == CKR_ATTRIBUTE_SENSITIVE || rv == CKR_ATTRIBUTE_TYPE_INVALID || rv == CKR_BUFFER_TOO_SMALL);
  assert_int_equal(CK_UNAVAILABLE_INFORMATION, attrs[0].ulValueLen);
  assert_int_equal(2, attrs[1].ulValueLen);
  assert_memory_equal("\1\2", id, 2);
  assert_int_equal(CK_UNAVAILABLE_INFORMATION, attrs[2].ulValueLen);
  assert_int_equal(CK_UNAVAILABLE_INFORMATION, attrs[3].ulValueLen);
  assert_int_equal(10, attrs[4].ulValueLen);
}

static void test_one_way(void **state)
{
  (void)state;
  CK_SESSION_HANDLE h = rig_user_session();
  CK_MECHANISM m = { CKM_EC_KEY_PAIR_GEN, NULL, 0 };
  CK_BYTE p256[] = { 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7 }, value[64];
  CK_ATTRIBUTE public[] = { { CKA_EC_PARAMS, p256, sizeof(p256) } };
  CK_ATTRIBUTE private[] = { { CKA_SENSITIVE, &no, 1 }, { CKA_EXTRACTABLE, &yes, 1 } };
  CK_ATTRIBUTE read = { CKA_VALUE, value, sizeof(value) };
  CK_OBJECT_HANDLE pub, priv;
  assert_ok(C_GenerateKeyPair(h, &m, public, 1, private, 2, &pub, &priv));
  assert_ok(C_GetAttributeValue(h, priv, &read, 1));
  assert_int_equal(32, read.ulValueLen);
  assert_false(get_bool(h, priv, CKA_ALWAYS_SENSITIVE));
  assert_false(get_bool(h, priv, CKA_NEVER_EXTRACTABLE));
  assert_ok(set_bool(h, priv, CKA_SENSITIVE, CK_TRUE));
  assert_rv(CKR_ATTRIBUTE_READ_ONLY, set_bool(h, priv, CKA_SENSITIVE, CK_FALSE));
  assert_ok(set_bool(h, priv, CKA_EXTRACTABLE, CK_FALSE));
  assert_rv(CKR_ATTRIBUTE_READ_ONLY, set_bool(h, priv, CKA_EXTRACTABLE, CK_TRUE));
  assert_rv(CKR_ATTRIBUTE_READ_ONLY, set_bool(h, priv, CKA_LOCAL, CK_FALSE));
  assert_rv(CKR_ATTRIBUTE_READ_ONLY, set_bool(h, pub, CKA_TRUSTED, CK_TRUE));
  read.ulValueLen = sizeof(value);
  assert_rv(CKR_ATTRIBUTE_SENSITIVE, C_GetAttributeValue(h, priv, &read, 1));
}

/* A template, and what must come of it. */
static const struct {
  const char *what;
  CK_RV rv;
  CK_ULONG count;
  CK_ATTRIBUTE tmpl[3];
} bad_templates[] = {
  { "no class", CKR_TEMPLATE_INCOMPLETE, 1, { { CKA_TOKEN, &yes, 1 } } },
  { "unknown attribute", CKR_ATTRIBUTE_TYPE_INVALID, 2, { { CKA_CLASS, &data_class, 8 }, { 0x12345678, &yes, 1 } } },
  { "foreign attribute", CKR_ATTRIBUTE_TYPE_INVALID, 2, { { CKA_CLASS, &data_class, 8 }, { CKA_SIGN, &yes, 1 } } },
  { "boolean of two bytes",
    CKR_ATTRIBUTE_VALUE_INVALID,
    2,
    { { CKA_CLASS, &data_class, 8 }, { CKA_TOKEN, &data_class, 2 } } },
  { "short number", CKR_ATTRIBUTE_VALUE_INVALID, 1, { { CKA_CLASS, &data_class, 4 } } },
  { "NULL with a length", CKR_ATTRIBUTE_VALUE_INVALID, 2, { { CKA_CLASS, &data_class, 8 }, { CKA_LABEL, NULL, 4 } } },
  { "contradiction",
    CKR_TEMPLATE_INCONSISTENT,
    3,
    { { CKA_CLASS, &data_class, 8 }, { CKA_TOKEN, &yes, 1 }, { CKA_TOKEN, &no, 1 } } },
  { "absurd length",
    CKR_ATTRIBUTE_VALUE_INVALID,
    2,
    { { CKA_CLASS, &data_class, 8 }, { CKA_LABEL, &yes, (CK_ULONG)-1 } } },
  { "key without a type", CKR_TEMPLATE_INCOMPLETE, 1, { { CKA_CLASS, &private_class, 8 } } },
};

static void test_bad_templates(void **state)
{
  (void)state;
  CK_SESSION_HANDLE h = rig_user_session();
  CK_OBJECT_HANDLE object;
  for (size_t i = 0; i < sizeof(bad_templates) / sizeof(bad_templates[0]); i++) {
    CK_ATTRIBUTE tmpl[3];
    memcpy(tmpl, bad_templates[i].tmpl, sizeof(tmpl));
    CK_RV rv = C_CreateObject(h, tmpl, bad_templates[i].count, &object);
    if (rv != bad_templates[i].rv)
      fail_msg("%s: 0x%lx", bad_templates[i].what, rv);
  }
  assert_rv(CKR_ARGUMENTS_BAD, C_CreateObject(h, NULL, 1, &object));
  assert_rv(CKR_ARGUMENTS_BAD, C_CreateObject(h, (CK_ATTRIBUTE *)(uintptr_t)bad_templates[0].tmpl, 1, NULL));
  assert_rv(CKR_ARGUMENTS_BAD,
            C_CreateObject(h, (CK_ATTRIBUTE *)(uintptr_t)bad_templates[0].tmpl, (CK_ULONG)-1, &object));
  assert_int_equal(0, rig_find(h, NULL, 0, NULL));
}

/* A point off its curve, a scalar of zero: refused when they come, not when they sign. */
static void test_bad_keys(void **state)
{
  (void)state;
  CK_SESSION_HANDLE h = rig_user_session();
  CK_KEY_TYPE ec = CKK_EC;
  CK_BYTE p256[] = { 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7 }, point[67] = { 4, 65, 4, 1 }, zero[32] = { 0 };
  CK_BYTE brainpool[] = { 6, 3, 0x2b, 0x24, 3 };
  CK_OBJECT_HANDLE object;
  CK_ATTRIBUTE public[] = { { CKA_CLASS, &public_class, 8 },
                            { CKA_KEY_TYPE, &ec, 8 },
                            { CKA_EC_PARAMS, p256, sizeof(p256) },
                            { CKA_EC_POINT, point, sizeof(point) } };
  CK_ATTRIBUTE private[] = { { CKA_CLASS, &private_class, 8 },
                             { CKA_KEY_TYPE, &ec, 8 },
                             { CKA_EC_PARAMS, p256, sizeof(p256) },
                             { CKA_VALUE, zero, sizeof(zero) } };
  assert_rv(CKR_ATTRIBUTE_VALUE_INVALID, C_CreateObject(h, public, 4, &object));
  assert_rv(CKR_ATTRIBUTE_VALUE_INVALID, C_CreateObject(h, private, 4, &object));
  public[2].pValue = brainpool;
  public[2].ulValueLen = sizeof(brainpool);
  assert_rv(CKR_CURVE_NOT_SUPPORTED, C_CreateObject(h, public, 4, &object));
}

static void test_visibility(void **state)
{
  (void)state;
  CK_SESSION_HANDLE h = rig_user_session();
  CK_OBJECT_HANDLE secret = rig_data(h, "secret", true, true), open = rig_data(h, "open", true, false);
  CK_OBJECT_HANDLE session_secret = rig_data(h, "session secret", false, true), object;
  CK_BYTE value[16];
  CK_ATTRIBUTE read = { CKA_VALUE, value, sizeof(value) };
  assert_int_equal(3, rig_find(h, NULL, 0, NULL));
  assert_ok(C_Logout(h));
  assert_int_equal(1, rig_find(h, NULL, 0, NULL));
  assert_rv(CKR_OBJECT_HANDLE_INVALID, C_GetAttributeValue(h, secret, &read, 1));
  assert_ok(C_GetAttributeValue(h, open, &read, 1));
  CK_ATTRIBUTE private_data[] = { { CKA_CLASS, &data_class, 8 }, { CKA_PRIVATE, &yes, 1 } };
  assert_rv(CKR_USER_NOT_LOGGED_IN, C_CreateObject(h, private_data, 2, &object));

  /* Nor does the security officer see it. */
  assert_ok(rig_login(h, CKU_SO, SO_PIN));
  assert_int_equal(1, rig_find(h, NULL, 0, NULL));
  assert_ok(C_Logout(h));

  /* Back again, the old handle stays dead, the session object is gone. */
  assert_ok(rig_login(h, CKU_USER, USER_PIN));
  read.ulValueLen = sizeof(value);
  assert_rv(CKR_OBJECT_HANDLE_INVALID, C_GetAttributeValue(h, secret, &read, 1));
  assert_rv(CKR_OBJECT_HANDLE_INVALID, C_GetAttributeValue(h, session_secret, &read, 1));
  assert_int_equal(1, rig_find_label(h, "secret", &secret));
  assert_ok(C_GetAttributeValue(h, secret, &read, 1));
  assert_memory_equal("value", value, 5);
}

static void test_session_objects(void **state)
{
  (void)state;
  CK_SESSION_HANDLE h = rig_user_session(), other = rig_open_session(rig_first_slot(), 0);
  rig_data(h, "mine", false, false);
  assert_int_equal(1, rig_find_label(other, "mine", NULL));
  rig_data(other, "other's", false, false);
  assert_ok(C_CloseSession(h));
  assert_int_equal(0, rig_find_label(other, "mine", NULL));
  assert_int_equal(1, rig_find_label(other, "other's", NULL));
  CK_ATTRIBUTE tmpl[] = { { CKA_CLASS, &data_class, 8 }, { CKA_TOKEN, &yes, 1 } };
  CK_OBJECT_HANDLE object;
  assert_rv(CKR_SESSION_READ_ONLY, C_CreateObject(other, tmpl, 2, &object));
}

static void test_copy(void **state)
{
  (void)state;
  CK_SESSION_HANDLE h = rig_user_session();
  struct rig_pair pair = rig_ec(h, true);
  CK_ATTRIBUTE to_session[] = { { CKA_TOKEN, &no, 1 }, { CKA_LABEL, utf8("copy"), 4 } };
  CK_ATTRIBUTE to_public = { CKA_PRIVATE, &no, 1 }, uncopyable = { CKA_COPYABLE, &no, 1 };
  CK_OBJECT_HANDLE copy;
  assert_ok(C_CopyObject(h, pair.private, to_session, 2, &copy));
  assert_int_equal(1, rig_find_label(h, "copy", NULL));
  assert_true(get_bool(h, copy, CKA_LOCAL));
  assert_true(get_bool(h, copy, CKA_NEVER_EXTRACTABLE));
  assert_rv(CKR_TEMPLATE_INCONSISTENT, C_CopyObject(h, pair.private, &to_public, 1, &copy));
  assert_ok(C_SetAttributeValue(h, pair.private, &uncopyable, 1));
  assert_rv(CKR_ACTION_PROHIBITED, C_CopyObject(h, pair.private, NULL, 0, &copy));
}

static void test_change_and_destroy(void **state)
{
  (void)state;
  CK_SESSION_HANDLE h = rig_user_session();
  CK_OBJECT_HANDLE object = rig_data(h, "before", true, true), found, fixed;
  CK_ATTRIBUTE label = { CKA_LABEL, utf8("after"), 5 };
  assert_ok(C_SetAttributeValue(h, object, &label, 1));
  assert_int_equal(0, rig_find_label(h, "before", NULL));
  assert_int_equal(1, rig_find_label(h, "after", &found));
  assert_int_equal(object, found);
  assert_ok(C_DestroyObject(h, object));
  assert_rv(CKR_OBJECT_HANDLE_INVALID, C_DestroyObject(h, object));
  assert_int_equal(0, rig_find(h, NULL, 0, NULL));
  CK_ATTRIBUTE tmpl[] = { { CKA_CLASS, &data_class, 8 }, { CKA_MODIFIABLE, &no, 1 }, { CKA_DESTROYABLE, &no, 1 } };
  assert_ok(C_CreateObject(h, tmpl, 3, &fixed));
  assert_rv(CKR_ACTION_PROHIBITED, C_SetAttributeValue(h, fixed, &label, 1));
  assert_rv(CKR_ACTION_PROHIBITED, C_DestroyObject(h, fixed));
}

static void test_find(void **state)
{
  (void)state;
  CK_SESSION_HANDLE h = rig_user_session();
  struct rig_pair pair = rig_ec(h, true);
  CK_OBJECT_HANDLE found[4];
  CK_ULONG n;
  CK_ATTRIBUTE by_class[] = { { CKA_CLASS, &private_class, 8 } };
  CK_ATTRIBUTE by_id[] = { { CKA_ID, utf8("\1\2"), 2 }, { CKA_CLASS, &public_class, 8 } };
  CK_ATTRIBUTE by_flag[] = { { CKA_SIGN, &yes, 1 } };
  CK_ATTRIBUTE nowhere[] = { { CKA_ID, utf8("\1\3"), 2 } };
  CK_ATTRIBUTE unknown[] = { { 0x80001234, utf8("x"), 1 } };
  CK_ATTRIBUTE key_material[] = { { CKA_VALUE, utf8("x"), 1 } };
  rig_data(h, "d", true, false);
  assert_int_equal(1, rig_find(h, by_class, 1, found));
  assert_int_equal(pair.private, found[0]);
  assert_int_equal(1, rig_find(h, by_id, 2, found));
  assert_int_equal(pair.public, found[0]);
  assert_int_equal(1, rig_find(h, by_flag, 1, NULL));
  assert_int_equal(0, rig_find(h, nowhere, 1, NULL));
  assert_int_equal(0, rig_find(h, unknown, 1, NULL));
  assert_int_equal(0, rig_find(h, key_material, 1, NULL));

  assert_rv(CKR_OPERATION_NOT_INITIALIZED, C_FindObjects(h, found, 4, &n));
  assert_ok(C_FindObjectsInit(h, NULL, 0));
  assert_rv(CKR_OPERATION_ACTIVE, C_FindObjectsInit(h, NULL, 0));
  assert_ok(C_FindObjects(h, found, 2, &n));
  assert_int_equal(2, n);
  assert_ok(C_FindObjects(h, found, 4, &n));
  assert_int_equal(1, n);
  assert_ok(C_FindObjects(h, found, 4, &n));
  assert_int_equal(0, n);
  assert_ok(C_FindObjectsFinal(h));
  assert_rv(CKR_OPERATION_NOT_INITIALIZED, C_FindObjectsFinal(h));
}

/* Values need not be aligned. */
static void test_unaligned(void **state)
{
  (void)state;
  CK_SESSION_HANDLE h = rig_user_session();
  CK_BYTE room[32];
  CK_OBJECT_HANDLE object;
  memcpy(room + 1, &data_class, sizeof(data_class));
  CK_ATTRIBUTE tmpl[] = { { CKA_CLASS, room + 1, sizeof(data_class) } };
  assert_ok(C_CreateObject(h, tmpl, 1, &object));
  CK_ATTRIBUTE read = { CKA_CLASS, room + 11, sizeof(data_class) };
  assert_ok(C_GetAttributeValue(h, object, &read, 1));
  assert_memory_equal(&data_class, room + 11, sizeof(data_class));
}

int main(void)
{
  const struct CMUnitTest tests[] = {
    RIG_TEST(test_generated_history),
    RIG_TEST(test_get_treats_all),
    RIG_TEST(test_one_way),
    RIG_TEST(test_bad_templates),
    RIG_TEST(test_bad_keys),
    RIG_TEST(test_visibility),
    RIG_TEST(test_session_objects),
    RIG_TEST(test_copy),
    RIG_TEST(test_change_and_destroy),
    RIG_TEST(test_find),
    RIG_TEST(test_unaligned),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
