/* SPDX-License-Identifier: Apache-2.0 */
#include "token/secret_key.h"

#include "token/crypto.h"

enum { CHECK_VALUE_BYTES = 3, BLOCK_MAX = 16, DES_MAX = 24 };

/* Those of any other type have one byte or more. */
static const struct {
  CK_KEY_TYPE type;
  size_t min, max, step;
  const char *ciphers[3]; /* of min bytes, of a step more, ... */
} lengths[] = {
  { CKK_AES, 16, 32, 8, { "AES-128-ECB", "AES-192-ECB", "AES-256-ECB" } },
  { CKK_AES_XTS, 32, 64, 32, { NULL } },
  { CKK_CHACHA20, 32, 32, 1, { NULL } },
  { CKK_POLY1305, 32, 32, 1, { NULL } },
  { CKK_DES, 8, 8, 1, { "DES-ECB" } },
  { CKK_DES2, 16, 16, 1, { "DES-EDE-ECB" } },
  { CKK_DES3, 24, 24, 1, { "DES-EDE3-ECB" } },
};

bool secret_key_fits(CK_KEY_TYPE type, size_t len)
{
  for (size_t i = 0; i < HF_ARRAY_LEN(lengths); i++)
    if (lengths[i].type == type)
      return len >= lengths[i].min && len <= lengths[i].max && (len - lengths[i].min) % lengths[i].step == 0;
  return len > 0;
}

size_t secret_key_length(CK_KEY_TYPE type)
{
  for (size_t i = 0; i < HF_ARRAY_LEN(lengths); i++)
    if (lengths[i].type == type)
      return lengths[i].min == lengths[i].max ? lengths[i].min : 0;
  return 0;
}

static uint8_t odd(uint8_t byte)
{
  uint8_t bits = byte >> 1;
  bits ^= bits >> 4;
  bits ^= bits >> 2;
  bits ^= bits >> 1;
  return (uint8_t)((byte & 0xfe) | (~bits & 1));
}

hf_err secret_key_set_parity(CK_KEY_TYPE type, struct attrs *secret)
{
  uint8_t value[DES_MAX];
  struct hf_slice before;
  bool des = type == CKK_DES || type == CKK_DES2 || type == CKK_DES3;
  if (!des || !attrs_get(secret, CKA_VALUE, &before) || before.len > sizeof(value))
    return HF_OK;
  for (size_t i = 0; i < before.len; i++)
    value[i] = odd(before.data[i]);
  hf_err e = attrs_set(secret, CKA_VALUE, hf_slice(value, before.len));
  hf_wipe(value, sizeof(value));
  return e;
}

static const char *cipher_of(CK_KEY_TYPE type, size_t len)
{
  for (size_t i = 0; i < HF_ARRAY_LEN(lengths); i++)
    if (lengths[i].type == type)
      return lengths[i].ciphers[(len - lengths[i].min) / lengths[i].step];
  return NULL;
}

/* False where this libcrypto has no such cipher. */
static bool encrypt_zeros(const char *name, struct hf_slice key, uint8_t ret_out[BLOCK_MAX])
{
  static const uint8_t zeros[BLOCK_MAX];
  int len = 0;
  EVP_CIPHER *cipher = EVP_CIPHER_fetch(crypto_ctx(), name, NULL);
  EVP_CIPHER_CTX *ctx = cipher ? EVP_CIPHER_CTX_new() : NULL;
  bool done = ctx && EVP_EncryptInit_ex2(ctx, cipher, key.data, NULL, NULL) == 1 &&
              EVP_EncryptUpdate(ctx, ret_out, &len, zeros, EVP_CIPHER_get_block_size(cipher)) == 1;
  EVP_CIPHER_CTX_free(ctx);
  EVP_CIPHER_free(cipher);
  return done && len >= CHECK_VALUE_BYTES;
}

static bool hash(struct hf_slice value, uint8_t ret_out[EVP_MAX_MD_SIZE])
{
  unsigned len;
  return EVP_Digest(value.data, value.len, ret_out, &len, crypto_md("SHA1"), NULL) == 1;
}

static hf_err check_given(struct hf_slice given, struct hf_slice computed)
{
  if (given.len == 0 || hf_slice_equal(given, computed))
    return HF_OK;
  return hf_fail(HF_ERR_ATTRIBUTE_VALUE_INVALID, "CKA_CHECK_VALUE is another key's or certificate's");
}

hf_err check_value_complete(struct kind kind, struct attr_halves *halves)
{
  struct hf_slice value, given;
  uint8_t out[EVP_MAX_MD_SIZE];
  bool secret = kind.class == CKO_SECRET_KEY, known = false;
  if (!attrs_get(secret ? &halves->secret : &halves->open, CKA_VALUE, &value))
    return HF_OK;
  const char *cipher = secret ? cipher_of(kind.key_type, value.len) : NULL;
  if (value.len)
    known = cipher ? encrypt_zeros(cipher, value, out) : hash(value, out);
  struct hf_slice computed = hf_slice(out, known ? CHECK_VALUE_BYTES : 0);
  if (attrs_get(&halves->open, CKA_CHECK_VALUE, &given))
    return check_given(given, computed);
  return attrs_set(&halves->open, CKA_CHECK_VALUE, computed);
}
