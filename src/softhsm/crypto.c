/* SPDX-License-Identifier: Apache-2.0 */
#include "softhsm/crypto.h"

#include <openssl/evp.h>

enum {
  SALT_BYTES = 8,
  BLOCK_BYTES = 16,
  ROUNDS_MIN = 1500, /* and as many more as the salt's last byte says */
  BLOB_BYTES = SALT_BYTES + BLOCK_BYTES + 48,
  DECRYPT_MAX = 1 << 20,
};

/* What stands before the master key, so that a wrong PIN shows. */
static const uint8_t magic[] = { 0x52, 0x4a, 0x52 };

/* Of its own: the user's openssl.cnf may name a provider that leads back to a token. It stays. */
static OSSL_LIB_CTX *context(void)
{
  static OSSL_LIB_CTX *own;
  if (!own)
    own = OSSL_LIB_CTX_new();
  return own;
}

static void cipher_ctx_free(EVP_CIPHER_CTX **ctx)
{
  EVP_CIPHER_CTX_free(*ctx);
}

static void cipher_free(EVP_CIPHER **cipher)
{
  EVP_CIPHER_free(*cipher);
}

static void md_ctx_free(EVP_MD_CTX **ctx)
{
  EVP_MD_CTX_free(*ctx);
}

static void md_free(EVP_MD **md)
{
  EVP_MD_free(*md);
}

static hf_err undecryptable(size_t len)
{
  return hf_fail(HF_ERR_TOKEN_STORE, "a value of %zu bytes does not decrypt", len);
}

hf_err softhsm_decrypt(const uint8_t key[SOFTHSM_KEY_BYTES], struct hf_slice in, struct hf_buf *out)
{
  HF_CLEANUP(cipher_ctx_free) EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
  HF_CLEANUP(cipher_free) EVP_CIPHER *cipher = EVP_CIPHER_fetch(context(), "AES-256-CBC", NULL);
  int len = 0, last = 0;
  uint8_t *room;
  if (!ctx || !cipher)
    return hf_fail(HF_ERR_NO_MEMORY, "AES-256-CBC");
  if (in.len < 2 * BLOCK_BYTES || in.len % BLOCK_BYTES || in.len > DECRYPT_MAX)
    return undecryptable(in.len);
  HF_TRY(hf_buf_reserve(out, in.len, &room));
  if (EVP_DecryptInit_ex2(ctx, cipher, key, in.data, NULL) != 1 ||
      EVP_DecryptUpdate(ctx, room, &len, in.data + BLOCK_BYTES, (int)(in.len - BLOCK_BYTES)) != 1 ||
      EVP_DecryptFinal_ex(ctx, room + len, &last) != 1) {
    hf_wipe(room, in.len);
    return undecryptable(in.len);
  }
  hf_buf_commit(out, (size_t)(len + last));
  return HF_OK;
}

/* SHA-256 of salt and PIN, then of the outcome again and again. */
static hf_err stretch(const uint8_t *salt, struct hf_slice pin, uint8_t out[SOFTHSM_KEY_BYTES])
{
  HF_CLEANUP(md_ctx_free) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
  HF_CLEANUP(md_free) EVP_MD *sha256 = EVP_MD_fetch(context(), "SHA256", NULL);
  unsigned rounds = ROUNDS_MIN + salt[SALT_BYTES - 1];
  bool ok = ctx && sha256 && EVP_DigestInit_ex2(ctx, sha256, NULL) == 1 &&
            EVP_DigestUpdate(ctx, salt, SALT_BYTES) == 1 && EVP_DigestUpdate(ctx, pin.data, pin.len) == 1 &&
            EVP_DigestFinal_ex(ctx, out, NULL) == 1;
  for (unsigned i = 1; ok && i < rounds; i++)
    ok = EVP_DigestInit_ex2(ctx, NULL, NULL) == 1 && EVP_DigestUpdate(ctx, out, SOFTHSM_KEY_BYTES) == 1 &&
         EVP_DigestFinal_ex(ctx, out, NULL) == 1;
  return ok ? HF_OK : hf_fail(HF_ERR_NO_MEMORY, "SHA-256");
}

hf_err softhsm_blob_open(struct hf_slice blob, struct hf_slice pin, const char *whose, struct hf_secret **ret_key)
{
  HF_CLEANUP(hf_secret_freep) struct hf_secret *wrapping = NULL;
  HF_CLEANUP(hf_buf_free) struct hf_buf plain = HF_BUF(BLOB_BYTES);
  if (blob.len != BLOB_BYTES)
    return hf_fail(HF_ERR_TOKEN_STORE, "the %s's wrap of the master key has %zu bytes", whose, blob.len);
  HF_TRY(hf_secret_new(NULL, SOFTHSM_KEY_BYTES, &wrapping));
  HF_TRY(stretch(blob.data, pin, hf_secret_data(wrapping)));
  hf_err e = softhsm_decrypt(hf_secret_data(wrapping), hf_slice(blob.data + SALT_BYTES, blob.len - SALT_BYTES), &plain);
  if (e.code == HF_ERR_NO_MEMORY)
    return e;
  if (hf_failed(e) || plain.len != sizeof(magic) + SOFTHSM_KEY_BYTES || memcmp(plain.data, magic, sizeof(magic)) != 0)
    return hf_fail(HF_ERR_PIN_INCORRECT, "the %s", whose);
  return hf_secret_new(plain.data + sizeof(magic), SOFTHSM_KEY_BYTES, ret_key);
}
