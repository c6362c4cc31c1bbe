/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signatures (provider-signature(7)): ECDSA, Ed25519, and RSA with PKCS #1 v1.5 or PSS. An operation of ours carries one of the
 * default provider's on the key's public half, its mirror: that keeps and checks the parameters, gives the algorithm
 * identifier, and does the verifying. The hash is made here, and the token signs it; Ed25519 has none, and takes the
 * message in one piece.
 */
#include "provider/key.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/params.h>
#include <openssl/rsa.h>

struct signature {
  struct provider_ctx *ctx;
  struct provider_key *key;
  EVP_MD_CTX *mirror_md; /* of a digest operation; it owns mirror then */
  EVP_PKEY_CTX *mirror;
  EVP_MD_CTX *hash; /* of a digest_sign operation */
};

static void *signature_new(void *provctx, const char *propq)
{
  (void)propq;
  struct signature *s = calloc(1, sizeof(*s));
  if (s)
    s->ctx = provctx;
  return s;
}

static void clear(struct signature *s)
{
  if (s->mirror_md)
    EVP_MD_CTX_free(s->mirror_md);
  else
    EVP_PKEY_CTX_free(s->mirror);
  EVP_MD_CTX_free(s->hash);
  provider_key_unref(s->key);
  *s = (struct signature){ .ctx = s->ctx };
}

static void signature_free(void *sigctx)
{
  struct signature *s = sigctx;
  if (s) {
    clear(s);
    free(s);
  }
}

static bool copy_md(EVP_MD_CTX *from, EVP_MD_CTX **ret_to)
{
  if (!from)
    return true;
  *ret_to = EVP_MD_CTX_new();
  return *ret_to && EVP_MD_CTX_copy_ex(*ret_to, from) == 1;
}

static void *signature_dup(void *sigctx)
{
  struct signature *from = sigctx;
  struct signature *to = signature_new(from->ctx, NULL);
  if (!to)
    return NULL;
  to->key = from->key ? provider_key_ref(from->key) : NULL;
  bool ok = copy_md(from->mirror_md, &to->mirror_md) && copy_md(from->hash, &to->hash);
  if (ok && to->mirror_md)
    to->mirror = EVP_MD_CTX_get_pkey_ctx(to->mirror_md);
  else if (ok && from->mirror)
    ok = (to->mirror = EVP_PKEY_CTX_dup(from->mirror)) != NULL;
  if (ok)
    return to;
  signature_free(to);
  return NULL;
}

/* Both begin an operation; keydata may be NULL for one more on the same key. */
static bool set_key(struct signature *s, void *keydata)
{
  struct provider_key *key = keydata ? keydata : s->key;
  if (!key)
    return false;
  provider_key_ref(key);
  clear(s);
  s->key = key;
  return true;
}

static int set_ctx_params(void *sigctx, const OSSL_PARAM params[])
{
  struct signature *s = sigctx;
  return s->mirror && (!params || EVP_PKEY_CTX_set_params(s->mirror, params) == 1);
}

static int get_ctx_params(void *sigctx, OSSL_PARAM params[])
{
  struct signature *s = sigctx;
  return s->mirror && EVP_PKEY_CTX_get_params(s->mirror, params) == 1;
}

static int begin(struct signature *s, void *keydata, const OSSL_PARAM params[], int (*init)(EVP_PKEY_CTX *))
{
  if (!set_key(s, keydata))
    return 0;
  s->mirror = EVP_PKEY_CTX_new_from_pkey(s->ctx->libctx, provider_key_public(s->key), NULL);
  return s->mirror && init(s->mirror) == 1 && set_ctx_params(s, params);
}

static int sign_init(void *sigctx, void *keydata, const OSSL_PARAM params[])
{
  return begin(sigctx, keydata, params, EVP_PKEY_sign_init);
}

static int verify_init(void *sigctx, void *keydata, const OSSL_PARAM params[])
{
  return begin(sigctx, keydata, params, EVP_PKEY_verify_init);
}

/* The mirror's setting as text; "" where there is none. */
static void get_text(struct signature *s, const char *name, char *out, size_t size)
{
  OSSL_PARAM params[] = { OSSL_PARAM_construct_utf8_string(name, out, size), OSSL_PARAM_construct_end() };
  out[0] = '\0';
  if (EVP_PKEY_CTX_get_params(s->mirror, params) != 1 || !OSSL_PARAM_modified(params))
    out[0] = '\0';
}

/*
 * OpenSSL has many names for a hash ("SHA2-256", "sha256"); p11 takes the short one ("SHA256"). NULL where there is
 * none.
 */
static const char *hash_name(struct signature *s, const char *param)
{
  char name[64];
  get_text(s, param, name, sizeof(name));
  EVP_MD *md = name[0] ? EVP_MD_fetch(s->ctx->libctx, name, NULL) : NULL;
  const char *found = md ? OBJ_nid2sn(EVP_MD_get_type(md)) : NULL;
  EVP_MD_free(md);
  return found;
}

/* The salt's length in bytes: OpenSSL writes it as a number or as what it depends on. */
static hf_err salt_len(struct signature *s, size_t digest_len, size_t *ret_len)
{
  char text[32];
  get_text(s, OSSL_SIGNATURE_PARAM_PSS_SALTLEN, text, sizeof(text));
  size_t bits = (size_t)EVP_PKEY_get_bits(provider_key_public(s->key));
  size_t room = (bits - 1 + 7) / 8;
  if (room < digest_len + 2)
    return hf_fail(HF_ERR_KEY_SIZE_RANGE, "RSA-%zu is too short for PSS with this hash", bits);
  size_t max = room - digest_len - 2;
  char *end;
  if (strcmp(text, OSSL_PKEY_RSA_PSS_SALT_LEN_DIGEST) == 0)
    *ret_len = digest_len;
  else if (strcmp(text, OSSL_PKEY_RSA_PSS_SALT_LEN_MAX) == 0 || strcmp(text, OSSL_PKEY_RSA_PSS_SALT_LEN_AUTO) == 0)
    *ret_len = max;
  else if (strcmp(text, "auto-digestmax") == 0)
    *ret_len = digest_len < max ? digest_len : max;
  else if (text[0] < '0' || text[0] > '9' || (*ret_len = strtoul(text, &end, 10), *end != '\0'))
    return hf_fail(HF_ERR_MECHANISM_PARAM_INVALID, "the PSS salt length \"%s\"", text);
  return HF_OK;
}

static hf_err how_rsa(struct signature *s, size_t digest_len, struct p11_sign *ret_how)
{
  char mode[16];
  get_text(s, OSSL_SIGNATURE_PARAM_PAD_MODE, mode, sizeof(mode));
  struct p11_sign how = { .scheme = P11_SIGN_RSA_PKCS1, .hash = hash_name(s, OSSL_SIGNATURE_PARAM_DIGEST) };
  if (strcmp(mode, OSSL_PKEY_RSA_PAD_MODE_PSS) == 0) {
    how.scheme = P11_SIGN_RSA_PSS;
    how.mgf_hash = hash_name(s, OSSL_SIGNATURE_PARAM_MGF1_DIGEST);
    HF_TRY(salt_len(s, digest_len, &how.salt_len));
  } else if (strcmp(mode, OSSL_PKEY_RSA_PAD_MODE_PKCSV15) != 0) {
    return hf_fail(HF_ERR_MECHANISM_INVALID, "RSA signatures with the padding \"%s\"", mode);
  }
  /* TLS 1.1 and older sign both hashes without a DigestInfo. */
  if (how.hash && strcmp(how.hash, "MD5-SHA1") == 0)
    how.hash = NULL;
  *ret_how = how;
  return HF_OK;
}

static hf_err sign_in_token(struct signature *s, const uint8_t *digest, size_t len, struct hf_buf *out)
{
  struct p11_key *key = provider_key_token(s->key);
  if (!key)
    return hf_fail(HF_ERR_KEY_FUNCTION_NOT_PERMITTED, "signing with a public key");
  CK_KEY_TYPE type = p11_key_public(key)->type;
  struct p11_sign how = { .scheme = type == CKK_EC ? P11_SIGN_ECDSA : P11_SIGN_EDDSA };
  if (type == CKK_RSA)
    HF_TRY(how_rsa(s, len, &how));
  return p11_key_sign_der(key, &how, digest, len, out);
}

/* sig NULL asks for the size. */
static int sign(void *sigctx, unsigned char *sig, size_t *siglen, size_t sigsize, const unsigned char *tbs,
                size_t tbslen)
{
  struct signature *s = sigctx;
  if (!s->key)
    return 0;
  size_t max = (size_t)EVP_PKEY_get_size(provider_key_public(s->key));
  if (!sig) {
    *siglen = max;
    return 1;
  }
  HF_CLEANUP(hf_buf_free) struct hf_buf out = HF_BUF(P11_SIGNATURE_MAX);
  /* A module that uses OpenSSL leaves its own errors in the queue. */
  ERR_set_mark();
  hf_err e = sign_in_token(s, tbs, tbslen, &out);
  ERR_pop_to_mark();
  if (!hf_failed(e) && out.len > sigsize)
    e = hf_fail(HF_ERR_BUFFER_TOO_SMALL, "a signature of %zu bytes", out.len);
  if (hf_failed(e)) {
    provider_raise(s->ctx, e);
    return 0;
  }
  memcpy(sig, out.data, out.len);
  *siglen = out.len;
  return 1;
}

static int verify(void *sigctx, const unsigned char *sig, size_t siglen, const unsigned char *tbs, size_t tbslen)
{
  struct signature *s = sigctx;
  return s->mirror ? EVP_PKEY_verify(s->mirror, sig, siglen, tbs, tbslen) : 0;
}

typedef int (*digest_init_fn)(EVP_MD_CTX *, EVP_PKEY_CTX **, const char *, OSSL_LIB_CTX *, const char *, EVP_PKEY *,
                              const OSSL_PARAM[]);

static int digest_begin(struct signature *s, const char *md, void *keydata, const OSSL_PARAM params[],
                        digest_init_fn init)
{
  if (!set_key(s, keydata))
    return 0;
  s->mirror_md = EVP_MD_CTX_new();
  return s->mirror_md && init(s->mirror_md, &s->mirror, md && md[0] ? md : NULL, s->ctx->libctx, NULL,
                              provider_key_public(s->key), params) == 1;
}

static int message_sign_init(void *sigctx, const char *md, void *keydata, const OSSL_PARAM params[])
{
  return digest_begin(sigctx, md, keydata, params, EVP_DigestSignInit_ex);
}

static int digest_sign_init(void *sigctx, const char *md, void *keydata, const OSSL_PARAM params[])
{
  struct signature *s = sigctx;
  if (!message_sign_init(s, md, keydata, params))
    return 0;
  char name[64];
  get_text(s, OSSL_SIGNATURE_PARAM_DIGEST, name, sizeof(name));
  EVP_MD *hash = EVP_MD_fetch(s->ctx->libctx, name, NULL);
  s->hash = EVP_MD_CTX_new();
  int ok = hash && s->hash && EVP_DigestInit_ex2(s->hash, hash, NULL) == 1;
  EVP_MD_free(hash);
  return ok;
}

static int digest_sign_update(void *sigctx, const unsigned char *data, size_t len)
{
  struct signature *s = sigctx;
  return s->hash && EVP_DigestUpdate(s->hash, data, len) == 1;
}

static int digest_sign_final(void *sigctx, unsigned char *sig, size_t *siglen, size_t sigsize)
{
  struct signature *s = sigctx;
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned len = 0;
  if (sig && (!s->hash || EVP_DigestFinal_ex(s->hash, digest, &len) != 1))
    return 0;
  return sign(s, sig, siglen, sigsize, digest, len);
}

static int digest_verify_init(void *sigctx, const char *md, void *keydata, const OSSL_PARAM params[])
{
  return digest_begin(sigctx, md, keydata, params, EVP_DigestVerifyInit_ex);
}

static int digest_verify_update(void *sigctx, const unsigned char *data, size_t len)
{
  struct signature *s = sigctx;
  return s->mirror_md && EVP_DigestVerifyUpdate(s->mirror_md, data, len) == 1;
}

static int digest_verify_final(void *sigctx, const unsigned char *sig, size_t siglen)
{
  struct signature *s = sigctx;
  return s->mirror_md ? EVP_DigestVerifyFinal(s->mirror_md, sig, siglen) : 0;
}

static int digest_verify(void *sigctx, const unsigned char *sig, size_t siglen, const unsigned char *tbs, size_t tbslen)
{
  struct signature *s = sigctx;
  return s->mirror_md ? EVP_DigestVerify(s->mirror_md, sig, siglen, tbs, tbslen) : 0;
}

static const OSSL_PARAM *settable_ctx_params(void *sigctx, void *provctx)
{
  (void)sigctx;
  (void)provctx;
  static const OSSL_PARAM params[] = {
    OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_DIGEST, NULL, 0),
    OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_PROPERTIES, NULL, 0),
    OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_PAD_MODE, NULL, 0),
    OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_PSS_SALTLEN, NULL, 0),
    OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_MGF1_DIGEST, NULL, 0),
    OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_MGF1_PROPERTIES, NULL, 0),
    OSSL_PARAM_END,
  };
  return params;
}

static const OSSL_PARAM *gettable_ctx_params(void *sigctx, void *provctx)
{
  (void)sigctx;
  (void)provctx;
  static const OSSL_PARAM params[] = {
    OSSL_PARAM_octet_string(OSSL_SIGNATURE_PARAM_ALGORITHM_ID, NULL, 0),
    OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_DIGEST, NULL, 0),
    OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_PAD_MODE, NULL, 0),
    OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_PSS_SALTLEN, NULL, 0),
    OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_MGF1_DIGEST, NULL, 0),
    OSSL_PARAM_END,
  };
  return params;
}

static const OSSL_DISPATCH functions[] = {
  PROVIDER_FUNCTION(OSSL_FUNC_SIGNATURE_NEWCTX, signature_new),
  PROVIDER_FUNCTION(OSSL_FUNC_SIGNATURE_FREECTX, signature_free),
  PROVIDER_FUNCTION(OSSL_FUNC_SIGNATURE_DUPCTX, signature_dup),
  PROVIDER_FUNCTION(OSSL_FUNC_SIGNATURE_SIGN_INIT, sign_init),
  PROVIDER_FUNCTION(OSSL_FUNC_SIGNATURE_SIGN, sign),
  PROVIDER_FUNCTION(OSSL_FUNC_SIGNATURE_VERIFY_INIT, verify_init),
  PROVIDER_FUNCTION(OSSL_FUNC_SIGNATURE_VERIFY, verify),
  PROVIDER_FUNCTION(OSSL_FUNC_SIGNATURE_DIGEST_SIGN_INIT, digest_sign_init),
  PROVIDER_FUNCTION(OSSL_FUNC_SIGNATURE_DIGEST_SIGN_UPDATE, digest_sign_update),
  PROVIDER_FUNCTION(OSSL_FUNC_SIGNATURE_DIGEST_SIGN_FINAL, digest_sign_final),
  PROVIDER_FUNCTION(OSSL_FUNC_SIGNATURE_DIGEST_VERIFY_INIT, digest_verify_init),
  PROVIDER_FUNCTION(OSSL_FUNC_SIGNATURE_DIGEST_VERIFY_UPDATE, digest_verify_update),
  PROVIDER_FUNCTION(OSSL_FUNC_SIGNATURE_DIGEST_VERIFY_FINAL, digest_verify_final),
  PROVIDER_FUNCTION(OSSL_FUNC_SIGNATURE_GET_CTX_PARAMS, get_ctx_params),
  PROVIDER_FUNCTION(OSSL_FUNC_SIGNATURE_GETTABLE_CTX_PARAMS, gettable_ctx_params),
  PROVIDER_FUNCTION(OSSL_FUNC_SIGNATURE_SET_CTX_PARAMS, set_ctx_params),
  PROVIDER_FUNCTION(OSSL_FUNC_SIGNATURE_SETTABLE_CTX_PARAMS, settable_ctx_params),
  PROVIDER_END,
};

/* In one part, as the default provider has it. */
static const OSSL_DISPATCH ed25519_functions[] = {
  PROVIDER_FUNCTION(OSSL_FUNC_SIGNATURE_NEWCTX, signature_new),
  PROVIDER_FUNCTION(OSSL_FUNC_SIGNATURE_FREECTX, signature_free),
  PROVIDER_FUNCTION(OSSL_FUNC_SIGNATURE_DUPCTX, signature_dup),
  PROVIDER_FUNCTION(OSSL_FUNC_SIGNATURE_DIGEST_SIGN_INIT, message_sign_init),
  PROVIDER_FUNCTION(OSSL_FUNC_SIGNATURE_DIGEST_SIGN, sign),
  PROVIDER_FUNCTION(OSSL_FUNC_SIGNATURE_DIGEST_VERIFY_INIT, digest_verify_init),
  PROVIDER_FUNCTION(OSSL_FUNC_SIGNATURE_DIGEST_VERIFY, digest_verify),
  PROVIDER_FUNCTION(OSSL_FUNC_SIGNATURE_GET_CTX_PARAMS, get_ctx_params),
  PROVIDER_FUNCTION(OSSL_FUNC_SIGNATURE_GETTABLE_CTX_PARAMS, gettable_ctx_params),
  PROVIDER_END,
};

const OSSL_ALGORITHM provider_signatures[] = {
  { "ECDSA", "provider=holdfast", functions, "ECDSA in a PKCS #11 token" },
  { "ED25519:1.3.101.112", "provider=holdfast", ed25519_functions, "Ed25519 in a PKCS #11 token" },
  { "RSA:rsaEncryption:1.2.840.113549.1.1.1", "provider=holdfast", functions, "RSA in a PKCS #11 token" },
  { NULL, NULL, NULL, NULL },
};
