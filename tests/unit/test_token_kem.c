/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Key encapsulation: ML-KEM, where libcrypto has it (known answers of keys and decapsulation), and the curves'; and wrapping by a
 * curve's key.
 */
#include "token_rig.h"

#include "base/buf.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

enum { BYTES_MAX = 4096, SECRET = 32, SETS = 3 };

/*
 * Of the first in each of FIPS 203's parameter sets: the keys of a seed (d and z), and what two ciphertexts decapsulate to, the
 * second one of none that was encapsulated.
 */
static const struct kat {
  CK_ULONG set;
  const char *seed, *public_sha256, *private_sha256;
  const char *ciphertext, *secret, *wrong_ciphertext, *wrong_secret;
} kats[SETS] = {
#include "kat_ml_kem.inc"
};

static CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
static CK_OBJECT_CLASS secret_class = CKO_SECRET_KEY;
static CK_KEY_TYPE aes = CKK_AES, ml_kem = CKK_ML_KEM;
static const struct hf_ck_functions_3_2 *f;

struct bytes {
  CK_BYTE data[BYTES_MAX];
  CK_ULONG len;
};

static struct bytes from_hex(const char *hex)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf decoded = HF_BUF(BYTES_MAX);
  struct bytes bytes;
  assert_hf_ok(hf_hex_decode(hex, &decoded));
  memcpy(bytes.data, decoded.data, decoded.len);
  bytes.len = decoded.len;
  return bytes;
}

static struct bytes get(CK_SESSION_HANDLE h, CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type)
{
  struct bytes bytes;
  CK_ATTRIBUTE attr = { type, bytes.data, sizeof(bytes.data) };
  assert_ok(C_GetAttributeValue(h, object, &attr, 1));
  bytes.len = attr.ulValueLen;
  return bytes;
}

static bool there(void)
{
  CK_MECHANISM_INFO info;
  return C_GetMechanismInfo(rig_first_slot(), CKM_ML_KEM, &info) == CKR_OK;
}

/* A session, or 0 where this libcrypto has no ML-KEM. */
static CK_SESSION_HANDLE start(void)
{
  CK_VERSION version = { 3, 2 };
  struct hf_ck_interface *interface = NULL;
  CK_SESSION_HANDLE h = rig_user_session();
  CK_RV (*get_interface)(CK_UTF8CHAR *, CK_VERSION *, struct hf_ck_interface **, CK_FLAGS) = C_GetInterface;
  assert_ok(get_interface(NULL, &version, &interface, 0));
  f = interface->function_list;
  return there() ? h : 0;
}

static void test_found_at_run_time(void **state)
{
  (void)state;
  bool has = OPENSSL_version_major() > 3 || (OPENSSL_version_major() == 3 && OPENSSL_version_minor() >= 5);
  CK_MECHANISM_INFO info;
  (void)start();
  assert_int_equal(has, there());
  assert_rv(has ? CKR_OK : CKR_MECHANISM_INVALID, C_GetMechanismInfo(rig_first_slot(), CKM_ML_KEM_KEY_PAIR_GEN, &info));
}

static CK_OBJECT_HANDLE private_key(CK_SESSION_HANDLE h, CK_ULONG set, CK_ATTRIBUTE_TYPE part, struct bytes *value)
{
  CK_OBJECT_CLASS class = CKO_PRIVATE_KEY;
  CK_ATTRIBUTE tmpl[] = { { CKA_CLASS, &class, sizeof(class) },
                          { CKA_KEY_TYPE, &ml_kem, sizeof(ml_kem) },
                          { CKA_PARAMETER_SET, &set, sizeof(set) },
                          { part, value->data, value->len },
                          { CKA_SENSITIVE, &no, 1 },
                          { CKA_EXTRACTABLE, &yes, 1 } };
  CK_OBJECT_HANDLE key;
  assert_ok(C_CreateObject(h, tmpl, 6, &key));
  return key;
}

static CK_RV decapsulate(CK_SESSION_HANDLE h, CK_OBJECT_HANDLE key, struct bytes *ciphertext, CK_OBJECT_HANDLE *secret)
{
  CK_MECHANISM m = { CKM_ML_KEM, NULL, 0 };
  CK_ATTRIBUTE tmpl[] = { { CKA_CLASS, &secret_class, sizeof(secret_class) },
                          { CKA_KEY_TYPE, &aes, sizeof(aes) },
                          { CKA_SENSITIVE, &no, 1 },
                          { CKA_EXTRACTABLE, &yes, 1 } };
  return f->C_DecapsulateKey(h, &m, key, tmpl, 4, ciphertext->data, ciphertext->len, secret);
}

static void assert_sha256(const char *expected, const struct bytes *bytes)
{
  struct bytes wanted = from_hex(expected);
  CK_BYTE hash[32];
  assert_int_equal(1, EVP_Digest(bytes->data, bytes->len, hash, NULL, EVP_sha256(), NULL));
  assert_memory_equal(wanted.data, hash, sizeof(hash));
}

static void assert_secret(CK_SESSION_HANDLE h, CK_OBJECT_HANDLE key, const char *ciphertext, const char *secret)
{
  struct bytes in = from_hex(ciphertext), wanted = from_hex(secret);
  CK_OBJECT_HANDLE made;
  assert_ok(decapsulate(h, key, &in, &made));
  struct bytes got = get(h, made, CKA_VALUE);
  assert_int_equal(SECRET, got.len);
  assert_memory_equal(wanted.data, got.data, SECRET);
}

static void test_known_answers(void **state)
{
  (void)state;
  CK_SESSION_HANDLE h = start();
  skip_where(h == 0, "libcrypto has no ML-KEM");
  for (size_t i = 0; i < SETS; i++) {
    struct bytes seed = from_hex(kats[i].seed);
    CK_OBJECT_HANDLE by_seed = private_key(h, kats[i].set, CKA_SEED, &seed);
    struct bytes value = get(h, by_seed, CKA_VALUE);
    assert_sha256(kats[i].private_sha256, &value);
    CK_OBJECT_HANDLE keys[] = { by_seed, private_key(h, kats[i].set, CKA_VALUE, &value) };
    for (size_t k = 0; k < HF_ARRAY_LEN(keys); k++) {
      assert_secret(h, keys[k], kats[i].ciphertext, kats[i].secret);
      assert_secret(h, keys[k], kats[i].wrong_ciphertext, kats[i].wrong_secret);
    }
    /* SubjectPublicKeyInfo ends with the public key. */
    static const CK_ULONG public_len[] = { 800, 1184, 1568 };
    struct bytes info = get(h, by_seed, CKA_PUBLIC_KEY_INFO), public = { .len = public_len[i] };
    memcpy(public.data, info.data + info.len - public.len, public.len);
    assert_sha256(kats[i].public_sha256, &public);
  }
}

static struct rig_pair generate(CK_SESSION_HANDLE h, CK_ULONG set)
{
  CK_ATTRIBUTE special = { CKA_PARAMETER_SET, &set, sizeof(set) };
  return rig_generate(h, CKM_ML_KEM_KEY_PAIR_GEN, &special, true);
}

static CK_RV encapsulate(CK_SESSION_HANDLE h, CK_OBJECT_HANDLE key, struct bytes *out, CK_OBJECT_HANDLE *secret)
{
  CK_MECHANISM m = { CKM_ML_KEM, NULL, 0 };
  CK_ATTRIBUTE tmpl[] = { { CKA_KEY_TYPE, &aes, sizeof(aes) },
                          { CKA_SENSITIVE, &no, 1 },
                          { CKA_EXTRACTABLE, &yes, 1 } };
  return f->C_EncapsulateKey(h, &m, key, tmpl, 3, out->data, &out->len, secret);
}

static void test_both_ways(void **state)
{
  (void)state;
  static const CK_ULONG lengths[] = { 768, 1088, 1568 };
  CK_SESSION_HANDLE h = start();
  skip_where(h == 0, "libcrypto has no ML-KEM");
  for (CK_ULONG i = 0; i < SETS; i++) {
    struct rig_pair pair = generate(h, kats[i].set);
    struct bytes ciphertext = { .len = BYTES_MAX };
    CK_OBJECT_HANDLE ours, theirs;
    assert_ok(encapsulate(h, pair.public, &ciphertext, &ours));
    assert_int_equal(lengths[i], ciphertext.len);
    assert_ok(decapsulate(h, pair.private, &ciphertext, &theirs));
    struct bytes a = get(h, ours, CKA_VALUE), b = get(h, theirs, CKA_VALUE);
    assert_int_equal(SECRET, a.len);
    assert_memory_equal(a.data, b.data, SECRET);
    ciphertext.data[7] ^= 1;
    assert_ok(decapsulate(h, pair.private, &ciphertext, &theirs));
    b = get(h, theirs, CKA_VALUE);
    assert_memory_not_equal(a.data, b.data, SECRET);
  }
}

static void test_refusals(void **state)
{
  (void)state;
  CK_SESSION_HANDLE h = start();
  skip_where(h == 0, "libcrypto has no ML-KEM");
  struct rig_pair pair = generate(h, CKP_ML_KEM_768);
  struct bytes ciphertext = { .len = 1087 };
  CK_OBJECT_HANDLE key = 4711;
  assert_rv(CKR_BUFFER_TOO_SMALL, encapsulate(h, pair.public, &ciphertext, &key));
  assert_int_equal(1088, ciphertext.len);
  assert_rv(CKR_KEY_TYPE_INCONSISTENT, encapsulate(h, pair.private, &ciphertext, &key));
  ciphertext.len = 1087;
  assert_rv(CKR_WRAPPED_KEY_LEN_RANGE, decapsulate(h, pair.private, &ciphertext, &key));
  CK_ATTRIBUTE may_not = { CKA_ENCAPSULATE, &no, 1 };
  assert_ok(C_SetAttributeValue(h, pair.public, &may_not, 1));
  ciphertext.len = BYTES_MAX;
  assert_rv(CKR_KEY_FUNCTION_NOT_PERMITTED, encapsulate(h, pair.public, &ciphertext, &key));
  assert_int_equal(4711, key);
  CK_ULONG set = 4;
  CK_MECHANISM m = { CKM_ML_KEM_KEY_PAIR_GEN, NULL, 0 };
  CK_ATTRIBUTE public = { CKA_PARAMETER_SET, &set, sizeof(set) };
  assert_rv(CKR_PARAMETER_SET_NOT_SUPPORTED,
            C_GenerateKeyPair(h, &m, &public, 1, NULL, 0, &pair.public, &pair.private));
}

static CK_BYTE p256[] = { 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7 }, x25519[] = { 6, 3, 0x2b, 0x65, 0x6e };
static CK_ECDH1_DERIVE_PARAMS bare = { CKD_NULL, 0, NULL, 0, NULL };

static const struct curve {
  CK_MECHANISM_TYPE generate;
  CK_KEY_TYPE type;
  CK_BYTE *params;
  CK_ULONG params_len, point_len;
} curves[] = { { CKM_EC_KEY_PAIR_GEN, CKK_EC, p256, sizeof(p256), 65 },
               { CKM_EC_MONTGOMERY_KEY_PAIR_GEN, CKK_EC_MONTGOMERY, x25519, sizeof(x25519), 32 } };

static struct rig_pair curve_pair(CK_SESSION_HANDLE h, const struct curve *curve)
{
  struct rig_pair pair;
  CK_MECHANISM m = { curve->generate, NULL, 0 };
  CK_ATTRIBUTE public[] = { { CKA_EC_PARAMS, curve->params, curve->params_len },
                            { CKA_ENCAPSULATE, &yes, 1 },
                            { CKA_WRAP, &yes, 1 } };
  CK_ATTRIBUTE private[] = { { CKA_DECAPSULATE, &yes, 1 }, { CKA_UNWRAP, &yes, 1 } };
  assert_ok(C_GenerateKeyPair(h, &m, public, 3, private, 2, &pair.public, &pair.private));
  return pair;
}

static CK_OBJECT_HANDLE curve_key(CK_SESSION_HANDLE h, const struct curve *curve, const char *hex)
{
  CK_OBJECT_CLASS class = CKO_PRIVATE_KEY;
  CK_KEY_TYPE type = curve->type;
  struct bytes value = from_hex(hex);
  CK_ATTRIBUTE tmpl[] = { { CKA_CLASS, &class, sizeof(class) },
                          { CKA_KEY_TYPE, &type, sizeof(type) },
                          { CKA_EC_PARAMS, curve->params, curve->params_len },
                          { CKA_VALUE, value.data, value.len },
                          { CKA_DECAPSULATE, &yes, 1 },
                          { CKA_UNWRAP, &yes, 1 } };
  CK_OBJECT_HANDLE key;
  assert_ok(C_CreateObject(h, tmpl, 6, &key));
  return key;
}

static CK_RV open_by(CK_MECHANISM_TYPE type, CK_SESSION_HANDLE h, CK_ECDH1_DERIVE_PARAMS *params, CK_OBJECT_HANDLE key,
                     struct bytes *ciphertext, CK_ULONG len, CK_OBJECT_HANDLE *secret)
{
  CK_MECHANISM m = { type, params, sizeof(*params) };
  CK_ATTRIBUTE tmpl[] = { { CKA_SENSITIVE, &no, 1 },
                          { CKA_EXTRACTABLE, &yes, 1 },
                          { CKA_VALUE_LEN, &len, sizeof(len) } };
  return f->C_DecapsulateKey(h, &m, key, tmpl, len ? 3 : 2, ciphertext->data, ciphertext->len, secret);
}

static CK_RV open_secret(CK_SESSION_HANDLE h, CK_ECDH1_DERIVE_PARAMS *params, CK_OBJECT_HANDLE key,
                         struct bytes *ciphertext, CK_ULONG len, CK_OBJECT_HANDLE *secret)
{
  return open_by(CKM_ECDH1_DERIVE, h, params, key, ciphertext, len, secret);
}

static void test_curves(void **state)
{
  (void)state;
  (void)start();
  CK_SESSION_HANDLE h = rig_open_session(rig_first_slot(), CKF_RW_SESSION);
  CK_ECDH1_DERIVE_PARAMS hashed = { CKD_SHA256_KDF, 3, p256, 0, NULL };
  CK_OBJECT_HANDLE ours, theirs;
  for (size_t i = 0; i < HF_ARRAY_LEN(curves); i++) {
    struct rig_pair pair = curve_pair(h, &curves[i]);
    struct bytes ciphertext = { .len = BYTES_MAX };
    CK_ULONG len = 48;
    CK_MECHANISM m = { CKM_ECDH1_DERIVE, &hashed, sizeof(hashed) };
    CK_ATTRIBUTE tmpl[] = { { CKA_SENSITIVE, &no, 1 },
                            { CKA_EXTRACTABLE, &yes, 1 },
                            { CKA_VALUE_LEN, &len, sizeof(len) } };
    assert_ok(f->C_EncapsulateKey(h, &m, pair.public, tmpl, 3, ciphertext.data, &ciphertext.len, &ours));
    assert_int_equal(curves[i].point_len, ciphertext.len);
    assert_ok(open_secret(h, &hashed, pair.private, &ciphertext, len, &theirs));
    struct bytes a = get(h, ours, CKA_VALUE), b = get(h, theirs, CKA_VALUE);
    assert_int_equal(48, a.len);
    assert_memory_equal(a.data, b.data, 48);

    memset(ciphertext.data, 0, ciphertext.len);
    assert_rv(CKR_WRAPPED_KEY_INVALID, open_secret(h, &hashed, pair.private, &ciphertext, len, &theirs));
    ciphertext.len--;
    assert_rv(CKR_WRAPPED_KEY_LEN_RANGE, open_secret(h, &hashed, pair.private, &ciphertext, len, &theirs));
    ciphertext.len++;
    hashed.pPublicData = p256;
    hashed.ulPublicDataLen = sizeof(p256);
    assert_rv(CKR_MECHANISM_PARAM_INVALID, open_secret(h, &hashed, pair.private, &ciphertext, len, &theirs));
    hashed.ulPublicDataLen = 0;
  }
}

/* CAVP, ECC CDH primitive, P-256, 0. */
static void test_curve_known_answer(void **state)
{
  (void)state;
  (void)start();
  CK_SESSION_HANDLE h = rig_open_session(rig_first_slot(), CKF_RW_SESSION);
  struct bytes point = from_hex("04700c48f77f56584c5cc632ca65640db91b6bacce3a4df6b42ce7cc838833d287"
                                "db71e509e3fd9b060ddb20ba5c51dcc5948d46fbf640dfe0441782cab85fa4ac");
  struct bytes secret = from_hex("46fc62106420ff012e54a434fbdd2d25ccc5852060561e68040dd7778997bd7b");
  CK_OBJECT_HANDLE made,
      key = curve_key(h, &curves[0], "7d7dc5f71eb29ddaf80d6214632eeae03d9058af1fb6d22ed80badb62bc1a534");
  static const CK_MECHANISM_TYPE types[] = { CKM_ECDH1_DERIVE, CKM_ECDH1_COFACTOR_DERIVE };
  for (size_t i = 0; i < HF_ARRAY_LEN(types); i++) {
    assert_ok(open_by(types[i], h, &bare, key, &point, 0, &made));
    struct bytes got = get(h, made, CKA_VALUE);
    assert_int_equal(secret.len, got.len);
    assert_memory_equal(secret.data, got.data, secret.len);
    assert_ok(open_by(types[i], h, &bare, key, &point, 16, &made));
    got = get(h, made, CKA_VALUE);
    assert_memory_equal(secret.data + 16, got.data, 16);
  }
}

static CK_RV unwrap(CK_SESSION_HANDLE h, CK_MECHANISM *m, CK_OBJECT_HANDLE with, struct bytes *wrapped,
                    CK_OBJECT_HANDLE *key)
{
  CK_ATTRIBUTE tmpl[] = { { CKA_CLASS, &secret_class, sizeof(secret_class) },
                          { CKA_KEY_TYPE, &aes, sizeof(aes) },
                          { CKA_SENSITIVE, &no, 1 },
                          { CKA_EXTRACTABLE, &yes, 1 } };
  return C_UnwrapKey(h, m, with, wrapped->data, wrapped->len, tmpl, 4, key);
}

/* The bytes 0 to 15 wrapped by Python's cryptography for a key that it knows. */
static void test_unwrap_known_answers(void **state)
{
  (void)state;
  CK_SESSION_HANDLE h = rig_user_session();
  static CK_BYTE shared[] = { 's', 'h', 'a', 'r', 'e', 'd' };
#define P256_KEY "7d7dc5f71eb29ddaf80d6214632eeae03d9058af1fb6d22ed80badb62bc1a534"
#define P256_POINT                                                     \
  "0441040217e617f0b6443928278f96999e69a23a4f2c152bdf6d6cdf66e5b80282" \
  "d4ed194a7debcb97712d2dda3ca85aa8765a56f45fc758599652f2897c65306e57"
  const struct {
    CK_MECHANISM_TYPE type;
    size_t curve;
    const char *key, *wrapped;
    struct hf_ck_ecdh_aes_key_wrap_params params;
  } rows[] = {
    { CKM_ECDH_AES_KEY_WRAP,
      0,
      P256_KEY,
      P256_POINT "94632d620f0d46e245fa6c9d6216ec8a2a1f327b100b598bb8",
      { 256, CKD_SHA256_KDF, sizeof(shared), shared } },
    { CKM_ECDH_COF_AES_KEY_WRAP,
      0,
      P256_KEY,
      P256_POINT "94ae7675332acfc86ab20a2b4d31ae5765c970fb96088b99cd",
      { 128, CKD_NULL, 0, NULL } },
    { CKM_ECDH_X_AES_KEY_WRAP,
      1,
      "2222222222222222222222222222222222222222222222222222222222222222",
      "7b0d47d93427f8311160781c7c733fd89f88970aef490d8aa0ee19a4cb8a1b14"
      "6f7eb560315a80315d68927d03b1916fc19322ab8e533f9b",
      { 192, CKD_SHA256_KDF, 0, NULL } },
  };
  for (size_t i = 0; i < HF_ARRAY_LEN(rows); i++) {
    struct hf_ck_ecdh_aes_key_wrap_params params = rows[i].params;
    CK_MECHANISM m = { rows[i].type, &params, sizeof(params) };
    struct bytes wrapped = from_hex(rows[i].wrapped);
    CK_OBJECT_HANDLE with = curve_key(h, &curves[rows[i].curve], rows[i].key), key;
    assert_ok(unwrap(h, &m, with, &wrapped, &key));
    struct bytes got = get(h, key, CKA_VALUE);
    assert_int_equal(16, got.len);
    for (CK_BYTE k = 0; k < 16; k++)
      assert_int_equal(k, got.data[k]);
    wrapped.data[wrapped.len - 1] ^= 1;
    assert_rv(CKR_WRAPPED_KEY_INVALID, unwrap(h, &m, with, &wrapped, &key));
    wrapped.data[wrapped.len - 1] ^= 1;
    wrapped.data[5] ^= 1;
    assert_rv(CKR_WRAPPED_KEY_INVALID, unwrap(h, &m, with, &wrapped, &key));
    wrapped.len = 8;
    assert_rv(CKR_WRAPPED_KEY_LEN_RANGE, unwrap(h, &m, with, &wrapped, &key));
    params.ulAESKeyBits = 160;
    assert_rv(CKR_MECHANISM_PARAM_INVALID, unwrap(h, &m, with, &wrapped, &key));
  }
}

static void test_wrap(void **state)
{
  (void)state;
  CK_SESSION_HANDLE h = rig_user_session();
  CK_ULONG len = 32;
  CK_MECHANISM generate = { CKM_AES_KEY_GEN, NULL, 0 };
  CK_ATTRIBUTE tmpl[] = { { CKA_VALUE_LEN, &len, sizeof(len) },
                          { CKA_SENSITIVE, &no, 1 },
                          { CKA_EXTRACTABLE, &yes, 1 } };
  CK_OBJECT_HANDLE target, back;
  assert_ok(C_GenerateKey(h, &generate, tmpl, 3, &target));
  for (size_t i = 0; i < HF_ARRAY_LEN(curves); i++) {
    struct rig_pair pair = curve_pair(h, &curves[i]);
    struct hf_ck_ecdh_aes_key_wrap_params params = { 256, CKD_SHA512_KDF, 0, NULL };
    CK_MECHANISM m = { CKM_ECDH_AES_KEY_WRAP, &params, sizeof(params) };
    struct bytes wrapped = { .len = 0 };
    assert_ok(C_WrapKey(h, &m, pair.public, target, NULL, &wrapped.len));
    assert_int_equal(curves[i].point_len + (i == 0 ? 2 : 0) + 40, wrapped.len);
    assert_ok(C_WrapKey(h, &m, pair.public, target, wrapped.data, &wrapped.len));
    assert_ok(unwrap(h, &m, pair.private, &wrapped, &back));
    struct bytes a = get(h, target, CKA_VALUE), b = get(h, back, CKA_VALUE);
    assert_int_equal(a.len, b.len);
    assert_memory_equal(a.data, b.data, a.len);
  }
}

/* What the tests above have an answer for; another one that encapsulates needs one, too. */
static void test_all_have_an_answer(void **state)
{
  (void)state;
  static const CK_MECHANISM_TYPE known[] = { CKM_ML_KEM, CKM_ECDH1_DERIVE, CKM_ECDH1_COFACTOR_DERIVE };
  CK_MECHANISM_TYPE types[512];
  CK_ULONG count = HF_ARRAY_LEN(types);
  (void)start();
  assert_ok(C_GetMechanismList(rig_first_slot(), types, &count));
  for (CK_ULONG i = 0; i < count; i++) {
    CK_MECHANISM_INFO info;
    bool found = false;
    assert_ok(C_GetMechanismInfo(rig_first_slot(), types[i], &info));
    for (size_t k = 0; k < HF_ARRAY_LEN(known); k++)
      found |= known[k] == types[i];
    if (info.flags & CKF_ENCAPSULATE && !found)
      fail_msg("mechanism 0x%lx has no answer", types[i]);
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
    RIG_TEST(test_found_at_run_time),
    RIG_TEST(test_known_answers),
    RIG_TEST(test_both_ways),
    RIG_TEST(test_refusals),
    RIG_TEST(test_curves),
    RIG_TEST(test_curve_known_answer),
    RIG_TEST(test_unwrap_known_answers),
    RIG_TEST(test_wrap),
    RIG_TEST(test_all_have_an_answer),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
