/* SPDX-License-Identifier: Apache-2.0 */
/* What the token decrypts and derives, against libcrypto with the public key that it shows; and what it says of bad input. */
#include "token_rig.h"

#include "base/cleanup.h"

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>

enum { RSA_BYTES = 256, P256_BYTES = 32 };

static CK_BYTE message[] = "what nobody else is to read";

struct bytes {
  CK_BYTE data[600];
  CK_ULONG len;
};

static struct bytes get(CK_SESSION_HANDLE h, CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type)
{
  struct bytes bytes;
  CK_ATTRIBUTE attr = { type, bytes.data, sizeof(bytes.data) };
  assert_ok(C_GetAttributeValue(h, object, &attr, 1));
  bytes.len = attr.ulValueLen;
  return bytes;
}

static void set_bool(CK_SESSION_HANDLE h, CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type, CK_BBOOL value)
{
  CK_ATTRIBUTE attr = { type, &value, sizeof(value) };
  assert_ok(C_SetAttributeValue(h, object, &attr, 1));
}

static EVP_PKEY *rsa_public(CK_SESSION_HANDLE h, CK_OBJECT_HANDLE object)
{
  struct bytes n = get(h, object, CKA_MODULUS), e = get(h, object, CKA_PUBLIC_EXPONENT);
  OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
  BIGNUM *bn = BN_bin2bn(n.data, (int)n.len, NULL), *be = BN_bin2bn(e.data, (int)e.len, NULL);
  OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_N, bn);
  OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_E, be);
  OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(bld);
  EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
  EVP_PKEY *key = NULL;
  assert_int_equal(1, EVP_PKEY_fromdata_init(ctx));
  assert_int_equal(1, EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params));
  EVP_PKEY_CTX_free(ctx);
  OSSL_PARAM_free(params);
  OSSL_PARAM_BLD_free(bld);
  BN_free(bn);
  BN_free(be);
  return key;
}

/* What libcrypto encrypts; RSA_NO_PADDING takes a whole block. md, mgf, label: of OAEP. */
static struct bytes encrypt(EVP_PKEY *key, int padding, const EVP_MD *md, const EVP_MD *mgf, const char *label,
                            const CK_BYTE *in, size_t len)
{
  struct bytes out = { .len = sizeof(out.data) };
  EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(key, NULL);
  assert_int_equal(1, EVP_PKEY_encrypt_init(ctx));
  assert_int_equal(1, EVP_PKEY_CTX_set_rsa_padding(ctx, padding));
  if (md) {
    assert_int_equal(1, EVP_PKEY_CTX_set_rsa_oaep_md(ctx, md));
    assert_int_equal(1, EVP_PKEY_CTX_set_rsa_mgf1_md(ctx, mgf));
  }
  if (label)
    assert_int_equal(1, EVP_PKEY_CTX_set0_rsa_oaep_label(ctx, OPENSSL_strdup(label), (int)strlen(label)));
  assert_int_equal(1, EVP_PKEY_encrypt(ctx, out.data, &out.len, in, len));
  EVP_PKEY_CTX_free(ctx);
  return out;
}

static CK_RV decrypt(CK_SESSION_HANDLE h, CK_MECHANISM *m, CK_OBJECT_HANDLE key, struct bytes *in, struct bytes *out)
{
  CK_RV rv = C_DecryptInit(h, m, key);
  out->len = sizeof(out->data);
  return rv ? rv : C_Decrypt(h, in->data, in->len, out->data, &out->len);
}

static void assert_message(const struct bytes *out)
{
  assert_int_equal(sizeof(message), out->len);
  assert_memory_equal(message, out->data, out->len);
}

static void test_pkcs1(void **state)
{
  (void)state;
  CK_SESSION_HANDLE h = rig_user_session();
  struct rig_pair pair = rig_rsa(h, true);
  CK_MECHANISM m = { CKM_RSA_PKCS, NULL, 0 };
  EVP_PKEY *key = rsa_public(h, pair.public);
  struct bytes in = encrypt(key, RSA_PKCS1_PADDING, NULL, NULL, NULL, message, sizeof(message)), out;
  assert_ok(decrypt(h, &m, pair.private, &in, &out));
  assert_message(&out);
  /* The longest there is, and nothing at all. */
  in = encrypt(key, RSA_PKCS1_PADDING, NULL, NULL, NULL, out.data, RSA_BYTES - 11);
  assert_ok(decrypt(h, &m, pair.private, &in, &out));
  assert_int_equal(RSA_BYTES - 11, out.len);
  in = encrypt(key, RSA_PKCS1_PADDING, NULL, NULL, NULL, message, 0);
  assert_ok(decrypt(h, &m, pair.private, &in, &out));
  assert_int_equal(0, out.len);
  /* And what the token itself encrypts. */
  assert_ok(C_EncryptInit(h, &m, pair.public));
  in.len = sizeof(in.data);
  assert_ok(C_Encrypt(h, message, sizeof(message), in.data, &in.len));
  assert_int_equal(RSA_BYTES, in.len);
  assert_ok(decrypt(h, &m, pair.private, &in, &out));
  assert_message(&out);
  EVP_PKEY_free(key);
}

/* Whatever is wrong with the padding, the answer is one and the same. */
static void test_pkcs1_padding(void **state)
{
  (void)state;
  CK_SESSION_HANDLE h = rig_user_session();
  struct rig_pair pair = rig_rsa(h, true);
  CK_MECHANISM m = { CKM_RSA_PKCS, NULL, 0 };
  EVP_PKEY *key = rsa_public(h, pair.public);
  static const struct {
    size_t at;
    CK_BYTE value;
  } faults[] = { { 0, 1 }, { 1, 1 }, { 1, 3 }, { 2, 0 }, { 9, 0 }, { RSA_BYTES - 1, 0xff } };
  for (size_t i = 0; i <= HF_ARRAY_LEN(faults); i++) {
    CK_BYTE block[RSA_BYTES];
    memset(block, 0xff, sizeof(block));
    block[0] = 0;
    block[1] = 2;
    block[RSA_BYTES - 1] = 0; /* so that the message is empty */
    if (i < HF_ARRAY_LEN(faults))
      block[faults[i].at] = faults[i].value;
    struct bytes in = encrypt(key, RSA_NO_PADDING, NULL, NULL, NULL, block, sizeof(block)), out;
    assert_rv(i < HF_ARRAY_LEN(faults) ? CKR_ENCRYPTED_DATA_INVALID : CKR_OK, decrypt(h, &m, pair.private, &in, &out));
  }
  struct bytes in = { .len = RSA_BYTES }, out;
  memset(in.data, 0xff, RSA_BYTES); /* above the modulus */
  assert_rv(CKR_ENCRYPTED_DATA_INVALID, decrypt(h, &m, pair.private, &in, &out));
  in.len = RSA_BYTES - 1;
  assert_rv(CKR_ENCRYPTED_DATA_LEN_RANGE, decrypt(h, &m, pair.private, &in, &out));
  in.len = 0;
  assert_rv(CKR_ENCRYPTED_DATA_LEN_RANGE, decrypt(h, &m, pair.private, &in, &out));
  EVP_PKEY_free(key);
}

static void test_oaep(void **state)
{
  (void)state;
  CK_SESSION_HANDLE h = rig_user_session();
  struct rig_pair pair = rig_rsa(h, true);
  EVP_PKEY *key = rsa_public(h, pair.public);
  static const struct {
    CK_MECHANISM_TYPE hash;
    CK_RSA_PKCS_MGF_TYPE mgf;
    const char *md, *mgf_md;
    const char *label;
  } kinds[] = {
    { CKM_SHA_1, CKG_MGF1_SHA1, "SHA1", "SHA1", NULL },
    { CKM_SHA256, CKG_MGF1_SHA256, "SHA256", "SHA256", NULL },
    { CKM_SHA256, CKG_MGF1_SHA1, "SHA256", "SHA1", "what for" },
    { CKM_SHA512, CKG_MGF1_SHA512, "SHA512", "SHA512", "another" },
  };
  for (size_t i = 0; i < HF_ARRAY_LEN(kinds); i++) {
    CK_RSA_PKCS_OAEP_PARAMS params = { kinds[i].hash, kinds[i].mgf, CKZ_DATA_SPECIFIED, NULL, 0 };
    CK_MECHANISM m = { CKM_RSA_PKCS_OAEP, &params, sizeof(params) };
    char label[16] = "";
    if (kinds[i].label) {
      snprintf(label, sizeof(label), "%s", kinds[i].label);
      params.pSourceData = label;
      params.ulSourceDataLen = strlen(label);
    }
    struct bytes out, in = encrypt(key, RSA_PKCS1_OAEP_PADDING, EVP_get_digestbyname(kinds[i].md),
                                   EVP_get_digestbyname(kinds[i].mgf_md), kinds[i].label, message, sizeof(message));
    assert_ok(decrypt(h, &m, pair.private, &in, &out));
    assert_message(&out);
    /* The same pointer to another label is another mechanism. */
    label[0] ^= 1;
    assert_rv(kinds[i].label ? CKR_ENCRYPTED_DATA_INVALID : CKR_OK, decrypt(h, &m, pair.private, &in, &out));
    label[0] ^= 1;
    in.data[40] ^= 1;
    assert_rv(CKR_ENCRYPTED_DATA_INVALID, decrypt(h, &m, pair.private, &in, &out));
    assert_ok(C_EncryptInit(h, &m, pair.public));
    in.len = sizeof(in.data);
    assert_ok(C_Encrypt(h, message, sizeof(message), in.data, &in.len));
    assert_ok(decrypt(h, &m, pair.private, &in, &out));
    assert_message(&out);
  }
  EVP_PKEY_free(key);
}

static void test_oaep_parameters(void **state)
{
  (void)state;
  CK_SESSION_HANDLE h = rig_user_session();
  struct rig_pair pair = rig_rsa(h, true);
  const CK_RSA_PKCS_OAEP_PARAMS wrong[] = {
    { CKM_RSA_PKCS, CKG_MGF1_SHA1, CKZ_DATA_SPECIFIED, NULL, 0 },
    { CKM_SHA_1, 99, CKZ_DATA_SPECIFIED, NULL, 0 },
    { CKM_SHA_1, CKG_MGF1_SHA1, 7, NULL, 0 },
    { CKM_SHA_1, CKG_MGF1_SHA1, CKZ_DATA_SPECIFIED, NULL, 4 },
    { CKM_SHA_1, CKG_MGF1_SHA1, CKZ_DATA_SPECIFIED, message, (CK_ULONG)1 << 40 },
  };
  for (size_t i = 0; i < HF_ARRAY_LEN(wrong); i++) {
    CK_RSA_PKCS_OAEP_PARAMS params = wrong[i];
    CK_MECHANISM m = { CKM_RSA_PKCS_OAEP, &params, sizeof(params) };
    assert_rv(CKR_MECHANISM_PARAM_INVALID, C_DecryptInit(h, &m, pair.private));
  }
  CK_MECHANISM none = { CKM_RSA_PKCS_OAEP, NULL, 0 }, extra = { CKM_RSA_PKCS, message, 4 };
  assert_rv(CKR_MECHANISM_PARAM_INVALID, C_DecryptInit(h, &none, pair.private));
  assert_rv(CKR_MECHANISM_PARAM_INVALID, C_DecryptInit(h, &extra, pair.private));
  /* PKCS #1 v1.5's room less one byte of OAEP's with SHA-256. */
  CK_RSA_PKCS_OAEP_PARAMS params = { CKM_SHA256, CKG_MGF1_SHA256, CKZ_DATA_SPECIFIED, NULL, 0 };
  CK_MECHANISM oaep = { CKM_RSA_PKCS_OAEP, &params, sizeof(params) };
  struct bytes in = { .len = RSA_BYTES - 2 - 64 }, out = { .len = sizeof(out.data) };
  memset(in.data, 7, in.len + 1);
  assert_ok(C_EncryptInit(h, &oaep, pair.public));
  assert_ok(C_Encrypt(h, in.data, in.len, out.data, &out.len));
  assert_ok(C_EncryptInit(h, &oaep, pair.public));
  assert_rv(CKR_DATA_LEN_RANGE, C_Encrypt(h, in.data, in.len + 1, out.data, &out.len));
}

static void test_sizes_and_states(void **state)
{
  (void)state;
  CK_SESSION_HANDLE h = rig_user_session();
  struct rig_pair pair = rig_rsa(h, true);
  CK_MECHANISM m = { CKM_RSA_PKCS, NULL, 0 };
  EVP_PKEY *key = rsa_public(h, pair.public);
  struct bytes in = encrypt(key, RSA_PKCS1_PADDING, NULL, NULL, NULL, message, sizeof(message)), out = { .len = 0 };
  EVP_PKEY_free(key);
  assert_rv(CKR_OPERATION_NOT_INITIALIZED, C_Decrypt(h, in.data, in.len, out.data, &out.len));
  assert_ok(C_DecryptInit(h, &m, pair.private));
  assert_rv(CKR_OPERATION_ACTIVE, C_DecryptInit(h, &m, pair.private));
  assert_ok(C_Decrypt(h, in.data, in.len, NULL, &out.len));
  assert_true(out.len >= sizeof(message));
  out.len = sizeof(message) - 1;
  assert_rv(CKR_BUFFER_TOO_SMALL, C_Decrypt(h, in.data, in.len, out.data, &out.len));
  assert_int_equal(sizeof(message), out.len);
  assert_ok(C_Decrypt(h, in.data, in.len, out.data, &out.len));
  assert_message(&out);
  assert_rv(CKR_OPERATION_NOT_INITIALIZED, C_Decrypt(h, in.data, in.len, out.data, &out.len));
  assert_ok(C_DecryptInit(h, &m, pair.private));
  assert_rv(CKR_FUNCTION_NOT_SUPPORTED, C_DecryptUpdate(h, in.data, in.len, out.data, &out.len));
  assert_rv(CKR_OPERATION_NOT_INITIALIZED, C_DecryptFinal(h, out.data, &out.len));
  assert_ok(C_DecryptInit(h, &m, pair.private));
  assert_ok(C_DecryptInit(h, NULL, 0));
  assert_ok(C_EncryptInit(h, &m, pair.public));
  assert_rv(CKR_DATA_LEN_RANGE, C_Encrypt(h, in.data, RSA_BYTES - 10, out.data, &out.len));
}

static void test_permissions(void **state)
{
  (void)state;
  CK_SESSION_HANDLE h = rig_user_session();
  struct rig_pair rsa = rig_rsa(h, true), ec = rig_ec(h, true);
  CK_MECHANISM pkcs = { CKM_RSA_PKCS, NULL, 0 }, pss = { CKM_SHA256_RSA_PKCS, NULL, 0 };
  assert_rv(CKR_KEY_TYPE_INCONSISTENT, C_DecryptInit(h, &pkcs, ec.private));
  assert_rv(CKR_KEY_TYPE_INCONSISTENT, C_DecryptInit(h, &pkcs, rsa.public));
  assert_rv(CKR_MECHANISM_INVALID, C_DecryptInit(h, &pss, rsa.private));
  assert_rv(CKR_KEY_HANDLE_INVALID, C_DecryptInit(h, &pkcs, 4711));
  set_bool(h, rsa.private, CKA_DECRYPT, CK_FALSE);
  assert_rv(CKR_KEY_FUNCTION_NOT_PERMITTED, C_DecryptInit(h, &pkcs, rsa.private));
  set_bool(h, rsa.public, CKA_ENCRYPT, CK_FALSE);
  assert_rv(CKR_KEY_FUNCTION_NOT_PERMITTED, C_EncryptInit(h, &pkcs, rsa.public));
  CK_MECHANISM_INFO info;
  CK_SLOT_ID slot = rig_first_slot();
  assert_ok(C_GetMechanismInfo(slot, CKM_RSA_PKCS, &info));
  assert_int_equal(CKF_SIGN | CKF_VERIFY | CKF_SIGN_RECOVER | CKF_VERIFY_RECOVER | CKF_ENCRYPT | CKF_DECRYPT |
                       CKF_WRAP | CKF_UNWRAP | CKF_MESSAGE_SIGN | CKF_MESSAGE_VERIFY | CKF_MULTI_MESSAGE,
                   info.flags);
  assert_ok(C_GetMechanismInfo(slot, CKM_RSA_PKCS_OAEP, &info));
  assert_int_equal(CKF_ENCRYPT | CKF_DECRYPT | CKF_WRAP | CKF_UNWRAP, info.flags);
  assert_ok(C_GetMechanismInfo(slot, CKM_ECDH1_DERIVE, &info));
  assert_true(info.flags & CKF_DERIVE);
}

static struct rig_pair deriving_pair(CK_SESSION_HANDLE h)
{
  struct rig_pair pair = rig_ec(h, true);
  set_bool(h, pair.private, CKA_DERIVE, CK_TRUE);
  return pair;
}

/* The other side, with its key in libcrypto: its point, and the secret that it comes to. */
struct peer {
  EVP_PKEY *key;
  CK_BYTE point[65];
};

static struct peer peer_new(void)
{
  struct peer peer = { .key = EVP_EC_gen("P-256") };
  size_t len;
  assert_non_null(peer.key);
  assert_int_equal(1, EVP_PKEY_get_octet_string_param(peer.key, OSSL_PKEY_PARAM_PUB_KEY, peer.point, 65, &len));
  assert_int_equal(65, len);
  return peer;
}

static void peer_secret(const struct peer *peer, const CK_BYTE *point, CK_BYTE secret[P256_BYTES])
{
  EVP_PKEY *other = EVP_PKEY_new();
  size_t len = P256_BYTES;
  assert_int_equal(1, EVP_PKEY_copy_parameters(other, peer->key));
  assert_int_equal(1, EVP_PKEY_set1_encoded_public_key(other, point, 65));
  EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(peer->key, NULL);
  assert_int_equal(1, EVP_PKEY_derive_init(ctx));
  assert_int_equal(1, EVP_PKEY_derive_set_peer(ctx, other));
  assert_int_equal(1, EVP_PKEY_derive(ctx, secret, &len));
  EVP_PKEY_CTX_free(ctx);
  EVP_PKEY_free(other);
}

static void x963(const CK_BYTE *secret, const char *info, CK_BYTE *out, size_t len)
{
  EVP_KDF *kdf = EVP_KDF_fetch(NULL, "X963KDF", NULL);
  EVP_KDF_CTX *ctx = EVP_KDF_CTX_new(kdf);
  char digest[] = "SHA256";
  OSSL_PARAM params[] = {
    OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
    OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, (void *)(uintptr_t)secret, P256_BYTES),
    OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, (void *)(uintptr_t)info, strlen(info)),
    OSSL_PARAM_END,
  };
  assert_int_equal(1, EVP_KDF_derive(ctx, out, len, params));
  EVP_KDF_CTX_free(ctx);
  EVP_KDF_free(kdf);
}

struct derivation {
  CK_ULONG kdf;
  const char *shared;
  CK_BYTE *point;
  CK_ULONG point_len;
  CK_ULONG value_len; /* 0: not said */
  CK_BBOOL sensitive;
};

static CK_RV derive(CK_SESSION_HANDLE h, CK_OBJECT_HANDLE base, const struct derivation *d, CK_OBJECT_HANDLE *ret_key)
{
  CK_OBJECT_CLASS class = CKO_SECRET_KEY;
  CK_KEY_TYPE type = CKK_GENERIC_SECRET;
  CK_BBOOL extractable = !d->sensitive, sensitive = d->sensitive;
  CK_ULONG value_len = d->value_len;
  CK_ECDH1_DERIVE_PARAMS params = { d->kdf, d->shared ? strlen(d->shared) : 0, utf8(d->shared), d->point_len,
                                    d->point };
  CK_MECHANISM m = { CKM_ECDH1_DERIVE, &params, sizeof(params) };
  CK_ATTRIBUTE tmpl[] = {
    { CKA_CLASS, &class, sizeof(class) },
    { CKA_KEY_TYPE, &type, sizeof(type) },
    { CKA_SENSITIVE, &sensitive, 1 },
    { CKA_EXTRACTABLE, &extractable, 1 },
    { CKA_VALUE_LEN, &value_len, sizeof(value_len) },
  };
  return C_DeriveKey(h, &m, base, tmpl, d->value_len ? 5 : 4, ret_key);
}

static void test_ecdh(void **state)
{
  (void)state;
  CK_SESSION_HANDLE h = rig_user_session();
  struct rig_pair pair = deriving_pair(h);
  struct bytes own = get(h, pair.public, CKA_EC_POINT);
  /* Often: a secret has leading zeros now and then. */
  for (int i = 0; i < 600; i++) {
    struct peer peer = peer_new();
    CK_BYTE secret[P256_BYTES], der[67] = { 4, 65 };
    CK_OBJECT_HANDLE key;
    peer_secret(&peer, own.data + 2, secret);
    memcpy(der + 2, peer.point, 65);
    struct derivation d = { CKD_NULL, NULL, i % 2 ? der : peer.point, i % 2 ? 67 : 65, i % 3 ? 32 : 0, CK_FALSE };
    assert_ok(derive(h, pair.private, &d, &key));
    struct bytes value = get(h, key, CKA_VALUE);
    assert_int_equal(P256_BYTES, value.len);
    assert_memory_equal(secret, value.data, P256_BYTES);
    assert_ok(C_DestroyObject(h, key));
    if (i == 0) {
      d.value_len = 20; /* the leading bytes go */
      assert_ok(derive(h, pair.private, &d, &key));
      value = get(h, key, CKA_VALUE);
      assert_int_equal(20, value.len);
      assert_memory_equal(secret + 12, value.data, 20);
    }
    EVP_PKEY_free(peer.key);
  }
}

static void test_ecdh_kdf(void **state)
{
  (void)state;
  CK_SESSION_HANDLE h = rig_user_session();
  struct rig_pair pair = deriving_pair(h);
  struct bytes own = get(h, pair.public, CKA_EC_POINT);
  struct peer peer = peer_new();
  CK_BYTE secret[P256_BYTES], expected[100];
  CK_OBJECT_HANDLE key;
  peer_secret(&peer, own.data + 2, secret);
  x963(secret, "what both know", expected, sizeof(expected));
  struct derivation d = { CKD_SHA256_KDF, "what both know", peer.point, 65, sizeof(expected), CK_FALSE };
  assert_ok(derive(h, pair.private, &d, &key));
  struct bytes value = get(h, key, CKA_VALUE);
  assert_int_equal(sizeof(expected), value.len);
  assert_memory_equal(expected, value.data, value.len);
  d.value_len = 0;
  assert_rv(CKR_TEMPLATE_INCOMPLETE, derive(h, pair.private, &d, &key));
  d.value_len = 1 << 20;
  assert_rv(CKR_TEMPLATE_INCONSISTENT, derive(h, pair.private, &d, &key));
  EVP_PKEY_free(peer.key);
}

static bool is_true(CK_SESSION_HANDLE h, CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type)
{
  return get(h, object, type).data[0];
}

static void test_derived_attributes(void **state)
{
  (void)state;
  CK_SESSION_HANDLE h = rig_user_session();
  struct rig_pair pair = deriving_pair(h);
  struct peer peer = peer_new();
  CK_OBJECT_HANDLE key;
  struct derivation d = { CKD_NULL, NULL, peer.point, 65, 0, CK_TRUE };
  assert_ok(derive(h, pair.private, &d, &key));
  assert_true(is_true(h, key, CKA_ALWAYS_SENSITIVE));
  assert_true(is_true(h, key, CKA_NEVER_EXTRACTABLE));
  assert_false(is_true(h, key, CKA_LOCAL));
  assert_false(is_true(h, key, CKA_TOKEN));
  CK_BYTE room[64];
  CK_ATTRIBUTE attr = { CKA_VALUE, room, sizeof(room) };
  assert_rv(CKR_ATTRIBUTE_SENSITIVE, C_GetAttributeValue(h, key, &attr, 1));
  d.sensitive = CK_FALSE;
  assert_ok(derive(h, pair.private, &d, &key));
  assert_false(is_true(h, key, CKA_ALWAYS_SENSITIVE));
  assert_false(is_true(h, key, CKA_NEVER_EXTRACTABLE));
  EVP_PKEY_free(peer.key);
}

static void test_derive_refused(void **state)
{
  (void)state;
  CK_SESSION_HANDLE h = rig_user_session();
  struct rig_pair pair = rig_ec(h, true), rsa = rig_rsa(h, false);
  struct peer peer = peer_new();
  CK_OBJECT_HANDLE key;
  struct derivation good = { CKD_NULL, NULL, peer.point, 65, 0, CK_FALSE }, d = good;
  assert_rv(CKR_KEY_FUNCTION_NOT_PERMITTED, derive(h, pair.private, &d, &key));
  assert_rv(CKR_KEY_TYPE_INCONSISTENT, derive(h, rsa.private, &d, &key));
  set_bool(h, pair.private, CKA_DERIVE, CK_TRUE);
  d.kdf = 99;
  assert_rv(CKR_MECHANISM_PARAM_INVALID, derive(h, pair.private, &d, &key));
  d = good;
  d.shared = "not without a KDF";
  assert_rv(CKR_MECHANISM_PARAM_INVALID, derive(h, pair.private, &d, &key));
  d = good;
  d.value_len = 33;
  assert_rv(CKR_TEMPLATE_INCONSISTENT, derive(h, pair.private, &d, &key));
  d = good;
  d.point_len = 64;
  assert_rv(CKR_MECHANISM_PARAM_INVALID, derive(h, pair.private, &d, &key));
  d.point_len = (CK_ULONG)-1;
  assert_rv(CKR_MECHANISM_PARAM_INVALID, derive(h, pair.private, &d, &key));
  d = good;
  peer.point[40] ^= 1; /* off the curve */
  assert_rv(CKR_MECHANISM_PARAM_INVALID, derive(h, pair.private, &d, &key));
  CK_BYTE infinity[] = { 0 };
  d.point = infinity;
  d.point_len = 1;
  assert_rv(CKR_MECHANISM_PARAM_INVALID, derive(h, pair.private, &d, &key));
  EVP_PKEY_free(peer.key);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
    RIG_TEST(test_pkcs1),
    RIG_TEST(test_pkcs1_padding),
    RIG_TEST(test_oaep),
    RIG_TEST(test_oaep_parameters),
    RIG_TEST(test_sizes_and_states),
    RIG_TEST(test_permissions),
    RIG_TEST(test_ecdh),
    RIG_TEST(test_ecdh_kdf),
    RIG_TEST(test_derived_attributes),
    RIG_TEST(test_derive_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
