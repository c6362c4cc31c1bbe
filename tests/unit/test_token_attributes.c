/* SPDX-License-Identifier: Apache-2.0 */
/* What the token adds to objects by itself, and attributes that are more than bytes. */
#include "token_rig.h"

static CK_OBJECT_CLASS secret_class = CKO_SECRET_KEY, private_class = CKO_PRIVATE_KEY, cert_class = CKO_CERTIFICATE,
                       domain_class = CKO_DOMAIN_PARAMETERS;
static CK_BBOOL yes = CK_TRUE, no = CK_FALSE;

static CK_RV create_secret(CK_SESSION_HANDLE h, CK_KEY_TYPE type, const void *value, size_t len, CK_ATTRIBUTE extra,
                           CK_OBJECT_HANDLE *key)
{
  CK_ATTRIBUTE tmpl[] = { { CKA_CLASS, &secret_class, sizeof(secret_class) },
                          { CKA_KEY_TYPE, &type, sizeof(type) },
                          { CKA_VALUE, (void *)(uintptr_t)value, len },
                          extra };
  return C_CreateObject(h, tmpl, 4, key);
}

static CK_ULONG read_attr(CK_SESSION_HANDLE h, CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type, void *out,
                          CK_ULONG room)
{
  CK_ATTRIBUTE attr = { type, out, room };
  assert_ok(C_GetAttributeValue(h, object, &attr, 1));
  return attr.ulValueLen;
}

static void test_secret_keys(void **state)
{
  (void)state;
  static const struct {
    CK_KEY_TYPE type;
    size_t len;
    CK_RV rv;
    const char *check_value; /* of zeros */
  } cases[] = {
    { CKK_AES, 16, CKR_OK, "\x66\xe9\x4b" },
    { CKK_AES, 24, CKR_OK, "\xaa\xe0\x69" },
    { CKK_AES, 32, CKR_OK, "\xdc\x95\xc0" },
    { CKK_AES, 17, CKR_ATTRIBUTE_VALUE_INVALID, NULL },
    { CKK_DES2, 16, CKR_OK, "\x8c\xa6\x4d" },
    { CKK_DES3, 24, CKR_OK, "\x8c\xa6\x4d" },
    { CKK_DES3, 16, CKR_ATTRIBUTE_VALUE_INVALID, NULL },
    { CKK_CHACHA20, 32, CKR_OK, "\xde\x8a\x84" },
    { CKK_CHACHA20, 31, CKR_ATTRIBUTE_VALUE_INVALID, NULL },
    { CKK_GENERIC_SECRET, 20, CKR_OK, "\x67\x68\x03" },
    { CKK_SHA256_HMAC, 1, CKR_OK, "\x5b\xa9\x3c" },
    { CKK_GENERIC_SECRET, 0, CKR_ATTRIBUTE_VALUE_INVALID, NULL },
  };
  CK_SESSION_HANDLE h = rig_user_session();
  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
    static const CK_BYTE zeros[64];
    CK_BYTE check[3];
    CK_ULONG len;
    CK_OBJECT_HANDLE key;
    CK_ATTRIBUTE label = { CKA_LABEL, utf8("x"), 1 };
    assert_rv(cases[i].rv, create_secret(h, cases[i].type, zeros, cases[i].len, label, &key));
    if (cases[i].rv != CKR_OK)
      continue;
    assert_int_equal(3, read_attr(h, key, CKA_CHECK_VALUE, check, 3));
    assert_memory_equal(cases[i].check_value, check, 3);
    CK_ATTRIBUTE length = { CKA_VALUE_LEN, &len, sizeof(len) };
    bool des = cases[i].type == CKK_DES2 || cases[i].type == CKK_DES3;
    assert_rv(des ? CKR_ATTRIBUTE_TYPE_INVALID : CKR_OK, C_GetAttributeValue(h, key, &length, 1));
    if (!des)
      assert_int_equal(cases[i].len, len);
  }
}

static void test_check_value(void **state)
{
  (void)state;
  static const CK_BYTE zeros[16];
  CK_SESSION_HANDLE h = rig_user_session();
  CK_OBJECT_HANDLE key;
  CK_ATTRIBUTE right = { CKA_CHECK_VALUE, (void *)"\x66\xe9\x4b", 3 }, wrong = { CKA_CHECK_VALUE, (void *)"abc", 3 },
               none = { CKA_CHECK_VALUE, NULL, 0 };
  assert_ok(create_secret(h, CKK_AES, zeros, 16, right, &key));
  assert_rv(CKR_ATTRIBUTE_VALUE_INVALID, create_secret(h, CKK_AES, zeros, 16, wrong, &key));
  assert_rv(CKR_ATTRIBUTE_READ_ONLY, C_SetAttributeValue(h, key, &wrong, 1));
  assert_ok(C_SetAttributeValue(h, key, &none, 1));
  assert_int_equal(0, read_attr(h, key, CKA_CHECK_VALUE, NULL, 0));
  assert_ok(create_secret(h, CKK_AES, zeros, 16, none, &key));
  assert_int_equal(0, read_attr(h, key, CKA_CHECK_VALUE, NULL, 0));
}

static void test_public_key_info(void **state)
{
  (void)state;
  CK_SESSION_HANDLE h = rig_user_session();
  struct rig_pair pair = rig_ec(h, false);
  CK_BYTE of_public[128], of_private[128], point[80];
  CK_ULONG len = read_attr(h, pair.public, CKA_PUBLIC_KEY_INFO, of_public, sizeof(of_public));
  assert_int_equal(91, len); /* P-256, uncompressed */
  assert_int_equal(len, read_attr(h, pair.private, CKA_PUBLIC_KEY_INFO, of_private, sizeof(of_private)));
  assert_memory_equal(of_public, of_private, len);
  CK_ULONG point_len = read_attr(h, pair.public, CKA_EC_POINT, point, sizeof(point));
  assert_memory_equal(of_public + len - 65, point + point_len - 65, 65);

  static CK_BYTE p256[] = { 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7 }, value[32] = { [31] = 3 };
  CK_KEY_TYPE ec = CKK_EC;
  CK_ATTRIBUTE tmpl[] = { { CKA_CLASS, &private_class, sizeof(private_class) },
                          { CKA_KEY_TYPE, &ec, sizeof(ec) },
                          { CKA_EC_PARAMS, p256, sizeof(p256) },
                          { CKA_VALUE, value, sizeof(value) },
                          { CKA_PUBLIC_KEY_INFO, of_public, len } };
  CK_OBJECT_HANDLE key;
  assert_rv(CKR_ATTRIBUTE_VALUE_INVALID, C_CreateObject(h, tmpl, 5, &key));
  assert_ok(C_CreateObject(h, tmpl, 4, &key));
  assert_int_equal(91, read_attr(h, key, CKA_PUBLIC_KEY_INFO, of_private, sizeof(of_private)));
  tmpl[4].pValue = of_private;
  assert_ok(C_CreateObject(h, tmpl, 5, &key));
}

static void test_arrays(void **state)
{
  (void)state;
  static const CK_BYTE zeros[16];
  CK_SESSION_HANDLE h = rig_user_session();
  CK_OBJECT_HANDLE key, found;
  CK_ATTRIBUTE inner[] = { { CKA_EXTRACTABLE, &no, 1 }, { CKA_LABEL, utf8("inner"), 5 } };
  CK_ATTRIBUTE array = { CKA_UNWRAP_TEMPLATE, inner, sizeof(inner) };
  CK_ATTRIBUTE nested = { CKA_WRAP_TEMPLATE, &array, sizeof(array) };
  CK_MECHANISM_TYPE allowed[] = { CKM_AES_GCM, CKM_AES_CBC }, read_allowed[2];
  assert_rv(CKR_ATTRIBUTE_VALUE_INVALID, create_secret(h, CKK_AES, zeros, 16, nested, &key));
  assert_ok(create_secret(h, CKK_AES, zeros, 16, array, &key));
  assert_int_equal(1, rig_find(h, &array, 1, &found));
  assert_int_equal(key, found);
  CK_BYTE label[5];
  CK_BBOOL extractable = CK_TRUE;
  CK_ATTRIBUTE read[] = { { 0, label, 5 }, { 0, &extractable, 1 } };
  assert_int_equal(sizeof(read), read_attr(h, key, CKA_UNWRAP_TEMPLATE, NULL, 0));
  assert_int_equal(sizeof(read), read_attr(h, key, CKA_UNWRAP_TEMPLATE, read, sizeof(read)));
  assert_int_equal(CKA_LABEL, read[0].type);
  assert_memory_equal("inner", label, 5);
  assert_int_equal(CK_FALSE, extractable);
  assert_rv(CKR_ATTRIBUTE_READ_ONLY,
            C_SetAttributeValue(h, key, &(CK_ATTRIBUTE){ CKA_UNWRAP_TEMPLATE, inner, sizeof(inner[0]) }, 1));
  CK_ATTRIBUTE mechanisms = { CKA_ALLOWED_MECHANISMS, allowed, sizeof(allowed) };
  assert_ok(create_secret(h, CKK_AES, zeros, 16, mechanisms, &key));
  assert_int_equal(sizeof(allowed), read_attr(h, key, CKA_ALLOWED_MECHANISMS, read_allowed, sizeof(read_allowed)));
  assert_memory_equal(allowed, read_allowed, sizeof(allowed));
}

static void test_certificates(void **state)
{
  (void)state;
  CK_SESSION_HANDLE h = rig_user_session();
  CK_ULONG type = CKC_X_509;
  CK_OBJECT_HANDLE cert;
  CK_BYTE check[3];
  CK_ATTRIBUTE tmpl[] = { { CKA_CLASS, &cert_class, sizeof(cert_class) },
                          { CKA_CERTIFICATE_TYPE, &type, sizeof(type) },
                          { CKA_SUBJECT, utf8("s"), 1 },
                          { CKA_VALUE, utf8("abc"), 3 },
                          { CKA_OWNER, utf8("o"), 1 } };
  assert_ok(C_CreateObject(h, tmpl, 4, &cert));
  assert_int_equal(3, read_attr(h, cert, CKA_CHECK_VALUE, check, 3));
  assert_memory_equal("\xa9\x99\x3e", check, 3);
  assert_rv(CKR_ATTRIBUTE_TYPE_INVALID, C_CreateObject(h, tmpl, 5, &cert));
  tmpl[3].ulValueLen = 0; /* and no URL */
  assert_rv(CKR_TEMPLATE_INCOMPLETE, C_CreateObject(h, tmpl, 4, &cert));
  type = CKC_X_509_ATTR_CERT;
  tmpl[2] = tmpl[4];
  tmpl[3].ulValueLen = 3;
  assert_ok(C_CreateObject(h, tmpl, 4, &cert));
  type = CKC_VENDOR_DEFINED;
  assert_rv(CKR_ATTRIBUTE_VALUE_INVALID, C_CreateObject(h, tmpl, 4, &cert));
  CK_ATTRIBUTE trusted = { CKA_TRUSTED, &yes, 1 };
  assert_rv(CKR_ATTRIBUTE_READ_ONLY, C_SetAttributeValue(h, cert, &trusted, 1));
  assert_ok(C_Logout(h));
  assert_ok(rig_login(h, CKU_SO, SO_PIN));
  assert_ok(C_SetAttributeValue(h, cert, &trusted, 1));
  assert_ok(C_Logout(h));
  assert_ok(rig_login(h, CKU_USER, USER_PIN));
  CK_ATTRIBUTE label = { CKA_LABEL, utf8("new"), 3 };
  assert_rv(CKR_ATTRIBUTE_READ_ONLY, C_SetAttributeValue(h, cert, &label, 1));
}

static void test_domain_parameters(void **state)
{
  (void)state;
  CK_SESSION_HANDLE h = rig_user_session();
  CK_KEY_TYPE dsa = CKK_DSA;
  CK_ULONG bits;
  CK_OBJECT_HANDLE object;
  CK_ATTRIBUTE tmpl[] = { { CKA_CLASS, &domain_class, sizeof(domain_class) },
                          { CKA_KEY_TYPE, &dsa, sizeof(dsa) },
                          { CKA_PRIME, (void *)"\0\x7f\xff", 3 },
                          { CKA_SUBPRIME, (void *)"\x07", 1 },
                          { CKA_BASE, (void *)"\x02", 1 } };
  assert_rv(CKR_TEMPLATE_INCOMPLETE, C_CreateObject(h, tmpl, 4, &object));
  assert_ok(C_CreateObject(h, tmpl, 5, &object));
  assert_int_equal(sizeof(bits), read_attr(h, object, CKA_PRIME_BITS, &bits, sizeof(bits)));
  assert_int_equal(15, bits);
  assert_int_equal(sizeof(bits), read_attr(h, object, CKA_SUBPRIME_BITS, &bits, sizeof(bits)));
  assert_int_equal(3, bits);
}

static void test_profiles(void **state)
{
  (void)state;
  CK_SESSION_HANDLE h = rig_user_session();
  CK_OBJECT_CLASS class = CKO_PROFILE;
  CK_ULONG id = CKP_AUTHENTICATION_TOKEN, read;
  CK_BBOOL token = CK_FALSE;
  CK_OBJECT_HANDLE found[8], one = 0, again = 0, copy;
  CK_ULONG count;
  CK_ATTRIBUTE tmpl[] = { { CKA_CLASS, &class, sizeof(class) }, { CKA_PROFILE_ID, &id, sizeof(id) } };
  assert_ok(C_Logout(h)); /* for anyone to see */
  assert_ok(C_FindObjectsInit(h, tmpl, 1));
  assert_ok(C_FindObjects(h, found, 8, &count));
  assert_ok(C_FindObjectsFinal(h));
  assert_true(count >= 3);
  for (CK_ULONG i = 0; i < count; i++) {
    assert_int_equal(sizeof(read), read_attr(h, found[i], CKA_PROFILE_ID, &read, sizeof(read)));
    assert_int_equal(1, read_attr(h, found[i], CKA_TOKEN, &token, 1));
    assert_int_equal(CK_TRUE, token);
  }
  assert_int_equal(CKP_BASELINE_PROVIDER, 1);
  assert_int_equal(1, rig_find(h, tmpl, 2, &one));
  assert_int_equal(1, rig_find(h, tmpl, 2, &again));
  assert_int_equal(one, again);
  id = CKP_COMPLETE_PROVIDER;
  assert_int_equal(0, rig_find(h, tmpl, 2, NULL));
  assert_int_equal(0, rig_find(h, NULL, 0, NULL)); /* unasked, it is not shown */
  CK_ATTRIBUTE label = { CKA_LABEL, utf8("mine"), 4 };
  assert_rv(CKR_ACTION_PROHIBITED, C_SetAttributeValue(h, one, &label, 1));
  assert_rv(CKR_ACTION_PROHIBITED, C_DestroyObject(h, one));
  assert_rv(CKR_ACTION_PROHIBITED, C_CopyObject(h, one, NULL, 0, &copy));
  assert_rv(CKR_ATTRIBUTE_VALUE_INVALID, C_CreateObject(h, tmpl, 2, &copy));
  assert_ok(C_CloseSession(h)); /* whoever looked first */
  h = rig_open_session(rig_first_slot(), 0);
  assert_int_equal(sizeof(read), read_attr(h, one, CKA_PROFILE_ID, &read, sizeof(read)));
}

static void test_copies_and_sizes(void **state)
{
  (void)state;
  static const CK_BYTE zeros[32];
  CK_SESSION_HANDLE h = rig_user_session();
  CK_OBJECT_HANDLE key, copy, large;
  CK_BYTE id[64], copy_id[64];
  CK_ULONG size, larger;
  CK_BBOOL value;
  CK_ATTRIBUTE extractable = { CKA_EXTRACTABLE, &yes, 1 }, fixed = { CKA_EXTRACTABLE, &no, 1 },
               label = { CKA_LABEL, utf8("a copy"), 6 }, local = { CKA_LOCAL, &yes, 1 },
               of_value = { CKA_VALUE, (void *)(uintptr_t)zeros, 16 }, frozen = { CKA_MODIFIABLE, &no, 1 };
  assert_ok(create_secret(h, CKK_AES, zeros, 16, extractable, &key));
  assert_ok(C_CopyObject(h, key, (CK_ATTRIBUTE[]){ fixed, label, frozen }, 3, &copy));
  assert_int_equal(1, read_attr(h, copy, CKA_EXTRACTABLE, &value, 1));
  assert_int_equal(CK_FALSE, value);
  CK_ULONG len = read_attr(h, key, CKA_UNIQUE_ID, id, sizeof(id));
  assert_int_equal(len, read_attr(h, copy, CKA_UNIQUE_ID, copy_id, sizeof(copy_id)));
  assert_memory_not_equal(id, copy_id, len);
  assert_rv(CKR_ACTION_PROHIBITED, C_SetAttributeValue(h, copy, &label, 1));
  assert_rv(CKR_ATTRIBUTE_READ_ONLY, C_CopyObject(h, copy, &extractable, 1, &large));
  assert_rv(CKR_ATTRIBUTE_READ_ONLY, C_CopyObject(h, key, &local, 1, &large));
  assert_rv(CKR_ATTRIBUTE_READ_ONLY, C_CopyObject(h, key, &of_value, 1, &large));
  assert_ok(create_secret(h, CKK_GENERIC_SECRET, zeros, 32, extractable, &large));
  assert_ok(C_GetObjectSize(h, key, &size));
  assert_ok(C_GetObjectSize(h, large, &larger));
  assert_int_equal(size + 16, larger);
  assert_rv(CKR_OBJECT_HANDLE_INVALID, C_GetObjectSize(h, large + 1, &larger));
}

int main(void)
{
  const struct CMUnitTest tests[] = {
    RIG_TEST(test_secret_keys), RIG_TEST(test_check_value),      RIG_TEST(test_public_key_info),
    RIG_TEST(test_arrays),      RIG_TEST(test_certificates),     RIG_TEST(test_domain_parameters),
    RIG_TEST(test_profiles),    RIG_TEST(test_copies_and_sizes),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
