/* SPDX-License-Identifier: Apache-2.0 */
#include "secrets/wrap.h"

#include "identity/openssl.h"

#include <openssl/core_names.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <openssl/rsa.h>

enum { POINT_MAX = 256, SHARED_MAX = 128, INFO_MAX = 4096, SPKI_MAX = 2048 };

#define INFO_LABEL "holdfast secret data key v1"

IDENTITY_CLEANUP(EVP_KDF, kdf_free, EVP_KDF_free)
IDENTITY_CLEANUP(EVP_KDF_CTX, kdf_ctx_free, EVP_KDF_CTX_free)

static const struct method_row {
  const char *name;
  const char *type; /* of key, as OpenSSL calls it */
  int padding;
  const char *md; /* of OAEP */
  CK_MECHANISM_TYPE mechanism, hash;
  CK_RSA_PKCS_MGF_TYPE mgf;
} methods[WRAP_METHODS] = {
  [WRAP_OAEP_SHA256] = { "RSA-OAEP-SHA256", "RSA", RSA_PKCS1_OAEP_PADDING, "SHA256", CKM_RSA_PKCS_OAEP, CKM_SHA256,
                         CKG_MGF1_SHA256 },
  [WRAP_OAEP_SHA1] = { "RSA-OAEP-SHA1", "RSA", RSA_PKCS1_OAEP_PADDING, "SHA1", CKM_RSA_PKCS_OAEP, CKM_SHA_1,
                       CKG_MGF1_SHA1 },
  [WRAP_PKCS1] = { .name = "RSA-PKCS1", .type = "RSA", .padding = RSA_PKCS1_PADDING, .mechanism = CKM_RSA_PKCS },
  [WRAP_ECDH] = { .name = "ECDH-HKDF-SHA256", .type = "EC", .mechanism = CKM_ECDH1_DERIVE },
};

const char *wrap_method_name(enum wrap_method method)
{
  return method > 0 && method < WRAP_METHODS ? methods[method].name : "unknown";
}

static hf_err fail(const char *doing)
{
  return openssl_fail(HF_ERR_INTERNAL, doing, "");
}

static hf_err read_spki(struct hf_slice spki, const struct method_row *row, EVP_PKEY **ret_key)
{
  const unsigned char *at = spki.data;
  HF_CLEANUP(openssl_pkey_freep) EVP_PKEY *key = d2i_PUBKEY(NULL, &at, (long)spki.len);
  if (!key)
    return openssl_fail(HF_ERR_SECRETS, "the public key that secrets are wrapped by", "");
  if (!EVP_PKEY_is_a(key, row->type))
    return hf_fail(HF_ERR_KEY_TYPE_INCONSISTENT, "%s with a key of type %s", row->name, EVP_PKEY_get0_type_name(key));
  *ret_key = HF_TAKE(key);
  return HF_OK;
}

/* RSA */

static hf_err close_rsa(const struct method_row *row, EVP_PKEY *key, const uint8_t *data_key, struct hf_buf *out)
{
  HF_CLEANUP(openssl_pkey_ctx_freep) EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(key, NULL);
  size_t len = (size_t)EVP_PKEY_get_size(key);
  uint8_t *room;
  HF_TRY(hf_buf_reserve(out, len, &room));
  if (!ctx || EVP_PKEY_encrypt_init(ctx) != 1 || EVP_PKEY_CTX_set_rsa_padding(ctx, row->padding) != 1 ||
      (row->md && (EVP_PKEY_CTX_set_rsa_oaep_md_name(ctx, row->md, NULL) != 1 ||
                   EVP_PKEY_CTX_set_rsa_mgf1_md_name(ctx, row->md, NULL) != 1)) ||
      EVP_PKEY_encrypt(ctx, room, &len, data_key, SEAL_KEY_BYTES) != 1)
    return fail("wrapping a data key");
  hf_buf_commit(out, len);
  return HF_OK;
}

static hf_err not_a_data_key(void)
{
  return hf_fail(HF_ERR_SECRETS, "what wraps a secret's data key was changed, or is another key's");
}

static hf_err open_rsa(const struct method_row *row, struct p11_key *key, struct hf_slice wrapped,
                       struct hf_secret **ret_data_key)
{
  CK_RSA_PKCS_OAEP_PARAMS params = { row->hash, row->mgf, CKZ_DATA_SPECIFIED, NULL, 0 };
  CK_MECHANISM mechanism = { row->mechanism, row->md ? &params : NULL, row->md ? sizeof(params) : 0 };
  HF_CLEANUP(hf_buf_free) struct hf_buf plain = HF_BUF(P11_SIGNATURE_MAX);
  HF_TRY(p11_key_decrypt(key, &mechanism, wrapped.data, wrapped.len, &plain));
  return plain.len == SEAL_KEY_BYTES ? hf_secret_new(plain.data, plain.len, ret_data_key) : not_a_data_key();
}

/* ECDH: u16 length and point of the fresh key, then the sealed data key. */

hf_err wrap_kek(struct hf_slice shared, struct hf_slice info, uint8_t ret_kek[SEAL_KEY_BYTES])
{
  HF_CLEANUP(kdf_freep) EVP_KDF *kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
  HF_CLEANUP(kdf_ctx_freep) EVP_KDF_CTX *ctx = kdf ? EVP_KDF_CTX_new(kdf) : NULL;
  char digest[] = "SHA256";
  OSSL_PARAM params[] = {
    OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
    OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, (void *)(uintptr_t)shared.data, shared.len),
    OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, (void *)(uintptr_t)info.data, info.len),
    OSSL_PARAM_END,
  };
  return ctx && EVP_KDF_derive(ctx, ret_kek, SEAL_KEY_BYTES, params) == 1 ? HF_OK : fail("HKDF");
}

static hf_err add_bytes(struct hf_buf *out, struct hf_slice bytes)
{
  HF_TRY(hf_buf_add_u16(out, (uint16_t)bytes.len));
  return hf_buf_add(out, bytes.data, bytes.len);
}

static hf_err kek_of(struct hf_slice shared, struct hf_slice fresh, struct hf_slice own, struct hf_slice context,
                     uint8_t ret_kek[SEAL_KEY_BYTES])
{
  HF_CLEANUP(hf_buf_free) struct hf_buf info = HF_BUF(INFO_MAX);
  HF_TRY(add_bytes(&info, hf_slice(INFO_LABEL, sizeof(INFO_LABEL) - 1)));
  HF_TRY(add_bytes(&info, fresh));
  HF_TRY(add_bytes(&info, own));
  HF_TRY(add_bytes(&info, context));
  return wrap_kek(shared, hf_slice(info.data, info.len), ret_kek);
}

static hf_err point_of(EVP_PKEY *key, uint8_t point[POINT_MAX], struct hf_slice *ret_point)
{
  size_t len;
  if (EVP_PKEY_get_octet_string_param(key, OSSL_PKEY_PARAM_PUB_KEY, point, POINT_MAX, &len) != 1)
    return fail("an EC key's point");
  *ret_point = hf_slice(point, len);
  return HF_OK;
}

static hf_err fresh_key(EVP_PKEY *like, EVP_PKEY **ret_key)
{
  HF_CLEANUP(openssl_pkey_ctx_freep) EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(like, NULL);
  if (!ctx || EVP_PKEY_keygen_init(ctx) != 1 || EVP_PKEY_generate(ctx, ret_key) != 1)
    return fail("a fresh EC key");
  return HF_OK;
}

static hf_err agree(EVP_PKEY *own, EVP_PKEY *other, uint8_t shared[SHARED_MAX], size_t *ret_len)
{
  HF_CLEANUP(openssl_pkey_ctx_freep) EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(own, NULL);
  size_t len = SHARED_MAX;
  if (!ctx || EVP_PKEY_derive_init(ctx) != 1 || EVP_PKEY_derive_set_peer(ctx, other) != 1 ||
      EVP_PKEY_derive(ctx, shared, &len) != 1)
    return fail("ECDH");
  *ret_len = len;
  return HF_OK;
}

static hf_err close_ecdh(EVP_PKEY *key, struct hf_slice context, const uint8_t *data_key, struct hf_buf *out)
{
  HF_CLEANUP(openssl_pkey_freep) EVP_PKEY *fresh = NULL;
  uint8_t fresh_point[POINT_MAX], own_point[POINT_MAX], shared[SHARED_MAX], kek[SEAL_KEY_BYTES];
  struct hf_slice fresh_slice = { 0 }, own_slice = { 0 };
  size_t len = 0;
  HF_TRY(fresh_key(key, &fresh));
  HF_TRY(point_of(fresh, fresh_point, &fresh_slice));
  HF_TRY(point_of(key, own_point, &own_slice));
  HF_TRY(agree(fresh, key, shared, &len));
  hf_err e = kek_of(hf_slice(shared, len), fresh_slice, own_slice, context, kek);
  if (!hf_failed(e))
    e = add_bytes(out, fresh_slice);
  if (!hf_failed(e))
    e = seal_close(kek, NULL, context, hf_slice(data_key, SEAL_KEY_BYTES), out);
  hf_wipe(shared, sizeof(shared));
  hf_wipe(kek, sizeof(kek));
  return e;
}

static hf_err take_point(struct hf_slice *in, struct hf_slice *ret_point)
{
  uint16_t len;
  const uint8_t *point;
  if (hf_failed(hf_take_u16(in, &len)) || hf_failed(hf_take(in, len, &point)))
    return not_a_data_key();
  *ret_point = hf_slice(point, len);
  return HF_OK;
}

static hf_err open_ecdh(struct p11_key *key, struct hf_slice context, struct hf_slice wrapped,
                        struct hf_secret **ret_data_key)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf shared = HF_BUF(SHARED_MAX);
  HF_CLEANUP(hf_secret_freep) struct hf_secret *data_key = NULL;
  const struct hf_buf *own = &p11_key_public(key)->point;
  struct hf_slice fresh = { 0 };
  uint8_t kek[SEAL_KEY_BYTES];
  HF_TRY(take_point(&wrapped, &fresh));
  HF_TRY(p11_key_derive(key, fresh.data, fresh.len, &shared));
  hf_err e = kek_of(hf_slice(shared.data, shared.len), fresh, hf_slice(own->data, own->len), context, kek);
  if (!hf_failed(e))
    e = seal_open(kek, context, wrapped, &data_key);
  hf_wipe(kek, sizeof(kek));
  HF_TRY(e);
  if (hf_secret_len(data_key) != SEAL_KEY_BYTES)
    return not_a_data_key();
  *ret_data_key = HF_TAKE(data_key);
  return HF_OK;
}

hf_err wrap_close(struct hf_slice spki, enum wrap_method method, struct hf_slice context,
                  const uint8_t data_key[SEAL_KEY_BYTES], struct hf_buf *out)
{
  const struct method_row *row = &methods[method];
  HF_CLEANUP(openssl_pkey_freep) EVP_PKEY *key = NULL;
  HF_TRY(read_spki(spki, row, &key));
  return method == WRAP_ECDH ? close_ecdh(key, context, data_key, out) : close_rsa(row, key, data_key, out);
}

hf_err wrap_open(struct p11_key *key, enum wrap_method method, struct hf_slice context, struct hf_slice wrapped,
                 struct hf_secret **ret_data_key)
{
  return method == WRAP_ECDH ? open_ecdh(key, context, wrapped, ret_data_key)
                             : open_rsa(&methods[method], key, wrapped, ret_data_key);
}

static hf_err prove(struct p11_key *key, struct hf_slice spki, enum wrap_method method)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf wrapped = HF_BUF(WRAP_MAX);
  HF_CLEANUP(hf_secret_freep) struct hf_secret *opened = NULL;
  const struct hf_slice context = hf_slice("trial", 5);
  uint8_t data_key[SEAL_KEY_BYTES];
  HF_TRY(seal_random(data_key, sizeof(data_key)));
  HF_TRY(wrap_close(spki, method, context, data_key, &wrapped));
  HF_TRY(wrap_open(key, method, context, hf_slice(wrapped.data, wrapped.len), &opened));
  return hf_secret_equal(hf_secret_data(opened), data_key, sizeof(data_key)) ? HF_OK : not_a_data_key();
}

hf_err wrap_prove(struct p11_key *key, struct hf_slice spki, enum wrap_method *ret_method)
{
  CK_KEY_TYPE type = p11_key_public(key)->type;
  if (type != CKK_RSA && type != CKK_EC)
    return hf_hint(hf_fail(HF_ERR_KEY_TYPE_INCONSISTENT, "secrets with a key of type %s", p11_key_type_name(type)),
                   "Use an RSA or EC key.");
  hf_err e = HF_OK;
  for (enum wrap_method method = WRAP_OAEP_SHA256; method < WRAP_METHODS; method++) {
    if ((methods[method].mechanism == CKM_ECDH1_DERIVE) != (type == CKK_EC))
      continue;
    e = prove(key, spki, method);
    if (!hf_failed(e)) {
      *ret_method = method;
      return HF_OK;
    }
    if (e.code == HF_ERR_FUNCTION_REJECTED)
      return hf_hint(e, "The agent's policy needs a line like 'allow list,decrypt,derive user=NAME key=URI'.");
  }
  return hf_hint(e, type == CKK_RSA
                        ? "The key has to decrypt (CKA_DECRYPT); name another by secrets.key_uri."
                        : "The key has to derive (CKA_DERIVE), and its token to do ECDH: use an RSA key, or "
                          "another, by secrets.key_uri.");
}
