/* SPDX-License-Identifier: Apache-2.0 */
/* Keys that leave under another key and come back: C_WrapKey, C_UnwrapKey, and with associated data. */
#include "token_rig.h"

enum { ROOM = 4096 };

static CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
static CK_OBJECT_CLASS secret_class = CKO_SECRET_KEY, private_class = CKO_PRIVATE_KEY;
static CK_BYTE iv[16] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16 };

static CK_OBJECT_HANDLE create(CK_SESSION_HANDLE h, CK_KEY_TYPE type, CK_ULONG len, CK_ATTRIBUTE one, CK_ATTRIBUTE two)
{
  CK_BYTE value[64];
  for (CK_ULONG i = 0; i < len; i++)
    value[i] = (CK_BYTE)(i * 2 + 1);
  CK_ATTRIBUTE tmpl[] = { { CKA_CLASS, &secret_class, sizeof(secret_class) },
                          { CKA_KEY_TYPE, &type, sizeof(type) },
                          { CKA_VALUE, value, len },
                          one,
                          two };
  CK_OBJECT_HANDLE key;
  assert_ok(C_CreateObject(h, tmpl, 5, &key));
  return key;
}

#define EXTRACTABLE ((CK_ATTRIBUTE){ CKA_EXTRACTABLE, &yes, 1 })
#define READABLE ((CK_ATTRIBUTE){ CKA_SENSITIVE, &no, 1 })
#define LABEL ((CK_ATTRIBUTE){ CKA_LABEL, utf8("x"), 1 })

static CK_GCM_PARAMS gcm_params(void)
{
  CK_GCM_PARAMS params;
  memset(&params, 0, sizeof(params));
  memcpy(&params, &(struct {
    CK_BYTE *iv;
    CK_ULONG len, bits;
    CK_BYTE *aad;
    CK_ULONG aad_len, tag_bits;
  }){ iv, 12, 96, NULL, 0, 128 },
         sizeof(params));
  return params;
}

static CK_ULONG wrap(CK_SESSION_HANDLE h, CK_MECHANISM *m, CK_OBJECT_HANDLE wrapping, CK_OBJECT_HANDLE key,
                     CK_BYTE out[ROOM])
{
  CK_ULONG needed = 0, len = ROOM;
  assert_ok(C_WrapKey(h, m, wrapping, key, NULL, &needed));
  assert_true(needed > 0 && needed <= ROOM);
  CK_ULONG small = 1;
  assert_rv(CKR_BUFFER_TOO_SMALL, C_WrapKey(h, m, wrapping, key, out, &small));
  assert_ok(C_WrapKey(h, m, wrapping, key, out, &len));
  assert_true(len <= needed);
  return len;
}

static CK_RV unwrap(CK_SESSION_HANDLE h, CK_MECHANISM *m, CK_OBJECT_HANDLE unwrapping, CK_BYTE *in, CK_ULONG len,
                    CK_OBJECT_CLASS *class, CK_KEY_TYPE type, CK_ATTRIBUTE extra, CK_OBJECT_HANDLE *key)
{
  CK_ATTRIBUTE tmpl[] = {
    { CKA_CLASS, class, sizeof(*class) }, { CKA_KEY_TYPE, &type, sizeof(type) }, READABLE, extra
  };
  return C_UnwrapKey(h, m, unwrapping, in, len, tmpl, 4, key);
}

static void assert_same(CK_SESSION_HANDLE h, CK_ATTRIBUTE_TYPE type, CK_OBJECT_HANDLE a, CK_OBJECT_HANDLE b)
{
  CK_BYTE x[1024], y[1024];
  CK_ATTRIBUTE of_a = { type, x, sizeof(x) }, of_b = { type, y, sizeof(y) };
  assert_ok(C_GetAttributeValue(h, a, &of_a, 1));
  assert_ok(C_GetAttributeValue(h, b, &of_b, 1));
  assert_int_equal(of_a.ulValueLen, of_b.ulValueLen);
  assert_memory_equal(x, y, of_a.ulValueLen);
}

static void test_secret_keys(void **state)
{
  (void)state;
  CK_GCM_PARAMS gcm = gcm_params();
  struct {
    CK_MECHANISM m;
    CK_KEY_TYPE type;
    CK_ULONG len;
    bool says_length; /* the template must, for the mechanism pads with zeros */
    CK_ULONG wrapped;
  } cases[] = {
    { { CKM_AES_KEY_WRAP, NULL, 0 }, CKK_AES, 32, false, 40 },
    { { CKM_AES_KEY_WRAP_KWP, NULL, 0 }, CKK_GENERIC_SECRET, 13, false, 24 },
    { { CKM_AES_CBC_PAD, iv, 16 }, CKK_AES, 16, false, 32 },
    { { CKM_AES_CBC_PAD, iv, 16 }, CKK_GENERIC_SECRET, 20, false, 32 },
    { { CKM_AES_CBC, iv, 16 }, CKK_GENERIC_SECRET, 20, true, 32 },
    { { CKM_AES_CBC, iv, 16 }, CKK_DES3, 24, false, 32 },
    { { CKM_AES_ECB, NULL, 0 }, CKK_AES, 24, true, 32 },
    { { CKM_AES_GCM, &gcm, sizeof(gcm) }, CKK_CHACHA20, 32, false, 48 },
  };
  CK_SESSION_HANDLE h = rig_user_session();
  CK_OBJECT_HANDLE wrapping = create(h, CKK_AES, 32, LABEL, LABEL);
  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
    CK_BYTE out[ROOM];
    CK_OBJECT_HANDLE key = create(h, cases[i].type, cases[i].len, EXTRACTABLE, READABLE), back;
    CK_ULONG len = wrap(h, &cases[i].m, wrapping, key, out);
    assert_int_equal(cases[i].wrapped, len);
    CK_ATTRIBUTE length = { CKA_VALUE_LEN, &cases[i].len, sizeof(CK_ULONG) };
    assert_ok(unwrap(h, &cases[i].m, wrapping, out, len, &secret_class, cases[i].type,
                     cases[i].says_length ? length : LABEL, &back));
    assert_same(h, CKA_VALUE, key, back);
    CK_ULONG more = 64;
    length.pValue = &more;
    if (cases[i].type != CKK_DES3)
      assert_rv(CKR_WRAPPED_KEY_LEN_RANGE,
                unwrap(h, &cases[i].m, wrapping, out, len, &secret_class, cases[i].type, length, &back));
  }
}

static void assert_pair(CK_SESSION_HANDLE h, CK_MECHANISM_TYPE type, CK_OBJECT_HANDLE private, CK_OBJECT_HANDLE public)
{
  CK_MECHANISM m = { type, NULL, 0 };
  CK_BYTE signature[512];
  CK_ULONG len = sizeof(signature);
  assert_ok(C_SignInit(h, &m, private));
  assert_ok(C_Sign(h, iv, 16, signature, &len));
  assert_ok(C_VerifyInit(h, &m, public));
  assert_ok(C_Verify(h, iv, 16, signature, len));
}

static void test_private_keys(void **state)
{
  (void)state;
  static CK_BYTE p256[] = { 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7 }, ed25519[] = { 6, 3, 0x2b, 0x65, 0x70 };
  static CK_BYTE x25519[] = { 6, 3, 0x2b, 0x65, 0x6e };
  static CK_ULONG bits = 2048;
  struct {
    CK_MECHANISM_TYPE generate, sign;
    CK_KEY_TYPE type;
    CK_ATTRIBUTE special;
  } cases[] = {
    { CKM_RSA_PKCS_KEY_PAIR_GEN, CKM_SHA256_RSA_PKCS, CKK_RSA, { CKA_MODULUS_BITS, &bits, sizeof(bits) } },
    { CKM_EC_KEY_PAIR_GEN, CKM_ECDSA_SHA256, CKK_EC, { CKA_EC_PARAMS, p256, sizeof(p256) } },
    { CKM_EC_EDWARDS_KEY_PAIR_GEN, CKM_EDDSA, CKK_EC_EDWARDS, { CKA_EC_PARAMS, ed25519, sizeof(ed25519) } },
    { CKM_EC_MONTGOMERY_KEY_PAIR_GEN, 0, CKK_EC_MONTGOMERY, { CKA_EC_PARAMS, x25519, sizeof(x25519) } },
  };
  CK_SESSION_HANDLE h = rig_user_session();
  CK_OBJECT_HANDLE wrapping = create(h, CKK_AES, 32, LABEL, LABEL);
  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
    CK_MECHANISM generate = { cases[i].generate, NULL, 0 };
    CK_MECHANISM mechs[] = { { CKM_AES_KEY_WRAP_KWP, NULL, 0 }, { CKM_AES_CBC_PAD, iv, 16 }, { CKM_AES_CBC, iv, 16 } };
    CK_ATTRIBUTE extractable = EXTRACTABLE;
    CK_OBJECT_HANDLE public, private, back;
    CK_BYTE out[ROOM];
    assert_ok(C_GenerateKeyPair(h, &generate, &cases[i].special, 1, &extractable, 1, &public, &private));
    for (size_t k = 0; k < sizeof(mechs) / sizeof(mechs[0]); k++) {
      CK_ULONG len = wrap(h, &mechs[k], wrapping, private, out);
      assert_ok(unwrap(h, &mechs[k], wrapping, out, len, &private_class, cases[i].type, LABEL, &back));
      if (cases[i].sign)
        assert_pair(h, cases[i].sign, back, public);
      assert_same(h, CKA_PUBLIC_KEY_INFO, private, back);
      CK_KEY_TYPE other = cases[i].type == CKK_RSA ? CKK_EC : CKK_RSA;
      assert_rv(CKR_WRAPPED_KEY_INVALID, unwrap(h, &mechs[k], wrapping, out, len, &private_class, other, LABEL, &back));
    }
  }
}

/* Domain parameters, generated and taken from their object into the templates of key pairs. */
static void test_keys_with_domain_parameters(void **state)
{
  (void)state;
  CK_SESSION_HANDLE h = rig_user_session();
  CK_OBJECT_HANDLE wrapping = create(h, CKK_AES, 32, LABEL, LABEL), domain, public, private, back;
  CK_ULONG bits = 1024;
  CK_MECHANISM generate = { CKM_DSA_PARAMETER_GEN, NULL, 0 }, kwp = { CKM_AES_KEY_WRAP_KWP, NULL, 0 };
  CK_ATTRIBUTE prime_bits = { CKA_PRIME_BITS, &bits, sizeof(bits) }, extractable = EXTRACTABLE;
  CK_BYTE p[256], q[64], g[256], out[ROOM];
  CK_ATTRIBUTE parts[] = { { CKA_PRIME, p, sizeof(p) }, { CKA_BASE, g, sizeof(g) }, { CKA_SUBPRIME, q, sizeof(q) } };
  assert_ok(C_GenerateKey(h, &generate, &prime_bits, 1, &domain));
  assert_ok(C_GetAttributeValue(h, domain, parts, 3));
  for (int i = 0; i < 2; i++) {
    CK_KEY_TYPE type = i ? CKK_DH : CKK_DSA;
    generate.mechanism = i ? CKM_DH_PKCS_KEY_PAIR_GEN : CKM_DSA_KEY_PAIR_GEN;
    assert_ok(C_GenerateKeyPair(h, &generate, parts, i ? 2 : 3, &extractable, 1, &public, &private));
    CK_ULONG len = wrap(h, &kwp, wrapping, private, out);
    assert_ok(unwrap(h, &kwp, wrapping, out, len, &private_class, type, LABEL, &back));
    assert_same(h, CKA_PRIME, private, back);
    assert_same(h, CKA_PUBLIC_KEY_INFO, public, back);
    if (i == 0)
      assert_pair(h, CKM_DSA_SHA256, back, public);
  }
}

/* A public key wraps a secret key. */
static void test_by_rsa(void **state)
{
  (void)state;
  CK_SESSION_HANDLE h = rig_user_session();
  struct rig_pair pair = rig_rsa(h, false);
  CK_RSA_PKCS_OAEP_PARAMS oaep;
  memset(&oaep, 0, sizeof(oaep));
  memcpy(&oaep, (CK_ULONG[]){ CKM_SHA256, CKG_MGF1_SHA256, CKZ_DATA_SPECIFIED }, 3 * sizeof(CK_ULONG));
  CK_MECHANISM mechs[] = { { CKM_RSA_PKCS, NULL, 0 },
                           { CKM_RSA_PKCS_OAEP, &oaep, sizeof(oaep) },
                           { CKM_RSA_X_509, NULL, 0 } };
  CK_BYTE out[ROOM];
  CK_OBJECT_HANDLE key = create(h, CKK_AES, 32, EXTRACTABLE, READABLE), back;
  CK_ULONG len = 32;
  CK_ATTRIBUTE length = { CKA_VALUE_LEN, &len, sizeof(len) };
  for (size_t i = 0; i < sizeof(mechs) / sizeof(mechs[0]); i++) {
    CK_ULONG wrapped = wrap(h, &mechs[i], pair.public, key, out);
    assert_int_equal(256, wrapped);
    assert_ok(unwrap(h, &mechs[i], pair.private, out, wrapped, &secret_class, CKK_AES, length, &back));
    assert_same(h, CKA_VALUE, key, back);
    assert_rv(CKR_UNWRAPPING_KEY_TYPE_INCONSISTENT,
              unwrap(h, &mechs[i], pair.public, out, wrapped, &secret_class, CKK_AES, length, &back));
  }
  CK_MECHANISM pkcs = mechs[0];
  CK_BYTE small[16];
  CK_ULONG room = sizeof(small);
  assert_rv(CKR_BUFFER_TOO_SMALL, C_WrapKey(h, &pkcs, pair.public, key, small, &room));
  assert_int_equal(256, room);
}

static bool read_bool(CK_SESSION_HANDLE h, CK_OBJECT_HANDLE key, CK_ATTRIBUTE_TYPE type)
{
  CK_BBOOL value = 7;
  CK_ATTRIBUTE attr = { type, &value, 1 };
  assert_ok(C_GetAttributeValue(h, key, &attr, 1));
  return value;
}

static void test_what_may_leave(void **state)
{
  (void)state;
  CK_SESSION_HANDLE h = rig_user_session();
  CK_MECHANISM kw = { CKM_AES_KEY_WRAP, NULL, 0 }, gcm = { CKM_AES_GCM, NULL, 0 }, none = { 0x99999, NULL, 0 };
  CK_OBJECT_HANDLE wrapping = create(h, CKK_AES, 32, LABEL, LABEL), key = create(h, CKK_AES, 32, EXTRACTABLE, LABEL);
  CK_OBJECT_HANDLE odd = create(h, CKK_GENERIC_SECRET, 13, EXTRACTABLE, LABEL);
  CK_BYTE out[ROOM];
  CK_ULONG len = ROOM;
  assert_rv(CKR_KEY_UNEXTRACTABLE, C_WrapKey(h, &kw, wrapping, wrapping, out, &len));
  assert_rv(CKR_KEY_HANDLE_INVALID, C_WrapKey(h, &kw, wrapping, 12345, out, &len));
  assert_rv(CKR_WRAPPING_KEY_HANDLE_INVALID, C_WrapKey(h, &kw, 12345, key, out, &len));
  assert_rv(CKR_WRAPPING_KEY_TYPE_INCONSISTENT, C_WrapKey(h, &kw, odd, key, out, &len));
  assert_rv(CKR_MECHANISM_INVALID, C_WrapKey(h, &none, wrapping, key, out, &len));
  assert_rv(CKR_MECHANISM_PARAM_INVALID, C_WrapKey(h, &gcm, wrapping, key, out, &len));
  assert_rv(CKR_KEY_SIZE_RANGE, C_WrapKey(h, &kw, wrapping, odd, out, &len));
  assert_rv(CKR_KEY_NOT_WRAPPABLE, C_WrapKey(h, &kw, wrapping, rig_ec(h, false).public, out, &len));
  assert_rv(CKR_KEY_NOT_WRAPPABLE, C_WrapKey(h, &kw, wrapping, rig_data(h, "data", false, false), out, &len));
  CK_OBJECT_HANDLE unfit = create(h, CKK_AES, 32, (CK_ATTRIBUTE){ CKA_WRAP, &no, 1 }, LABEL);
  assert_rv(CKR_KEY_FUNCTION_NOT_PERMITTED, C_WrapKey(h, &kw, unfit, key, out, &len));
  CK_ATTRIBUTE only[] = { { CKA_LABEL, utf8("good"), 4 } };
  CK_OBJECT_HANDLE picky = create(h, CKK_AES, 32, (CK_ATTRIBUTE){ CKA_WRAP_TEMPLATE, only, sizeof(only) }, LABEL);
  assert_rv(CKR_KEY_HANDLE_INVALID, C_WrapKey(h, &kw, picky, key, out, &len));
  assert_ok(C_SetAttributeValue(h, key, only, 1));
  assert_ok(C_WrapKey(h, &kw, picky, key, out, &len));
  /* After whatever went wrong, the session is usable. */
  assert_ok(C_WrapKey(h, &kw, wrapping, key, out, &len));
}

static void test_trust(void **state)
{
  (void)state;
  CK_SESSION_HANDLE h = rig_user_session();
  CK_MECHANISM kw = { CKM_AES_KEY_WRAP, NULL, 0 };
  CK_ATTRIBUTE trusted = { CKA_TRUSTED, &yes, 1 };
  CK_OBJECT_HANDLE wrapping =
      create(h, CKK_AES, 32, (CK_ATTRIBUTE){ CKA_PRIVATE, &no, 1 }, (CK_ATTRIBUTE){ CKA_TOKEN, &yes, 1 });
  CK_OBJECT_HANDLE key = create(h, CKK_AES, 32, EXTRACTABLE, (CK_ATTRIBUTE){ CKA_WRAP_WITH_TRUSTED, &yes, 1 });
  CK_BYTE out[64];
  CK_ULONG len = sizeof(out);
  assert_rv(CKR_KEY_NOT_WRAPPABLE, C_WrapKey(h, &kw, wrapping, key, out, &len));
  assert_rv(CKR_ATTRIBUTE_READ_ONLY, C_SetAttributeValue(h, wrapping, &trusted, 1));
  assert_ok(C_Logout(h));
  assert_ok(rig_login(h, CKU_SO, SO_PIN));
  assert_ok(C_SetAttributeValue(h, wrapping, &trusted, 1));
  assert_ok(C_Logout(h));
  assert_ok(rig_login(h, CKU_USER, USER_PIN));
  key = create(h, CKK_AES, 32, EXTRACTABLE, (CK_ATTRIBUTE){ CKA_WRAP_WITH_TRUSTED, &yes, 1 });
  assert_ok(C_WrapKey(h, &kw, wrapping, key, out, &len));
}

static void test_what_comes_in(void **state)
{
  (void)state;
  CK_SESSION_HANDLE h = rig_user_session();
  CK_MECHANISM kw = { CKM_AES_KEY_WRAP, NULL, 0 }, pad = { CKM_AES_CBC_PAD, iv, 16 };
  CK_ATTRIBUTE owner[] = { { CKA_EXTRACTABLE, &no, 1 }, { CKA_LABEL, utf8("theirs"), 6 } };
  CK_ATTRIBUTE array = { CKA_UNWRAP_TEMPLATE, owner, sizeof(owner) };
  CK_OBJECT_HANDLE wrapping = create(h, CKK_AES, 32, LABEL, LABEL), strict = create(h, CKK_AES, 32, array, LABEL);
  CK_OBJECT_HANDLE key = create(h, CKK_AES, 32, EXTRACTABLE, LABEL), back;
  CK_BYTE out[ROOM];
  CK_ULONG len = wrap(h, &kw, wrapping, key, out);
  assert_ok(unwrap(h, &kw, wrapping, out, len, &secret_class, CKK_AES, LABEL, &back));
  assert_true(read_bool(h, back, CKA_EXTRACTABLE)); /* section 5.18.4 */
  assert_false(read_bool(h, back, CKA_LOCAL));
  assert_false(read_bool(h, back, CKA_ALWAYS_SENSITIVE));
  assert_false(read_bool(h, back, CKA_NEVER_EXTRACTABLE));
  assert_rv(CKR_TEMPLATE_INCONSISTENT, unwrap(h, &kw, strict, out, len, &secret_class, CKK_AES, EXTRACTABLE, &back));
  assert_rv(CKR_TEMPLATE_INCONSISTENT, unwrap(h, &kw, strict, out, len, &secret_class, CKK_AES, LABEL, &back));
  assert_ok(unwrap(h, &kw, strict, out, len, &secret_class, CKK_AES, (CK_ATTRIBUTE){ CKA_TOKEN, &no, 1 }, &back));
  assert_false(read_bool(h, back, CKA_EXTRACTABLE));
  assert_int_equal(1, rig_find_label(h, "theirs", NULL));

  assert_rv(CKR_ATTRIBUTE_READ_ONLY,
            unwrap(h, &kw, wrapping, out, len, &secret_class, CKK_AES, (CK_ATTRIBUTE){ CKA_VALUE, out, 16 }, &back));
  assert_rv(CKR_TEMPLATE_INCOMPLETE, C_UnwrapKey(h, &kw, wrapping, out, len, NULL, 0, &back));
  CK_OBJECT_CLASS data = CKO_DATA;
  CK_ATTRIBUTE of_data = { CKA_CLASS, &data, sizeof(data) };
  assert_rv(CKR_TEMPLATE_INCONSISTENT, C_UnwrapKey(h, &kw, wrapping, out, len, &of_data, 1, &back));
  assert_rv(CKR_UNWRAPPING_KEY_HANDLE_INVALID, unwrap(h, &kw, 12345, out, len, &secret_class, CKK_AES, LABEL, &back));
  assert_rv(CKR_WRAPPED_KEY_LEN_RANGE, unwrap(h, &kw, wrapping, out, len - 1, &secret_class, CKK_AES, LABEL, &back));
  out[3] ^= 1;
  assert_rv(CKR_WRAPPED_KEY_INVALID, unwrap(h, &kw, wrapping, out, len, &secret_class, CKK_AES, LABEL, &back));
  assert_rv(CKR_WRAPPED_KEY_INVALID, unwrap(h, &kw, wrapping, out, len, &private_class, CKK_RSA, LABEL, &back));
  CK_OBJECT_HANDLE odd = create(h, CKK_GENERIC_SECRET, 13, EXTRACTABLE, LABEL);
  len = wrap(h, &pad, wrapping, odd, out);
  assert_rv(CKR_WRAPPED_KEY_LEN_RANGE, unwrap(h, &pad, wrapping, out, len, &secret_class, CKK_AES, LABEL, &back));
  assert_rv(CKR_WRAPPED_KEY_INVALID, unwrap(h, &pad, wrapping, out, len, &private_class, CKK_EC, LABEL, &back));

  CK_SESSION_HANDLE read_only = rig_open_session(rig_first_slot(), 0);
  assert_rv(CKR_SESSION_READ_ONLY, unwrap(read_only, &pad, wrapping, out, len, &secret_class, CKK_GENERIC_SECRET,
                                          (CK_ATTRIBUTE){ CKA_TOKEN, &yes, 1 }, &back));
}

static void test_authenticated(void **state)
{
  (void)state;
  const struct hf_ck_functions_3_2 *list = rig_list();
  CK_SESSION_HANDLE h = rig_user_session();
  CK_BYTE nonce[12] = { 0 }, first[12], tag[16], aad[] = "for whom it is", out[ROOM];
  struct hf_ck_gcm_message_params params = { nonce, sizeof(nonce), 0, CKG_GENERATE_RANDOM, tag, 128 };
  CK_MECHANISM gcm = { CKM_AES_GCM, &params, sizeof(params) }, kw = { CKM_AES_KEY_WRAP, NULL, 0 };
  CK_OBJECT_HANDLE wrapping = create(h, CKK_AES, 32, LABEL, LABEL), key = create(h, CKK_AES, 32, EXTRACTABLE, READABLE);
  CK_OBJECT_HANDLE back;
  CK_KEY_TYPE aes = CKK_AES;
  CK_ATTRIBUTE tmpl[] = { { CKA_CLASS, &secret_class, sizeof(secret_class) },
                          { CKA_KEY_TYPE, &aes, sizeof(aes) },
                          READABLE };
  CK_ULONG len = 0;
  assert_rv(CKR_MECHANISM_INVALID, list->C_WrapKeyAuthenticated(h, &kw, wrapping, key, aad, 5, out, &len));
  assert_ok(list->C_WrapKeyAuthenticated(h, &gcm, wrapping, key, aad, sizeof(aad), NULL, &len));
  assert_int_equal(32, len);
  memcpy(first, nonce, sizeof(first));
  assert_ok(list->C_WrapKeyAuthenticated(h, &gcm, wrapping, key, aad, sizeof(aad), out, &len));
  assert_memory_not_equal(first, nonce, sizeof(nonce));
  assert_ok(list->C_UnwrapKeyAuthenticated(h, &gcm, wrapping, out, len, tmpl, 3, aad, sizeof(aad), &back));
  assert_same(h, CKA_VALUE, key, back);
  assert_rv(CKR_WRAPPED_KEY_INVALID,
            list->C_UnwrapKeyAuthenticated(h, &gcm, wrapping, out, len, tmpl, 3, aad, sizeof(aad) - 1, &back));
  tag[0] ^= 1;
  assert_rv(CKR_WRAPPED_KEY_INVALID,
            list->C_UnwrapKeyAuthenticated(h, &gcm, wrapping, out, len, tmpl, 3, aad, sizeof(aad), &back));
  assert_rv(CKR_KEY_UNEXTRACTABLE, list->C_WrapKeyAuthenticated(h, &gcm, wrapping, wrapping, aad, 5, out, &len));
  params.ulTagBits = 7;
  assert_rv(CKR_MECHANISM_PARAM_INVALID, list->C_WrapKeyAuthenticated(h, &gcm, wrapping, key, aad, 5, out, &len));
}

int main(void)
{
  const struct CMUnitTest tests[] = {
    RIG_TEST(test_secret_keys),    RIG_TEST(test_private_keys),
    RIG_TEST(test_by_rsa),         RIG_TEST(test_keys_with_domain_parameters),
    RIG_TEST(test_what_may_leave), RIG_TEST(test_trust),
    RIG_TEST(test_what_comes_in),  RIG_TEST(test_authenticated),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
