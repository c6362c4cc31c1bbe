/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Modes that need the whole message before its first byte comes out: CBC with ciphertext stealing (CS1 of SP 800-38A's addendum),
 * XTS (SP 800-38E), and the key wraps of SP 800-38F (RFC 3394, RFC 5649, and RFC 3394 after PKCS #7 padding). Parts are held back.
 */
#include "token/mech/cipher.h"

#include "token/crypto.h"

enum { SEMIBLOCK = 8, WRAP_MIN = 16 };

/* The bytes of the message, once it ends. */
static size_t total(const struct op *op, size_t in_len)
{
  return ((const struct cipher_state *)op->state)->held.len + in_len;
}

/* Once the message is whole: what was held, or in. */
static hf_err gather(struct op *op, struct hf_slice in, struct hf_slice *ret_whole)
{
  struct cipher_state *s = op->state;
  if (s->held.len) {
    HF_TRY(cipher_hold(op, &s->held, in));
    in = hf_slice(s->held.data, s->held.len);
  }
  *ret_whole = in;
  return HF_OK;
}

/* A part is held; the whole goes to finish. */
static hf_err crypt_whole(struct op *op, struct hf_slice in, bool last, uint8_t *ret_out, size_t *ret_len,
                          hf_err (*finish)(struct op *op, struct hf_slice whole, uint8_t *ret_out, size_t *ret_len))
{
  struct cipher_state *s = op->state;
  struct hf_slice whole = { 0 };
  *ret_len = 0;
  if (!last)
    return cipher_hold(op, &s->held, in);
  HF_TRY(gather(op, in, &whole));
  return finish(op, whole, ret_out, ret_len);
}

static size_t same_size(const struct op *op, size_t in_len, bool last)
{
  return last ? total(op, in_len) : 0;
}

static hf_err finish_same(struct op *op, struct hf_slice whole, uint8_t *ret_out, size_t *ret_len)
{
  if (whole.len < CIPHER_BLOCK_MAX)
    return cipher_bad_length(op, whole.len);
  *ret_len = whole.len;
  return hf_failed(cipher_run(op, whole, ret_out)) ? cipher_bad_length(op, whole.len) : HF_OK;
}

static hf_err crypt_same(struct op *op, struct hf_slice in, bool last, uint8_t *ret_out, size_t *ret_len)
{
  return crypt_whole(op, in, last, ret_out, ret_len, finish_same);
}

const struct mech_ops mech_cipher_whole = {
  .available = cipher_available,
  .prepare = cipher_prepare,
  .set_param = cipher_set_iv,
  .start = cipher_start,
  .crypt = crypt_same,
  .crypt_size = same_size,
  .crypt_parts = true,
};

/* Without an IV it is the standard's. */
static hf_err set_wrap_iv(struct op *op, const CK_MECHANISM *m)
{
  static const uint8_t wrap[] = { 0xa6, 0xa6, 0xa6, 0xa6, 0xa6, 0xa6, 0xa6, 0xa6 }, pad[] = { 0xa6, 0x59, 0x59, 0xa6 };
  struct cipher_state *s = op->state;
  if (m->ulParameterLen)
    return cipher_set_iv(op, m);
  if (EVP_CIPHER_CTX_get_iv_length(op->cipher_ctx) == sizeof(pad))
    memcpy(s->iv, pad, sizeof(pad));
  else
    memcpy(s->iv, wrap, sizeof(wrap));
  return HF_OK;
}

static size_t round_up(size_t len)
{
  return (len + SEMIBLOCK - 1) / SEMIBLOCK * SEMIBLOCK;
}

/* padded: bytes of the message with its padding. */
static size_t wrapped_size(const struct op *op, size_t all, size_t padded)
{
  if (op_encrypts(op))
    return padded + SEMIBLOCK;
  return all < SEMIBLOCK ? 0 : all - SEMIBLOCK;
}

static size_t wrap_size(const struct op *op, size_t in_len, bool last)
{
  size_t all = total(op, in_len);
  return last ? wrapped_size(op, all, round_up(all)) : 0;
}

static size_t wrap_pkcs7_size(const struct op *op, size_t in_len, bool last)
{
  size_t all = total(op, in_len);
  return last ? wrapped_size(op, all, round_up(all + 1)) : 0;
}

/* Aside: where the check fails, libcrypto overwrites as many bytes as it was given. */
static hf_err run_unwrap(struct op *op, struct hf_slice in, uint8_t *ret_out, size_t *ret_len)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf plain = HF_BUF(OP_PART_MAX);
  uint8_t *room;
  int len = 0;
  HF_TRY(hf_buf_reserve(&plain, in.len, &room));
  int done = EVP_CipherUpdate(op->cipher_ctx, room, &len, in.data, (int)in.len);
  hf_buf_commit(&plain, in.len);
  if (done != 1 || len <= 0)
    return cipher_not_valid(op);
  memcpy(ret_out, plain.data, (size_t)len);
  *ret_len = (size_t)len;
  return HF_OK;
}

static hf_err run_wrap(struct op *op, struct hf_slice in, uint8_t *ret_out, size_t *ret_len)
{
  int len = 0;
  if (!op_encrypts(op))
    return run_unwrap(op, in, ret_out, ret_len);
  if (EVP_CipherUpdate(op->cipher_ctx, ret_out, &len, in.data, (int)in.len) != 1)
    return crypto_fail(HF_ERR_FUNCTION_FAILED, op->mech->name);
  *ret_len = (size_t)len;
  return HF_OK;
}

static hf_err finish_wrap(struct op *op, struct hf_slice whole, uint8_t *ret_out, size_t *ret_len)
{
  size_t least = op_encrypts(op) ? WRAP_MIN : WRAP_MIN + SEMIBLOCK;
  if (whole.len < least || whole.len % SEMIBLOCK)
    return cipher_bad_length(op, whole.len);
  return run_wrap(op, whole, ret_out, ret_len);
}

static hf_err crypt_wrap(struct op *op, struct hf_slice in, bool last, uint8_t *ret_out, size_t *ret_len)
{
  return crypt_whole(op, in, last, ret_out, ret_len, finish_wrap);
}

static hf_err finish_wrap_pad(struct op *op, struct hf_slice whole, uint8_t *ret_out, size_t *ret_len)
{
  bool fits = op_encrypts(op) ? whole.len > 0 : whole.len >= WRAP_MIN && whole.len % SEMIBLOCK == 0;
  return fits ? run_wrap(op, whole, ret_out, ret_len) : cipher_bad_length(op, whole.len);
}

static hf_err crypt_wrap_pad(struct op *op, struct hf_slice in, bool last, uint8_t *ret_out, size_t *ret_len)
{
  return crypt_whole(op, in, last, ret_out, ret_len, finish_wrap_pad);
}

/* The wrap has proved the padding to be what its maker had: it tells nothing to who tampers. */
static hf_err unpad(const struct op *op, const uint8_t *data, size_t *len)
{
  size_t pad = data[*len - 1];
  if (pad == 0 || pad > SEMIBLOCK)
    return cipher_not_valid(op);
  for (size_t i = 1; i <= pad; i++)
    if (data[*len - i] != pad)
      return cipher_not_valid(op);
  *len -= pad;
  return HF_OK;
}

static hf_err finish_wrap_pkcs7(struct op *op, struct hf_slice whole, uint8_t *ret_out, size_t *ret_len)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf padded = HF_BUF(OP_PART_MAX + SEMIBLOCK);
  if (!op_encrypts(op)) {
    HF_TRY(finish_wrap(op, whole, ret_out, ret_len));
    size_t len = *ret_len;
    hf_err e = unpad(op, ret_out, ret_len);
    if (hf_failed(e))
      hf_wipe(ret_out, len);
    return e;
  }
  size_t pad = SEMIBLOCK - whole.len % SEMIBLOCK;
  HF_TRY(hf_buf_add(&padded, whole.data, whole.len));
  for (size_t i = 0; i < pad; i++)
    HF_TRY(hf_buf_add_u8(&padded, (uint8_t)pad));
  return finish_wrap(op, hf_slice(padded.data, padded.len), ret_out, ret_len);
}

static hf_err crypt_wrap_pkcs7(struct op *op, struct hf_slice in, bool last, uint8_t *ret_out, size_t *ret_len)
{
  return crypt_whole(op, in, last, ret_out, ret_len, finish_wrap_pkcs7);
}

#define WRAP(crypts, size)                                                                                     \
  {                                                                                                            \
    .available = cipher_available, .prepare = cipher_prepare, .set_param = set_wrap_iv, .start = cipher_start, \
    .crypt = (crypts), .crypt_size = (size), .crypt_parts = true                                               \
  }

const struct mech_ops mech_key_wrap = WRAP(crypt_wrap, wrap_size);
const struct mech_ops mech_key_wrap_pad = WRAP(crypt_wrap_pad, wrap_size);
const struct mech_ops mech_key_wrap_pkcs7 = WRAP(crypt_wrap_pkcs7, wrap_pkcs7_size);
