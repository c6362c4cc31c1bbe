/* SPDX-License-Identifier: Apache-2.0 */
/* Signatures, verified by libcrypto with the public key that the token shows; and the rules of operations. */
#include "token_rig.h"

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>
#include <pthread.h>

static CK_BYTE message[] = "what is to be signed", hash[32] = "its hash, of thirty-two bytes..";

static struct hf_ck_bytes {
  CK_BYTE data[600];
  CK_ULONG len;
} get(CK_SESSION_HANDLE h, CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type)
{
  struct hf_ck_bytes bytes;
  CK_ATTRIBUTE attr = { type, bytes.data, sizeof(bytes.data) };
  assert_ok(C_GetAttributeValue(h, object, &attr, 1));
  bytes.len = attr.ulValueLen;
  return bytes;
}

static EVP_PKEY *from_bld(const char *type, OSSL_PARAM_BLD *bld)
{
  EVP_PKEY *key = NULL;
  EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
  OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(bld);
  assert_int_equal(1, EVP_PKEY_fromdata_init(ctx));
  assert_int_equal(1, EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params));
  OSSL_PARAM_free(params);
  OSSL_PARAM_BLD_free(bld);
  EVP_PKEY_CTX_free(ctx);
  return key;
}

static EVP_PKEY *ec_public(CK_SESSION_HANDLE h, CK_OBJECT_HANDLE object)
{
  struct hf_ck_bytes point = get(h, object, CKA_EC_POINT);
  OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
  OSSL_PARAM_BLD_push_utf8_string(bld, OSSL_PKEY_PARAM_GROUP_NAME, "prime256v1", 0);
  OSSL_PARAM_BLD_push_octet_string(bld, OSSL_PKEY_PARAM_PUB_KEY, point.data + 2, point.len - 2);
  return from_bld("EC", bld);
}

static EVP_PKEY *rsa_public(CK_SESSION_HANDLE h, CK_OBJECT_HANDLE object)
{
  struct hf_ck_bytes n = get(h, object, CKA_MODULUS), e = get(h, object, CKA_PUBLIC_EXPONENT);
  OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
  BIGNUM *bn = BN_bin2bn(n.data, (int)n.len, NULL), *be = BN_bin2bn(e.data, (int)e.len, NULL);
  OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_N, bn);
  OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_E, be);
  EVP_PKEY *key = from_bld("RSA", bld);
  BN_free(bn);
  BN_free(be);
  return key;
}

static size_t der_signature(const CK_BYTE *raw, CK_ULONG len, unsigned char **ret_der)
{
  ECDSA_SIG *sig = ECDSA_SIG_new();
  ECDSA_SIG_set0(sig, BN_bin2bn(raw, (int)len / 2, NULL), BN_bin2bn(raw + len / 2, (int)len / 2, NULL));
  *ret_der = NULL;
  int der_len = i2d_ECDSA_SIG(sig, ret_der);
  ECDSA_SIG_free(sig);
  return (size_t)der_len;
}

static int libcrypto_accepts(EVP_PKEY *key, const EVP_MD *md, int padding, const CK_BYTE *in, size_t in_len,
                             const CK_BYTE *signature, CK_ULONG len)
{
  EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(key, NULL);
  unsigned char *der = NULL;
  assert_int_equal(1, EVP_PKEY_verify_init(ctx));
  if (padding)
    EVP_PKEY_CTX_set_rsa_padding(ctx, padding);
  if (padding == RSA_PKCS1_PSS_PADDING) {
    EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, 32);
    EVP_PKEY_CTX_set_rsa_mgf1_md(ctx, md);
  }
  if (md)
    EVP_PKEY_CTX_set_signature_md(ctx, md);
  size_t der_len = padding ? len : der_signature(signature, len, &der);
  int rc = EVP_PKEY_verify(ctx, der ? der : signature, der_len, in, in_len);
  OPENSSL_free(der);
  EVP_PKEY_CTX_free(ctx);
  return rc == 1;
}

static CK_RV sign(CK_SESSION_HANDLE h, CK_MECHANISM *m, CK_OBJECT_HANDLE key, CK_BYTE *in, CK_ULONG in_len,
                  struct hf_ck_bytes *out)
{
  CK_RV rv = C_SignInit(h, m, key);
  out->len = sizeof(out->data);
  return rv ? rv : C_Sign(h, in, in_len, out->data, &out->len);
}

static CK_RV verify(CK_SESSION_HANDLE h, CK_MECHANISM *m, CK_OBJECT_HANDLE key, CK_BYTE *in, CK_ULONG in_len,
                    struct hf_ck_bytes *signature)
{
  CK_RV rv = C_VerifyInit(h, m, key);
  return rv ? rv : C_Verify(h, in, in_len, signature->data, signature->len);
}

static void test_ecdsa(void **state)
{
  (void)state;
  CK_SESSION_HANDLE h = rig_user_session();
  struct rig_pair pair = rig_ec(h, true);
  struct hf_ck_bytes signature;
  CK_MECHANISM raw = { CKM_ECDSA, NULL, 0 }, hashing = { CKM_ECDSA_SHA256, NULL, 0 };
  EVP_PKEY *key = ec_public(h, pair.public);
  /* Often: r and s are short now and then. */
  for (int i = 0; i < 600; i++) {
    assert_ok(sign(h, &raw, pair.private, hash, sizeof(hash), &signature));
    assert_int_equal(64, signature.len);
    assert_true(libcrypto_accepts(key, NULL, 0, hash, sizeof(hash), signature.data, signature.len));
    assert_ok(verify(h, &raw, pair.public, hash, sizeof(hash), &signature));
  }
  assert_ok(sign(h, &hashing, pair.private, message, sizeof(message), &signature));
  unsigned char digest[32];
  EVP_Digest(message, sizeof(message), digest, NULL, EVP_sha256(), NULL);
  assert_true(libcrypto_accepts(key, NULL, 0, digest, sizeof(digest), signature.data, signature.len));
  assert_ok(verify(h, &hashing, pair.public, message, sizeof(message), &signature));
  signature.data[5] ^= 1;
  assert_rv(CKR_SIGNATURE_INVALID, verify(h, &hashing, pair.public, message, sizeof(message), &signature));
  memset(signature.data, 0, sizeof(signature.data));
  assert_rv(CKR_SIGNATURE_INVALID, verify(h, &raw, pair.public, hash, sizeof(hash), &signature));
  signature.len = 63;
  assert_rv(CKR_SIGNATURE_LEN_RANGE, verify(h, &raw, pair.public, hash, sizeof(hash), &signature));
  assert_rv(CKR_DATA_LEN_RANGE, sign(h, &raw, pair.private, hash, 0, &signature));
  EVP_PKEY_free(key);
}

static void test_p384(void **state)
{
  (void)state;
  CK_SESSION_HANDLE h = rig_user_session();
  CK_BYTE p384[] = { 6, 5, 0x2b, 0x81, 4, 0, 0x22 };
  CK_ATTRIBUTE special = { CKA_EC_PARAMS, p384, sizeof(p384) };
  struct rig_pair pair = rig_generate(h, CKM_EC_KEY_PAIR_GEN, &special, true);
  struct hf_ck_bytes signature;
  CK_MECHANISM m = { CKM_ECDSA, NULL, 0 };
  assert_ok(sign(h, &m, pair.private, hash, sizeof(hash), &signature));
  assert_int_equal(96, signature.len);
  assert_ok(verify(h, &m, pair.public, hash, sizeof(hash), &signature));
}

static void test_rsa(void **state)
{
  (void)state;
  CK_SESSION_HANDLE h = rig_user_session();
  struct rig_pair pair = rig_rsa(h, true);
  struct hf_ck_bytes signature;
  unsigned char digest[32];
  CK_MECHANISM raw = { CKM_RSA_PKCS, NULL, 0 }, hashing = { CKM_SHA256_RSA_PKCS, NULL, 0 };
  EVP_PKEY *key = rsa_public(h, pair.public);
  assert_ok(sign(h, &raw, pair.private, message, sizeof(message), &signature));
  assert_int_equal(256, signature.len);
  assert_true(libcrypto_accepts(key, NULL, RSA_PKCS1_PADDING, message, sizeof(message), signature.data, 256));
  assert_ok(sign(h, &hashing, pair.private, message, sizeof(message), &signature));
  EVP_Digest(message, sizeof(message), digest, NULL, EVP_sha256(), NULL);
  assert_true(libcrypto_accepts(key, EVP_sha256(), RSA_PKCS1_PADDING, digest, 32, signature.data, 256));
  assert_ok(verify(h, &hashing, pair.public, message, sizeof(message), &signature));

  CK_RSA_PKCS_PSS_PARAMS params = { CKM_SHA256, CKG_MGF1_SHA256, 32 };
  CK_MECHANISM pss = { CKM_RSA_PKCS_PSS, &params, sizeof(params) };
  assert_ok(sign(h, &pss, pair.private, digest, 32, &signature));
  assert_true(libcrypto_accepts(key, EVP_sha256(), RSA_PKCS1_PSS_PADDING, digest, 32, signature.data, 256));
  assert_ok(verify(h, &pss, pair.public, digest, 32, &signature));
  params.sLen = 20; /* the salt's length is exact */
  assert_rv(CKR_SIGNATURE_INVALID, verify(h, &pss, pair.public, digest, 32, &signature));
  EVP_PKEY_free(key);
}

static void test_rsa_refusals(void **state)
{
  (void)state;
  CK_SESSION_HANDLE h = rig_user_session();
  struct rig_pair pair = rig_rsa(h, false);
  struct hf_ck_bytes signature;
  CK_BYTE long_input[250] = { 0 };
  CK_RSA_PKCS_PSS_PARAMS params = { CKM_SHA256, CKG_MGF1_SHA256, 32 };
  CK_MECHANISM raw = { CKM_RSA_PKCS, NULL, 0 }, pss = { CKM_RSA_PKCS_PSS, &params, sizeof(params) };
  CK_MECHANISM other = { CKM_SHA384_RSA_PKCS_PSS, &params, sizeof(params) }, none = { CKM_RSA_PKCS_PSS, NULL, 0 };
  assert_rv(CKR_DATA_LEN_RANGE, sign(h, &raw, pair.private, long_input, 246, &signature));
  assert_ok(sign(h, &raw, pair.private, long_input, 245, &signature));
  assert_rv(CKR_DATA_LEN_RANGE, sign(h, &pss, pair.private, long_input, 31, &signature));
  assert_rv(CKR_MECHANISM_PARAM_INVALID, sign(h, &other, pair.private, message, 5, &signature));
  assert_rv(CKR_MECHANISM_PARAM_INVALID, sign(h, &none, pair.private, message, 5, &signature));
  params.sLen = 4000;
  assert_rv(CKR_MECHANISM_PARAM_INVALID, sign(h, &pss, pair.private, hash, 32, &signature));
  params = (CK_RSA_PKCS_PSS_PARAMS){ 99, CKG_MGF1_SHA256, 32 };
  assert_rv(CKR_MECHANISM_PARAM_INVALID, sign(h, &pss, pair.private, hash, 32, &signature));

  CK_ULONG bits = 1023;
  CK_MECHANISM generate = { CKM_RSA_PKCS_KEY_PAIR_GEN, NULL, 0 };
  CK_ATTRIBUTE tmpl = { CKA_MODULUS_BITS, &bits, sizeof(bits) };
  CK_OBJECT_HANDLE a, b;
  assert_rv(CKR_KEY_SIZE_RANGE, C_GenerateKeyPair(h, &generate, &tmpl, 1, NULL, 0, &a, &b));
  assert_rv(CKR_TEMPLATE_INCOMPLETE, C_GenerateKeyPair(h, &generate, NULL, 0, NULL, 0, &a, &b));
}

/* What a size query and a short buffer leave alive, and what ends an operation. */
static void test_operation_life(void **state)
{
  (void)state;
  CK_SESSION_HANDLE h = rig_user_session();
  struct rig_pair pair = rig_ec(h, true);
  CK_MECHANISM m = { CKM_ECDSA, NULL, 0 }, hashing = { CKM_ECDSA_SHA256, NULL, 0 }, unknown = { 0x99999, NULL, 0 };
  CK_BYTE out[64];
  CK_ULONG len = 0;
  assert_rv(CKR_OPERATION_NOT_INITIALIZED, C_Sign(h, hash, 32, out, &len));
  assert_ok(C_SignInit(h, &m, pair.private));
  assert_rv(CKR_OPERATION_ACTIVE, C_SignInit(h, &m, pair.private));
  assert_ok(C_Sign(h, hash, 32, NULL, &len));
  assert_int_equal(64, len);
  len = 63;
  assert_rv(CKR_BUFFER_TOO_SMALL, C_Sign(h, hash, 32, out, &len));
  assert_int_equal(64, len);
  assert_ok(C_Sign(h, hash, 32, out, &len));
  assert_rv(CKR_OPERATION_NOT_INITIALIZED, C_Sign(h, hash, 32, out, &len));
  assert_ok(C_SignInit(h, &m, pair.private));
  assert_ok(C_SignInit(h, NULL, 0));
  assert_rv(CKR_OPERATION_NOT_INITIALIZED, C_Sign(h, hash, 32, out, &len));
  assert_rv(CKR_ARGUMENTS_BAD, C_SignInit(h, NULL, 0));

  assert_rv(CKR_KEY_HANDLE_INVALID, C_SignInit(h, &m, 0));
  assert_rv(CKR_KEY_HANDLE_INVALID, C_SignInit(h, &m, 12345));
  assert_rv(CKR_MECHANISM_INVALID, C_SignInit(h, &unknown, pair.private));
  assert_rv(CKR_KEY_TYPE_INCONSISTENT, C_SignInit(h, &m, pair.public));
  CK_MECHANISM rsa = { CKM_RSA_PKCS, NULL, 0 };
  assert_rv(CKR_KEY_TYPE_INCONSISTENT, C_SignInit(h, &rsa, pair.private));

  assert_ok(C_SignInit(h, &hashing, pair.private));
  assert_ok(C_SignUpdate(h, message, 5));
  len = sizeof(out);
  assert_rv(CKR_OPERATION_ACTIVE, C_Sign(h, hash, 32, out, &len));
  assert_ok(C_SignInit(h, &hashing, pair.private));
  assert_ok(C_SignUpdate(h, message, 5));
  assert_ok(C_SignUpdate(h, message + 5, sizeof(message) - 5));
  assert_ok(C_SignFinal(h, out, &len));
  struct hf_ck_bytes signature = { .len = 64 };
  memcpy(signature.data, out, 64);
  assert_ok(verify(h, &hashing, pair.public, message, sizeof(message), &signature));
  assert_ok(C_SignInit(h, &m, pair.private));
  assert_rv(CKR_FUNCTION_NOT_SUPPORTED, C_SignUpdate(h, message, 5));
}

static void test_permissions(void **state)
{
  (void)state;
  CK_SESSION_HANDLE h = rig_user_session(), other = rig_open_session(rig_first_slot(), 0);
  struct rig_pair pair = rig_ec(h, true);
  CK_BBOOL no = CK_FALSE;
  CK_ATTRIBUTE may_not = { CKA_SIGN, &no, 1 };
  CK_MECHANISM m = { CKM_ECDSA, NULL, 0 };
  struct hf_ck_bytes signature;
  assert_ok(sign(other, &m, pair.private, hash, 32, &signature));

  /* A change counts at once, also where another session had the key prepared. */
  assert_ok(C_SetAttributeValue(h, pair.private, &may_not, 1));
  assert_rv(CKR_KEY_FUNCTION_NOT_PERMITTED, sign(other, &m, pair.private, hash, 32, &signature));
  struct rig_pair second = rig_ec(h, true);
  assert_ok(sign(other, &m, second.private, hash, 32, &signature));
  assert_ok(C_DestroyObject(h, second.private));
  assert_rv(CKR_KEY_HANDLE_INVALID, sign(other, &m, second.private, hash, 32, &signature));

  /* Logout ends what is under way, in every session. */
  struct rig_pair third = rig_ec(h, false);
  assert_ok(C_SignInit(other, &m, third.private));
  assert_ok(C_Logout(h));
  signature.len = sizeof(signature.data);
  assert_rv(CKR_OPERATION_NOT_INITIALIZED, C_Sign(other, hash, 32, signature.data, &signature.len));
  assert_rv(CKR_KEY_HANDLE_INVALID, sign(other, &m, third.private, hash, 32, &signature));
}

static void test_allowed_mechanisms(void **state)
{
  (void)state;
  CK_SESSION_HANDLE h = rig_user_session();
  CK_BYTE p256[] = { 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7 };
  CK_MECHANISM_TYPE allowed[] = { CKM_ECDSA_SHA384, CKM_ECDSA_SHA256 };
  CK_MECHANISM generate = { CKM_EC_KEY_PAIR_GEN, NULL, 0 }, raw = { CKM_ECDSA, NULL, 0 };
  CK_MECHANISM hashing = { CKM_ECDSA_SHA256, NULL, 0 };
  CK_ATTRIBUTE public[] = { { CKA_EC_PARAMS, p256, sizeof(p256) } };
  CK_ATTRIBUTE private[] = { { CKA_ALLOWED_MECHANISMS, allowed, sizeof(allowed) } };
  CK_OBJECT_HANDLE a, b;
  struct hf_ck_bytes signature;
  assert_ok(C_GenerateKeyPair(h, &generate, public, 1, private, 1, &a, &b));
  assert_rv(CKR_MECHANISM_INVALID, sign(h, &raw, b, hash, 32, &signature));
  assert_ok(sign(h, &hashing, b, message, 5, &signature));
  struct hf_ck_bytes back = get(h, b, CKA_ALLOWED_MECHANISMS);
  assert_int_equal(sizeof(allowed), back.len);
  assert_memory_equal(allowed, back.data, sizeof(allowed));
}

static void test_always_authenticate(void **state)
{
  (void)state;
  CK_SESSION_HANDLE h = rig_user_session();
  CK_BYTE p256[] = { 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7 };
  CK_BBOOL yes = CK_TRUE;
  CK_MECHANISM generate = { CKM_EC_KEY_PAIR_GEN, NULL, 0 }, m = { CKM_ECDSA, NULL, 0 };
  CK_ATTRIBUTE public[] = { { CKA_EC_PARAMS, p256, sizeof(p256) } };
  CK_ATTRIBUTE private[] = { { CKA_ALWAYS_AUTHENTICATE, &yes, 1 } };
  CK_OBJECT_HANDLE a, b;
  struct hf_ck_bytes signature = { .len = 600 };
  assert_ok(C_GenerateKeyPair(h, &generate, public, 1, private, 1, &a, &b));
  assert_rv(CKR_OPERATION_NOT_INITIALIZED, rig_login(h, CKU_CONTEXT_SPECIFIC, USER_PIN));
  assert_ok(C_SignInit(h, &m, b));
  assert_rv(CKR_USER_NOT_LOGGED_IN, C_Sign(h, hash, 32, signature.data, &signature.len));
  assert_rv(CKR_PIN_INCORRECT, rig_login(h, CKU_CONTEXT_SPECIFIC, "0000"));
  assert_rv(CKR_USER_NOT_LOGGED_IN, C_Sign(h, hash, 32, signature.data, &signature.len));
  assert_ok(rig_login(h, CKU_CONTEXT_SPECIFIC, USER_PIN));
  assert_ok(C_Sign(h, hash, 32, signature.data, &signature.len));
  assert_ok(C_SignInit(h, &m, b));
  assert_rv(CKR_USER_NOT_LOGGED_IN, C_Sign(h, hash, 32, signature.data, &signature.len));
}

static void test_digest(void **state)
{
  (void)state;
  CK_SESSION_HANDLE h = rig_user_session();
  CK_MECHANISM m = { CKM_SHA256, NULL, 0 };
  CK_BYTE one[32], parts[32], expected[32];
  CK_ULONG len = sizeof(one);
  EVP_Digest(message, sizeof(message), expected, NULL, EVP_sha256(), NULL);
  assert_ok(C_DigestInit(h, &m));
  assert_ok(C_Digest(h, message, sizeof(message), one, &len));
  assert_memory_equal(expected, one, 32);
  assert_ok(C_DigestInit(h, &m));
  assert_ok(C_DigestUpdate(h, message, 3));
  assert_ok(C_DigestUpdate(h, message + 3, sizeof(message) - 3));
  assert_ok(C_DigestFinal(h, parts, &len));
  assert_memory_equal(expected, parts, 32);
}

enum { SIGNERS = 4, EACH = 200 };

struct signer {
  CK_SLOT_ID slot;
  struct rig_pair pair;
  CK_RV rv;
};

static void *sign_often(void *arg)
{
  struct signer *s = arg;
  CK_MECHANISM m = { CKM_ECDSA, NULL, 0 };
  struct hf_ck_bytes signature;
  CK_SESSION_HANDLE h;
  s->rv = C_OpenSession(s->slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, &h);
  for (int i = 0; i < EACH && s->rv == CKR_OK; i++) {
    s->rv = sign(h, &m, s->pair.private, hash, 32, &signature);
    if (s->rv == CKR_OK)
      s->rv = verify(h, &m, s->pair.public, hash, 32, &signature);
    if (i % 50 == 0)
      rig_data(h, "meanwhile", true, true);
  }
  C_CloseSession(h);
  return NULL;
}

static void test_threads(void **state)
{
  (void)state;
  CK_SESSION_HANDLE h = rig_user_session();
  struct signer signers[SIGNERS];
  pthread_t threads[SIGNERS];
  struct rig_pair pair = rig_ec(h, true);
  for (int i = 0; i < SIGNERS; i++) {
    signers[i] = (struct signer){ .slot = rig_first_slot(), .pair = pair };
    pthread_create(&threads[i], NULL, sign_often, &signers[i]);
  }
  for (int i = 0; i < SIGNERS; i++) {
    pthread_join(threads[i], NULL);
    assert_rv(CKR_OK, signers[i].rv);
  }
  assert_int_equal(SIGNERS * EACH / 50, rig_find_label(h, "meanwhile", NULL));
}

int main(void)
{
  const struct CMUnitTest tests[] = {
    RIG_TEST(test_ecdsa),
    RIG_TEST(test_p384),
    RIG_TEST(test_rsa),
    RIG_TEST(test_rsa_refusals),
    RIG_TEST(test_operation_life),
    RIG_TEST(test_permissions),
    RIG_TEST(test_allowed_mechanisms),
    RIG_TEST(test_always_authenticate),
    RIG_TEST(test_digest),
    RIG_TEST(test_threads),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
