/* SPDX-License-Identifier: Apache-2.0 */
/* A token with a profile: what it says of itself, and what it takes. */
#include "simulation_rig.h"

#define PIV_PIN "654321"

static CK_RV generate(CK_SESSION_HANDLE h, CK_MECHANISM_TYPE type, CK_ATTRIBUTE special, CK_BYTE id)
{
  CK_OBJECT_HANDLE public_key, private_key;
  CK_BBOOL yes = CK_TRUE;
  CK_MECHANISM m = { type, NULL, 0 };
  CK_ATTRIBUTE public[] = { { CKA_TOKEN, &yes, 1 }, special };
  CK_ATTRIBUTE private[] = { { CKA_TOKEN, &yes, 1 }, { CKA_ID, &id, 1 } };
  return C_GenerateKeyPair(h, &m, public, 2, private, 2, &public_key, &private_key);
}

static CK_RV generate_ec(CK_SESSION_HANDLE h, CK_BYTE id)
{
  static CK_BYTE p256[] = { 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7 };
  return generate(h, CKM_EC_KEY_PAIR_GEN, (CK_ATTRIBUTE){ CKA_EC_PARAMS, p256, sizeof(p256) }, id);
}

static CK_RV generate_p521(CK_SESSION_HANDLE h)
{
  static CK_BYTE p521[] = { 6, 5, 0x2b, 0x81, 4, 0, 0x23 };
  return generate(h, CKM_EC_KEY_PAIR_GEN, (CK_ATTRIBUTE){ CKA_EC_PARAMS, p521, sizeof(p521) }, 9);
}

static CK_RV generate_rsa(CK_SESSION_HANDLE h, CK_ULONG bits)
{
  return generate(h, CKM_RSA_PKCS_KEY_PAIR_GEN, (CK_ATTRIBUTE){ CKA_MODULUS_BITS, &bits, sizeof(bits) }, 9);
}

/* A token that was made under the profile. */
static CK_SESSION_HANDLE piv_session(const char *lines)
{
  CK_UTF8CHAR label[32];
  char conf[512];
  snprintf(conf, sizeof(conf), "simulation.profile = yubikey-piv\nsimulation.latency = off\n%s", lines);
  restart(conf);
  CK_SLOT_ID slot = rig_first_slot();
  rig_label("piv", label);
  assert_ok(C_InitToken(slot, utf8(SO_PIN), strlen(SO_PIN), label));
  CK_SESSION_HANDLE h = rig_open_session(slot, CKF_RW_SESSION);
  assert_ok(rig_login(h, CKU_SO, SO_PIN));
  assert_rv(CKR_PIN_LEN_RANGE, C_InitPIN(h, utf8(USER_PIN), strlen(USER_PIN)));
  assert_ok(C_InitPIN(h, utf8(PIV_PIN), strlen(PIV_PIN)));
  assert_ok(C_Logout(h));
  assert_ok(rig_login(h, CKU_USER, PIV_PIN));
  return h;
}

static void test_profile(void **state)
{
  (void)state;
  CK_SESSION_HANDLE h = piv_session("simulation.limits = sessions=2, keys=2"), other;
  CK_SLOT_ID slot = rig_first_slot();
  CK_TOKEN_INFO info;
  CK_MECHANISM_INFO mechanism;
  CK_ULONG count;
  CK_MECHANISM_TYPE types[64];
  assert_ok(C_GetTokenInfo(slot, &info));
  assert_memory_equal("YubiKey YK5     ", info.model, 16);
  assert_int_equal(6, info.ulMinPinLen);
  assert_int_equal(8, info.ulMaxPinLen);
  assert_int_equal(2, info.ulMaxSessionCount);
  assert_ok(C_GetMechanismList(slot, NULL, &count));
  assert_true(count >= 20 && count <= 64);
  assert_ok(C_GetMechanismList(slot, types, &count));
  assert_rv(CKR_MECHANISM_INVALID, C_GetMechanismInfo(slot, CKM_EDDSA, &mechanism));
  assert_ok(C_GetMechanismInfo(slot, CKM_ECDSA, &mechanism));
  assert_int_equal(384, mechanism.ulMaxKeySize);
  assert_true(mechanism.flags & CKF_HW);
  assert_int_equal(CKF_SIGN | CKF_VERIFY, mechanism.flags & (CKF_SIGN | CKF_VERIFY | CKF_DERIVE));
  rig_open_session(slot, 0);
  assert_rv(CKR_SESSION_COUNT, C_OpenSession(slot, CKF_SERIAL_SESSION, NULL, NULL, &other));
  assert_rv(CKR_ATTRIBUTE_VALUE_INVALID, generate_ec(h, 0));
  assert_rv(CKR_ATTRIBUTE_VALUE_INVALID, generate_ec(h, 25));
  assert_rv(CKR_ATTRIBUTE_VALUE_INVALID, generate_p521(h));
  assert_rv(CKR_ATTRIBUTE_VALUE_INVALID, generate_rsa(h, 3072));
  assert_ok(generate_ec(h, 1));
  assert_ok(generate_ec(h, 24));
  assert_rv(CKR_DEVICE_MEMORY, generate_ec(h, 3));
}

static void test_profile_objects(void **state)
{
  (void)state;
  CK_SESSION_HANDLE h = piv_session("");
  CK_OBJECT_CLASS secret = CKO_SECRET_KEY, private = CKO_PRIVATE_KEY;
  CK_KEY_TYPE generic = CKK_GENERIC_SECRET;
  CK_BBOOL yes = CK_TRUE, always = CK_FALSE;
  CK_OBJECT_HANDLE object;
  CK_ATTRIBUTE tmpl[] = { { CKA_CLASS, &secret, sizeof(secret) },
                          { CKA_KEY_TYPE, &generic, sizeof(generic) },
                          { CKA_VALUE, utf8("0123456789abcdef"), 16 },
                          { CKA_TOKEN, &yes, 1 } };
  assert_rv(CKR_ATTRIBUTE_VALUE_INVALID, C_CreateObject(h, tmpl, 4, &object));
  assert_ok(C_CreateObject(h, tmpl, 3, &object));
  /* 9c: the PIN for each signature. */
  assert_ok(generate_ec(h, 2));
  CK_ATTRIBUTE find[] = { { CKA_CLASS, &private, sizeof(private) }, { CKA_ID, utf8("\2"), 1 } };
  CK_ATTRIBUTE get = { CKA_ALWAYS_AUTHENTICATE, &always, 1 };
  assert_int_equal(1, rig_find(h, find, 2, &object));
  assert_ok(C_GetAttributeValue(h, object, &get, 1));
  assert_true(always);
  assert_rv(CKR_USER_NOT_LOGGED_IN, sign(h, object));
  assert_ok(rig_login(h, CKU_CONTEXT_SPECIFIC, PIV_PIN));
  /* And the PIN locks after three wrong ones. */
  assert_ok(C_Logout(h));
  for (int i = 0; i < 3; i++)
    assert_rv(CKR_PIN_INCORRECT, rig_login(h, CKU_USER, "999999"));
  assert_rv(CKR_PIN_LOCKED, rig_login(h, CKU_USER, PIV_PIN));
}

int main(void)
{
  const struct CMUnitTest tests[] = {
    RIG_TEST(test_profile),
    RIG_TEST(test_profile_objects),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
