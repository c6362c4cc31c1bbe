/* SPDX-License-Identifier: Apache-2.0 */
/* Block modes without padding, and stream ciphers (PKCS #11 v3.2, sections 6.13 and 6.15). */
#include "token/mech/cipher.h"

#include "token/crypto.h"

/* By the first key type of the row. Two keys of DES are three of which the third is the first. */
static const struct {
  CK_KEY_TYPE key;
  size_t len;
  const char *prefix; /* of the row's alg */
} sizes[] = {
  { CKK_AES, 16, "AES-128-" },     { CKK_AES, 24, "AES-192-" },     { CKK_AES, 32, "AES-256-" },
  { CKK_AES_XTS, 32, "AES-128-" }, { CKK_AES_XTS, 64, "AES-256-" }, { CKK_DES3, 24, "DES-EDE3-" },
  { CKK_DES3, 16, "DES-EDE3-" },   { CKK_CHACHA20, 32, "" },
};

/* any_len: whatever there is for the row. */
static const EVP_CIPHER *find(const struct mech *mech, size_t key_len, bool any_len)
{
  char name[32];
  for (size_t i = 0; i < HF_ARRAY_LEN(sizes); i++) {
    if (sizes[i].key != mech->keys[0] || (!any_len && sizes[i].len != key_len))
      continue;
    snprintf(name, sizeof(name), "%s%s", sizes[i].prefix, mech->alg);
    return crypto_cipher(name);
  }
  return NULL;
}

const EVP_CIPHER *cipher_find(const struct mech *mech, size_t key_len)
{
  return find(mech, key_len, false);
}

bool cipher_available(const struct mech *mech)
{
  return find(mech, 0, true) != NULL;
}

size_t cipher_key(const EVP_CIPHER *cipher, struct hf_slice key, uint8_t ret_key[CIPHER_KEY_MAX])
{
  size_t len = (size_t)EVP_CIPHER_get_key_length(cipher);
  for (size_t i = 0; i < len; i++)
    ret_key[i] = key.data[i % key.len];
  return len;
}

hf_err cipher_set_key(struct op *op, const EVP_CIPHER *cipher, struct hf_slice key)
{
  uint8_t bytes[CIPHER_KEY_MAX];
  (void)cipher_key(cipher, key, bytes);
  int done = EVP_CipherInit_ex2(op->cipher_ctx, cipher, bytes, NULL, op_encrypts(op), NULL);
  hf_wipe(bytes, sizeof(bytes));
  if (done != 1 || EVP_CIPHER_CTX_set_padding(op->cipher_ctx, 0) != 1)
    return crypto_fail(HF_ERR_FUNCTION_FAILED, op->mech->name);
  return HF_OK;
}

static void free_state(void *state)
{
  struct cipher_state *s = state;
  hf_buf_free(&s->held);
  hf_wipe(s, sizeof(*s));
  free(s);
}

hf_err cipher_prepare(struct op *op, const struct op_key *key, const CK_MECHANISM *m)
{
  (void)m; /* set_param's */
  const EVP_CIPHER *cipher = cipher_find(op->mech, key->value.len);
  if (!cipher)
    return hf_fail(HF_ERR_KEY_SIZE_RANGE, "%s with a key of %zu bytes", op->mech->name, key->value.len);
  struct cipher_state *s = calloc(1, sizeof(*s));
  if (!s)
    return hf_fail(HF_ERR_NO_MEMORY, "%s", op->mech->name);
  s->block = (size_t)EVP_CIPHER_get_block_size(cipher);
  s->held = HF_BUF(OP_RESULT_MAX);
  op->state = s;
  op->free_state = free_state;
  op->cipher_ctx = EVP_CIPHER_CTX_new();
  if (!op->cipher_ctx)
    return hf_fail(HF_ERR_NO_MEMORY, "%s", op->mech->name);
  EVP_CIPHER_CTX_set_flags(op->cipher_ctx, EVP_CIPHER_CTX_FLAG_WRAP_ALLOW);
  return cipher_set_key(op, cipher, key->value);
}

hf_err cipher_set_iv(struct op *op, const CK_MECHANISM *m)
{
  struct cipher_state *s = op->state;
  size_t len = (size_t)EVP_CIPHER_CTX_get_iv_length(op->cipher_ctx);
  return len ? op_param(op, m, "an IV", s->iv, len) : op_no_param(op, m);
}

hf_err cipher_start(struct op *op)
{
  struct cipher_state *s = op->state;
  s->tail_len = 0;
  s->left = s->limit;
  hf_buf_drop(&s->held, s->held.len);
  if (EVP_CipherInit_ex2(op->cipher_ctx, NULL, NULL, s->iv, -1, NULL) != 1)
    return crypto_fail(HF_ERR_FUNCTION_FAILED, op->mech->name);
  return HF_OK;
}

hf_err cipher_run(struct op *op, struct hf_slice in, uint8_t *ret_out)
{
  int len = 0;
  if (in.len && (EVP_CipherUpdate(op->cipher_ctx, ret_out, &len, in.data, (int)in.len) != 1 || (size_t)len != in.len))
    return crypto_fail(HF_ERR_FUNCTION_FAILED, op->mech->name);
  return HF_OK;
}

size_t cipher_ready(const struct op *op, size_t in_len)
{
  const struct cipher_state *s = op->state;
  size_t total = s->tail_len + in_len;
  return total < s->keep ? 0 : (total - s->keep) / s->block * s->block;
}

/* ready > 0 bytes; in is apart from ret_out, or the same while there is no tail. */
static hf_err feed(struct op *op, struct hf_slice in, size_t ready, uint8_t *ret_out)
{
  struct cipher_state *s = op->state;
  if (s->tail_len) {
    size_t missing = s->block - s->tail_len;
    memcpy(s->tail + s->tail_len, in.data, missing);
    HF_TRY(cipher_run(op, hf_slice(s->tail, s->block), ret_out));
    ret_out += s->block;
    ready -= s->block;
    in = hf_slice(in.data + missing, in.len - missing);
  }
  HF_TRY(cipher_run(op, hf_slice(in.data, ready), ret_out));
  s->tail_len = in.len - ready;
  if (s->tail_len)
    memcpy(s->tail, in.data + ready, s->tail_len);
  return HF_OK;
}

static bool overlap(struct hf_slice in, const uint8_t *out, size_t out_len)
{
  uintptr_t a = (uintptr_t)in.data, b = (uintptr_t)out;
  return a < b + out_len && b < a + in.len;
}

hf_err cipher_feed(struct op *op, struct hf_slice in, uint8_t *ret_out, size_t *ret_len)
{
  struct cipher_state *s = op->state;
  HF_CLEANUP(hf_buf_free) struct hf_buf copy = HF_BUF(OP_PART_MAX);
  size_t ready = cipher_ready(op, in.len);
  *ret_len = ready;
  if (ready == 0) {
    if (in.len)
      memcpy(s->tail + s->tail_len, in.data, in.len);
    s->tail_len += in.len;
    return HF_OK;
  }
  /* A tail moves the output behind the input, which would be overwritten before it is read. */
  if (overlap(in, ret_out, ready) && (s->tail_len || in.data != ret_out)) {
    HF_TRY(hf_buf_add(&copy, in.data, in.len));
    in = hf_slice(copy.data, copy.len);
  }
  return feed(op, in, ready, ret_out);
}

hf_err cipher_bad_length(const struct op *op, size_t len)
{
  return hf_fail(op_encrypts(op) ? HF_ERR_DATA_LEN_RANGE : HF_ERR_ENCRYPTED_DATA_LEN_RANGE, "%s: %zu bytes",
                 op->mech->name, len);
}

hf_err cipher_not_valid(const struct op *op)
{
  return hf_fail(HF_ERR_ENCRYPTED_DATA_INVALID, "%s", op->mech->name);
}

hf_err cipher_hold(const struct op *op, struct hf_buf *held, struct hf_slice in)
{
  if (held->len + in.len > held->max)
    return cipher_bad_length(op, held->len + in.len);
  return hf_buf_add(held, in.data, in.len);
}

static size_t crypt_size(const struct op *op, size_t in_len, bool last)
{
  const struct cipher_state *s = op->state;
  return last ? s->tail_len + in_len : cipher_ready(op, in_len);
}

static hf_err crypt_blocks(struct op *op, struct hf_slice in, bool last, uint8_t *ret_out, size_t *ret_len)
{
  const struct cipher_state *s = op->state;
  if (last && (s->tail_len + in.len) % s->block)
    return cipher_bad_length(op, s->tail_len + in.len);
  return cipher_feed(op, in, ret_out, ret_len);
}

const struct mech_ops mech_cipher = {
  .available = cipher_available,
  .prepare = cipher_prepare,
  .set_param = cipher_set_iv,
  .start = cipher_start,
  .crypt = crypt_blocks,
  .crypt_size = crypt_size,
  .crypt_parts = true,
};
