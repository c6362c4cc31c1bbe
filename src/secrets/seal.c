/* SPDX-License-Identifier: Apache-2.0 */
#include "secrets/seal.h"

#include "identity/openssl.h"

#include <openssl/rand.h>

IDENTITY_CLEANUP(EVP_CIPHER_CTX, cipher_ctx_free, EVP_CIPHER_CTX_free)

hf_err seal_random(void *ret_data, size_t len)
{
  return RAND_priv_bytes(ret_data, (int)len) == 1 ? HF_OK : openssl_fail(HF_ERR_INTERNAL, "random numbers", "");
}

/* All but the end; out has room for in.len bytes. */
static bool run(EVP_CIPHER_CTX *ctx, const uint8_t *key, const uint8_t *nonce, struct hf_slice aad, struct hf_slice in,
                uint8_t *out, int encrypt)
{
  int len;
  return EVP_CipherInit_ex(ctx, EVP_aes_256_gcm(), NULL, key, nonce, encrypt) == 1 &&
         (aad.len == 0 || EVP_CipherUpdate(ctx, NULL, &len, aad.data, (int)aad.len) == 1) &&
         EVP_CipherUpdate(ctx, out, &len, in.data, (int)in.len) == 1;
}

hf_err seal_close(const uint8_t *key, const uint8_t *nonce, struct hf_slice aad, struct hf_slice plain,
                  struct hf_buf *out)
{
  uint8_t *room;
  int len;
  HF_TRY(hf_buf_reserve(out, plain.len + SEAL_OVERHEAD, &room));
  if (nonce)
    memcpy(room, nonce, SEAL_NONCE_BYTES);
  else
    HF_TRY(seal_random(room, SEAL_NONCE_BYTES));
  uint8_t *cipher = room + SEAL_NONCE_BYTES, *tag = cipher + plain.len;
  HF_CLEANUP(cipher_ctx_freep) EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
  if (!ctx || !run(ctx, key, room, aad, plain, cipher, 1) || EVP_CipherFinal_ex(ctx, tag, &len) != 1 ||
      EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, SEAL_TAG_BYTES, tag) != 1)
    return openssl_fail(HF_ERR_INTERNAL, "sealing a secret", "");
  hf_buf_commit(out, plain.len + SEAL_OVERHEAD);
  return HF_OK;
}

hf_err seal_open(const uint8_t *key, struct hf_slice aad, struct hf_slice sealed, struct hf_secret **ret_plain)
{
  HF_CLEANUP(hf_secret_freep) struct hf_secret *plain = NULL;
  uint8_t tag[SEAL_TAG_BYTES];
  int len;
  if (sealed.len <= SEAL_OVERHEAD)
    return hf_fail(HF_ERR_SECRETS, "a sealed value of %zu bytes", sealed.len);
  struct hf_slice cipher = { sealed.data + SEAL_NONCE_BYTES, sealed.len - SEAL_OVERHEAD };
  memcpy(tag, cipher.data + cipher.len, sizeof(tag));
  HF_TRY(hf_secret_new(NULL, cipher.len, &plain));
  HF_CLEANUP(cipher_ctx_freep) EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
  if (!ctx || !run(ctx, key, sealed.data, aad, cipher, hf_secret_data(plain), 0) ||
      EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, SEAL_TAG_BYTES, tag) != 1 ||
      EVP_CipherFinal_ex(ctx, hf_secret_data(plain) + cipher.len, &len) != 1)
    return openssl_fail(HF_ERR_SECRETS, "a sealed value was changed, or is another secret's", "");
  *ret_plain = HF_TAKE(plain);
  return HF_OK;
}
