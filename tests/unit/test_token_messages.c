/* SPDX-License-Identifier: Apache-2.0 */
/* Encrypted messages, several with one key; and operations two at a time. */
#include "token_rig.h"

enum { TAG_BYTES = 16, NONCE_BYTES = 12, DIGEST_BYTES = 32 };

static CK_BYTE text[] = "a message that goes to the cloud, in parts or whole", aad[] = "who, and which";
static CK_OBJECT_CLASS secret_class = CKO_SECRET_KEY;

static CK_OBJECT_HANDLE create(CK_SESSION_HANDLE h, CK_KEY_TYPE type)
{
  CK_BYTE value[32] = "0123456789abcdef0123456789abcde";
  CK_ATTRIBUTE tmpl[] = { { CKA_CLASS, &secret_class, sizeof(secret_class) },
                          { CKA_KEY_TYPE, &type, sizeof(type) },
                          { CKA_VALUE, value, sizeof(value) } };
  CK_OBJECT_HANDLE key;
  assert_ok(C_CreateObject(h, tmpl, 3, &key));
  return key;
}

/* A message's parameter of each AEAD, with one nonce and one tag. */
static struct {
  CK_BYTE nonce[NONCE_BYTES], tag[TAG_BYTES];
  struct hf_ck_gcm_message_params gcm;
  struct hf_ck_ccm_message_params ccm;
  struct hf_ck_chacha20_poly1305_msg_params chacha;
} aead;

static const struct {
  CK_MECHANISM_TYPE type;
  CK_KEY_TYPE key;
  void *param;
  CK_ULONG size;
} cases[] = {
  { CKM_AES_GCM, CKK_AES, &aead.gcm, sizeof(aead.gcm) },
  { CKM_AES_CCM, CKK_AES, &aead.ccm, sizeof(aead.ccm) },
  { CKM_CHACHA20_POLY1305, CKK_CHACHA20, &aead.chacha, sizeof(aead.chacha) },
};

static void reset(CK_ULONG generator)
{
  memset(&aead, 0, sizeof(aead));
  aead.gcm = (struct hf_ck_gcm_message_params){ aead.nonce, NONCE_BYTES, 32, generator, aead.tag, 128 };
  aead.ccm =
      (struct hf_ck_ccm_message_params){ sizeof(text), aead.nonce, NONCE_BYTES, 32, generator, aead.tag, TAG_BYTES };
  aead.chacha = (struct hf_ck_chacha20_poly1305_msg_params){ aead.nonce, NONCE_BYTES, aead.tag };
}

static void test_whole_messages(void **state)
{
  (void)state;
  const struct hf_ck_functions_3_0 *list = &rig_list()->base;
  CK_SESSION_HANDLE h = rig_user_session();
  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
    CK_MECHANISM m = { cases[i].type, NULL, 0 };
    CK_MECHANISM_INFO info;
    CK_OBJECT_HANDLE key = create(h, cases[i].key);
    CK_BYTE out[sizeof(text)], back[sizeof(text)];
    CK_ULONG len = 0, back_len = sizeof(back);
    reset(CKG_NO_GENERATE);
    assert_ok(C_GetMechanismInfo(rig_first_slot(), m.mechanism, &info));
    assert_int_equal(CKF_MESSAGE_ENCRYPT | CKF_MESSAGE_DECRYPT | CKF_MULTI_MESSAGE,
                     info.flags & (CKF_MESSAGE_ENCRYPT | CKF_MESSAGE_DECRYPT | CKF_MULTI_MESSAGE));
    assert_ok(list->C_MessageEncryptInit(h, &m, key));
    assert_rv(CKR_OPERATION_ACTIVE, list->C_MessageEncryptInit(h, &m, key));
    assert_ok(list->C_MessageDecryptInit(h, &m, key));
    for (CK_BYTE message = 0; message < 3; message++) {
      aead.nonce[11] = message;
      assert_ok(
          list->C_EncryptMessage(h, cases[i].param, cases[i].size, aad, sizeof(aad), text, sizeof(text), NULL, &len));
      assert_int_equal(sizeof(text), len);
      len--;
      assert_rv(CKR_BUFFER_TOO_SMALL, list->C_EncryptMessage(h, cases[i].param, cases[i].size, aad, sizeof(aad), text,
                                                             sizeof(text), out, &len));
      assert_ok(
          list->C_EncryptMessage(h, cases[i].param, cases[i].size, aad, sizeof(aad), text, sizeof(text), out, &len));
      assert_memory_not_equal(text, out, sizeof(text));
      assert_ok(list->C_DecryptMessage(h, cases[i].param, cases[i].size, aad, sizeof(aad), out, len, back, &back_len));
      assert_memory_equal(text, back, sizeof(text));
      aead.tag[0] ^= 1;
      assert_rv(CKR_AEAD_DECRYPT_FAILED,
                list->C_DecryptMessage(h, cases[i].param, cases[i].size, aad, sizeof(aad), out, len, back, &back_len));
      aead.tag[0] ^= 1;
      assert_rv(CKR_AEAD_DECRYPT_FAILED,
                list->C_DecryptMessage(h, cases[i].param, cases[i].size, aad, 3, out, len, back, &back_len));
    }
    assert_rv(CKR_MECHANISM_PARAM_INVALID,
              list->C_EncryptMessage(h, cases[i].param, cases[i].size - 1, aad, 3, text, sizeof(text), out, &len));
    assert_ok(list->C_MessageEncryptFinal(h));
    assert_ok(list->C_MessageDecryptFinal(h));
    assert_rv(CKR_OPERATION_NOT_INITIALIZED, list->C_MessageEncryptFinal(h));
  }
  CK_MECHANISM ecb = { CKM_AES_ECB, NULL, 0 };
  assert_rv(CKR_MECHANISM_INVALID, list->C_MessageEncryptInit(h, &ecb, create(h, CKK_AES)));
}

/* What came of a message is what C_Encrypt yields, the tag behind the text. */
static void test_the_same_as_one_operation(void **state)
{
  (void)state;
  const struct hf_ck_functions_3_0 *list = &rig_list()->base;
  CK_SESSION_HANDLE h = rig_user_session();
  CK_OBJECT_HANDLE key = create(h, CKK_CHACHA20);
  struct hf_ck_chacha20_poly1305_params whole = { aead.nonce, NONCE_BYTES, aad, sizeof(aad) };
  CK_MECHANISM m = { CKM_CHACHA20_POLY1305, NULL, 0 }, one = { CKM_CHACHA20_POLY1305, &whole, sizeof(whole) };
  CK_BYTE out[sizeof(text)], sealed[sizeof(text) + TAG_BYTES];
  CK_ULONG len = sizeof(out), sealed_len = sizeof(sealed);
  reset(CKG_NO_GENERATE);
  assert_ok(list->C_MessageEncryptInit(h, &m, key));
  assert_ok(
      list->C_EncryptMessage(h, &aead.chacha, sizeof(aead.chacha), aad, sizeof(aad), text, sizeof(text), out, &len));
  assert_ok(C_EncryptInit(h, &one, key));
  assert_ok(C_Encrypt(h, text, sizeof(text), sealed, &sealed_len));
  assert_int_equal(sizeof(sealed), sealed_len);
  assert_memory_equal(sealed, out, sizeof(out));
  assert_memory_equal(sealed + sizeof(out), aead.tag, TAG_BYTES);
}

static void test_messages_in_parts(void **state)
{
  (void)state;
  const struct hf_ck_functions_3_0 *list = &rig_list()->base;
  CK_SESSION_HANDLE h = rig_user_session();
  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
    void *param = cases[i].param;
    CK_ULONG size = cases[i].size, room = sizeof(text), len = room, done;
    CK_MECHANISM m = { cases[i].type, NULL, 0 };
    CK_OBJECT_HANDLE key = create(h, cases[i].key);
    CK_BYTE out[sizeof(text)], back[sizeof(text)];
    reset(CKG_NO_GENERATE);
    assert_ok(list->C_MessageEncryptInit(h, &m, key));
    assert_rv(CKR_OPERATION_NOT_INITIALIZED, list->C_EncryptMessageNext(h, param, size, text, 5, out, &len, 0));
    assert_ok(list->C_EncryptMessageBegin(h, param, size, aad, sizeof(aad)));
    assert_rv(CKR_OPERATION_ACTIVE, list->C_EncryptMessageBegin(h, param, size, aad, sizeof(aad)));
    assert_rv(CKR_OPERATION_ACTIVE, list->C_EncryptMessage(h, param, size, NULL, 0, text, 5, out, &len));
    assert_ok(list->C_EncryptMessageNext(h, param, size, text, 20, out, &len, 0));
    done = len;
    len = 0;
    assert_ok(list->C_EncryptMessageNext(h, param, size, text + 20, room - 20, NULL, &len, CKF_END_OF_MESSAGE));
    assert_int_equal(room - done, len);
    assert_ok(list->C_EncryptMessageNext(h, param, size, text + 20, room - 20, out + done, &len, CKF_END_OF_MESSAGE));
    assert_int_equal(room, done + len);
    assert_ok(list->C_MessageEncryptFinal(h));

    assert_ok(list->C_MessageDecryptInit(h, &m, key));
    for (int wrong = 1; wrong >= 0; wrong--) {
      aead.tag[5] ^= 1;
      aead.tag[5] ^= (CK_BYTE)!wrong;
      assert_ok(list->C_DecryptMessageBegin(h, param, size, aad, sizeof(aad)));
      len = room;
      assert_ok(list->C_DecryptMessageNext(h, param, size, out, 7, back, &len, 0));
      done = len;
      len = room - done;
      CK_RV rv = list->C_DecryptMessageNext(h, param, size, out + 7, room - 7, back + done, &len, CKF_END_OF_MESSAGE);
      assert_rv(wrong ? CKR_AEAD_DECRYPT_FAILED : CKR_OK, rv);
      if (wrong)
        aead.tag[5] ^= 1;
    }
    assert_int_equal(room, done + len);
    assert_memory_equal(text, back, room);
    assert_ok(list->C_MessageDecryptInit(h, NULL, 0));
  }
}

static void test_nonces(void **state)
{
  (void)state;
  const struct hf_ck_functions_3_0 *list = &rig_list()->base;
  CK_SESSION_HANDLE h = rig_user_session();
  CK_MECHANISM m = { CKM_AES_GCM, NULL, 0 };
  CK_BYTE out[sizeof(text)], fixed[4] = { 9, 8, 7, 6 }, before[NONCE_BYTES];
  CK_ULONG len = sizeof(out);
  assert_ok(list->C_MessageEncryptInit(h, &m, create(h, CKK_AES)));
  static const CK_ULONG generators[] = { CKG_GENERATE, CKG_GENERATE_RANDOM, CKG_GENERATE_COUNTER,
                                         CKG_GENERATE_COUNTER_XOR };
  for (size_t i = 0; i < sizeof(generators) / sizeof(generators[0]); i++) {
    reset(generators[i]);
    memcpy(aead.nonce, fixed, sizeof(fixed));
    for (int message = 0; message < 3; message++) {
      memcpy(before, aead.nonce, sizeof(before));
      assert_ok(list->C_EncryptMessage(h, &aead.gcm, sizeof(aead.gcm), NULL, 0, text, sizeof(text), out, &len));
      assert_memory_equal(fixed, aead.nonce, sizeof(fixed));
      if (message)
        assert_memory_not_equal(before, aead.nonce, sizeof(before));
    }
  }
  reset(77);
  assert_rv(CKR_MECHANISM_PARAM_INVALID,
            list->C_EncryptMessage(h, &aead.gcm, sizeof(aead.gcm), NULL, 0, text, sizeof(text), out, &len));
}

static void test_two_at_once(void **state)
{
  (void)state;
  CK_SESSION_HANDLE h = rig_user_session();
  CK_BYTE iv[16] = { 1 }, out[64], back[64], hash[DIGEST_BYTES], expected[DIGEST_BYTES], signature[64];
  CK_MECHANISM cbc = { CKM_AES_CBC, iv, 16 }, sha256 = { CKM_SHA256, NULL, 0 }, ecdsa = { CKM_ECDSA_SHA256, NULL, 0 };
  CK_OBJECT_HANDLE key = create(h, CKK_AES);
  struct rig_pair pair = rig_ec(h, false);
  CK_ULONG len = 0, hash_len = DIGEST_BYTES, signature_len = sizeof(signature);
  assert_ok(C_DigestInit(h, &sha256));
  assert_ok(C_Digest(h, text, 32, expected, &hash_len));

  assert_rv(CKR_OPERATION_NOT_INITIALIZED, C_DigestEncryptUpdate(h, text, 32, out, &len));
  assert_ok(C_DigestInit(h, &sha256));
  assert_ok(C_EncryptInit(h, &cbc, key));
  assert_ok(C_DigestEncryptUpdate(h, text, 32, NULL, &len));
  len--;
  assert_rv(CKR_BUFFER_TOO_SMALL, C_DigestEncryptUpdate(h, text, 32, out, &len));
  memcpy(out, text, 32);
  len = sizeof(out);
  assert_ok(C_DigestEncryptUpdate(h, out, 32, out, &len)); /* in place */
  assert_ok(C_DigestFinal(h, hash, &hash_len));
  assert_memory_equal(expected, hash, DIGEST_BYTES);
  CK_ULONG rest = sizeof(out) - len;
  assert_ok(C_EncryptFinal(h, out + len, &rest));
  assert_int_equal(32, len + rest);

  assert_ok(C_DigestInit(h, &sha256));
  assert_ok(C_DecryptInit(h, &cbc, key));
  len = sizeof(back);
  assert_ok(C_DecryptDigestUpdate(h, out, 32, back, &len));
  assert_ok(C_DigestFinal(h, hash, &hash_len));
  assert_memory_equal(text, back, len);
  if (len == 32)
    assert_memory_equal(expected, hash, DIGEST_BYTES);
  rest = sizeof(back) - len;
  assert_ok(C_DecryptFinal(h, back + len, &rest));

  assert_ok(C_SignInit(h, &ecdsa, pair.private));
  assert_ok(C_EncryptInit(h, &cbc, key));
  len = sizeof(back);
  assert_ok(C_SignEncryptUpdate(h, text, 32, back, &len));
  assert_ok(C_SignFinal(h, signature, &signature_len));
  rest = sizeof(back) - len;
  assert_ok(C_EncryptFinal(h, back + len, &rest));
  assert_memory_equal(out, back, 32);
  assert_ok(C_VerifyInit(h, &ecdsa, pair.public));
  assert_ok(C_DecryptInit(h, &cbc, key));
  len = sizeof(back);
  assert_ok(C_DecryptVerifyUpdate(h, out, 32, back, &len));
  assert_int_equal(32, len);
  assert_ok(C_VerifyFinal(h, signature, signature_len));
}

int main(void)
{
  const struct CMUnitTest tests[] = {
    RIG_TEST(test_whole_messages),    RIG_TEST(test_the_same_as_one_operation),
    RIG_TEST(test_messages_in_parts), RIG_TEST(test_nonces),
    RIG_TEST(test_two_at_once),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
