/* SPDX-License-Identifier: Apache-2.0 */
/* A principal's key: found, of the right kind, and put to a trial of what it is for. */
#include "gateway/core_check_private.h"
#include "identity/hsm.h"
#include "identity/key.h"
#include "identity/proof.h"

#include <openssl/err.h>
#include <openssl/rand.h>

enum { RSA_BITS_MIN = 2048, TRIAL_LEN = 32, MECHANISMS_MAX = 4096 };

static struct core_principal_key *key_of(struct core_checks *checks)
{
  return &checks->keys[checks->principal];
}

static const char *whose(const struct core_checks *checks)
{
  return core_principals[checks->principal].name;
}

void core_check_key_free(struct core_principal_key *key)
{
  key->key = p11_key_unref(key->key);
  EVP_PKEY_free(key->public_key);
  key->public_key = NULL;
}

/* Finding it */

static hf_err public_half(const struct p11_key *key, EVP_PKEY **ret_public)
{
  enum { SPKI_MAX = 4096 };
  HF_CLEANUP(hf_buf_free) struct hf_buf spki = HF_BUF(SPKI_MAX);
  HF_TRY(p11_public_to_spki(p11_key_public(key), &spki));
  const unsigned char *at = spki.data;
  EVP_PKEY *public_key = d2i_PUBKEY(NULL, &at, (long)spki.len);
  if (!public_key)
    return openssl_fail(HF_ERR_KEY_TYPE_INCONSISTENT, "the key's public half", "");
  *ret_public = public_key;
  return HF_OK;
}

static hf_err open_in_hsm(struct core_checks *checks, const char *text, struct core_principal_key *key)
{
  char path[PATH_MAX];
  HF_CLEANUP(uri_free) struct uri uri = { 0 };
  HF_CLEANUP(p11_module_unrefp) struct p11_module *module = NULL;
  HF_CLEANUP(hf_secret_freep) struct hf_secret *pin = NULL;
  HF_TRY(uri_parse(text, &uri));
  HF_TRY(p11_module_of_uri(&uri, checks->module_path, path, sizeof(path)));
  HF_TRY(p11_module_open(path, &module));
  HF_TRY(hsm_pin(checks->config, &uri, &pin));
  HF_TRY(p11_key_open(module, &uri, pin, &key->key));
  return public_half(key->key, &key->public_key);
}

hf_err core_check_find_key(struct core_checks *checks)
{
  const char *text;
  char kind[IDENTITY_KEY_TEXT_MAX];
  struct core_principal_key *key = key_of(checks);
  HF_TRY(config_require(checks->config, core_principals[checks->principal].key, &text));
  HF_TRY(uri_is_pkcs11(text) ? open_in_hsm(checks, text, key)
                             : identity_key_load_any(text, whose(checks), &key->public_key));
  identity_key_describe(key->public_key, kind, sizeof(kind));
  core_check_detail(checks, "%s%s", kind, key->key ? "" : ", in a file");
  return HF_OK;
}

/* Its kind */

static bool is_edwards(const EVP_PKEY *key)
{
  return EVP_PKEY_is_a(key, "ED25519") || EVP_PKEY_is_a(key, "ED448");
}

static hf_err wrong_kind(const struct core_checks *checks, const EVP_PKEY *key, const char *hint)
{
  char kind[IDENTITY_KEY_TEXT_MAX];
  identity_key_describe(key, kind, sizeof(kind));
  return hf_hint(hf_fail(HF_ERR_KEY_TYPE_INCONSISTENT, "the key of %s is %s", whose(checks), kind), "%s", hint);
}

hf_err core_check_kind(struct core_checks *checks)
{
  const EVP_PKEY *key = key_of(checks)->public_key;
  if (EVP_PKEY_is_a(key, "RSA") && EVP_PKEY_get_bits(key) < RSA_BITS_MIN)
    return hf_hint(hf_fail(HF_ERR_KEY_SIZE_RANGE, "the key of %s is RSA %d", whose(checks), EVP_PKEY_get_bits(key)),
                   "Use RSA of 2048 bits or more, or EC P-256 or P-384.");
  if (checks->principal == PRINCIPAL_SECRETS && is_edwards(key))
    return wrong_kind(checks, key, "It can neither decrypt nor derive: use RSA, or EC P-256 or P-384.");
  if (checks->principal == PRINCIPAL_IOT && is_edwards(key) &&
      config_get_bool(checks->config, CONFIG_AWS_BRIDGE_ENABLED))
    return wrong_kind(checks, key, "AWS IoT Core takes RSA of 2048 bits or more, and EC P-256 and P-384.");
  return HF_OK;
}

/* What the token offers: one of each row's mechanisms must be there; by what the key is and is for */

static const struct need_row {
  bool secrets;
  const char *type; /* OpenSSL's */
  CK_MECHANISM_TYPE any[2];
  const char *names;
} needs[] = {
  { false, "RSA", { CKM_RSA_PKCS, CKM_RSA_PKCS }, "CKM_RSA_PKCS" },
  { false, "EC", { CKM_ECDSA, CKM_ECDSA }, "CKM_ECDSA" },
  { false, "ED25519", { CKM_EDDSA, CKM_EDDSA }, "CKM_EDDSA" },
  { true, "RSA", { CKM_RSA_PKCS_OAEP, CKM_RSA_PKCS }, "CKM_RSA_PKCS_OAEP or CKM_RSA_PKCS" },
  { true, "EC", { CKM_ECDH1_DERIVE, CKM_ECDH1_COFACTOR_DERIVE }, "CKM_ECDH1_DERIVE" },
};

static hf_err offers(const struct core_checks *checks, const struct p11_key *key, const struct need_row *need)
{
  struct p11_token token;
  CK_ULONG count = MECHANISMS_MAX;
  HF_CLEANUP(hf_freep) CK_MECHANISM_TYPE *offered = calloc(MECHANISMS_MAX, sizeof(*offered));
  struct p11_module *module = p11_key_module(key);
  if (!offered)
    return hf_fail(HF_ERR_NO_MEMORY, "the token's mechanisms");
  HF_TRY(p11_token_find(module, p11_key_uri(key), &token));
  CK_RV rv = p11_module_functions(module)->C_GetMechanismList(token.slot, offered, &count);
  HF_TRY(p11_fail(module, rv, "the mechanisms of token \"%s\"", token.label));
  for (CK_ULONG i = 0; i < count; i++)
    if (offered[i] == need->any[0] || offered[i] == need->any[1])
      return HF_OK;
  return hf_hint(hf_fail(HF_ERR_MECHANISM_INVALID, "token \"%s\" does not offer %s, for the key of %s", token.label,
                         need->names, whose(checks)),
                 "Use a token or a kind of key that does.");
}

hf_err core_check_mechanisms(struct core_checks *checks)
{
  const struct core_principal_key *key = key_of(checks);
  for (size_t i = 0; key->key && i < HF_ARRAY_LEN(needs); i++)
    if (needs[i].secrets == (checks->principal == PRINCIPAL_SECRETS) && EVP_PKEY_is_a(key->public_key, needs[i].type))
      return offers(checks, key->key, &needs[i]);
  return HF_OK;
}

/* The trial: a signature, or something that only this key can decrypt */

static hf_err encrypt(EVP_PKEY *key, const uint8_t *data, size_t len, struct hf_buf *out)
{
  uint8_t *room;
  size_t size = P11_SIGNATURE_MAX;
  HF_CLEANUP(openssl_pkey_ctx_freep) EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(key, NULL);
  HF_TRY(hf_buf_reserve(out, size, &room));
  if (!ctx || EVP_PKEY_encrypt_init(ctx) != 1 || EVP_PKEY_encrypt(ctx, room, &size, data, len) != 1)
    return openssl_fail(HF_ERR_INTERNAL, "encrypting", "");
  hf_buf_commit(out, size);
  return HF_OK;
}

/* By PKCS #1 v1.5, which every token with RSA has. */
static hf_err try_decrypting(const struct core_checks *checks, const struct core_principal_key *key)
{
  uint8_t data[TRIAL_LEN];
  CK_MECHANISM mechanism = { CKM_RSA_PKCS, NULL, 0 };
  HF_CLEANUP(hf_buf_free) struct hf_buf sealed = HF_BUF(P11_SIGNATURE_MAX), opened = HF_BUF(P11_SIGNATURE_MAX);
  if (RAND_bytes(data, sizeof(data)) != 1)
    return openssl_fail(HF_ERR_INTERNAL, "random bytes", "");
  HF_TRY(encrypt(key->public_key, data, sizeof(data), &sealed));
  HF_TRY(p11_key_decrypt(key->key, &mechanism, sealed.data, sealed.len, &opened));
  return hf_slice_equal(hf_slice(opened.data, opened.len), hf_slice(data, sizeof(data)))
             ? HF_OK
             : hf_fail(HF_ERR_KEY_MISMATCH, "the key of %s does not decrypt what its public half encrypts",
                       whose(checks));
}

hf_err core_check_works(struct core_checks *checks)
{
  const struct core_principal_key *key = key_of(checks);
  if (!key->key)
    return HF_OK; /* of a file, reading it was the trial */
  if (checks->principal != PRINCIPAL_SECRETS)
    return proof_check(key->public_key, "the key's public half", key->key);
  return EVP_PKEY_is_a(key->public_key, "RSA") ? try_decrypting(checks, key) : HF_OK;
}
