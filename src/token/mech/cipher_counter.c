/* SPDX-License-Identifier: Apache-2.0 */
/* AES in counter mode and ChaCha20. A counter that has reached its last value ends the message: it would repeat the key stream. */
#include "token/mech/cipher.h"

enum { CTR_BLOCK = 16, CHACHA_BLOCK = 64, CHACHA_IV = 16 };

/* Blocks that are beyond any message. */
#define ENDLESS ((uint64_t)1 << 56)

/* How many blocks a counter of so many bits, big-endian at the end of the 16 bytes, has from its value on; at most ENDLESS. */
static uint64_t blocks_left(const uint8_t counter[CTR_BLOCK], unsigned bits)
{
  uint64_t low = 0;
  bool ones = true; /* of the bits above low's: only then may the distance be small */
  for (unsigned bit = bits; bit-- > 0;) {
    unsigned value = counter[CTR_BLOCK - 1 - bit / 8] >> (bit % 8) & 1U;
    if (bit >= 56)
      ones &= value;
    else
      low = low << 1 | value;
  }
  if (!ones)
    return ENDLESS;
  return ((uint64_t)1 << (bits < 56 ? bits : 56)) - low;
}

static hf_err set_ctr(struct op *op, const CK_MECHANISM *m)
{
  struct cipher_state *s = op->state;
  CK_AES_CTR_PARAMS params;
  HF_TRY(op_param(op, m, "CK_AES_CTR_PARAMS", &params, sizeof(params)));
  if (params.ulCounterBits == 0 || params.ulCounterBits > 8 * CTR_BLOCK)
    return hf_fail(HF_ERR_MECHANISM_PARAM_INVALID, "%s: a counter of %lu bits", op->mech->name, params.ulCounterBits);
  memcpy(s->iv, params.cb, sizeof(s->iv));
  s->limit = blocks_left(s->iv, (unsigned)params.ulCounterBits) * CTR_BLOCK;
  return HF_OK;
}

/* The counter, little-endian, then the nonce: 32 and 96 bits (RFC 8439), or 64 and 64 (Bernstein's). */
static hf_err set_chacha(struct op *op, const CK_MECHANISM *m)
{
  struct cipher_state *s = op->state;
  struct hf_ck_chacha20_params params;
  HF_TRY(op_param(op, m, "CK_CHACHA20_PARAMS", &params, sizeof(params)));
  CK_ULONG bits = params.blockCounterBits;
  if ((bits != 32 && bits != 64) || params.ulNonceBits != 8 * CHACHA_IV - bits || !params.pBlockCounter ||
      !params.pNonce)
    return hf_fail(HF_ERR_MECHANISM_PARAM_INVALID, "%s: a counter of %lu bits, a nonce of %lu", op->mech->name, bits,
                   params.ulNonceBits);
  memcpy(s->iv, params.pBlockCounter, bits / 8);
  memcpy(s->iv + bits / 8, params.pNonce, CHACHA_IV - bits / 8);
  uint8_t counter[CTR_BLOCK] = { 0 };
  for (size_t i = 0; i < bits / 8; i++)
    counter[CTR_BLOCK - 1 - i] = s->iv[i];
  s->limit = blocks_left(counter, (unsigned)bits) * CHACHA_BLOCK;
  return HF_OK;
}

static hf_err crypt_counted(struct op *op, struct hf_slice in, bool last, uint8_t *ret_out, size_t *ret_len)
{
  (void)last;
  struct cipher_state *s = op->state;
  if (in.len > s->left)
    return hf_fail(HF_ERR_DATA_LEN_RANGE, "%s: the counter reaches %llu bytes", op->mech->name,
                   (unsigned long long)s->limit);
  s->left -= in.len;
  return cipher_feed(op, in, ret_out, ret_len);
}

static size_t crypt_size(const struct op *op, size_t in_len, bool last)
{
  (void)op;
  (void)last;
  return in_len;
}

const struct mech_ops mech_aes_ctr = {
  .available = cipher_available,
  .prepare = cipher_prepare,
  .set_param = set_ctr,
  .start = cipher_start,
  .crypt = crypt_counted,
  .crypt_size = crypt_size,
  .crypt_parts = true,
};

const struct mech_ops mech_chacha20 = {
  .available = cipher_available,
  .prepare = cipher_prepare,
  .set_param = set_chacha,
  .start = cipher_start,
  .crypt = crypt_counted,
  .crypt_size = crypt_size,
  .crypt_parts = true,
};
