/* SPDX-License-Identifier: Apache-2.0 */
/* Ed25519 in the token: RFC 8032's vectors, keys in each of their forms, the rules of one-part signatures. And P-521. */
#include "token_rig.h"

#include "base/buf.h"

#include <openssl/evp.h>
#include <pthread.h>

enum { SIGNATURE_LEN = 64, KEY_LEN = 32 };

static CK_BYTE by_rfc8410[] = { 0x06, 3, 0x2b, 0x65, 0x70 };
static CK_BYTE by_name[] = { 0x13, 12, 'e', 'd', 'w', 'a', 'r', 'd', 's', '2', '5', '5', '1', '9' };
static CK_BYTE by_v30[] = { 0x06, 9, 0x2b, 6, 1, 4, 1, 0xda, 0x47, 0x0f, 1 };
static CK_BYTE x25519[] = { 0x06, 3, 0x2b, 0x65, 0x6e };
static CK_BYTE message[] = "what is to be signed";
static CK_MECHANISM eddsa = { CKM_EDDSA, NULL, 0 };

static CK_RV sign(CK_SESSION_HANDLE h, CK_OBJECT_HANDLE key, CK_BYTE *in, CK_ULONG len, CK_BYTE out[SIGNATURE_LEN])
{
  CK_RV rv = C_SignInit(h, &eddsa, key);
  return rv ? rv : C_Sign(h, in, len, out, &(CK_ULONG){ SIGNATURE_LEN });
}

static CK_RV verify(CK_SESSION_HANDLE h, CK_OBJECT_HANDLE key, CK_BYTE *in, CK_ULONG len, CK_BYTE *signature,
                    CK_ULONG signature_len)
{
  CK_RV rv = C_VerifyInit(h, &eddsa, key);
  return rv ? rv : C_Verify(h, in, len, signature, signature_len);
}

static struct rig_pair generate(CK_SESSION_HANDLE h)
{
  CK_ATTRIBUTE special = { CKA_EC_PARAMS, by_rfc8410, sizeof(by_rfc8410) };
  return rig_generate(h, CKM_EC_EDWARDS_KEY_PAIR_GEN, &special, true);
}

/* The public half as it is shown: 32 bytes in a DER OCTET STRING. */
static void get_point(CK_SESSION_HANDLE h, CK_OBJECT_HANDLE object, CK_BYTE out[KEY_LEN])
{
  CK_BYTE point[64];
  CK_ATTRIBUTE attr = { CKA_EC_POINT, point, sizeof(point) };
  assert_ok(C_GetAttributeValue(h, object, &attr, 1));
  assert_int_equal(KEY_LEN + 2, attr.ulValueLen);
  assert_int_equal(0x04, point[0]);
  assert_int_equal(KEY_LEN, point[1]);
  memcpy(out, point + 2, KEY_LEN);
}

static CK_RV create(CK_SESSION_HANDLE h, CK_OBJECT_CLASS class, CK_BYTE *params, CK_ULONG params_len, CK_BYTE *value,
                    CK_ULONG len, CK_OBJECT_HANDLE *ret_object)
{
  CK_KEY_TYPE type = CKK_EC_EDWARDS;
  CK_ATTRIBUTE tmpl[] = {
    { CKA_CLASS, &class, sizeof(class) },
    { CKA_KEY_TYPE, &type, sizeof(type) },
    { CKA_EC_PARAMS, params, params_len },
    { class == CKO_PRIVATE_KEY ? CKA_VALUE : CKA_EC_POINT, value, len },
  };
  return C_CreateObject(h, tmpl, 4, ret_object);
}

/* RFC 8032, section 7.1, tests 1 to 3. */
static const struct vector {
  const char *seed, *public, *message, *signature;
} vectors[] = {
  { "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
    "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
    "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe2465"
    "5141"
    "438e7a100b" },
  { "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
    "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
    "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb0"
    "0d29"
    "1612bb0c00" },
  { "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
    "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
    "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc0"
    "27be"
    "ceea1ec40a" },
};

static CK_ULONG from_hex(const char *hex, CK_BYTE *out)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf bytes = HF_BUF(256);
  assert_hf_ok(hf_hex_decode(hex, &bytes));
  if (bytes.len)
    memcpy(out, bytes.data, bytes.len);
  return bytes.len;
}

static void test_vectors(void **state)
{
  (void)state;
  CK_SESSION_HANDLE h = rig_user_session();
  for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
    CK_BYTE seed[KEY_LEN], public[KEY_LEN], text[8], expected[SIGNATURE_LEN], made[SIGNATURE_LEN];
    CK_OBJECT_HANDLE private_key, public_key;
    from_hex(vectors[i].seed, seed);
    from_hex(vectors[i].public, public);
    from_hex(vectors[i].signature, expected);
    CK_ULONG len = from_hex(vectors[i].message, text);
    assert_ok(create(h, CKO_PRIVATE_KEY, by_rfc8410, sizeof(by_rfc8410), seed, KEY_LEN, &private_key));
    assert_ok(create(h, CKO_PUBLIC_KEY, by_name, sizeof(by_name), public, KEY_LEN, &public_key));
    /* Twice: what the first one prepared is used again. */
    for (int k = 0; k < 2; k++) {
      assert_ok(sign(h, private_key, text, len, made));
      assert_memory_equal(expected, made, SIGNATURE_LEN);
      assert_ok(verify(h, public_key, text, len, made, SIGNATURE_LEN));
    }
  }
}

static void test_generated_keys_in_each_form(void **state)
{
  (void)state;
  static const struct {
    CK_BYTE *params;
    CK_ULONG len;
  } forms[] = { { by_rfc8410, sizeof(by_rfc8410) }, { by_name, sizeof(by_name) }, { by_v30, sizeof(by_v30) } };
  CK_SESSION_HANDLE h = rig_user_session();
  for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
    CK_ATTRIBUTE special = { CKA_EC_PARAMS, forms[i].params, forms[i].len };
    struct rig_pair pair = rig_generate(h, CKM_EC_EDWARDS_KEY_PAIR_GEN, &special, true);
    CK_BYTE params[32], point[KEY_LEN], signature[SIGNATURE_LEN];
    CK_ATTRIBUTE shown = { CKA_EC_PARAMS, params, sizeof(params) };
    assert_ok(C_GetAttributeValue(h, pair.private, &shown, 1));
    assert_int_equal(forms[i].len, shown.ulValueLen);
    assert_memory_equal(forms[i].params, params, forms[i].len);
    assert_ok(sign(h, pair.private, message, sizeof(message), signature));
    get_point(h, pair.public, point);
    EVP_PKEY *key = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, point, KEY_LEN);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    assert_int_equal(1, EVP_DigestVerifyInit(ctx, NULL, NULL, NULL, key));
    assert_int_equal(1, EVP_DigestVerify(ctx, signature, SIGNATURE_LEN, message, sizeof(message)));
    EVP_MD_CTX_free(ctx);
    EVP_PKEY_free(key);
  }
}

static void test_public_keys_bare_and_wrapped(void **state)
{
  (void)state;
  CK_SESSION_HANDLE h = rig_user_session();
  struct rig_pair pair = generate(h);
  CK_BYTE wrapped[KEY_LEN + 2] = { 0x04, KEY_LEN }, again[KEY_LEN], signature[SIGNATURE_LEN];
  CK_OBJECT_HANDLE object;
  get_point(h, pair.public, wrapped + 2);
  assert_ok(sign(h, pair.private, message, sizeof(message), signature));
  for (size_t head = 0; head <= 2; head += 2) {
    assert_ok(create(h, CKO_PUBLIC_KEY, by_v30, sizeof(by_v30), wrapped + head, sizeof(wrapped) - head, &object));
    get_point(h, object, again);
    assert_memory_equal(wrapped + 2, again, KEY_LEN);
    assert_ok(verify(h, object, message, sizeof(message), signature, SIGNATURE_LEN));
  }
}

static void test_what_is_no_key(void **state)
{
  (void)state;
  CK_SESSION_HANDLE h = rig_user_session();
  CK_BYTE value[KEY_LEN + 1] = { 1 };
  CK_OBJECT_HANDLE object, other;
  CK_MECHANISM m = { CKM_EC_EDWARDS_KEY_PAIR_GEN, NULL, 0 };
  CK_ATTRIBUTE montgomery = { CKA_EC_PARAMS, x25519, sizeof(x25519) };
  assert_rv(CKR_CURVE_NOT_SUPPORTED, create(h, CKO_PRIVATE_KEY, x25519, sizeof(x25519), value, KEY_LEN, &object));
  assert_rv(CKR_ATTRIBUTE_VALUE_INVALID,
            create(h, CKO_PRIVATE_KEY, by_name, sizeof(by_name), value, KEY_LEN + 1, &object));
  assert_rv(CKR_ATTRIBUTE_VALUE_INVALID,
            create(h, CKO_PUBLIC_KEY, by_name, sizeof(by_name), value, KEY_LEN - 1, &object));
  assert_rv(CKR_CURVE_NOT_SUPPORTED, C_GenerateKeyPair(h, &m, &montgomery, 1, NULL, 0, &object, &other));
  assert_rv(CKR_TEMPLATE_INCOMPLETE, C_GenerateKeyPair(h, &m, NULL, 0, NULL, 0, &object, &other));
  CK_ATTRIBUTE ed25519 = { CKA_EC_PARAMS, by_rfc8410, sizeof(by_rfc8410) };
  m.mechanism = CKM_EC_KEY_PAIR_GEN;
  assert_rv(CKR_CURVE_NOT_SUPPORTED, C_GenerateKeyPair(h, &m, &ed25519, 1, NULL, 0, &object, &other));
}

static void test_the_private_half_stays(void **state)
{
  (void)state;
  CK_SESSION_HANDLE h = rig_user_session();
  struct rig_pair pair = generate(h);
  CK_BYTE value[KEY_LEN];
  CK_ATTRIBUTE attr = { CKA_VALUE, value, sizeof(value) };
  assert_rv(CKR_ATTRIBUTE_SENSITIVE, C_GetAttributeValue(h, pair.private, &attr, 1));
  assert_int_equal(CK_UNAVAILABLE_INFORMATION, attr.ulValueLen);
}

/* The scheme reads its message twice, so the parts are gathered: they sign as the whole does. */
static void test_parts(void **state)
{
  (void)state;
  CK_SESSION_HANDLE h = rig_user_session();
  struct rig_pair pair = generate(h);
  CK_BYTE whole[SIGNATURE_LEN], parts[SIGNATURE_LEN];
  CK_ULONG len = sizeof(parts);
  assert_ok(sign(h, pair.private, message, sizeof(message), whole));
  for (int round = 0; round < 2; round++) {
    assert_ok(C_SignInit(h, &eddsa, pair.private));
    assert_ok(C_SignUpdate(h, message, 5));
    assert_ok(C_SignUpdate(h, message + 5, sizeof(message) - 5));
    assert_ok(C_SignFinal(h, parts, &len));
    assert_memory_equal(whole, parts, SIGNATURE_LEN);
  }
  assert_ok(C_VerifyInit(h, &eddsa, pair.public));
  assert_ok(C_VerifyUpdate(h, message, sizeof(message) - 1));
  assert_rv(CKR_SIGNATURE_INVALID, C_VerifyFinal(h, whole, sizeof(whole)));
  assert_ok(C_VerifyInit(h, &eddsa, pair.public));
  assert_ok(C_VerifyUpdate(h, message, sizeof(message)));
  assert_ok(C_VerifyFinal(h, whole, sizeof(whole)));
}

static void test_refusals(void **state)
{
  (void)state;
  CK_SESSION_HANDLE h = rig_user_session();
  struct rig_pair pair = generate(h), ec = rig_ec(h, false);
  CK_BYTE signature[SIGNATURE_LEN], params[16] = { 0 };
  CK_MECHANISM ecdsa = { CKM_ECDSA, NULL, 0 }, with_params = { CKM_EDDSA, params, sizeof(params) };
  assert_rv(CKR_KEY_TYPE_INCONSISTENT, C_SignInit(h, &ecdsa, pair.private));
  assert_rv(CKR_KEY_TYPE_INCONSISTENT, C_SignInit(h, &eddsa, ec.private));
  assert_rv(CKR_MECHANISM_PARAM_INVALID, C_SignInit(h, &with_params, pair.private));
  assert_ok(sign(h, pair.private, message, sizeof(message), signature));
  assert_rv(CKR_SIGNATURE_LEN_RANGE, verify(h, pair.public, message, sizeof(message), signature, SIGNATURE_LEN - 1));
  assert_rv(CKR_SIGNATURE_INVALID, verify(h, pair.public, message, sizeof(message) - 1, signature, SIGNATURE_LEN));
  assert_ok(verify(h, pair.public, message, sizeof(message), signature, SIGNATURE_LEN));
  signature[40] ^= 1;
  assert_rv(CKR_SIGNATURE_INVALID, verify(h, pair.public, message, sizeof(message), signature, SIGNATURE_LEN));
}

static void test_sizes(void **state)
{
  (void)state;
  CK_SESSION_HANDLE h = rig_user_session();
  struct rig_pair pair = generate(h);
  CK_BYTE signature[SIGNATURE_LEN];
  CK_ULONG len = 0;
  assert_ok(C_SignInit(h, &eddsa, pair.private));
  assert_ok(C_Sign(h, message, sizeof(message), NULL, &len));
  assert_int_equal(SIGNATURE_LEN, len);
  len = SIGNATURE_LEN - 1;
  assert_rv(CKR_BUFFER_TOO_SMALL, C_Sign(h, message, sizeof(message), signature, &len));
  assert_ok(C_Sign(h, message, sizeof(message), signature, &len));
  assert_rv(CKR_OPERATION_NOT_INITIALIZED, C_Sign(h, message, sizeof(message), signature, &len));
  assert_ok(verify(h, pair.public, message, sizeof(message), signature, SIGNATURE_LEN));
}

static void *sign_often(void *key)
{
  CK_BYTE signature[SIGNATURE_LEN];
  struct rig_pair *pair = key;
  CK_SESSION_HANDLE h = rig_open_session(rig_first_slot(), 0);
  for (int i = 0; i < 200; i++)
    if (sign(h, pair->private, message, sizeof(message), signature) ||
        verify(h, pair->public, message, sizeof(message), signature, SIGNATURE_LEN))
      return key;
  return NULL;
}

static void test_threads(void **state)
{
  (void)state;
  struct rig_pair pair = generate(rig_user_session());
  pthread_t threads[4];
  void *failed;
  for (size_t i = 0; i < 4; i++)
    assert_int_equal(0, pthread_create(&threads[i], NULL, sign_often, &pair));
  for (size_t i = 0; i < 4; i++) {
    assert_int_equal(0, pthread_join(threads[i], &failed));
    assert_null(failed);
  }
}

static void test_p521(void **state)
{
  (void)state;
  static CK_BYTE p521[] = { 6, 5, 0x2b, 0x81, 4, 0, 0x23 };
  CK_SESSION_HANDLE h = rig_user_session();
  CK_ATTRIBUTE special = { CKA_EC_PARAMS, p521, sizeof(p521) };
  struct rig_pair pair = rig_generate(h, CKM_EC_KEY_PAIR_GEN, &special, true);
  CK_MECHANISM m = { CKM_ECDSA_SHA512, NULL, 0 };
  /* Often: numbers of 521 bits are short now and then. */
  for (int i = 0; i < 100; i++) {
    CK_BYTE signature[160];
    CK_ULONG len = sizeof(signature);
    message[0] = (CK_BYTE)i;
    assert_ok(C_SignInit(h, &m, pair.private));
    assert_ok(C_Sign(h, message, sizeof(message), signature, &len));
    assert_int_equal(132, len);
    assert_ok(C_VerifyInit(h, &m, pair.public));
    assert_ok(C_Verify(h, message, sizeof(message), signature, len));
    signature[131] ^= 1;
    assert_ok(C_VerifyInit(h, &m, pair.public));
    assert_rv(CKR_SIGNATURE_INVALID, C_Verify(h, message, sizeof(message), signature, len));
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
    RIG_TEST(test_vectors),
    RIG_TEST(test_generated_keys_in_each_form),
    RIG_TEST(test_public_keys_bare_and_wrapped),
    RIG_TEST(test_what_is_no_key),
    RIG_TEST(test_the_private_half_stays),
    RIG_TEST(test_parts),
    RIG_TEST(test_refusals),
    RIG_TEST(test_sizes),
    RIG_TEST(test_threads),
    RIG_TEST(test_p521),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
