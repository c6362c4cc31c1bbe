/* SPDX-License-Identifier: Apache-2.0 */
/* C_EncapsulateKey and C_DecapsulateKey, and post-quantum private keys that are wrapped: where libcrypto has them. */
#include "token_rig.h"

enum { ROOM = 16384, CIPHERTEXT = 1088, SECRET = 32 };

static CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
static CK_OBJECT_CLASS private_class = CKO_PRIVATE_KEY, secret_class = CKO_SECRET_KEY, data_class = CKO_DATA;
static CK_MECHANISM kem = { CKM_ML_KEM, NULL, 0 };

static bool offers(CK_MECHANISM_TYPE type)
{
  CK_MECHANISM_INFO info;
  return C_GetMechanismInfo(rig_first_slot(), type, &info) == CKR_OK;
}

static struct rig_pair generate(CK_SESSION_HANDLE h, CK_MECHANISM_TYPE type, CK_ULONG set, CK_ATTRIBUTE of_public,
                                CK_ATTRIBUTE of_private)
{
  CK_MECHANISM m = { type, NULL, 0 };
  CK_ATTRIBUTE public[] = { { CKA_PARAMETER_SET, &set, sizeof(set) }, of_public };
  CK_ATTRIBUTE private[] = { { CKA_EXTRACTABLE, &yes, 1 }, of_private };
  struct rig_pair pair;
  assert_ok(C_GenerateKeyPair(h, &m, public, 2, private, 2, &pair.public, &pair.private));
  return pair;
}

#define LABEL ((CK_ATTRIBUTE){ CKA_LABEL, utf8("x"), 1 })

static CK_ULONG read_value(CK_SESSION_HANDLE h, CK_OBJECT_HANDLE key, CK_BYTE out[64])
{
  CK_ATTRIBUTE attr = { CKA_VALUE, out, 64 };
  assert_ok(C_GetAttributeValue(h, key, &attr, 1));
  return attr.ulValueLen;
}

static void test_both_sides(void **state)
{
  (void)state;
  const struct hf_ck_functions_3_2 *list = rig_list();
  CK_SESSION_HANDLE h = rig_user_session();
  if (!offers(CKM_ML_KEM)) {
    print_message("# skipped: libcrypto has no ML-KEM\n");
    return;
  }
  struct rig_pair pair = generate(h, CKM_ML_KEM_KEY_PAIR_GEN, CKP_ML_KEM_768, LABEL, LABEL);
  CK_ATTRIBUTE readable = { CKA_SENSITIVE, &no, 1 }, twice[] = { readable, { CKA_LABEL, utf8("shared"), 6 } };
  CK_BYTE out[CIPHERTEXT], a[64], b[64];
  CK_ULONG len = 0;
  CK_OBJECT_HANDLE ours, theirs;
  CK_KEY_TYPE type = 0;
  assert_ok(list->C_EncapsulateKey(h, &kem, pair.public, twice, 2, NULL, &len, &ours));
  assert_int_equal(CIPHERTEXT, len);
  len--;
  assert_rv(CKR_BUFFER_TOO_SMALL, list->C_EncapsulateKey(h, &kem, pair.public, twice, 2, out, &len, &ours));
  assert_int_equal(0, rig_find_label(h, "shared", NULL));
  assert_ok(list->C_EncapsulateKey(h, &kem, pair.public, twice, 2, out, &len, &ours));
  assert_int_equal(1, rig_find_label(h, "shared", NULL));
  assert_ok(list->C_DecapsulateKey(h, &kem, pair.private, &readable, 1, out, len, &theirs));
  assert_int_equal(SECRET, read_value(h, ours, a));
  assert_int_equal(SECRET, read_value(h, theirs, b));
  assert_memory_equal(a, b, SECRET);
  CK_BBOOL extractable = CK_FALSE, local = CK_TRUE;
  CK_ATTRIBUTE read[] = { { CKA_KEY_TYPE, &type, sizeof(type) },
                          { CKA_EXTRACTABLE, &extractable, 1 },
                          { CKA_LOCAL, &local, 1 } };
  assert_ok(C_GetAttributeValue(h, theirs, read, 3));
  assert_int_equal(CKK_GENERIC_SECRET, type);
  assert_int_equal(CK_TRUE, extractable);
  assert_int_equal(CK_FALSE, local);
  out[0] ^= 1; /* another secret, and no oracle */
  assert_ok(list->C_DecapsulateKey(h, &kem, pair.private, &readable, 1, out, len, &theirs));
  read_value(h, theirs, b);
  assert_memory_not_equal(a, b, SECRET);
}

static void test_refusals(void **state)
{
  (void)state;
  const struct hf_ck_functions_3_2 *list = rig_list();
  CK_SESSION_HANDLE h = rig_user_session();
  if (!offers(CKM_ML_KEM)) {
    print_message("# skipped: libcrypto has no ML-KEM\n");
    return;
  }
  CK_ATTRIBUTE inner = { CKA_EXTRACTABLE, &no, 1 }, array = { CKA_DECAPSULATE_TEMPLATE, &inner, sizeof(inner) };
  struct rig_pair pair = generate(h, CKM_ML_KEM_KEY_PAIR_GEN, CKP_ML_KEM_768, LABEL, array);
  struct rig_pair idle = generate(h, CKM_ML_KEM_KEY_PAIR_GEN, CKP_ML_KEM_768, (CK_ATTRIBUTE){ CKA_ENCAPSULATE, &no, 1 },
                                  (CK_ATTRIBUTE){ CKA_DECAPSULATE, &no, 1 });
  CK_BYTE out[CIPHERTEXT];
  CK_ULONG len = sizeof(out), short_len = 16, full = SECRET;
  CK_OBJECT_HANDLE key;
  CK_KEY_TYPE aes = CKK_AES, des3 = CKK_DES3;
  CK_ATTRIBUTE extractable = { CKA_EXTRACTABLE, &yes, 1 }, short_key = { CKA_VALUE_LEN, &short_len, sizeof(short_len) };
  CK_ATTRIBUTE of_aes[] = { { CKA_KEY_TYPE, &aes, sizeof(aes) }, { CKA_VALUE_LEN, &full, sizeof(full) } },
               of_des3 = { CKA_KEY_TYPE, &des3, sizeof(des3) }, class = { CKA_CLASS, &data_class, sizeof(data_class) };
  assert_ok(list->C_EncapsulateKey(h, &kem, pair.public, of_aes, 2, out, &len, &key));
  assert_rv(CKR_TEMPLATE_INCONSISTENT, list->C_EncapsulateKey(h, &kem, pair.public, &short_key, 1, out, &len, &key));
  assert_rv(CKR_TEMPLATE_INCONSISTENT, list->C_EncapsulateKey(h, &kem, pair.public, &of_des3, 1, out, &len, &key));
  assert_rv(CKR_TEMPLATE_INCONSISTENT, list->C_EncapsulateKey(h, &kem, pair.public, &class, 1, out, &len, &key));
  assert_rv(CKR_TEMPLATE_INCONSISTENT, list->C_DecapsulateKey(h, &kem, pair.private, &extractable, 1, out, len, &key));
  assert_ok(list->C_DecapsulateKey(h, &kem, pair.private, NULL, 0, out, len, &key));
  assert_rv(CKR_WRAPPED_KEY_LEN_RANGE, list->C_DecapsulateKey(h, &kem, pair.private, NULL, 0, out, len - 1, &key));
  assert_rv(CKR_KEY_FUNCTION_NOT_PERMITTED, list->C_EncapsulateKey(h, &kem, idle.public, NULL, 0, out, &len, &key));
  assert_rv(CKR_KEY_FUNCTION_NOT_PERMITTED, list->C_DecapsulateKey(h, &kem, idle.private, NULL, 0, out, len, &key));
  assert_rv(CKR_KEY_TYPE_INCONSISTENT, list->C_EncapsulateKey(h, &kem, pair.private, NULL, 0, out, &len, &key));
  assert_rv(CKR_KEY_HANDLE_INVALID, list->C_EncapsulateKey(h, &kem, 12345, NULL, 0, out, &len, &key));
  CK_MECHANISM ecdsa = { CKM_ECDSA, NULL, 0 };
  assert_rv(CKR_MECHANISM_INVALID, list->C_EncapsulateKey(h, &ecdsa, pair.public, NULL, 0, out, &len, &key));
}

static void test_wrapped(void **state)
{
  (void)state;
  static const struct {
    CK_MECHANISM_TYPE generate, sign;
    CK_KEY_TYPE type;
    CK_ULONG set;
  } cases[] = {
    { CKM_ML_DSA_KEY_PAIR_GEN, CKM_ML_DSA, CKK_ML_DSA, CKP_ML_DSA_44 },
    { CKM_SLH_DSA_KEY_PAIR_GEN, CKM_SLH_DSA, CKK_SLH_DSA, CKP_SLH_DSA_SHA2_128F },
    { CKM_ML_KEM_KEY_PAIR_GEN, 0, CKK_ML_KEM, CKP_ML_KEM_512 },
  };
  CK_SESSION_HANDLE h = rig_user_session();
  CK_KEY_TYPE aes = CKK_AES;
  CK_BYTE value[32] = { 7 }, message[] = "signed";
  static CK_BYTE out[ROOM], signature[20000];
  CK_ATTRIBUTE secret[] = { { CKA_CLASS, &secret_class, sizeof(secret_class) },
                            { CKA_KEY_TYPE, &aes, sizeof(aes) },
                            { CKA_VALUE, value, sizeof(value) } };
  CK_MECHANISM kwp = { CKM_AES_KEY_WRAP_KWP, NULL, 0 };
  CK_OBJECT_HANDLE wrapping, back;
  assert_ok(C_CreateObject(h, secret, 3, &wrapping));
  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
    if (!offers(cases[i].generate)) {
      print_message("# skipped: libcrypto has no mechanism 0x%lx\n", cases[i].generate);
      continue;
    }
    CK_ULONG len = sizeof(out), signature_len = sizeof(signature);
    CK_KEY_TYPE type = cases[i].type;
    CK_MECHANISM sign = { cases[i].sign, NULL, 0 };
    CK_ATTRIBUTE tmpl[] = { { CKA_CLASS, &private_class, sizeof(private_class) },
                            { CKA_KEY_TYPE, &type, sizeof(type) } };
    struct rig_pair pair = generate(h, cases[i].generate, cases[i].set, LABEL, LABEL);
    assert_ok(C_WrapKey(h, &kwp, wrapping, pair.private, out, &len));
    assert_ok(C_UnwrapKey(h, &kwp, wrapping, out, len, tmpl, 2, &back));
    if (!cases[i].sign)
      continue;
    assert_ok(C_SignInit(h, &sign, back));
    assert_ok(C_Sign(h, message, sizeof(message), signature, &signature_len));
    assert_ok(C_VerifyInit(h, &sign, pair.public));
    assert_ok(C_Verify(h, message, sizeof(message), signature, signature_len));
    assert_ok(rig_list()->C_VerifySignatureInit(h, &sign, pair.public, signature, signature_len));
    assert_ok(rig_list()->C_VerifySignatureUpdate(h, message, 2));
    assert_ok(rig_list()->C_VerifySignatureUpdate(h, message + 2, sizeof(message) - 2));
    assert_ok(rig_list()->C_VerifySignatureFinal(h));
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
    RIG_TEST(test_both_sides),
    RIG_TEST(test_refusals),
    RIG_TEST(test_wrapped),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
