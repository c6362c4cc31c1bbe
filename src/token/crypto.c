/* SPDX-License-Identifier: Apache-2.0 */
#include "token/crypto.h"

#include <argon2.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/kdf.h>
#include <openssl/provider.h>
#include <openssl/rand.h>
#include <stdatomic.h>
#include <unistd.h>

enum { NONCE_BYTES = 12, TAG_BYTES = 16 };

static const char *const md_names[] = {
  "SHA1",       "SHA224",   "SHA256",   "SHA384",   "SHA512",   "SHA512-224",
  "SHA512-256", "SHA3-224", "SHA3-256", "SHA3-384", "SHA3-512",
};

#define AES(mode) "AES-128-" mode, "AES-192-" mode, "AES-256-" mode

static const char *const cipher_names[] = {
  AES("ECB"),    AES("CBC"),    AES("CBC-CTS"), AES("CTR"),     AES("OFB"),  AES("CFB"),
  AES("CFB1"),   AES("CFB8"),   AES("GCM"),     AES("CCM"),     AES("WRAP"), AES("WRAP-PAD"),
  "AES-128-XTS", "AES-256-XTS", "DES-EDE3-ECB", "DES-EDE3-CBC", "ChaCha20",  "ChaCha20-Poly1305",
};

static const char *const mac_names[] = { "HMAC", "CMAC", "Poly1305" };

static struct {
  pid_t process; /* that it belongs to; 0: nothing is here */
  OSSL_LIB_CTX *ctx;
  OSSL_PROVIDER *provider;
  const EVP_CIPHER *gcm;
  EVP_MAC *hmac;
  const EVP_MD *sha256;
  EVP_MD *mds[HF_ARRAY_LEN(md_names)];
  EVP_CIPHER *ciphers[HF_ARRAY_LEN(cipher_names)];
  EVP_MAC *macs[HF_ARRAY_LEN(mac_names)];
} crypto;

static atomic_bool gone;

static void note_cleanup(void)
{
  gone = true;
}

bool crypto_gone(void)
{
  return gone;
}

static void free_all(void)
{
  for (size_t i = 0; i < HF_ARRAY_LEN(crypto.mds); i++)
    EVP_MD_free(crypto.mds[i]);
  for (size_t i = 0; i < HF_ARRAY_LEN(crypto.ciphers); i++)
    EVP_CIPHER_free(crypto.ciphers[i]);
  for (size_t i = 0; i < HF_ARRAY_LEN(crypto.macs); i++)
    EVP_MAC_free(crypto.macs[i]);
  if (crypto.provider)
    OSSL_PROVIDER_unload(crypto.provider);
  OSSL_LIB_CTX_free(crypto.ctx);
}

bool crypto_out_of_memory(void)
{
  bool out = false;
  for (unsigned long error; (error = ERR_get_error()) != 0;)
    out |= ERR_GET_REASON(error) == ERR_R_MALLOC_FAILURE;
  return out;
}

/* The queue has 16 places: what is looked for and not there must not push the program's own errors out. */
bool crypto_probe_begin(void)
{
  bool queue_is_ours = ERR_peek_error() == 0;
  ERR_set_mark();
  return queue_is_ours;
}

bool crypto_probe_end(bool queue_is_ours, bool found)
{
  bool out_of_memory = !found && queue_is_ours && crypto_out_of_memory();
  ERR_pop_to_mark();
  return !out_of_memory;
}

/* What this libcrypto lacks stays NULL. False where memory ran out. */
static bool fetch_all(void)
{
  bool ours, enough = true;
  for (size_t i = 0; i < HF_ARRAY_LEN(crypto.mds); i++) {
    ours = crypto_probe_begin();
    crypto.mds[i] = EVP_MD_fetch(crypto.ctx, md_names[i], NULL);
    enough &= crypto_probe_end(ours, crypto.mds[i]);
  }
  for (size_t i = 0; i < HF_ARRAY_LEN(crypto.ciphers); i++) {
    ours = crypto_probe_begin();
    crypto.ciphers[i] = EVP_CIPHER_fetch(crypto.ctx, cipher_names[i], NULL);
    enough &= crypto_probe_end(ours, crypto.ciphers[i]);
  }
  for (size_t i = 0; i < HF_ARRAY_LEN(crypto.macs); i++) {
    ours = crypto_probe_begin();
    crypto.macs[i] = EVP_MAC_fetch(crypto.ctx, mac_names[i], NULL);
    enough &= crypto_probe_end(ours, crypto.macs[i]);
  }
  return enough;
}

/*
 * libcrypto looks at all algorithms of a kind when one is first wanted, and where memory runs out just then, it takes them for missing
 * ever after. So every kind is wanted here, where a failure is C_Initialize's, and nothing is left of it.
 */
static bool know_all_kinds(void)
{
  uint8_t byte;
  EVP_KEYMGMT *keys = EVP_KEYMGMT_fetch(crypto.ctx, "EC", NULL);
  EVP_SIGNATURE *signature = EVP_SIGNATURE_fetch(crypto.ctx, "ECDSA", NULL);
  EVP_KEYEXCH *exchange = EVP_KEYEXCH_fetch(crypto.ctx, "ECDH", NULL);
  EVP_ASYM_CIPHER *cipher = EVP_ASYM_CIPHER_fetch(crypto.ctx, "RSA", NULL);
  EVP_KEM *kem = EVP_KEM_fetch(crypto.ctx, "RSA", NULL);
  EVP_KDF *kdf = EVP_KDF_fetch(crypto.ctx, "HKDF", NULL);
  bool known = keys && signature && exchange && cipher && kem && kdf &&
               RAND_bytes_ex(crypto.ctx, &byte, sizeof(byte), 0) == 1 &&
               RAND_priv_bytes_ex(crypto.ctx, &byte, sizeof(byte), 0) == 1;
  EVP_KEYMGMT_free(keys);
  EVP_SIGNATURE_free(signature);
  EVP_KEYEXCH_free(exchange);
  EVP_ASYM_CIPHER_free(cipher);
  EVP_KEM_free(kem);
  EVP_KDF_free(kdf);
  return known;
}

hf_err crypto_start(void)
{
  static atomic_flag registered = ATOMIC_FLAG_INIT;
  if (!atomic_flag_test_and_set(&registered))
    OPENSSL_atexit(note_cleanup);
  if (crypto.process == getpid())
    return HF_OK;
  memset(&crypto, 0, sizeof(crypto));
  crypto.ctx = OSSL_LIB_CTX_new();
  if (crypto.ctx)
    crypto.provider = OSSL_PROVIDER_load(crypto.ctx, "default");
  bool enough = crypto.provider && fetch_all() && know_all_kinds();
  crypto.gcm = crypto_cipher("AES-256-GCM");
  crypto.hmac = crypto_mac_alg("HMAC");
  crypto.sha256 = crypto_md("SHA256");
  if (enough && crypto.gcm && crypto.hmac && crypto.sha256) {
    crypto.process = getpid();
    return HF_OK;
  }
  hf_err e = crypto.provider && !enough ? hf_fail(HF_ERR_NO_MEMORY, "loading libcrypto's algorithms")
                                        : crypto_fail(HF_ERR_FUNCTION_FAILED, "loading libcrypto's default provider");
  free_all();
  return e;
}

OSSL_LIB_CTX *crypto_ctx(void)
{
  return crypto.ctx;
}

/* Where it stands among names; count where it does not. */
static size_t place_of(const char *name, const char *const *names, size_t count)
{
  size_t i = 0;
  while (i < count && strcmp(names[i], name) != 0)
    i++;
  return i;
}

const EVP_MD *crypto_md(const char *name)
{
  size_t i = place_of(name, md_names, HF_ARRAY_LEN(md_names));
  return i < HF_ARRAY_LEN(md_names) ? crypto.mds[i] : NULL;
}

const EVP_CIPHER *crypto_cipher(const char *name)
{
  size_t i = place_of(name, cipher_names, HF_ARRAY_LEN(cipher_names));
  return i < HF_ARRAY_LEN(cipher_names) ? crypto.ciphers[i] : NULL;
}

EVP_MAC *crypto_mac_alg(const char *name)
{
  size_t i = place_of(name, mac_names, HF_ARRAY_LEN(mac_names));
  return i < HF_ARRAY_LEN(mac_names) ? crypto.macs[i] : NULL;
}

hf_err crypto_fail(enum hf_code code, const char *doing)
{
  char reason[256] = "no reason given";
  unsigned long error = ERR_peek_error();
  if (error)
    ERR_error_string_n(error, reason, sizeof(reason));
  return hf_fail(ERR_GET_REASON(error) == ERR_R_MALLOC_FAILURE ? HF_ERR_NO_MEMORY : code, "%s: %s", doing, reason);
}

hf_err crypto_random(void *ret_data, size_t len)
{
  if (RAND_priv_bytes_ex(crypto.ctx, ret_data, len, 0) != 1)
    return crypto_fail(HF_ERR_FUNCTION_FAILED, "random numbers");
  return HF_OK;
}

static void free_cipher_ctx(EVP_CIPHER_CTX **ctx)
{
  EVP_CIPHER_CTX_free(*ctx);
}

/* One-shot in either direction; out has room for in.len bytes. */
static bool gcm_run(EVP_CIPHER_CTX *ctx, const uint8_t *key, const uint8_t *nonce, struct hf_slice aad,
                    struct hf_slice in, uint8_t *out, int encrypt)
{
  int len;
  return EVP_CipherInit_ex2(ctx, crypto.gcm, key, nonce, encrypt, NULL) == 1 &&
         EVP_CipherUpdate(ctx, NULL, &len, aad.data, (int)aad.len) == 1 &&
         EVP_CipherUpdate(ctx, out, &len, in.data, (int)in.len) == 1;
}

hf_err crypto_seal(const uint8_t *key, struct hf_slice aad, struct hf_slice plain, struct hf_buf *out)
{
  uint8_t *room;
  HF_TRY(hf_buf_reserve(out, plain.len + CRYPTO_SEAL_OVERHEAD, &room));
  HF_TRY(crypto_random(room, NONCE_BYTES));
  HF_CLEANUP(free_cipher_ctx) EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
  uint8_t *cipher = room + NONCE_BYTES, *tag = cipher + plain.len;
  int len;
  if (!ctx || !gcm_run(ctx, key, room, aad, plain, cipher, 1) || EVP_CipherFinal_ex(ctx, tag, &len) != 1 ||
      EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, TAG_BYTES, tag) != 1)
    return crypto_fail(HF_ERR_FUNCTION_FAILED, "sealing");
  hf_buf_commit(out, plain.len + CRYPTO_SEAL_OVERHEAD);
  return HF_OK;
}

hf_err crypto_open(const uint8_t *key, struct hf_slice aad, struct hf_slice sealed, struct hf_buf *out)
{
  if (sealed.len < CRYPTO_SEAL_OVERHEAD)
    return hf_fail(HF_ERR_TOKEN_STORE, "a sealed value of %zu bytes", sealed.len);
  struct hf_slice cipher = { sealed.data + NONCE_BYTES, sealed.len - CRYPTO_SEAL_OVERHEAD };
  uint8_t tag[TAG_BYTES], *room;
  memcpy(tag, cipher.data + cipher.len, TAG_BYTES);
  HF_TRY(hf_buf_reserve(out, cipher.len, &room));
  HF_CLEANUP(free_cipher_ctx) EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
  int len;
  if (!ctx || !gcm_run(ctx, key, sealed.data, aad, cipher, room, 0) ||
      EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, TAG_BYTES, tag) != 1) {
    hf_wipe(room, cipher.len);
    return crypto_fail(HF_ERR_FUNCTION_FAILED, "opening a sealed value");
  }
  if (EVP_CipherFinal_ex(ctx, room + cipher.len, &len) != 1) {
    hf_wipe(room, cipher.len);
    return hf_fail(HF_ERR_TOKEN_STORE, "a sealed value was changed");
  }
  hf_buf_commit(out, cipher.len);
  return HF_OK;
}

hf_err crypto_mac(const uint8_t *key, struct hf_slice data, uint8_t ret_mac[32])
{
  if (!key) {
    if (EVP_Digest(data.data, data.len, ret_mac, NULL, crypto.sha256, NULL) != 1)
      return crypto_fail(HF_ERR_FUNCTION_FAILED, "SHA-256");
    return HF_OK;
  }
  EVP_MAC_CTX *ctx = EVP_MAC_CTX_new(crypto.hmac);
  char digest[] = "SHA256";
  OSSL_PARAM params[] = { OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0), OSSL_PARAM_END };
  size_t len;
  bool ok = ctx && EVP_MAC_init(ctx, key, CRYPTO_KEY_BYTES, params) == 1 &&
            EVP_MAC_update(ctx, data.data, data.len) == 1 && EVP_MAC_final(ctx, ret_mac, &len, 32) == 1;
  EVP_MAC_CTX_free(ctx);
  return ok ? HF_OK : crypto_fail(HF_ERR_FUNCTION_FAILED, "HMAC");
}

hf_err crypto_stretch(struct hf_slice pin, const uint8_t salt[CRYPTO_SALT_BYTES], struct crypto_cost cost,
                      struct hf_secret **ret_key)
{
  HF_CLEANUP(hf_secret_freep) struct hf_secret *key = NULL;
  HF_TRY(hf_secret_new(NULL, CRYPTO_KEY_BYTES, &key));
  int rc = argon2id_hash_raw(cost.passes, cost.memory, 1, pin.data, pin.len, salt, CRYPTO_SALT_BYTES,
                             hf_secret_data(key), CRYPTO_KEY_BYTES);
  if (rc != ARGON2_OK)
    return hf_fail(rc == ARGON2_MEMORY_ALLOCATION_ERROR ? HF_ERR_NO_MEMORY : HF_ERR_INTERNAL, "Argon2id: %s",
                   argon2_error_message(rc));
  *ret_key = HF_TAKE(key);
  return HF_OK;
}
