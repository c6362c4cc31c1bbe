/* SPDX-License-Identifier: Apache-2.0 */
/* Derivation's refusals, its several objects, and what a derived key inherits. */
#include "token_rig.h"

#include "base/cleanup.h"

#include <openssl/hmac.h>

static CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
static CK_OBJECT_CLASS secret_class = CKO_SECRET_KEY, data_class = CKO_DATA;
static CK_KEY_TYPE generic = CKK_GENERIC_SECRET, aes = CKK_AES;

/* Of the bytes 0, 1, 2 ...; sensitive and unextractable where it is guarded. */
static CK_OBJECT_HANDLE base_key(CK_SESSION_HANDLE h, CK_KEY_TYPE type, CK_ULONG len, bool guarded)
{
  CK_BYTE value[64];
  for (CK_BYTE i = 0; i < sizeof(value); i++)
    value[i] = i;
  CK_ATTRIBUTE tmpl[] = { { CKA_CLASS, &secret_class, sizeof(secret_class) },
                          { CKA_KEY_TYPE, &type, sizeof(type) },
                          { CKA_VALUE, value, len },
                          { CKA_SENSITIVE, guarded ? &yes : &no, 1 },
                          { CKA_EXTRACTABLE, guarded ? &no : &yes, 1 },
                          { CKA_DERIVE, &yes, 1 } };
  CK_OBJECT_HANDLE key;
  assert_ok(C_CreateObject(h, tmpl, 6, &key));
  return key;
}

static CK_OBJECT_HANDLE generated_key(CK_SESSION_HANDLE h)
{
  CK_ULONG len = 32;
  CK_MECHANISM m = { CKM_GENERIC_SECRET_KEY_GEN, NULL, 0 };
  CK_ATTRIBUTE tmpl[] = { { CKA_VALUE_LEN, &len, sizeof(len) }, { CKA_DERIVE, &yes, 1 } };
  CK_OBJECT_HANDLE key;
  assert_ok(C_GenerateKey(h, &m, tmpl, 2, &key));
  return key;
}

static bool is(CK_SESSION_HANDLE h, CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type)
{
  CK_BBOOL value;
  CK_ATTRIBUTE attr = { type, &value, 1 };
  assert_ok(C_GetAttributeValue(h, object, &attr, 1));
  return value;
}

static CK_ULONG count_keys(CK_SESSION_HANDLE h)
{
  CK_ATTRIBUTE tmpl = { CKA_CLASS, &secret_class, sizeof(secret_class) };
  return rig_find(h, &tmpl, 1, NULL);
}

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

static void test_history(void **state)
{
  (void)state;
  CK_SESSION_HANDLE h = rig_user_session();
  CK_OBJECT_HANDLE made = generated_key(h), created = base_key(h, CKK_GENERIC_SECRET, 16, true), key;
  assert_ok(derive(h, CKM_SHA256_KEY_DERIVATION, NULL, 0, made, 0, false, &key));
  assert_true(is(h, key, CKA_ALWAYS_SENSITIVE) && is(h, key, CKA_NEVER_EXTRACTABLE) && !is(h, key, CKA_LOCAL));
  assert_ok(derive(h, CKM_SHA256_KEY_DERIVATION, NULL, 0, made, 0, true, &key));
  assert_true(!is(h, key, CKA_ALWAYS_SENSITIVE) && !is(h, key, CKA_NEVER_EXTRACTABLE));
  assert_ok(derive(h, CKM_SHA256_KEY_DERIVATION, NULL, 0, created, 0, false, &key));
  assert_true(!is(h, key, CKA_ALWAYS_SENSITIVE) && !is(h, key, CKA_NEVER_EXTRACTABLE));
  /* Of two keys, both count. */
  assert_ok(derive(h, CKM_CONCATENATE_BASE_AND_KEY, &made, sizeof(made), made, 0, false, &key));
  assert_true(is(h, key, CKA_ALWAYS_SENSITIVE) && is(h, key, CKA_NEVER_EXTRACTABLE));
  assert_ok(derive(h, CKM_CONCATENATE_BASE_AND_KEY, &created, sizeof(created), made, 0, false, &key));
  assert_true(!is(h, key, CKA_ALWAYS_SENSITIVE) && !is(h, key, CKA_NEVER_EXTRACTABLE));
}

static void test_what_shows_the_base_key_stays_as_it_is(void **state)
{
  (void)state;
  CK_SESSION_HANDLE h = rig_user_session();
  CK_OBJECT_HANDLE guarded = base_key(h, CKK_GENERIC_SECRET, 32, true), free_key = base_key(h, CKK_AES, 32, false), key;
  CK_BYTE zeros[32] = { 0 };
  CK_KEY_DERIVATION_STRING_DATA data = { zeros, sizeof(zeros) };
  CK_ULONG first = 0;
  assert_rv(CKR_TEMPLATE_INCONSISTENT, derive(h, CKM_XOR_BASE_AND_DATA, &data, sizeof(data), guarded, 0, true, &key));
  assert_rv(CKR_TEMPLATE_INCONSISTENT,
            derive(h, CKM_EXTRACT_KEY_FROM_KEY, &first, sizeof(first), guarded, 1, true, &key));
  assert_rv(CKR_TEMPLATE_INCONSISTENT,
            derive(h, CKM_CONCATENATE_BASE_AND_DATA, &data, sizeof(data), guarded, 0, true, &key));
  assert_rv(CKR_TEMPLATE_INCONSISTENT,
            derive(h, CKM_CONCATENATE_BASE_AND_KEY, &guarded, sizeof(guarded), free_key, 0, true, &key));
  assert_ok(derive(h, CKM_XOR_BASE_AND_DATA, &data, sizeof(data), guarded, 0, false, &key));
  assert_ok(derive(h, CKM_CONCATENATE_BASE_AND_KEY, &free_key, sizeof(free_key), free_key, 0, true, &key));
}

static void test_lengths(void **state)
{
  (void)state;
  CK_SESSION_HANDLE h = rig_user_session();
  CK_OBJECT_HANDLE base = base_key(h, CKK_AES, 16, false), key;
  CK_BYTE text[32] = { 0 };
  CK_KEY_DERIVATION_STRING_DATA data = { text, sizeof(text) }, part = { text, 17 }, none = { text, 0 };
  CK_ULONG first = 128;
  assert_rv(CKR_TEMPLATE_INCONSISTENT, derive(h, CKM_SHA256_KEY_DERIVATION, NULL, 0, base, 33, true, &key));
  assert_rv(CKR_TEMPLATE_INCONSISTENT, derive(h, CKM_XOR_BASE_AND_DATA, &data, sizeof(data), base, 17, true, &key));
  assert_rv(CKR_TEMPLATE_INCONSISTENT, derive(h, CKM_AES_ECB_ENCRYPT_DATA, &data, sizeof(data), base, 33, true, &key));
  assert_rv(CKR_MECHANISM_PARAM_INVALID,
            derive(h, CKM_AES_ECB_ENCRYPT_DATA, &part, sizeof(part), base, 16, true, &key));
  assert_rv(CKR_MECHANISM_PARAM_INVALID,
            derive(h, CKM_AES_ECB_ENCRYPT_DATA, &none, sizeof(none), base, 16, true, &key));
  assert_rv(CKR_MECHANISM_PARAM_INVALID, derive(h, CKM_AES_ECB_ENCRYPT_DATA, &data, 8, base, 16, true, &key));
  assert_rv(CKR_MECHANISM_PARAM_INVALID,
            derive(h, CKM_EXTRACT_KEY_FROM_KEY, &first, sizeof(first), base, 1, true, &key));
  data.pData = NULL;
  assert_rv(CKR_MECHANISM_PARAM_INVALID, derive(h, CKM_XOR_BASE_AND_DATA, &data, sizeof(data), base, 0, true, &key));

  /* An AES key has 16, 24 or 32 bytes; SHA-1 makes 20. */
  CK_MECHANISM m = { CKM_SHA1_KEY_DERIVATION, NULL, 0 };
  CK_ATTRIBUTE tmpl[] = { { CKA_CLASS, &secret_class, sizeof(secret_class) }, { CKA_KEY_TYPE, &aes, sizeof(aes) } };
  assert_rv(CKR_TEMPLATE_INCONSISTENT, C_DeriveKey(h, &m, base, tmpl, 2, &key));
  assert_rv(CKR_ARGUMENTS_BAD, C_DeriveKey(h, &m, base, tmpl, 1, NULL));
  tmpl[0].pValue = &data_class;
  assert_rv(CKR_TEMPLATE_INCONSISTENT, C_DeriveKey(h, &m, base, tmpl, 1, &key));
  /* Class and type may be left out. */
  assert_ok(C_DeriveKey(h, &m, base, NULL, 0, &key));
}

static void test_who_may_derive(void **state)
{
  (void)state;
  CK_SESSION_HANDLE h = rig_user_session();
  CK_OBJECT_HANDLE base = base_key(h, CKK_AES, 16, false), other = base_key(h, CKK_AES, 16, false), key;
  CK_ATTRIBUTE may_not = { CKA_DERIVE, &no, 1 };
  CK_OBJECT_HANDLE nothing = 4711;
  assert_rv(CKR_KEY_HANDLE_INVALID,
            derive(h, CKM_CONCATENATE_BASE_AND_KEY, &nothing, sizeof(nothing), base, 0, true, &key));
  assert_ok(C_SetAttributeValue(h, other, &may_not, 1));
  assert_rv(CKR_KEY_FUNCTION_NOT_PERMITTED,
            derive(h, CKM_CONCATENATE_BASE_AND_KEY, &other, sizeof(other), base, 0, true, &key));
  assert_rv(CKR_KEY_FUNCTION_NOT_PERMITTED, derive(h, CKM_SHA256_KEY_DERIVATION, NULL, 0, other, 0, true, &key));
  assert_rv(CKR_KEY_TYPE_INCONSISTENT, derive(h, CKM_DES3_ECB_ENCRYPT_DATA, NULL, 0, base, 0, true, &key));
}

static void test_hkdf_refusals(void **state)
{
  (void)state;
  CK_SESSION_HANDLE h = rig_user_session();
  CK_OBJECT_HANDLE base = base_key(h, CKK_HKDF, 32, false), key;
  struct hf_ck_hkdf_params params = { CK_TRUE, CK_TRUE, CKM_SHA256, CKF_HKDF_SALT_NULL, NULL, 0, 0, NULL, 0 };
  assert_ok(derive(h, CKM_HKDF_DERIVE, &params, sizeof(params), base, 255 * 32, true, &key));
  assert_rv(CKR_TEMPLATE_INCONSISTENT,
            derive(h, CKM_HKDF_DERIVE, &params, sizeof(params), base, 255 * 32 + 1, true, &key));
  assert_rv(CKR_TEMPLATE_INCOMPLETE, derive(h, CKM_HKDF_DERIVE, &params, sizeof(params), base, 0, true, &key));
  params.bExpand = CK_FALSE;
  assert_rv(CKR_TEMPLATE_INCONSISTENT, derive(h, CKM_HKDF_DERIVE, &params, sizeof(params), base, 31, true, &key));
  assert_ok(derive(h, CKM_HKDF_DERIVE, &params, sizeof(params), base, 0, true, &key));
  params.bExtract = CK_FALSE;
  assert_rv(CKR_MECHANISM_PARAM_INVALID, derive(h, CKM_HKDF_DERIVE, &params, sizeof(params), base, 32, true, &key));
  params.bExtract = params.bExpand = CK_TRUE;
  params.ulSaltType = 8;
  assert_rv(CKR_MECHANISM_PARAM_INVALID, derive(h, CKM_HKDF_DERIVE, &params, sizeof(params), base, 32, true, &key));
  params.ulSaltType = CKF_HKDF_SALT_DATA;
  params.ulSaltLen = 7;
  assert_rv(CKR_MECHANISM_PARAM_INVALID, derive(h, CKM_HKDF_DERIVE, &params, sizeof(params), base, 32, true, &key));
  params.ulSaltType = CKF_HKDF_SALT_NULL;
  params.prfHashMechanism = CKM_AES_CBC;
  assert_rv(CKR_MECHANISM_PARAM_INVALID, derive(h, CKM_HKDF_DERIVE, &params, sizeof(params), base, 32, true, &key));
}

/* SP 800-108's counter mode with two keys behind the first. */
struct kbkdf {
  struct hf_ck_sp800_108_counter_format counter;
  struct hf_ck_sp800_108_dkm_length_format length;
  struct hf_ck_prf_data_param rows[3];
  CK_ULONG lens[2];
  CK_ATTRIBUTE tmpl[2][4];
  CK_OBJECT_HANDLE keys[2];
  struct hf_ck_derived_key derived[2];
  struct hf_ck_sp800_108_kdf_params params;
};

static void fill(struct kbkdf *k, bool token)
{
  *k = (struct kbkdf){ .counter = { CK_FALSE, 8 }, .length = { CK_SP800_108_DKM_LENGTH_SUM_OF_KEYS, CK_FALSE, 32 } };
  k->rows[0] = (struct hf_ck_prf_data_param){ CK_SP800_108_ITERATION_VARIABLE, &k->counter, sizeof(k->counter) };
  k->rows[1] = (struct hf_ck_prf_data_param){ CK_SP800_108_BYTE_ARRAY, utf8("label"), 5 };
  k->rows[2] = (struct hf_ck_prf_data_param){ CK_SP800_108_DKM_LENGTH, &k->length, sizeof(k->length) };
  for (size_t i = 0; i < 2; i++) {
    k->lens[i] = 16 + 8 * i;
    k->tmpl[i][0] = (CK_ATTRIBUTE){ CKA_KEY_TYPE, &aes, sizeof(aes) };
    k->tmpl[i][1] = (CK_ATTRIBUTE){ CKA_VALUE_LEN, &k->lens[i], sizeof(k->lens[i]) };
    k->tmpl[i][2] = (CK_ATTRIBUTE){ CKA_TOKEN, token && i == 1 ? &yes : &no, 1 };
    k->tmpl[i][3] = (CK_ATTRIBUTE){ CKA_DERIVE, &yes, 1 };
    k->keys[i] = 4711;
    k->derived[i] = (struct hf_ck_derived_key){ k->tmpl[i], 4, &k->keys[i] };
  }
  k->params = (struct hf_ck_sp800_108_kdf_params){ CKM_SHA256_HMAC, 3, k->rows, 2, k->derived };
}

static void test_several_keys(void **state)
{
  (void)state;
  CK_SESSION_HANDLE h = rig_user_session(), reader = rig_open_session(rig_first_slot(), 0);
  CK_OBJECT_HANDLE base = base_key(h, CKK_GENERIC_SECRET, 32, false), key = 4711;
  struct kbkdf k;
  fill(&k, true);
  assert_ok(derive(h, CKM_SP800_108_COUNTER_KDF, &k.params, sizeof(k.params), base, 40, true, &key));
  assert_int_equal(4, count_keys(h));
  assert_true(is(h, k.keys[1], CKA_TOKEN) && !is(h, k.keys[0], CKA_TOKEN));

  /* The last one's template is wrong, or its place: nothing is made, and no handle touched. */
  CK_OBJECT_HANDLE before[2] = { k.keys[0], k.keys[1] };
  k.lens[1] = 17;
  assert_rv(CKR_TEMPLATE_INCONSISTENT,
            derive(h, CKM_SP800_108_COUNTER_KDF, &k.params, sizeof(k.params), base, 40, true, &key));
  k.derived[1].ulAttributeCount = 1;
  assert_rv(CKR_TEMPLATE_INCOMPLETE,
            derive(h, CKM_SP800_108_COUNTER_KDF, &k.params, sizeof(k.params), base, 40, true, &key));
  k.derived[1].phKey = NULL;
  assert_rv(CKR_ARGUMENTS_BAD, derive(h, CKM_SP800_108_COUNTER_KDF, &k.params, sizeof(k.params), base, 40, true, &key));
  fill(&k, true);
  memcpy(k.keys, before, sizeof(before));
  assert_rv(CKR_SESSION_READ_ONLY,
            derive(reader, CKM_SP800_108_COUNTER_KDF, &k.params, sizeof(k.params), base, 40, true, &key));
  assert_int_equal(4, count_keys(h));
  assert_memory_equal(before, k.keys, sizeof(before));
}

static void value_of(CK_SESSION_HANDLE h, CK_OBJECT_HANDLE key, CK_BYTE *out, CK_ULONG len)
{
  CK_ATTRIBUTE attr = { CKA_VALUE, out, len };
  assert_ok(C_GetAttributeValue(h, key, &attr, 1));
  assert_int_equal(len, attr.ulValueLen);
}

/* Each key begins with an output of the PRF of its own. */
static void test_where_keys_begin(void **state)
{
  (void)state;
  CK_SESSION_HANDLE h = rig_user_session();
  CK_OBJECT_HANDLE base = base_key(h, CKK_GENERIC_SECRET, 32, false), key;
  CK_BYTE all[128], own[40], first[16], second[24];
  struct kbkdf k;
  fill(&k, false);
  k.params.ulNumberOfDataParams = 2; /* without the length, which differs */
  for (size_t i = 0; i < 2; i++) {
    k.tmpl[i][2] = (CK_ATTRIBUTE){ CKA_SENSITIVE, &no, 1 };
    k.tmpl[i][3] = (CK_ATTRIBUTE){ CKA_EXTRACTABLE, &yes, 1 };
  }
  assert_ok(derive(h, CKM_SP800_108_COUNTER_KDF, &k.params, sizeof(k.params), base, sizeof(own), true, &key));
  value_of(h, key, own, sizeof(own));
  value_of(h, k.keys[0], first, sizeof(first));
  value_of(h, k.keys[1], second, sizeof(second));
  k.params.ulAdditionalDerivedKeys = 0;
  assert_ok(derive(h, CKM_SP800_108_COUNTER_KDF, &k.params, sizeof(k.params), base, sizeof(all), true, &key));
  value_of(h, key, all, sizeof(all));
  assert_memory_equal(all, own, sizeof(own));
  assert_memory_equal(all + 64, first, sizeof(first));
  assert_memory_equal(all + 96, second, sizeof(second));
}

/* The length that both ways count, as HMAC over the same bytes has it. */
static void test_lengths_in_the_data(void **state)
{
  (void)state;
  CK_SESSION_HANDLE h = rig_user_session();
  CK_OBJECT_HANDLE base = base_key(h, CKK_GENERIC_SECRET, 32, false), key;
  static const struct {
    CK_ULONG method;
    CK_BYTE bits[2];
  } methods[] = { { CK_SP800_108_DKM_LENGTH_SUM_OF_KEYS, { 0, 20 * 8 } },
                  { CK_SP800_108_DKM_LENGTH_SUM_OF_SEGMENTS, { 1, 0 } } };
  for (size_t i = 0; i < HF_ARRAY_LEN(methods); i++) {
    CK_BYTE bytes[32], input[] = { 1, 'l', 'a', 'b', 'e', 'l', 0, 0, methods[i].bits[0], methods[i].bits[1] };
    CK_BYTE expected[32], got[20];
    struct kbkdf k;
    fill(&k, false);
    k.length.dkmLengthMethod = methods[i].method;
    k.params.ulAdditionalDerivedKeys = 0;
    assert_ok(derive(h, CKM_SP800_108_COUNTER_KDF, &k.params, sizeof(k.params), base, sizeof(got), true, &key));
    value_of(h, key, got, sizeof(got));
    for (CK_BYTE n = 0; n < sizeof(bytes); n++)
      bytes[n] = n;
    assert_non_null(HMAC(EVP_sha256(), bytes, sizeof(bytes), input, sizeof(input), expected, NULL));
    assert_memory_equal(expected, got, sizeof(got));
  }
}

static void test_kbkdf_refusals(void **state)
{
  (void)state;
  CK_SESSION_HANDLE h = rig_user_session();
  CK_OBJECT_HANDLE base = base_key(h, CKK_GENERIC_SECRET, 32, false), key;
  struct kbkdf k;
  struct {
    CK_ULONG first, count;
  } rows[] = { { 1, 2 }, { 0, 0 } }; /* neither has the iteration variable */
  for (size_t i = 0; i < HF_ARRAY_LEN(rows); i++) {
    fill(&k, false);
    k.params.pDataParams += rows[i].first;
    k.params.ulNumberOfDataParams = rows[i].count;
    assert_rv(CKR_MECHANISM_PARAM_INVALID,
              derive(h, CKM_SP800_108_COUNTER_KDF, &k.params, sizeof(k.params), base, 40, true, &key));
  }
  fill(&k, false);
  k.rows[1] = k.rows[0];
  assert_rv(CKR_MECHANISM_PARAM_INVALID,
            derive(h, CKM_SP800_108_COUNTER_KDF, &k.params, sizeof(k.params), base, 40, true, &key));
  fill(&k, false);
  k.counter.ulWidthInBits = 12;
  assert_rv(CKR_MECHANISM_PARAM_INVALID,
            derive(h, CKM_SP800_108_COUNTER_KDF, &k.params, sizeof(k.params), base, 40, true, &key));
  /* 8 bits count 255 outputs of the PRF. */
  fill(&k, false);
  k.params.ulAdditionalDerivedKeys = 0;
  assert_ok(derive(h, CKM_SP800_108_COUNTER_KDF, &k.params, sizeof(k.params), base, 255 * 32, true, &key));
  assert_rv(CKR_MECHANISM_PARAM_INVALID,
            derive(h, CKM_SP800_108_COUNTER_KDF, &k.params, sizeof(k.params), base, 255 * 32 + 1, true, &key));
  k.params.prfType = CKM_SHA256;
  assert_rv(CKR_MECHANISM_PARAM_INVALID,
            derive(h, CKM_SP800_108_COUNTER_KDF, &k.params, sizeof(k.params), base, 32, true, &key));
  k.params.prfType = CKM_AES_CMAC;
  CK_OBJECT_HANDLE odd = base_key(h, CKK_GENERIC_SECRET, 17, false);
  assert_rv(CKR_KEY_SIZE_RANGE, derive(h, CKM_SP800_108_COUNTER_KDF, &k.params, sizeof(k.params), odd, 32, true, &key));
}

static void test_tls_keys(void **state)
{
  (void)state;
  CK_SESSION_HANDLE h = rig_user_session();
  CK_OBJECT_HANDLE master = base_key(h, CKK_GENERIC_SECRET, 48, true), key;
  CK_BYTE random[32] = { 1 }, iv[2][4] = { { 7 }, { 7 } };
  struct hf_ck_ssl3_key_mat_out out = { .hClientMacSecret = 1, .pIVClient = iv[0], .pIVServer = iv[1] };
  struct hf_ck_tls12_key_mat_params params = { 0, 256, 32, CK_FALSE, { random, 32, random, 32 }, &out, CKM_SHA256 };
  CK_MECHANISM m = { CKM_TLS12_KEY_AND_MAC_DERIVE, &params, sizeof(params) };
  CK_ATTRIBUTE tmpl[] = { { CKA_KEY_TYPE, &aes, sizeof(aes) }, { CKA_EXTRACTABLE, &yes, 1 } };
  /* They are as extractable as the master secret. */
  assert_rv(CKR_TEMPLATE_INCONSISTENT, C_DeriveKey(h, &m, master, tmpl, 2, NULL));
  assert_int_equal(7, iv[0][0]);
  assert_int_equal(1, count_keys(h));
  assert_ok(C_DeriveKey(h, &m, master, tmpl, 1, NULL));
  assert_int_equal(3, count_keys(h));
  assert_int_equal(1, out.hClientMacSecret);
  assert_true(is(h, out.hClientKey, CKA_SENSITIVE) && !is(h, out.hServerKey, CKA_EXTRACTABLE));
  params.bIsExport = CK_TRUE;
  assert_rv(CKR_MECHANISM_PARAM_INVALID, C_DeriveKey(h, &m, master, tmpl, 1, NULL));
  params.bIsExport = CK_FALSE;
  params.ulKeySizeInBits = 8;
  assert_rv(CKR_TEMPLATE_INCONSISTENT, C_DeriveKey(h, &m, master, tmpl, 1, NULL));
  CK_VERSION version = { 9, 9 };
  struct hf_ck_tls12_master_key_derive_params from = { { random, 32, random, 32 }, &version, CKM_SHA256 };
  assert_ok(derive(h, CKM_TLS12_MASTER_KEY_DERIVE, &from, sizeof(from), master, 48, false, &key));
  assert_true(version.major == 0 && version.minor == 1);
  version.major = 9;
  assert_rv(CKR_TEMPLATE_INCONSISTENT,
            derive(h, CKM_TLS12_MASTER_KEY_DERIVE, &from, sizeof(from), master, 47, false, &key));
  assert_rv(CKR_MECHANISM_PARAM_INVALID,
            derive(h, CKM_TLS12_MASTER_KEY_DERIVE_DH, &from, sizeof(from), master, 48, false, &key));
  from.RandomInfo.ulServerRandomLen = 31;
  assert_rv(CKR_MECHANISM_PARAM_INVALID,
            derive(h, CKM_TLS12_MASTER_KEY_DERIVE, &from, sizeof(from), master, 48, false, &key));
  assert_int_equal(9, version.major);
}

static void test_derive_template(void **state)
{
  (void)state;
  CK_SESSION_HANDLE h = rig_user_session();
  CK_BYTE value[32] = { 5 };
  CK_ATTRIBUTE wanted[] = { { CKA_KEY_TYPE, &aes, sizeof(aes) }, { CKA_EXTRACTABLE, &no, 1 } };
  CK_ATTRIBUTE tmpl[] = { { CKA_CLASS, &secret_class, sizeof(secret_class) },
                          { CKA_KEY_TYPE, &generic, sizeof(generic) },
                          { CKA_VALUE, value, sizeof(value) },
                          { CKA_DERIVE, &yes, 1 },
                          { CKA_DERIVE_TEMPLATE, wanted, sizeof(wanted) } };
  CK_OBJECT_HANDLE base, key;
  CK_MECHANISM m = { CKM_SHA256_KEY_DERIVATION, NULL, 0 };
  CK_KEY_TYPE type = 0;
  CK_ATTRIBUTE got = { CKA_KEY_TYPE, &type, sizeof(type) };
  assert_ok(C_CreateObject(h, tmpl, 5, &base));
  assert_ok(C_DeriveKey(h, &m, base, NULL, 0, &key));
  assert_ok(C_GetAttributeValue(h, key, &got, 1));
  assert_int_equal(CKK_AES, type);
  assert_rv(CKR_TEMPLATE_INCONSISTENT, derive(h, CKM_SHA256_KEY_DERIVATION, NULL, 0, base, 0, true, &key));
}

static CK_RV of_password(CK_SESSION_HANDLE h, struct hf_ck_pbkd2_params2 *params, CK_KEY_TYPE type, CK_ULONG len,
                         CK_OBJECT_HANDLE *key)
{
  CK_MECHANISM m = { CKM_PKCS5_PBKD2, params, sizeof(*params) };
  CK_ATTRIBUTE tmpl[] = { { CKA_KEY_TYPE, &type, sizeof(type) },
                          { CKA_SENSITIVE, &no, 1 },
                          { CKA_EXTRACTABLE, &yes, 1 },
                          { CKA_VALUE_LEN, &len, sizeof(len) } };
  return C_GenerateKey(h, &m, tmpl, len ? 4 : 3, key);
}

static void test_pbkdf2(void **state)
{
  (void)state;
  CK_SESSION_HANDLE h = rig_user_session();
  CK_OBJECT_HANDLE key;
  CK_BYTE value[2][32];
  const struct hf_ck_pbkd2_params2 good = {
    CKZ_SALT_SPECIFIED, utf8("salt"), 4, 2, CKP_PKCS5_PBKD2_HMAC_SHA256, NULL, 0, utf8("password"), 8
  };
  struct hf_ck_pbkd2_params2 params = good;
  CK_ULONG password_len = 8;
  for (size_t i = 0; i < 2; i++) {
    CK_ATTRIBUTE got = { CKA_VALUE, value[i], 32 };
    assert_ok(of_password(h, &params, CKK_AES, 32, &key));
    assert_ok(C_GetAttributeValue(h, key, &got, 1));
    params.ulPasswordLen = (CK_ULONG)(uintptr_t)&password_len; /* as CK_PKCS5_PBKD2_PARAMS has it */
  }
  assert_memory_equal(value[0], value[1], 32);
  params = good;
  assert_ok(of_password(h, &params, CKK_CHACHA20, 0, &key));
  assert_rv(CKR_TEMPLATE_INCOMPLETE, of_password(h, &params, CKK_AES, 0, &key));
  assert_rv(CKR_KEY_SIZE_RANGE, of_password(h, &params, CKK_AES, 20, &key));
  struct {
    CK_ULONG *number;
    CK_ULONG wrong;
  } wrongs[] = { { &params.saltSource, 2 },
                 { &params.iterations, 0 },
                 { &params.iterations, 10000001 },
                 { &params.prf, CKP_PKCS5_PBKD2_HMAC_GOSTR3411 },
                 { &params.ulPrfDataLen, 1 },
                 { &params.ulPasswordLen, 8193 },
                 { &params.ulSaltSourceDataLen, 4097 } };
  for (size_t i = 0; i < HF_ARRAY_LEN(wrongs); i++) {
    params = good;
    *wrongs[i].number = wrongs[i].wrong;
    assert_rv(CKR_MECHANISM_PARAM_INVALID, of_password(h, &params, CKK_AES, 32, &key));
  }
  CK_MECHANISM none = { CKM_PKCS5_PBKD2, NULL, 0 };
  CK_ULONG len = 16;
  CK_ATTRIBUTE tmpl = { CKA_VALUE_LEN, &len, sizeof(len) };
  assert_rv(CKR_MECHANISM_PARAM_INVALID, C_GenerateKey(h, &none, &tmpl, 1, &key));
}

int main(void)
{
  const struct CMUnitTest tests[] = {
    RIG_TEST(test_history),          RIG_TEST(test_what_shows_the_base_key_stays_as_it_is),
    RIG_TEST(test_lengths),          RIG_TEST(test_who_may_derive),
    RIG_TEST(test_hkdf_refusals),    RIG_TEST(test_several_keys),
    RIG_TEST(test_where_keys_begin), RIG_TEST(test_lengths_in_the_data),
    RIG_TEST(test_kbkdf_refusals),   RIG_TEST(test_tls_keys),
    RIG_TEST(test_derive_template),  RIG_TEST(test_pbkdf2),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
