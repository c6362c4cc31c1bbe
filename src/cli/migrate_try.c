/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/keyfile.h"
#include "cli/migrate.h"
#include "cli/migrate_key.h"
#include "p11/key.h"

#include <openssl/err.h>
#include <openssl/rand.h>

enum { DATA_BYTES = 32, RESULT_MAX = 4096 };

struct trial {
  struct p11_session *session;
  CK_FUNCTION_LIST *f;
  CK_SESSION_HANDLE h;
  CK_OBJECT_HANDLE key;
  CK_MECHANISM mechanism;
  const struct softhsm_object *object;
  uint8_t data[DATA_BYTES];
};

static hf_err failed(const struct trial *t, CK_RV rv, const char *doing)
{
  return p11_fail(p11_session_module(t->session), rv, "%s with the new key", doing);
}

static hf_err wrong(const char *what)
{
  ERR_clear_error();
  return hf_fail(HF_ERR_MODULE_ANSWER, "%s of the new token is not what the old key gives", what);
}

static hf_err sign(struct trial *t, size_t len, struct hf_buf *out)
{
  uint8_t *room;
  CK_ULONG size = RESULT_MAX;
  HF_TRY(failed(t, t->f->C_SignInit(t->h, &t->mechanism, t->key), "signing"));
  HF_TRY(hf_buf_reserve(out, size, &room));
  HF_TRY(failed(t, t->f->C_Sign(t->h, t->data, len, room, &size), "signing"));
  hf_buf_commit(out, size);
  return HF_OK;
}

static bool verifies_message(EVP_PKEY *key, const char *hash, const struct hf_buf *signature, const uint8_t *data)
{
  EVP_MD_CTX *ctx = EVP_MD_CTX_new();
  bool good = ctx && EVP_DigestVerifyInit_ex(ctx, NULL, hash, cli_own_context(), NULL, key, NULL) == 1 &&
              EVP_DigestVerify(ctx, signature->data, signature->len, data, DATA_BYTES) == 1;
  EVP_MD_CTX_free(ctx);
  return good;
}

static hf_err try_message(struct trial *t, const char *hash)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf signature = HF_BUF(RESULT_MAX);
  HF_CLEANUP(cli_pkey_freep) EVP_PKEY *key = NULL;
  HF_TRY(migrate_key_read(t->object, &key));
  HF_TRY(sign(t, DATA_BYTES, &signature));
  return verifies_message(key, hash, &signature, t->data) ? HF_OK : wrong("a signature");
}

static hf_err try_rsa(struct trial *t)
{
  return try_message(t, "SHA256");
}

static hf_err try_edwards(struct trial *t)
{
  return try_message(t, NULL);
}

/* The digest itself is signed; r and s come as they are. */
static hf_err try_digest(struct trial *t, size_t len)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf raw = HF_BUF(RESULT_MAX), der = HF_BUF(RESULT_MAX);
  HF_CLEANUP(cli_pkey_freep) EVP_PKEY *key = NULL;
  HF_TRY(migrate_key_read(t->object, &key));
  HF_TRY(sign(t, len, &raw));
  HF_TRY(p11_ecdsa_to_der(raw.data, raw.len, &der));
  EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(cli_own_context(), key, NULL);
  bool good = ctx && EVP_PKEY_verify_init(ctx) == 1 && EVP_PKEY_verify(ctx, der.data, der.len, t->data, len) == 1;
  EVP_PKEY_CTX_free(ctx);
  return good ? HF_OK : wrong("a signature");
}

static hf_err try_ecdsa(struct trial *t)
{
  return try_digest(t, DATA_BYTES);
}

static hf_err try_dsa(struct trial *t)
{
  enum { SHA1_BYTES = 20 };
  return try_digest(t, SHA1_BYTES);
}

/* The token's side of an agreement, readable, as long as it lives. */
static hf_err derive(struct trial *t, size_t len, struct hf_buf *out)
{
  CK_OBJECT_CLASS class = CKO_SECRET_KEY;
  CK_KEY_TYPE type = CKK_GENERIC_SECRET;
  CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
  CK_ULONG size = len;
  CK_ATTRIBUTE tmpl[] = {
    { CKA_CLASS, &class, sizeof(class) },
    { CKA_KEY_TYPE, &type, sizeof(type) },
    { CKA_TOKEN, &no, 1 },
    { CKA_SENSITIVE, &no, 1 },
    { CKA_EXTRACTABLE, &yes, 1 },
    { CKA_VALUE_LEN, &size, sizeof(size) },
  };
  CK_OBJECT_HANDLE secret;
  HF_TRY(failed(t, t->f->C_DeriveKey(t->h, &t->mechanism, t->key, tmpl, HF_ARRAY_LEN(tmpl), &secret), "deriving"));
  hf_err e = p11_object_get(t->session, secret, CKA_VALUE, out);
  HF_TRY(p11_object_destroy(t->session, secret));
  return e;
}

static bool agree(EVP_PKEY *key, EVP_PKEY *peer, uint8_t *out, size_t *len)
{
  EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(cli_own_context(), key, NULL);
  bool good = ctx && EVP_PKEY_derive_init(ctx) == 1 && EVP_PKEY_derive_set_peer(ctx, peer) == 1 &&
              EVP_PKEY_derive(ctx, out, len) == 1;
  EVP_PKEY_CTX_free(ctx);
  return good;
}

static hf_err try_agreement(struct trial *t)
{
  uint8_t point[DATA_BYTES * 2], expected[DATA_BYTES * 2];
  size_t point_len = sizeof(point), len = sizeof(expected);
  HF_CLEANUP(hf_buf_free) struct hf_buf secret = HF_BUF(RESULT_MAX);
  HF_CLEANUP(cli_pkey_freep) EVP_PKEY *key = NULL, *peer = NULL;
  HF_TRY(migrate_key_read(t->object, &key));
  peer = EVP_PKEY_Q_keygen(cli_own_context(), NULL, EVP_PKEY_get0_type_name(key));
  if (!peer || EVP_PKEY_get_raw_public_key(peer, point, &point_len) != 1 || !agree(key, peer, expected, &len))
    return wrong("the curve");
  CK_ECDH1_DERIVE_PARAMS params = { .kdf = CKD_NULL, .ulPublicDataLen = point_len, .pPublicData = point };
  t->mechanism = (CK_MECHANISM){ t->mechanism.mechanism, &params, sizeof(params) };
  HF_TRY(derive(t, len, &secret));
  bool same = hf_slice_equal(hf_slice(expected, len), hf_slice(secret.data, secret.len));
  hf_wipe(expected, sizeof(expected));
  return same ? HF_OK : wrong("a secret");
}

/* One block. */
static hf_err try_cipher(struct trial *t, const char *name, size_t block)
{
  uint8_t expected[2 * DATA_BYTES], found[2 * DATA_BYTES];
  CK_ULONG len = sizeof(found);
  int expected_len = 0;
  EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
  EVP_CIPHER *cipher = EVP_CIPHER_fetch(cli_own_context(), name, NULL);
  bool good = ctx && cipher &&
              EVP_EncryptInit_ex2(ctx, cipher, softhsm_object_bytes(t->object, CKA_VALUE).data, NULL, NULL) == 1 &&
              EVP_CIPHER_CTX_set_padding(ctx, 0) == 1 &&
              EVP_EncryptUpdate(ctx, expected, &expected_len, t->data, (int)block) == 1;
  EVP_CIPHER_free(cipher);
  EVP_CIPHER_CTX_free(ctx);
  if (!good)
    return wrong("the cipher");
  HF_TRY(failed(t, t->f->C_EncryptInit(t->h, &t->mechanism, t->key), "encrypting"));
  HF_TRY(failed(t, t->f->C_Encrypt(t->h, t->data, block, found, &len), "encrypting"));
  return hf_slice_equal(hf_slice(expected, (size_t)expected_len), hf_slice(found, len)) ? HF_OK
                                                                                        : wrong("what is encrypted");
}

static hf_err try_aes(struct trial *t)
{
  char name[32];
  snprintf(name, sizeof(name), "AES-%zu-ECB", 8 * softhsm_object_bytes(t->object, CKA_VALUE).len);
  return try_cipher(t, name, 16);
}

static hf_err try_des3(struct trial *t)
{
  return try_cipher(t, softhsm_object_bytes(t->object, CKA_VALUE).len == 16 ? "DES-EDE-ECB" : "DES-EDE3-ECB", 8);
}

static hf_err try_hmac(struct trial *t)
{
  struct hf_slice key = softhsm_object_bytes(t->object, CKA_VALUE);
  uint8_t expected[EVP_MAX_MD_SIZE];
  size_t len = 0;
  HF_CLEANUP(hf_buf_free) struct hf_buf found = HF_BUF(RESULT_MAX);
  HF_TRY(sign(t, DATA_BYTES, &found));
  if (!EVP_Q_mac(cli_own_context(), "HMAC", NULL, "SHA256", NULL, key.data, key.len, t->data, DATA_BYTES, expected,
                 sizeof(expected), &len))
    return wrong("the key");
  return hf_slice_equal(hf_slice(expected, len), hf_slice(found.data, found.len)) ? HF_OK : wrong("a MAC");
}

static const struct row {
  CK_OBJECT_CLASS class;
  CK_KEY_TYPE type;
  CK_ATTRIBUTE_TYPE usage;
  CK_MECHANISM_TYPE mechanism;
  hf_err (*try)(struct trial *t);
} rows[] = {
  { CKO_PRIVATE_KEY, CKK_RSA, CKA_SIGN, CKM_SHA256_RSA_PKCS, try_rsa },
  { CKO_PRIVATE_KEY, CKK_EC, CKA_SIGN, CKM_ECDSA, try_ecdsa },
  { CKO_PRIVATE_KEY, CKK_EC_EDWARDS, CKA_SIGN, CKM_EDDSA, try_edwards },
  { CKO_PRIVATE_KEY, CKK_EC_MONTGOMERY, CKA_DERIVE, CKM_ECDH1_DERIVE, try_agreement },
  { CKO_PRIVATE_KEY, CKK_DSA, CKA_SIGN, CKM_DSA, try_dsa },
  { CKO_SECRET_KEY, CKK_AES, CKA_ENCRYPT, CKM_AES_ECB, try_aes },
  { CKO_SECRET_KEY, CKK_DES2, CKA_ENCRYPT, CKM_DES3_ECB, try_des3 },
  { CKO_SECRET_KEY, CKK_DES3, CKA_ENCRYPT, CKM_DES3_ECB, try_des3 },
  { CKO_SECRET_KEY, CKK_GENERIC_SECRET, CKA_SIGN, CKM_SHA256_HMAC, try_hmac },
  { CKO_SECRET_KEY, CKK_SHA256_HMAC, CKA_SIGN, CKM_SHA256_HMAC, try_hmac },
};

static const struct row *row_of(const struct softhsm_object *object)
{
  CK_OBJECT_CLASS class = softhsm_object_ulong(object, CKA_CLASS, CK_UNAVAILABLE_INFORMATION);
  CK_KEY_TYPE type = softhsm_object_ulong(object, CKA_KEY_TYPE, CK_UNAVAILABLE_INFORMATION);
  for (size_t i = 0; i < HF_ARRAY_LEN(rows); i++)
    if (rows[i].class == class && rows[i].type == type)
      return &rows[i];
  return NULL;
}

/* Its attributes let the key be used in the row's way, without more. */
static bool may_use(const struct softhsm_object *object, CK_ATTRIBUTE_TYPE usage)
{
  return softhsm_object_true(object, usage) && !softhsm_object_true(object, CKA_ALWAYS_AUTHENTICATE) &&
         softhsm_object_bytes(object, CKA_ALLOWED_MECHANISMS).len == 0;
}

/* A key that may not be used so is tried by a copy that may, and goes at once. */
static hf_err copy(struct trial *t, CK_ATTRIBUTE_TYPE usage)
{
  struct p11_module *module = p11_session_module(t->session);
  CK_ATTRIBUTE tmpl[SOFTHSM_ATTRS_MAX + 1];
  size_t count = migrate_template(t->object, usage, tmpl);
  return failed(t, p11_module_ext(module)->restore_object(t->h, tmpl, count, &t->key), "making a copy to try");
}

static bool is_not_offered(hf_err e)
{
  return e.code == HF_ERR_MECHANISM_INVALID || e.code == HF_ERR_FUNCTION_NOT_SUPPORTED;
}

hf_err migrate_try(struct p11_session *session, const struct softhsm_object *object, CK_OBJECT_HANDLE made,
                   bool *ret_tried)
{
  const struct row *row = row_of(object);
  struct trial t = { .session = session,
                     .f = p11_module_functions(p11_session_module(session)),
                     .h = p11_session_handle(session),
                     .key = made,
                     .object = object };
  *ret_tried = false;
  if (!row)
    return HF_OK;
  if (RAND_bytes(t.data, sizeof(t.data)) != 1)
    return hf_fail(HF_ERR_INTERNAL, "no random bytes");
  t.mechanism = (CK_MECHANISM){ row->mechanism, NULL, 0 };
  if (!may_use(object, row->usage))
    HF_TRY(copy(&t, row->usage));
  hf_err e = row->try(&t);
  if (t.key != made) {
    struct hf_err_saved saved = hf_err_save(e);
    hf_ignore(p11_object_destroy(session, t.key));
    e = hf_failed(e) ? hf_err_restore(&saved) : e;
  }
  *ret_tried = !hf_failed(e);
  return is_not_offered(e) ? HF_OK : e;
}
