/* SPDX-License-Identifier: Apache-2.0 */
/* Asymmetric keys in the token: what it makes, what it takes from outside and what it refuses; parameters of mechanisms. */
#include "token_rig.h"

#include "base/buf.h"
#include "token/mech/mech.h"
#include "vectors.h"

enum { VALUE_MAX = 20000 };

static CK_BYTE message[] = "what is to be signed";

struct value {
  CK_BYTE data[VALUE_MAX];
  CK_ULONG len;
};

static struct value get(CK_SESSION_HANDLE h, CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type)
{
  struct value value = { .len = 0 };
  CK_ATTRIBUTE attr = { type, value.data, sizeof(value.data) };
  assert_ok(C_GetAttributeValue(h, object, &attr, 1));
  value.len = attr.ulValueLen;
  return value;
}

/* A template in the making. */
struct template
{
  CK_ATTRIBUTE attrs[24];
  CK_ULONG count;
  CK_OBJECT_CLASS class;
  CK_KEY_TYPE type;
};

static void add(struct template *t, CK_ATTRIBUTE_TYPE type, const void *value, CK_ULONG len)
{
  t->attrs[t->count++] = (CK_ATTRIBUTE){ type, (void *)(uintptr_t)value, len };
}

static void add_value(struct template *t, CK_ATTRIBUTE_TYPE type, const struct value *value)
{
  add(t, type, value->data, value->len);
}

static void begin(struct template *t, CK_OBJECT_CLASS class, CK_KEY_TYPE type)
{
  static const CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
  *t = (struct template){ .class = class, .type = type };
  add(t, CKA_CLASS, &t->class, sizeof(t->class));
  add(t, CKA_KEY_TYPE, &t->type, sizeof(t->type));
  if (class == CKO_PRIVATE_KEY) {
    add(t, CKA_SENSITIVE, &no, 1);
    add(t, CKA_EXTRACTABLE, &yes, 1);
  }
}

static CK_RV create(CK_SESSION_HANDLE h, struct template *t, CK_OBJECT_HANDLE *ret_object)
{
  return C_CreateObject(h, t->attrs, t->count, ret_object);
}

/* A pair whose private half may be read. */
static struct rig_pair generate(CK_SESSION_HANDLE h, CK_MECHANISM_TYPE type, CK_ATTRIBUTE *public, CK_ULONG count)
{
  static CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
  CK_ATTRIBUTE private[] = { { CKA_SENSITIVE, &no, 1 }, { CKA_EXTRACTABLE, &yes, 1 } };
  CK_MECHANISM m = { type, NULL, 0 };
  struct rig_pair pair;
  assert_ok(C_GenerateKeyPair(h, &m, public, count, private, 2, &pair.public, &pair.private));
  return pair;
}

static struct rig_pair generate_rsa(CK_SESSION_HANDLE h, CK_ULONG bits, CK_BYTE exponent)
{
  CK_ATTRIBUTE public[] = { { CKA_MODULUS_BITS, &bits, sizeof(bits) }, { CKA_PUBLIC_EXPONENT, &exponent, 1 } };
  return generate(h, CKM_RSA_PKCS_KEY_PAIR_GEN, public, 2);
}

static CK_RV sign(CK_SESSION_HANDLE h, CK_MECHANISM *m, CK_OBJECT_HANDLE key, struct value *out)
{
  CK_RV rv = C_SignInit(h, m, key);
  out->len = sizeof(out->data);
  return rv ? rv : C_Sign(h, message, sizeof(message), out->data, &out->len);
}

static CK_RV verify(CK_SESSION_HANDLE h, CK_MECHANISM *m, CK_OBJECT_HANDLE key, struct value *signature)
{
  CK_RV rv = C_VerifyInit(h, m, key);
  return rv ? rv : C_Verify(h, message, sizeof(message), signature->data, signature->len);
}

static void pair_works(CK_SESSION_HANDLE h, CK_MECHANISM *m, CK_OBJECT_HANDLE public, CK_OBJECT_HANDLE private)
{
  struct value signature;
  assert_ok(sign(h, m, private, &signature));
  assert_ok(verify(h, m, public, &signature));
  signature.data[signature.len / 2] ^= 1;
  assert_rv(CKR_SIGNATURE_INVALID, verify(h, m, public, &signature));
}

static const CK_ATTRIBUTE_TYPE rsa_parts[] = {
  CKA_MODULUS, CKA_PUBLIC_EXPONENT, CKA_PRIVATE_EXPONENT, CKA_PRIME_1,
  CKA_PRIME_2, CKA_EXPONENT_1,      CKA_EXPONENT_2,       CKA_COEFFICIENT
};
enum { RSA_PARTS = HF_ARRAY_LEN(rsa_parts) };

static CK_RV import_rsa(CK_SESSION_HANDLE h, const struct value values[RSA_PARTS], unsigned with,
                        CK_OBJECT_HANDLE *ret_key)
{
  struct template t;
  begin(&t, CKO_PRIVATE_KEY, CKK_RSA);
  for (size_t i = 0; i < RSA_PARTS; i++)
    if (with & 1U << i)
      add_value(&t, rsa_parts[i], &values[i]);
  return create(h, &t, ret_key);
}

/* n e d p q dp dq qi: what is given, and whether it is enough. */
static const struct {
  unsigned with;
  CK_RV rv;
} imports[] = {
  { 0xff, CKR_OK }, { 0x07, CKR_OK }, { 0x1f, CKR_OK }, { 0x3f, CKR_OK }, { 0x0f, CKR_OK },
};

static void test_rsa_from_its_parts(void **state)
{
  (void)state;
  CK_SESSION_HANDLE h = rig_user_session();
  struct rig_pair pair = generate_rsa(h, 1024, 3);
  struct value values[RSA_PARTS], back;
  CK_MECHANISM m = { CKM_SHA256_RSA_PKCS, NULL, 0 };
  CK_OBJECT_HANDLE key;
  for (size_t i = 0; i < RSA_PARTS; i++)
    values[i] = get(h, pair.private, rsa_parts[i]);
  assert_int_equal(128, values[0].len);
  assert_int_equal(1, values[1].len);
  assert_int_equal(3, values[1].data[0]);
  for (size_t i = 0; i < HF_ARRAY_LEN(imports); i++) {
    assert_rv(imports[i].rv, import_rsa(h, values, imports[i].with, &key));
    pair_works(h, &m, pair.public, key);
    /* With the primes comes all that follows from them. */
    if ((imports[i].with & 0x18) != 0x18)
      continue;
    for (size_t k = 0; k < RSA_PARTS; k++) {
      back = get(h, key, rsa_parts[k]);
      assert_int_equal(values[k].len, back.len);
      assert_memory_equal(values[k].data, back.data, back.len);
    }
  }
}

static void test_rsa_that_is_none(void **state)
{
  (void)state;
  CK_SESSION_HANDLE h = rig_user_session();
  struct rig_pair pair = generate_rsa(h, 1024, 3);
  struct value values[RSA_PARTS];
  CK_OBJECT_HANDLE key;
  for (size_t i = 0; i < RSA_PARTS; i++)
    values[i] = get(h, pair.private, rsa_parts[i]);
  /* Any one part of another key: among all, and among the least. */
  for (size_t i = 0; i < RSA_PARTS; i++) {
    CK_BYTE *last = &values[i].data[values[i].len - 1];
    *last ^= 4;
    assert_rv(CKR_ATTRIBUTE_VALUE_INVALID, import_rsa(h, values, 0xff, &key));
    if (i < 3)
      assert_rv(CKR_ATTRIBUTE_VALUE_INVALID, import_rsa(h, values, 0x07, &key));
    *last ^= 4;
  }
  assert_ok(import_rsa(h, values, 0xff, &key));
}

static void test_rsa_sizes(void **state)
{
  (void)state;
  CK_SESSION_HANDLE h = rig_user_session();
  CK_MECHANISM m = { CKM_RSA_PKCS_KEY_PAIR_GEN, NULL, 0 };
  CK_OBJECT_HANDLE a, b;
  static const CK_ULONG wrong[] = { 0, 512, 1023, 8193, 1UL << 40 };
  for (size_t i = 0; i < HF_ARRAY_LEN(wrong); i++) {
    CK_ULONG bits = wrong[i];
    CK_ATTRIBUTE public = { CKA_MODULUS_BITS, &bits, sizeof(bits) };
    CK_RV rv = C_GenerateKeyPair(h, &m, &public, 1, NULL, 0, &a, &b);
    assert_true(rv == CKR_KEY_SIZE_RANGE || (bits == 0 && rv != CKR_OK));
  }
  static CK_BYTE exponents[][9] = { { 0 }, { 1 }, { 4 }, { 1, 0, 0, 0, 0, 0, 0, 0, 1 } };
  static const CK_ULONG lens[] = { 1, 1, 1, 9 };
  for (size_t i = 0; i < HF_ARRAY_LEN(lens); i++) {
    CK_ULONG bits = 1024;
    CK_ATTRIBUTE public[] = { { CKA_MODULUS_BITS, &bits, sizeof(bits) },
                              { CKA_PUBLIC_EXPONENT, exponents[i], lens[i] } };
    assert_rv(CKR_ATTRIBUTE_VALUE_INVALID, C_GenerateKeyPair(h, &m, public, 2, NULL, 0, &a, &b));
  }
}

static void test_rsa_public_that_is_none(void **state)
{
  (void)state;
  CK_SESSION_HANDLE h = rig_user_session();
  struct rig_pair pair = generate_rsa(h, 1024, 3);
  struct value modulus = get(h, pair.public, CKA_MODULUS), exponent = { { 3 }, 1 };
  static const CK_BYTE exponents[] = { 0, 1, 2, 4 };
  for (size_t i = 0; i <= HF_ARRAY_LEN(exponents); i++) {
    struct template t;
    CK_OBJECT_HANDLE key;
    if (i < HF_ARRAY_LEN(exponents))
      exponent.data[0] = exponents[i];
    else
      modulus.data[127] ^= 1;
    begin(&t, CKO_PUBLIC_KEY, CKK_RSA);
    add_value(&t, CKA_MODULUS, &modulus);
    add_value(&t, CKA_PUBLIC_EXPONENT, &exponent);
    assert_rv(CKR_ATTRIBUTE_VALUE_INVALID, create(h, &t, &key));
    exponent.data[0] = 3;
  }
}

/* A key that the row's sizes do not take: as it comes from outside. */
static void test_rsa_too_short_to_sign(void **state)
{
  (void)state;
  CK_SESSION_HANDLE h = rig_user_session();
  struct template t;
  struct value modulus = { .len = 64 }, exponent = { { 1, 0, 1 }, 3 };
  memset(modulus.data, 0xa5, 64);
  CK_MECHANISM m = { CKM_RSA_PKCS, NULL, 0 };
  CK_OBJECT_HANDLE key;
  begin(&t, CKO_PUBLIC_KEY, CKK_RSA);
  add_value(&t, CKA_MODULUS, &modulus);
  add_value(&t, CKA_PUBLIC_EXPONENT, &exponent);
  assert_ok(create(h, &t, &key));
  assert_rv(CKR_KEY_SIZE_RANGE, C_VerifyInit(h, &m, key));
  assert_rv(CKR_KEY_SIZE_RANGE, C_EncryptInit(h, &m, key));
}

static CK_RV import_point(CK_SESSION_HANDLE h, const CK_BYTE *point, CK_ULONG len, CK_OBJECT_HANDLE *ret_key)
{
  static const CK_BYTE p256[] = { 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7 };
  struct template t;
  begin(&t, CKO_PUBLIC_KEY, CKK_EC);
  add(&t, CKA_EC_PARAMS, p256, sizeof(p256));
  add(&t, CKA_EC_POINT, point, len);
  return create(h, &t, ret_key);
}

static void test_points(void **state)
{
  (void)state;
  CK_SESSION_HANDLE h = rig_user_session();
  struct rig_pair pair = rig_ec(h, false);
  struct value point = get(h, pair.public, CKA_EC_POINT), again;
  CK_OBJECT_HANDLE key;
  CK_BYTE bare[66], infinity[] = { 0 }, compressed[33];
  assert_int_equal(67, point.len);
  memcpy(bare, point.data + 2, 65);
  /* Bare or wrapped, whole or compressed: it is shown as one. */
  compressed[0] = 2 + (bare[64] & 1);
  memcpy(compressed + 1, bare + 1, 32);
  assert_ok(import_point(h, bare, 65, &key));
  again = get(h, key, CKA_EC_POINT);
  assert_memory_equal(point.data, again.data, 67);
  assert_ok(import_point(h, compressed, 33, &key));
  again = get(h, key, CKA_EC_POINT);
  assert_int_equal(67, again.len);
  assert_memory_equal(point.data, again.data, 67);
  /* Off the curve, at infinity, hybrid, cut off. */
  assert_rv(CKR_ATTRIBUTE_VALUE_INVALID, import_point(h, infinity, 1, &key));
  assert_rv(CKR_ATTRIBUTE_VALUE_INVALID, import_point(h, bare, 64, &key));
  bare[0] = 6 + (bare[64] & 1);
  assert_rv(CKR_ATTRIBUTE_VALUE_INVALID, import_point(h, bare, 65, &key));
  bare[0] = 4;
  bare[40] ^= 1;
  assert_rv(CKR_ATTRIBUTE_VALUE_INVALID, import_point(h, bare, 65, &key));
  memset(bare + 1, 0xff, 64);
  assert_rv(CKR_ATTRIBUTE_VALUE_INVALID, import_point(h, bare, 65, &key));
}

static CK_RV import_edwards(CK_SESSION_HANDLE h, CK_BYTE oid, const CK_BYTE *point, CK_ULONG len)
{
  const CK_BYTE params[] = { 6, 3, 0x2b, 0x65, oid };
  struct template t;
  CK_OBJECT_HANDLE key;
  begin(&t, CKO_PUBLIC_KEY, CKK_EC_EDWARDS);
  add(&t, CKA_EC_PARAMS, params, sizeof(params));
  add(&t, CKA_EC_POINT, point, len);
  return create(h, &t, &key);
}

/* Small y, most significant byte last: 3 and 4 are on both curves, 2 and 11 on none. */
static void test_edwards_points(void **state)
{
  (void)state;
  CK_SESSION_HANDLE h = rig_user_session();
  static const struct {
    CK_BYTE y, top;
    CK_RV rv;
  } points[] = {
    { 3, 0, CKR_OK },
    { 3, 0x80, CKR_OK },
    { 4, 0, CKR_OK },
    { 1, 0, CKR_OK },
    { 1, 0x80, CKR_ATTRIBUTE_VALUE_INVALID }, /* x is 0, which has no other sign */
    { 2, 0, CKR_ATTRIBUTE_VALUE_INVALID },
    { 11, 0x80, CKR_ATTRIBUTE_VALUE_INVALID },
  };
  for (size_t i = 0; i < HF_ARRAY_LEN(points); i++) {
    CK_BYTE small[32] = { points[i].y }, large[57] = { points[i].y };
    small[31] = large[56] = points[i].top;
    assert_rv(points[i].rv, import_edwards(h, 0x70, small, sizeof(small)));
    assert_rv(points[i].rv, import_edwards(h, 0x71, large, sizeof(large)));
  }
  /* A y that is not below p; and bytes that are none of it. */
  CK_BYTE all[57];
  memset(all, 0xff, sizeof(all));
  all[31] = 0x7f;
  assert_rv(CKR_ATTRIBUTE_VALUE_INVALID, import_edwards(h, 0x70, all, 32));
  memset(all, 0, sizeof(all));
  all[0] = 3;
  all[56] = 1;
  assert_rv(CKR_ATTRIBUTE_VALUE_INVALID, import_edwards(h, 0x71, all, 57));
  assert_rv(CKR_ATTRIBUTE_VALUE_INVALID, import_edwards(h, 0x71, all, 56));
}

static CK_RV eddsa_init(CK_SESSION_HANDLE h, CK_OBJECT_HANDLE key, struct hf_ck_eddsa_params *params)
{
  CK_MECHANISM m = { CKM_EDDSA, params, params ? sizeof(*params) : 0 };
  CK_RV rv = C_SignInit(h, &m, key);
  if (rv == CKR_OK)
    assert_ok(C_SignInit(h, NULL, 0));
  return rv;
}

static void test_eddsa_parameters(void **state)
{
  (void)state;
  CK_SESSION_HANDLE h = rig_user_session();
  static CK_BYTE ed25519[] = { 6, 3, 0x2b, 0x65, 0x70 },
                 ed448[] = { 0x13, 10, 'e', 'd', 'w', 'a', 'r', 'd', 's', '4', '4', '8' };
  static CK_BYTE context[256];
  CK_ATTRIBUTE a = { CKA_EC_PARAMS, ed25519, sizeof(ed25519) }, b = { CKA_EC_PARAMS, ed448, sizeof(ed448) };
  struct rig_pair small = rig_generate(h, CKM_EC_EDWARDS_KEY_PAIR_GEN, &a, false);
  struct rig_pair large = rig_generate(h, CKM_EC_EDWARDS_KEY_PAIR_GEN, &b, false);
  struct hf_ck_eddsa_params pure = { CK_FALSE, 0, NULL }, hole = { CK_FALSE, 5, NULL },
                            tail = { CK_FALSE, 256, context };
  /* A pure scheme is the absence of a parameter; Ed448's is also an empty context (RFC 8032, section 5.2). */
  assert_ok(eddsa_init(h, small.private, NULL));
  assert_ok(eddsa_init(h, large.private, NULL));
  assert_rv(CKR_MECHANISM_PARAM_INVALID, eddsa_init(h, small.private, &pure));
  assert_ok(eddsa_init(h, large.private, &pure));
  assert_rv(CKR_MECHANISM_PARAM_INVALID, eddsa_init(h, small.private, &hole));
  assert_rv(CKR_MECHANISM_PARAM_INVALID, eddsa_init(h, large.private, &tail));
}

static const CK_ATTRIBUTE_TYPE domain[] = { CKA_PRIME, CKA_SUBPRIME, CKA_BASE };

static struct rig_pair generate_dsa(CK_SESSION_HANDLE h, CK_OBJECT_HANDLE params, struct value values[3])
{
  CK_ATTRIBUTE public[3];
  for (size_t i = 0; i < 3; i++) {
    values[i] = get(h, params, domain[i]);
    public[i] = (CK_ATTRIBUTE){ domain[i], values[i].data, values[i].len };
  }
  return generate(h, CKM_DSA_KEY_PAIR_GEN, public, 3);
}

static CK_RV import_dsa(CK_SESSION_HANDLE h, CK_OBJECT_CLASS class, const struct value values[3],
                        const struct value *value)
{
  struct template t;
  CK_OBJECT_HANDLE key;
  begin(&t, class, CKK_DSA);
  for (size_t i = 0; i < 3; i++)
    add_value(&t, domain[i], &values[i]);
  add_value(&t, CKA_VALUE, value);
  return create(h, &t, &key);
}

static void test_dsa(void **state)
{
  (void)state;
  CK_SESSION_HANDLE h = rig_user_session();
  CK_MECHANISM params_m = { CKM_DSA_PARAMETER_GEN, NULL, 0 }, m = { CKM_DSA_SHA256, NULL, 0 };
  CK_ULONG bits = 1024, wrong = 1536;
  CK_ATTRIBUTE tmpl = { CKA_PRIME_BITS, &bits, sizeof(bits) }, bad = { CKA_PRIME_BITS, &wrong, sizeof(wrong) };
  CK_OBJECT_HANDLE params;
  struct value values[3], public, private;
  assert_rv(CKR_KEY_SIZE_RANGE, C_GenerateKey(h, &params_m, &bad, 1, &params));
  assert_rv(CKR_TEMPLATE_INCOMPLETE, C_GenerateKey(h, &params_m, NULL, 0, &params));
  assert_ok(C_GenerateKey(h, &params_m, &tmpl, 1, &params));
  struct rig_pair pair = generate_dsa(h, params, values);
  assert_int_equal(128, values[0].len);
  assert_int_equal(20, values[1].len);
  pair_works(h, &m, pair.public, pair.private);
  public = get(h, pair.public, CKA_VALUE);
  private = get(h, pair.private, CKA_VALUE);
  assert_ok(import_dsa(h, CKO_PUBLIC_KEY, values, &public));
  assert_ok(import_dsa(h, CKO_PRIVATE_KEY, values, &private));

  /* A value of another group, a private one that is too long, a base that is none. */
  struct value one = { { 1 }, 1 };
  public.data[60] ^= 1;
  assert_rv(CKR_ATTRIBUTE_VALUE_INVALID, import_dsa(h, CKO_PUBLIC_KEY, values, &public));
  assert_rv(CKR_ATTRIBUTE_VALUE_INVALID, import_dsa(h, CKO_PUBLIC_KEY, values, &one));
  assert_rv(CKR_ATTRIBUTE_VALUE_INVALID, import_dsa(h, CKO_PRIVATE_KEY, values, &values[1]));
  values[2] = one;
  assert_rv(CKR_ATTRIBUTE_VALUE_INVALID, import_dsa(h, CKO_PRIVATE_KEY, values, &private));
}

static struct rig_pair generate_set(CK_SESSION_HANDLE h, CK_MECHANISM_TYPE type, CK_ULONG set)
{
  CK_ATTRIBUTE public = { CKA_PARAMETER_SET, &set, sizeof(set) };
  return generate(h, type, &public, 1);
}

static void test_post_quantum(void **state)
{
  (void)state;
  CK_SESSION_HANDLE h = rig_user_session();
  CK_ULONG set = 99;
  CK_ATTRIBUTE unknown = { CKA_PARAMETER_SET, &set, sizeof(set) };
  CK_MECHANISM generate_m = { CKM_ML_DSA_KEY_PAIR_GEN, NULL, 0 }, m = { CKM_ML_DSA, NULL, 0 };
  CK_OBJECT_HANDLE a, b;
  if (!mech_find(CKM_ML_DSA)) {
    assert_rv(CKR_MECHANISM_INVALID, C_GenerateKeyPair(h, &generate_m, &unknown, 1, NULL, 0, &a, &b));
    return;
  }
  assert_rv(CKR_PARAMETER_SET_NOT_SUPPORTED, C_GenerateKeyPair(h, &generate_m, &unknown, 1, NULL, 0, &a, &b));
  for (set = 1; set <= 3; set++) {
    struct rig_pair pair = generate_set(h, CKM_ML_DSA_KEY_PAIR_GEN, set);
    assert_int_equal(32, get(h, pair.private, CKA_SEED).len);
    pair_works(h, &m, pair.public, pair.private);
  }
  struct rig_pair slh = generate_set(h, CKM_SLH_DSA_KEY_PAIR_GEN, CKP_SLH_DSA_SHA2_128F);
  CK_MECHANISM slh_m = { CKM_SLH_DSA, NULL, 0 };
  assert_int_equal(64, get(h, slh.private, CKA_VALUE).len);
  pair_works(h, &slh_m, slh.public, slh.private);
}

/* Hedged signatures differ, those that must not be do not; a context counts, and an empty one is none, wherever it points. */
static void test_hedging_and_contexts(void **state)
{
  (void)state;
  CK_SESSION_HANDLE h = rig_user_session();
  if (!mech_find(CKM_ML_DSA))
    return;
  static CK_BYTE context[256] = "context";
  struct rig_pair pair = generate_set(h, CKM_ML_DSA_KEY_PAIR_GEN, CKP_ML_DSA_44);
  struct hf_ck_sign_context params = { CKH_DETERMINISTIC_REQUIRED, NULL, 0 };
  CK_MECHANISM m = { CKM_ML_DSA, &params, sizeof(params) }, none = { CKM_ML_DSA, NULL, 0 };
  static struct value first, second;
  assert_ok(sign(h, &m, pair.private, &first));
  assert_ok(sign(h, &m, pair.private, &second));
  assert_memory_equal(first.data, second.data, first.len);
  assert_ok(verify(h, &none, pair.public, &first));
  params = (struct hf_ck_sign_context){ CKH_DETERMINISTIC_REQUIRED, context, 0 };
  assert_ok(sign(h, &m, pair.private, &second));
  assert_memory_equal(first.data, second.data, first.len);
  params.hedgeVariant = CKH_HEDGE_REQUIRED;
  assert_ok(sign(h, &m, pair.private, &second));
  assert_memory_not_equal(first.data, second.data, first.len);
  params = (struct hf_ck_sign_context){ CKH_HEDGE_PREFERRED, context, 7 };
  assert_ok(sign(h, &m, pair.private, &second));
  assert_ok(verify(h, &m, pair.public, &second));
  assert_rv(CKR_SIGNATURE_INVALID, verify(h, &none, pair.public, &second));
  /* The same parameter that points at other bytes is another one. */
  context[0] ^= 1;
  assert_rv(CKR_SIGNATURE_INVALID, verify(h, &m, pair.public, &second));
  params.ulContextLen = 256;
  assert_rv(CKR_MECHANISM_PARAM_INVALID, C_SignInit(h, &m, pair.private));
  params = (struct hf_ck_sign_context){ 3, NULL, 0 };
  assert_rv(CKR_MECHANISM_PARAM_INVALID, C_SignInit(h, &m, pair.private));
}

static CK_OBJECT_HANDLE aes_key(CK_SESSION_HANDLE h)
{
  CK_MECHANISM m = { CKM_AES_KEY_GEN, NULL, 0 };
  CK_ULONG len = 32;
  CK_BBOOL yes = CK_TRUE;
  CK_ATTRIBUTE tmpl[] = { { CKA_VALUE_LEN, &len, sizeof(len) }, { CKA_WRAP, &yes, 1 }, { CKA_UNWRAP, &yes, 1 } };
  CK_OBJECT_HANDLE key;
  assert_ok(C_GenerateKey(h, &m, tmpl, 3, &key));
  return key;
}

/* Out by PKCS #8 and in again: it has all its parts, and signs as before. */
static void goes_through_wrapping(CK_SESSION_HANDLE h, CK_KEY_TYPE type, struct rig_pair pair, CK_MECHANISM_TYPE with)
{
  static CK_BYTE wrapped[VALUE_MAX];
  CK_MECHANISM kwp = { CKM_AES_KEY_WRAP_KWP, NULL, 0 }, m = { with, NULL, 0 };
  CK_OBJECT_HANDLE aes = aes_key(h), back;
  CK_ULONG len = sizeof(wrapped);
  struct template t;
  assert_ok(C_WrapKey(h, &kwp, aes, pair.private, wrapped, &len));
  begin(&t, CKO_PRIVATE_KEY, type);
  assert_ok(C_UnwrapKey(h, &kwp, aes, wrapped, len, t.attrs, t.count, &back));
  pair_works(h, &m, pair.public, back);
  static const CK_ATTRIBUTE_TYPE same[] = {
    CKA_PUBLIC_KEY_INFO, CKA_VALUE, CKA_SEED, CKA_PARAMETER_SET, CKA_EC_PARAMS,
    CKA_EC_POINT,        CKA_PRIME, CKA_BASE, CKA_MODULUS,       CKA_EXPONENT_1
  };
  for (size_t i = 0; i < HF_ARRAY_LEN(same); i++) {
    static CK_BYTE a[VALUE_MAX], b[VALUE_MAX];
    CK_ATTRIBUTE was = { same[i], a, sizeof(a) }, is = { same[i], b, sizeof(b) };
    assert_int_equal(C_GetAttributeValue(h, pair.private, &was, 1), C_GetAttributeValue(h, back, &is, 1));
    assert_int_equal(was.ulValueLen, is.ulValueLen);
    if (was.ulValueLen != CK_UNAVAILABLE_INFORMATION)
      assert_memory_equal(a, b, was.ulValueLen);
  }
}

static void test_wrapping(void **state)
{
  (void)state;
  CK_SESSION_HANDLE h = rig_user_session();
  static CK_BYTE p224[] = { 6, 5, 0x2b, 0x81, 4, 0, 0x21 }, ed448[] = { 6, 3, 0x2b, 0x65, 0x71 };
  CK_ATTRIBUTE ec = { CKA_EC_PARAMS, p224, sizeof(p224) }, ed = { CKA_EC_PARAMS, ed448, sizeof(ed448) };
  CK_MECHANISM params_m = { CKM_DSA_PARAMETER_GEN, NULL, 0 };
  CK_ULONG bits = 1024;
  CK_ATTRIBUTE tmpl = { CKA_PRIME_BITS, &bits, sizeof(bits) };
  CK_OBJECT_HANDLE params;
  struct value values[3];
  goes_through_wrapping(h, CKK_RSA, generate_rsa(h, 1024, 3), CKM_SHA256_RSA_PKCS);
  goes_through_wrapping(h, CKK_EC, generate(h, CKM_EC_KEY_PAIR_GEN, &ec, 1), CKM_ECDSA_SHA256);
  goes_through_wrapping(h, CKK_EC_EDWARDS, generate(h, CKM_EC_EDWARDS_KEY_PAIR_GEN, &ed, 1), CKM_EDDSA);
  assert_ok(C_GenerateKey(h, &params_m, &tmpl, 1, &params));
  goes_through_wrapping(h, CKK_DSA, generate_dsa(h, params, values), CKM_DSA_SHA256);
  if (!mech_find(CKM_ML_DSA))
    return;
  goes_through_wrapping(h, CKK_ML_DSA, generate_set(h, CKM_ML_DSA_KEY_PAIR_GEN, CKP_ML_DSA_65), CKM_ML_DSA);
  goes_through_wrapping(h, CKK_SLH_DSA, generate_set(h, CKM_SLH_DSA_KEY_PAIR_GEN, CKP_SLH_DSA_SHAKE_128F), CKM_SLH_DSA);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
    RIG_TEST(test_rsa_from_its_parts),    RIG_TEST(test_rsa_that_is_none),        RIG_TEST(test_rsa_sizes),
    RIG_TEST(test_rsa_too_short_to_sign), RIG_TEST(test_rsa_public_that_is_none), RIG_TEST(test_points),
    RIG_TEST(test_edwards_points),        RIG_TEST(test_eddsa_parameters),        RIG_TEST(test_dsa),
    RIG_TEST(test_post_quantum),          RIG_TEST(test_hedging_and_contexts),    RIG_TEST(test_wrapping),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
