/* SPDX-License-Identifier: Apache-2.0 */
#include "token/mech/kwp.h"

#include "token/crypto.h"

static const struct {
  CK_ULONG bits;
  const char *name;
} ciphers[] = { { 128, "AES-128-WRAP-PAD" }, { 192, "AES-192-WRAP-PAD" }, { 256, "AES-256-WRAP-PAD" } };

const EVP_CIPHER *kwp_cipher(CK_ULONG bits)
{
  for (size_t i = 0; i < HF_ARRAY_LEN(ciphers); i++)
    if (ciphers[i].bits == bits)
      return crypto_cipher(ciphers[i].name);
  return NULL;
}

bool kwp_run(EVP_CIPHER_CTX *ctx, const EVP_CIPHER *cipher, const uint8_t *key, bool wrap, struct hf_slice in,
             struct hf_buf *out)
{
  uint8_t *room;
  int len;
  EVP_CIPHER_CTX_reset(ctx);
  EVP_CIPHER_CTX_set_flags(ctx, EVP_CIPHER_CTX_FLAG_WRAP_ALLOW);
  if (hf_failed(hf_buf_reserve(out, in.len + KWP_LEAST, &room)) ||
      EVP_CipherInit_ex2(ctx, cipher, key, NULL, wrap, NULL) != 1 ||
      EVP_CipherUpdate(ctx, room, &len, in.data, (int)in.len) != 1)
    return false;
  hf_buf_commit(out, (size_t)len);
  return true;
}

size_t kwp_crypt_size(const struct op *op, size_t in_len, bool last)
{
  (void)last; /* it is all in one part */
  if (op->kind == OP_WRAP)
    return op->out_len + (in_len + KWP_BLOCK - 1) / KWP_BLOCK * KWP_BLOCK + KWP_BLOCK;
  return in_len > op->out_len ? in_len - op->out_len : 0;
}
