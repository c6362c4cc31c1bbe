/* SPDX-License-Identifier: Apache-2.0 */
/* Key agreement, on curves and modulo a prime: both sides, and the points and numbers that are refused. */
#include "token_rig.h"

#include "base/cleanup.h"

static CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
static CK_OBJECT_CLASS secret_class = CKO_SECRET_KEY;
static CK_KEY_TYPE generic = CKK_GENERIC_SECRET;
static CK_BYTE p256[] = { 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7 };

/* A generic secret of so many bytes (0: not said), in the clear or not. */
static CK_RV derive(CK_SESSION_HANDLE h, CK_MECHANISM_TYPE type, void *param, CK_ULONG param_len, CK_OBJECT_HANDLE base,
                    CK_ULONG len, bool clear, CK_OBJECT_HANDLE *key)
{
  CK_MECHANISM m = { type, param, param_len };
  CK_ATTRIBUTE tmpl[] = { { CKA_CLASS, &secret_class, sizeof(secret_class) },
                          { CKA_KEY_TYPE, &generic, sizeof(generic) },
                          { CKA_SENSITIVE, clear ? &no : &yes, 1 },
                          { CKA_EXTRACTABLE, clear ? &yes : &no, 1 },
                          { CKA_VALUE_LEN, &len, sizeof(len) } };
  return C_DeriveKey(h, &m, base, tmpl, len ? 5 : 4, key);
}

/* A pair of a curve whose private key may derive. */
static struct rig_pair curve_pair(CK_SESSION_HANDLE h, CK_MECHANISM_TYPE type, CK_BYTE *curve, CK_ULONG len)
{
  struct rig_pair pair;
  CK_MECHANISM m = { type, NULL, 0 };
  CK_ATTRIBUTE public = { CKA_EC_PARAMS, curve, len }, private = { CKA_DERIVE, &yes, 1 };
  assert_ok(C_GenerateKeyPair(h, &m, &public, 1, &private, 1, &pair.public, &pair.private));
  return pair;
}

static CK_RV agree(CK_SESSION_HANDLE h, CK_MECHANISM_TYPE type, CK_OBJECT_HANDLE own, CK_BYTE *point, CK_ULONG len,
                   CK_OBJECT_HANDLE *key)
{
  CK_ECDH1_DERIVE_PARAMS params = { CKD_NULL, 0, NULL, len, point };
  return derive(h, type, &params, sizeof(params), own, 0, true, key);
}

static void test_points(void **state)
{
  (void)state;
  static const CK_MECHANISM_TYPE types[] = { CKM_ECDH1_DERIVE, CKM_ECDH1_COFACTOR_DERIVE };
  CK_SESSION_HANDLE h = rig_user_session();
  struct rig_pair pair = curve_pair(h, CKM_EC_KEY_PAIR_GEN, p256, sizeof(p256));
  CK_BYTE point[67];
  CK_ATTRIBUTE attr = { CKA_EC_POINT, point, sizeof(point) };
  CK_OBJECT_HANDLE key;
  for (size_t i = 0; i < HF_ARRAY_LEN(types); i++) {
    assert_ok(C_GetAttributeValue(h, pair.public, &attr, 1));
    assert_ok(agree(h, types[i], pair.private, point, 67, &key));
    assert_ok(agree(h, types[i], pair.private, point + 2, 65, &key));
    assert_rv(CKR_MECHANISM_PARAM_INVALID, agree(h, types[i], pair.private, point + 2, 64, &key));
    assert_rv(CKR_MECHANISM_PARAM_INVALID, agree(h, types[i], pair.private, point, 0, &key));
    point[66] ^= 1; /* off the curve */
    assert_rv(CKR_MECHANISM_PARAM_INVALID, agree(h, types[i], pair.private, point, 67, &key));
    CK_BYTE infinity = 0;
    assert_rv(CKR_MECHANISM_PARAM_INVALID, agree(h, types[i], pair.private, &infinity, 1, &key));
  }
}

/* Points of small order, which make a secret of zeros whatever the key. */
static void test_montgomery(void **state)
{
  (void)state;
  CK_BYTE oid[] = { 6, 3, 0x2b, 0x65, 0x6e }, name[] = { 0x13, 10, 'c', 'u', 'r', 'v', 'e', '2', '5', '5', '1', '9' };
  CK_BYTE oid448[] = { 6, 3, 0x2b, 0x65, 0x6f };
  CK_BYTE zeros[56] = { 0 }, one[56] = { 1 };
  CK_BYTE eight[32] = {
    0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae, 0x16, 0x56, 0xe3, 0xfa, 0xf1, 0x9f, 0xc4, 0x6a,
    0xda, 0x09, 0x8d, 0xeb, 0x9c, 0x32, 0xb1, 0xfd, 0x86, 0x62, 0x05, 0x16, 0x5f, 0x49, 0xb8, 0x00
  };
  CK_SESSION_HANDLE h = rig_user_session();
  struct rig_pair a = curve_pair(h, CKM_EC_MONTGOMERY_KEY_PAIR_GEN, oid, sizeof(oid));
  struct rig_pair b = curve_pair(h, CKM_EC_MONTGOMERY_KEY_PAIR_GEN, name, sizeof(name));
  struct rig_pair c = curve_pair(h, CKM_EC_MONTGOMERY_KEY_PAIR_GEN, oid448, sizeof(oid448));
  CK_BYTE point[64], secret[2][32];
  CK_ATTRIBUTE attr = { CKA_EC_POINT, point, sizeof(point) };
  CK_OBJECT_HANDLE key;
  struct rig_pair *sides[] = { &a, &b };
  for (size_t i = 0; i < 2; i++) {
    attr = (CK_ATTRIBUTE){ CKA_EC_POINT, point, sizeof(point) };
    assert_ok(C_GetAttributeValue(h, sides[1 - i]->public, &attr, 1));
    assert_ok(agree(h, CKM_ECDH1_DERIVE, sides[i]->private, point, attr.ulValueLen, &key));
    CK_ATTRIBUTE value = { CKA_VALUE, secret[i], 32 };
    assert_ok(C_GetAttributeValue(h, key, &value, 1));
  }
  assert_memory_equal(secret[0], secret[1], 32);
  assert_rv(CKR_KEY_TYPE_INCONSISTENT, agree(h, CKM_ECDH1_COFACTOR_DERIVE, a.private, point, 34, &key));
  assert_rv(CKR_MECHANISM_PARAM_INVALID, agree(h, CKM_ECDH1_DERIVE, a.private, zeros, 32, &key));
  assert_rv(CKR_MECHANISM_PARAM_INVALID, agree(h, CKM_ECDH1_DERIVE, a.private, one, 32, &key));
  assert_rv(CKR_MECHANISM_PARAM_INVALID, agree(h, CKM_ECDH1_DERIVE, a.private, eight, 32, &key));
  assert_rv(CKR_MECHANISM_PARAM_INVALID, agree(h, CKM_ECDH1_DERIVE, c.private, zeros, 56, &key));
  assert_rv(CKR_MECHANISM_PARAM_INVALID, agree(h, CKM_ECDH1_DERIVE, c.private, one, 56, &key));
  assert_rv(CKR_MECHANISM_PARAM_INVALID, agree(h, CKM_ECDH1_DERIVE, a.private, point + 2, 31, &key));
}

struct group {
  CK_BYTE prime[1024], base[8];
  CK_ULONG prime_len, base_len;
};

static void named_group(CK_SESSION_HANDLE h, CK_ULONG bits, struct group *group)
{
  CK_MECHANISM m = { CKM_DH_PKCS_PARAMETER_GEN, NULL, 0 };
  CK_ATTRIBUTE wanted = { CKA_PRIME_BITS, &bits, sizeof(bits) };
  CK_ATTRIBUTE got[] = { { CKA_PRIME, group->prime, sizeof(group->prime) }, { CKA_BASE, group->base, 8 } };
  CK_OBJECT_HANDLE params;
  assert_ok(C_GenerateKey(h, &m, &wanted, 1, &params));
  assert_ok(C_GetAttributeValue(h, params, got, 2));
  group->prime_len = got[0].ulValueLen;
  group->base_len = got[1].ulValueLen;
}

static CK_RV dh_pair(CK_SESSION_HANDLE h, struct group *group, CK_ULONG bits, struct rig_pair *pair)
{
  CK_MECHANISM m = { CKM_DH_PKCS_KEY_PAIR_GEN, NULL, 0 };
  CK_ATTRIBUTE public[] = { { CKA_PRIME, group->prime, group->prime_len }, { CKA_BASE, group->base, group->base_len } };
  CK_ATTRIBUTE private[] = { { CKA_DERIVE, &yes, 1 }, { CKA_VALUE_BITS, &bits, sizeof(bits) } };
  return C_GenerateKeyPair(h, &m, public, 2, private, bits ? 2 : 1, &pair->public, &pair->private);
}

static void test_dh(void **state)
{
  (void)state;
  CK_SESSION_HANDLE h = rig_user_session();
  struct group group;
  struct rig_pair pairs[2];
  CK_BYTE value[1024], secret[2][256];
  CK_OBJECT_HANDLE key;
  named_group(h, 2048, &group);
  assert_int_equal(256, group.prime_len);
  assert_ok(dh_pair(h, &group, 0, &pairs[0]));
  assert_ok(dh_pair(h, &group, 256, &pairs[1]));
  for (size_t i = 0; i < 2; i++) {
    CK_ATTRIBUTE peer = { CKA_VALUE, value, sizeof(value) }, got = { CKA_VALUE, secret[i], 256 };
    assert_ok(C_GetAttributeValue(h, pairs[1 - i].public, &peer, 1));
    assert_ok(derive(h, CKM_DH_PKCS_DERIVE, value, peer.ulValueLen, pairs[i].private, 0, true, &key));
    assert_ok(C_GetAttributeValue(h, key, &got, 1));
    assert_int_equal(256, got.ulValueLen);
    assert_rv(CKR_TEMPLATE_INCONSISTENT,
              derive(h, CKM_DH_PKCS_DERIVE, value, peer.ulValueLen, pairs[i].private, 257, true, &key));
  }
  assert_memory_equal(secret[0], secret[1], 256);
  CK_ULONG length;
  CK_ATTRIBUTE bits = { CKA_VALUE_BITS, &length, sizeof(length) };
  assert_ok(C_GetAttributeValue(h, pairs[1].private, &bits, 1));
  assert_true(length <= 256);
}

/* Values that make a secret which everybody knows, or are none of the group. */
static void test_dh_refusals(void **state)
{
  (void)state;
  CK_SESSION_HANDLE h = rig_user_session();
  struct group group;
  struct rig_pair pair;
  CK_OBJECT_HANDLE key;
  CK_BYTE zero = 0, one = 1, number[1025] = { 0 };
  named_group(h, 2048, &group);
  assert_ok(dh_pair(h, &group, 0, &pair));
  assert_rv(CKR_MECHANISM_PARAM_INVALID, derive(h, CKM_DH_PKCS_DERIVE, &zero, 1, pair.private, 0, true, &key));
  assert_rv(CKR_MECHANISM_PARAM_INVALID, derive(h, CKM_DH_PKCS_DERIVE, &one, 1, pair.private, 0, true, &key));
  assert_rv(CKR_MECHANISM_PARAM_INVALID, derive(h, CKM_DH_PKCS_DERIVE, NULL, 0, pair.private, 0, true, &key));
  assert_rv(CKR_MECHANISM_PARAM_INVALID, derive(h, CKM_DH_PKCS_DERIVE, number, 1025, pair.private, 0, true, &key));
  memcpy(number, group.prime, 256);
  assert_rv(CKR_MECHANISM_PARAM_INVALID, derive(h, CKM_DH_PKCS_DERIVE, number, 256, pair.private, 0, true, &key));
  number[255]--; /* the prime less one; it is odd */
  assert_rv(CKR_MECHANISM_PARAM_INVALID, derive(h, CKM_DH_PKCS_DERIVE, number, 256, pair.private, 0, true, &key));

  assert_rv(CKR_KEY_SIZE_RANGE, dh_pair(h, &group, 64, &pair));
  assert_rv(CKR_KEY_SIZE_RANGE, dh_pair(h, &group, 2048, &pair));
  group.prime_len = 64;
  assert_rv(CKR_KEY_SIZE_RANGE, dh_pair(h, &group, 0, &pair));
  group.prime_len = 256;
  group.prime[255]--;
  assert_rv(CKR_ATTRIBUTE_VALUE_INVALID, dh_pair(h, &group, 0, &pair));
  group.prime[255]++;
  group.base[0] = 1;
  group.base_len = 1;
  assert_rv(CKR_ATTRIBUTE_VALUE_INVALID, dh_pair(h, &group, 0, &pair));
  CK_ULONG bits = 2047;
  CK_MECHANISM m = { CKM_DH_PKCS_PARAMETER_GEN, NULL, 0 };
  CK_ATTRIBUTE wanted = { CKA_PRIME_BITS, &bits, sizeof(bits) };
  assert_rv(CKR_KEY_SIZE_RANGE, C_GenerateKey(h, &m, &wanted, 1, &key));
}

int main(void)
{
  const struct CMUnitTest tests[] = {
    RIG_TEST(test_points),
    RIG_TEST(test_montgomery),
    RIG_TEST(test_dh),
    RIG_TEST(test_dh_refusals),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
