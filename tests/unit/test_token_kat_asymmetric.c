/* SPDX-License-Identifier: Apache-2.0 */
/* Known answers of the asymmetric mechanisms; tests/vectors/asymmetric has them, and says where they come from. */
#include "token_rig.h"

#include "base/buf.h"
#include "token/key.h"
#include "token/mech/message.h"
#include "vectors.h"

#include <openssl/evp.h>

enum { INPUT_MAX = 64 << 10, CURVES_MAX = 64 };

/* What has no name in the token's own tables. */
static const struct {
  const char *name;
  CK_ULONG value;
} numbers[] = {
  { "CKK_RSA", CKK_RSA },
  { "CKK_EC", CKK_EC },
  { "CKK_EC_EDWARDS", CKK_EC_EDWARDS },
  { "CKK_DSA", CKK_DSA },
  { "CKK_ML_DSA", CKK_ML_DSA },
  { "CKK_SLH_DSA", CKK_SLH_DSA },
  { "CKG_MGF1_SHA1", CKG_MGF1_SHA1 },
  { "CKG_MGF1_SHA224", CKG_MGF1_SHA224 },
  { "CKG_MGF1_SHA256", CKG_MGF1_SHA256 },
  { "CKG_MGF1_SHA384", CKG_MGF1_SHA384 },
  { "CKG_MGF1_SHA512", CKG_MGF1_SHA512 },
  { "CKG_MGF1_SHA3_224", CKG_MGF1_SHA3_224 },
  { "CKG_MGF1_SHA3_256", CKG_MGF1_SHA3_256 },
  { "CKG_MGF1_SHA3_384", CKG_MGF1_SHA3_384 },
  { "CKG_MGF1_SHA3_512", CKG_MGF1_SHA3_512 },
  { "SIGNATURE_INVALID", CKR_SIGNATURE_INVALID },
  { "DATA_INVALID", CKR_DATA_INVALID },
  { "DATA_LEN_RANGE", CKR_DATA_LEN_RANGE },
  { "ENCRYPTED_DATA_INVALID", CKR_ENCRYPTED_DATA_INVALID },
  { "ENCRYPTED_DATA_LEN_RANGE", CKR_ENCRYPTED_DATA_LEN_RANGE },
  { "WRAPPED_KEY_INVALID", CKR_WRAPPED_KEY_INVALID },
};

enum { IN_PUBLIC = 1, IN_PRIVATE = 2, IN_BOTH = 3, NUMBER = 4 };

/* The parts of a key. CKA_VALUE is what the test's key has: a public value, or a private one. */
static const struct {
  const char *name;
  CK_ATTRIBUTE_TYPE type;
  int in;
} parts[] = {
  { "modulus", CKA_MODULUS, IN_BOTH },
  { "public-exponent", CKA_PUBLIC_EXPONENT, IN_BOTH },
  { "private-exponent", CKA_PRIVATE_EXPONENT, IN_PRIVATE },
  { "prime-1", CKA_PRIME_1, IN_PRIVATE },
  { "prime-2", CKA_PRIME_2, IN_PRIVATE },
  { "params", CKA_EC_PARAMS, IN_BOTH },
  { "point", CKA_EC_POINT, IN_PUBLIC },
  { "prime", CKA_PRIME, IN_BOTH },
  { "subprime", CKA_SUBPRIME, IN_BOTH },
  { "base", CKA_BASE, IN_BOTH },
  { "seed", CKA_SEED, IN_PRIVATE },
  { "set", CKA_PARAMETER_SET, IN_BOTH | NUMBER },
};

static CK_ULONG number(const char *name)
{
  CK_MECHANISM_TYPE type;
  if (mech_type_of_name(name, &type))
    return type;
  for (size_t i = 0; i < HF_ARRAY_LEN(numbers); i++)
    if (strcmp(numbers[i].name, name) == 0)
      return numbers[i].value;
  fail_msg("what is %s?", name);
  return 0;
}

static CK_ULONG field_number(const struct vector *v, const char *name)
{
  const char *text = vector_field(v, name);
  return text ? number(text) : 0;
}

static CK_ULONG field_count(const struct vector *v, const char *name)
{
  const char *text = vector_field(v, name);
  return text ? strtoul(text, NULL, 10) : 0;
}

static CK_ATTRIBUTE attribute(CK_ATTRIBUTE_TYPE type, const void *value, CK_ULONG len)
{
  return (CK_ATTRIBUTE){ type, (void *)(uintptr_t)value, len };
}

/* A session's object of the key, whose uses are all allowed. */
static CK_OBJECT_HANDLE make_key(CK_SESSION_HANDLE h, const struct vector *key, bool private)
{
  static const CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
  struct hf_buf values[HF_ARRAY_LEN(parts) + 1];
  CK_OBJECT_CLASS class = private ? CKO_PRIVATE_KEY : CKO_PUBLIC_KEY;
  CK_KEY_TYPE type = field_number(key, "type");
  CK_ULONG set = field_count(key, "set"), count = 0;
  CK_ATTRIBUTE tmpl[32];
  tmpl[count++] = attribute(CKA_CLASS, &class, sizeof(class));
  tmpl[count++] = attribute(CKA_KEY_TYPE, &type, sizeof(type));
  if (type == CKK_RSA) {
    tmpl[count++] = attribute(private ? CKA_SIGN_RECOVER : CKA_VERIFY_RECOVER, &yes, 1);
    tmpl[count++] = attribute(private ? CKA_UNWRAP : CKA_WRAP, &yes, 1);
  }
  if (private) {
    tmpl[count++] = attribute(CKA_SENSITIVE, &no, 1);
    tmpl[count++] = attribute(CKA_EXTRACTABLE, &yes, 1);
  }
  for (size_t i = 0; i < HF_ARRAY_LEN(parts); i++) {
    values[i] = vector_bytes(key, parts[i].in & NUMBER ? "" : parts[i].name);
    if (!(parts[i].in & (private ? IN_PRIVATE : IN_PUBLIC)) || !vector_field(key, parts[i].name))
      continue;
    tmpl[count++] = parts[i].in & NUMBER ? attribute(parts[i].type, &set, sizeof(set))
                                         : attribute(parts[i].type, values[i].data, values[i].len);
  }
  values[HF_ARRAY_LEN(parts)] = vector_bytes(key, "value");
  if (vector_field(key, "value") && (private || !vector_field(key, "point")))
    tmpl[count++] = attribute(CKA_VALUE, values[HF_ARRAY_LEN(parts)].data, values[HF_ARRAY_LEN(parts)].len);
  CK_OBJECT_HANDLE object;
  assert_ok(C_CreateObject(h, tmpl, count, &object));
  for (size_t i = 0; i < HF_ARRAY_LEN(values); i++)
    hf_buf_free(&values[i]);
  return object;
}

/* A mechanism and all that its parameter may point at. */
struct mechanism {
  CK_MECHANISM m;
  struct hf_buf context;
  union {
    CK_RSA_PKCS_PSS_PARAMS pss;
    CK_RSA_PKCS_OAEP_PARAMS oaep;
    struct hf_ck_eddsa_params eddsa;
    struct hf_ck_sign_context sign;
    struct hf_ck_hash_sign_context hash;
  } p;
  struct hf_ck_rsa_aes_key_wrap_params wrap;
};

static void set_param(struct mechanism *m, void *param, CK_ULONG len)
{
  m->m.pParameter = param;
  m->m.ulParameterLen = len;
}

static void take_rsa(const struct vector *v, struct mechanism *m)
{
  CK_MECHANISM_TYPE hash = field_number(v, "hash");
  CK_RSA_PKCS_MGF_TYPE mgf = field_number(v, "mgf");
  if (vector_field(v, "salt")) {
    m->p.pss = (CK_RSA_PKCS_PSS_PARAMS){ hash, mgf, field_count(v, "salt") };
    set_param(m, &m->p.pss, sizeof(m->p.pss));
    return;
  }
  m->context = vector_bytes(v, "label");
  m->p.oaep = (CK_RSA_PKCS_OAEP_PARAMS){ hash, mgf, CKZ_DATA_SPECIFIED, m->context.data, m->context.len };
  set_param(m, &m->p.oaep, sizeof(m->p.oaep));
  if (!vector_field(v, "bits"))
    return;
  m->wrap = (struct hf_ck_rsa_aes_key_wrap_params){ field_count(v, "bits"), &m->p.oaep };
  set_param(m, &m->wrap, sizeof(m->wrap));
}

static void take_mechanism(const struct vector *v, struct mechanism *m)
{
  *m = (struct mechanism){ .m = { field_number(v, "mechanism"), NULL, 0 } };
  if (vector_field(v, "mgf")) {
    take_rsa(v, m);
    return;
  }
  m->context = vector_bytes(v, "context");
  if (vector_field(v, "prehash")) {
    m->p.eddsa = (struct hf_ck_eddsa_params){ field_count(v, "prehash") != 0, m->context.len, m->context.data };
    set_param(m, &m->p.eddsa, sizeof(m->p.eddsa));
  } else if (vector_field(v, "hash")) {
    m->p.hash = (struct hf_ck_hash_sign_context){ field_count(v, "hedge"), m->context.data, m->context.len,
                                                  field_number(v, "hash") };
    set_param(m, &m->p.hash, sizeof(m->p.hash));
  } else if (vector_field(v, "hedge") || m->context.len) {
    m->p.sign = (struct hf_ck_sign_context){ field_count(v, "hedge"), m->context.data, m->context.len };
    set_param(m, &m->p.sign, sizeof(m->p.sign));
  }
}

/* One test: what goes in, what must come out. */
struct test {
  CK_SESSION_HANDLE h;
  const struct vector *v;
  CK_OBJECT_HANDLE key;
  struct mechanism m;
  struct hf_buf input, output, signature;
};

static void same(const struct test *t, const CK_BYTE *out, CK_ULONG len)
{
  struct hf_buf hash = vector_bytes(t->v, "output-sha256");
  if (hash.len) {
    unsigned char got[32];
    assert_int_equal(1, EVP_Digest(out, len, got, NULL, EVP_sha256(), NULL));
    assert_memory_equal(hash.data, got, sizeof(got));
  } else {
    assert_int_equal(t->output.len, len);
    if (len)
      assert_memory_equal(t->output.data, out, len);
  }
  hf_buf_free(&hash);
}

static CK_RV sign_in_parts(struct test *t, CK_BYTE *out, CK_ULONG *len)
{
  size_t half = t->input.len / 2;
  CK_RV rv = C_SignInit(t->h, &t->m.m, t->key);
  if (rv == CKR_OK)
    rv = C_SignUpdate(t->h, t->input.data, half);
  if (rv == CKR_OK)
    rv = C_SignUpdate(t->h, t->input.data + half, t->input.len - half);
  return rv ? rv : C_SignFinal(t->h, out, len);
}

static CK_RV sign(struct test *t)
{
  static CK_BYTE out[INPUT_MAX], parts_out[INPUT_MAX];
  CK_ULONG len = sizeof(out), parts_len = sizeof(parts_out);
  CK_RV rv = C_SignInit(t->h, &t->m.m, t->key);
  if (rv == CKR_OK)
    rv = C_Sign(t->h, t->input.data, t->input.len, out, &len);
  if (rv != CKR_OK)
    return rv;
  same(t, out, len);
  /* A slow scheme says the same of its parts as a fast one. */
  if (t->input.len < 2 || len > 10000)
    return rv;
  CK_RV in_parts = sign_in_parts(t, parts_out, &parts_len);
  if (in_parts != CKR_FUNCTION_NOT_SUPPORTED) {
    assert_ok(in_parts);
    same(t, parts_out, parts_len);
  }
  return rv;
}

static CK_RV verify_in_parts(struct test *t)
{
  size_t half = t->input.len / 2;
  CK_RV rv = C_VerifyInit(t->h, &t->m.m, t->key);
  if (rv == CKR_OK)
    rv = C_VerifyUpdate(t->h, t->input.data, half);
  if (rv == CKR_OK)
    rv = C_VerifyUpdate(t->h, t->input.data + half, t->input.len - half);
  return rv ? rv : C_VerifyFinal(t->h, t->signature.data, t->signature.len);
}

static CK_RV verify(struct test *t)
{
  CK_RV rv = C_VerifyInit(t->h, &t->m.m, t->key);
  if (rv == CKR_OK)
    rv = C_Verify(t->h, t->input.data, t->input.len, t->signature.data, t->signature.len);
  if (t->input.len < 2)
    return rv;
  CK_RV in_parts = verify_in_parts(t);
  if (in_parts != CKR_FUNCTION_NOT_SUPPORTED)
    assert_int_equal(rv, in_parts);
  return rv;
}

typedef CK_RV (*init_fn)(CK_SESSION_HANDLE, CK_MECHANISM *, CK_OBJECT_HANDLE);
typedef CK_RV (*run_fn)(CK_SESSION_HANDLE, CK_BYTE *, CK_ULONG, CK_BYTE *, CK_ULONG *);

static CK_RV transform(struct test *t, init_fn init, run_fn run)
{
  static CK_BYTE out[INPUT_MAX];
  CK_ULONG len = sizeof(out);
  CK_RV rv = init(t->h, &t->m.m, t->key);
  if (rv == CKR_OK)
    rv = run(t->h, t->input.data, t->input.len, out, &len);
  if (rv == CKR_OK)
    same(t, out, len);
  return rv;
}

static CK_RV encrypt(struct test *t)
{
  return transform(t, C_EncryptInit, C_Encrypt);
}

static CK_RV decrypt(struct test *t)
{
  return transform(t, C_DecryptInit, C_Decrypt);
}

static CK_RV sign_recover(struct test *t)
{
  return transform(t, C_SignRecoverInit, C_SignRecover);
}

static CK_RV verify_recover(struct test *t)
{
  return transform(t, C_VerifyRecoverInit, C_VerifyRecover);
}

static CK_RV unwrap(struct test *t)
{
  static const CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
  CK_OBJECT_CLASS class = CKO_SECRET_KEY;
  CK_KEY_TYPE type = CKK_GENERIC_SECRET;
  CK_ATTRIBUTE tmpl[] = { attribute(CKA_CLASS, &class, sizeof(class)), attribute(CKA_KEY_TYPE, &type, sizeof(type)),
                          attribute(CKA_SENSITIVE, &no, 1), attribute(CKA_EXTRACTABLE, &yes, 1) };
  CK_OBJECT_HANDLE key;
  CK_BYTE value[1024];
  CK_ATTRIBUTE attr = { CKA_VALUE, value, sizeof(value) };
  CK_RV rv = C_UnwrapKey(t->h, &t->m.m, t->key, t->input.data, t->input.len, tmpl, 4, &key);
  if (rv != CKR_OK)
    return rv;
  assert_ok(C_GetAttributeValue(t->h, key, &attr, 1));
  same(t, value, attr.ulValueLen);
  return C_DestroyObject(t->h, key);
}

/* The public key of a private one. */
static CK_RV public(struct test *t)
{
  CK_BYTE info[8192];
  CK_ATTRIBUTE attr = { CKA_PUBLIC_KEY_INFO, info, sizeof(info) };
  CK_RV rv = C_GetAttributeValue(t->h, t->key, &attr, 1);
  assert_ok(rv);
  assert_true(attr.ulValueLen > t->output.len);
  same(t, info + attr.ulValueLen - t->output.len, t->output.len);
  return rv;
}

static const struct {
  const char *name;
  bool private;
  CK_RV (*run)(struct test *t);
} tests[] = {
  { "sign", true, sign },
  { "verify", false, verify },
  { "encrypt", false, encrypt },
  { "decrypt", true, decrypt },
  { "sign-recover", true, sign_recover },
  { "verify-recover", false, verify_recover },
  { "unwrap", true, unwrap },
  { "public", true, public },
};

/* Contexts and prehashing with EdDSA came with OpenSSL 3.2; without them, what needs them is refused. */
static CK_RV expected(const struct vector *v)
{
  bool needs = vector_field(v, "context") || field_count(v, "prehash");
  if (field_number(v, "mechanism") == CKM_EDDSA && needs && !mech_message_knows("ED25519", "instance"))
    return CKR_MECHANISM_PARAM_INVALID;
  return vector_field(v, "result") ? field_number(v, "result") : CKR_OK;
}

static void run_vector(CK_SESSION_HANDLE h, const struct vectors *all, const struct vector *v)
{
  struct test t = {
    h, v, 0, { { 0 } }, vector_bytes(v, "input"), vector_bytes(v, "output"), vector_bytes(v, "signature")
  };
  size_t i = 0;
  while (i < HF_ARRAY_LEN(tests) && strcmp(tests[i].name, vector_field(v, "test")) != 0)
    i++;
  assert_true(i < HF_ARRAY_LEN(tests));
  take_mechanism(v, &t.m);
  t.key = make_key(h, vectors_key(all, v), tests[i].private);
  CK_RV rv = tests[i].run(&t), wanted = expected(v);
  if (rv != wanted)
    fail_msg("line %zu: %s: 0x%lx where it should be 0x%lx", v->line, vector_field(v, "mechanism"), rv, wanted);
  assert_ok(C_DestroyObject(h, t.key));
  hf_buf_free(&t.input);
  hf_buf_free(&t.output);
  hf_buf_free(&t.signature);
  hf_buf_free(&t.m.context);
}

/* What libcrypto may lack. Everything else must be there. */
static bool may_lack(const struct vector *key)
{
  CK_KEY_TYPE type = field_number(key, "type");
  return type == CKK_ML_DSA || type == CKK_SLH_DSA;
}

static void run_file(const char *name)
{
  CK_SESSION_HANDLE h = rig_user_session();
  struct vectors all = vectors_read("asymmetric", name);
  size_t ran = 0;
  for (size_t i = 0; i < all.count; i++) {
    if (!vector_field(&all.v[i], "test"))
      continue;
    if (!mech_find(field_number(&all.v[i], "mechanism")) && may_lack(vectors_key(&all, &all.v[i])))
      continue;
    run_vector(h, &all, &all.v[i]);
    ran++;
  }
  print_message("# %s: %zu tests\n", name, ran);
  vectors_free(&all);
}

#define FILE_TEST(name)                 \
  static void test_##name(void **state) \
  {                                     \
    (void)state;                        \
    run_file(#name ".txt");             \
  }

FILE_TEST(rsa)
FILE_TEST(rsa_pss)
FILE_TEST(ecdsa)
FILE_TEST(eddsa)
FILE_TEST(dsa)
FILE_TEST(ml_dsa)
FILE_TEST(slh_dsa)

static const char *const files[] = { "rsa.txt", "rsa_pss.txt", "ecdsa.txt",  "eddsa.txt",
                                     "dsa.txt", "ml_dsa.txt",  "slh_dsa.txt" };

/* A vector that must succeed. */
static bool has_vector(CK_MECHANISM_TYPE type)
{
  bool found = false;
  for (size_t f = 0; f < HF_ARRAY_LEN(files) && !found; f++) {
    struct vectors all = vectors_read("asymmetric", files[f]);
    for (size_t i = 0; i < all.count && !found; i++)
      found = vector_field(&all.v[i], "test") && !vector_field(&all.v[i], "result") &&
              field_number(&all.v[i], "mechanism") == type;
    vectors_free(&all);
  }
  return found;
}

static bool is_ours(const struct mech *mech)
{
  static const CK_KEY_TYPE types[] = { CKK_RSA, CKK_EC, CKK_EC_EDWARDS, CKK_DSA, CKK_ML_DSA, CKK_SLH_DSA };
  static const CK_FLAGS uses = CKF_SIGN | CKF_VERIFY | CKF_ENCRYPT | CKF_DECRYPT | CKF_WRAP | CKF_UNWRAP;
  bool type = false;
  for (size_t i = 0; i < HF_ARRAY_LEN(types); i++)
    type |= mech->keys[0] == types[i];
  /* Agreement on a key is another family's. */
  return type && mech->info.flags & uses && !(mech->keys[0] == CKK_EC && mech->info.flags & CKF_WRAP);
}

static void test_every_mechanism_has_one(void **state)
{
  (void)state;
  const struct mech *mech;
  size_t ours = 0;
  for (size_t i = 0; (mech = mech_at(i)) != NULL; i++) {
    if (!is_ours(mech))
      continue;
    ours++;
    if (!has_vector(mech->type))
      fail_msg("%s has no known answer", mech->name);
  }
  assert_true(ours >= 40);
}

/* A pair on each curve of the vectors: what it signs, it verifies. */
static void generate_on(CK_SESSION_HANDLE h, CK_KEY_TYPE type, struct hf_buf params)
{
  CK_BYTE signature[256];
  CK_ULONG len = sizeof(signature);
  CK_ATTRIBUTE special = { CKA_EC_PARAMS, params.data, params.len };
  CK_MECHANISM m = { type == CKK_EC ? CKM_ECDSA_SHA512 : CKM_EDDSA, NULL, 0 };
  struct rig_pair pair =
      rig_generate(h, type == CKK_EC ? CKM_EC_KEY_PAIR_GEN : CKM_EC_EDWARDS_KEY_PAIR_GEN, &special, false);
  assert_ok(C_SignInit(h, &m, pair.private));
  assert_ok(C_Sign(h, (CK_BYTE *)"message", 7, signature, &len));
  assert_ok(C_VerifyInit(h, &m, pair.public));
  assert_ok(C_Verify(h, (CK_BYTE *)"message", 7, signature, len));
  assert_ok(C_VerifyInit(h, &m, pair.public));
  assert_rv(CKR_SIGNATURE_INVALID, C_Verify(h, (CK_BYTE *)"messagf", 7, signature, len));
}

static void test_every_curve_makes_keys(void **state)
{
  (void)state;
  CK_SESSION_HANDLE h = rig_user_session();
  static const char *const curves[] = { "ecdsa.txt", "eddsa.txt" };
  struct hf_buf seen[CURVES_MAX];
  size_t count = 0;
  for (size_t f = 0; f < HF_ARRAY_LEN(curves); f++) {
    struct vectors all = vectors_read("asymmetric", curves[f]);
    for (size_t i = 0; i < all.count; i++) {
      struct hf_buf params = vector_bytes(&all.v[i], "params");
      size_t k = 0;
      while (k < count && !hf_slice_equal(hf_slice(seen[k].data, seen[k].len), hf_slice(params.data, params.len)))
        k++;
      if (!params.len || k < count) {
        hf_buf_free(&params);
        continue;
      }
      generate_on(h, field_number(&all.v[i], "type"), params);
      seen[count++] = params;
    }
    vectors_free(&all);
  }
  assert_int_equal(20, count);
  while (count)
    hf_buf_free(&seen[--count]);
}

int main(void)
{
  const struct CMUnitTest all[] = {
    RIG_TEST(test_rsa),
    RIG_TEST(test_rsa_pss),
    RIG_TEST(test_ecdsa),
    RIG_TEST(test_eddsa),
    RIG_TEST(test_dsa),
    RIG_TEST(test_ml_dsa),
    RIG_TEST(test_slh_dsa),
    RIG_TEST(test_every_mechanism_has_one),
    RIG_TEST(test_every_curve_makes_keys),
  };
  return cmocka_run_group_tests(all, NULL, NULL);
}
