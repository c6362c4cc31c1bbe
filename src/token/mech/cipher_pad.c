/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CBC with PKCS #7 padding. What is wrong with a padding shows neither in the answer nor in its time, as far as that is in our
 * hands: that it was wrong is what the mechanism tells, and why keys of other uses should have another.
 */
#include "token/mech/cipher.h"

static hf_err prepare(struct op *op, const struct op_key *key, const CK_MECHANISM *m)
{
  HF_TRY(cipher_prepare(op, key, m));
  ((struct cipher_state *)op->state)->keep = op_encrypts(op) ? 0 : 1;
  return HF_OK;
}

static size_t crypt_size(const struct op *op, size_t in_len, bool last)
{
  const struct cipher_state *s = op->state;
  size_t total = s->tail_len + in_len;
  if (!last)
    return cipher_ready(op, in_len);
  return op_encrypts(op) ? (total / s->block + 1) * s->block : total;
}

static hf_err encrypt(struct op *op, struct hf_slice in, bool last, uint8_t *ret_out, size_t *ret_len)
{
  struct cipher_state *s = op->state;
  HF_TRY(cipher_feed(op, in, ret_out, ret_len));
  if (!last)
    return HF_OK;
  size_t pad = s->block - s->tail_len;
  memset(s->tail + s->tail_len, (int)pad, pad);
  HF_TRY(cipher_run(op, hf_slice(s->tail, s->block), ret_out + *ret_len));
  *ret_len += s->block;
  return HF_OK;
}

/* All ones where a < b, else 0; both below 2^31. */
static uint32_t mask_if_less(uint32_t a, uint32_t b)
{
  return 0U - ((a - b) >> 31);
}

/* How many bytes of the last block are the message's; its size where the padding is wrong. Looks at every byte in the same way. */
static uint32_t unpadded(const uint8_t *block, uint32_t size)
{
  uint32_t pad = block[size - 1], bad = mask_if_less(pad, 1) | mask_if_less(size, pad);
  for (uint32_t i = 0; i < size; i++) {
    uint32_t is_pad = mask_if_less(size - 1 - i, pad), differs = 0U - (((block[i] ^ pad) + 0xff) >> 8);
    bad |= is_pad & differs;
  }
  return (bad & size) | (~bad & (size - pad));
}

/* The last block, which waits in the tail. */
static hf_err decrypt_last(struct op *op, uint8_t *ret_out, size_t *ret_len)
{
  struct cipher_state *s = op->state;
  uint8_t block[CIPHER_BLOCK_MAX];
  HF_TRY(cipher_run(op, hf_slice(s->tail, s->block), block));
  uint32_t len = unpadded(block, (uint32_t)s->block);
  bool good = len != s->block;
  if (good)
    memcpy(ret_out, block, len);
  hf_wipe(block, sizeof(block));
  *ret_len = len;
  return good ? HF_OK : cipher_not_valid(op);
}

static hf_err decrypt(struct op *op, struct hf_slice in, bool last, uint8_t *ret_out, size_t *ret_len)
{
  const struct cipher_state *s = op->state;
  size_t total = s->tail_len + in.len, rest = 0, len = 0;
  if (last && (total == 0 || total % s->block))
    return cipher_bad_length(op, total);
  HF_TRY(cipher_feed(op, in, ret_out, &len));
  if (last) {
    hf_err e = decrypt_last(op, ret_out + len, &rest);
    if (hf_failed(e)) {
      hf_wipe(ret_out, len);
      return e;
    }
  }
  *ret_len = len + rest;
  return HF_OK;
}

static hf_err crypt_padded(struct op *op, struct hf_slice in, bool last, uint8_t *ret_out, size_t *ret_len)
{
  return (op_encrypts(op) ? encrypt : decrypt)(op, in, last, ret_out, ret_len);
}

const struct mech_ops mech_cipher_pad = {
  .available = cipher_available,
  .prepare = prepare,
  .set_param = cipher_set_iv,
  .start = cipher_start,
  .crypt = crypt_padded,
  .crypt_size = crypt_size,
  .crypt_parts = true,
};
