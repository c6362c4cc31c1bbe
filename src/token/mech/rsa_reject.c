/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Implicit rejection (draft-irtf-cfrg-rsa-guidance, section 7): a wrong PKCS #1 v1.5 padding yields a message, too, which follows
 * from the private key and the ciphertext and from nothing else. See docs/adr/0024-implicit-rejection.md.
 */
#include "token/mech/rsa.h"

#include "token/crypto.h"
#include "token/key_type.h"

#include <openssl/core_names.h>

enum { MAC_BYTES = 32, LENGTHS = 128 };

static void free_state(void *state)
{
  hf_wipe(state, MAC_BYTES);
  free(state);
}

/* The key of what follows is the hash of the private exponent. */
hf_err mech_rsa_reject_prepare(struct op *op, const EVP_PKEY *key)
{
  uint8_t exponent[RSA_BLOCK_MAX];
  HF_CLEANUP(key_number_free) BIGNUM *d = NULL;
  if (EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_D, &d) != 1 || BN_bn2binpad(d, exponent, (int)op->out_len) < 0)
    return crypto_fail(HF_ERR_FUNCTION_FAILED, op->mech->name);
  op->free_state = free_state;
  op->state = malloc(MAC_BYTES);
  hf_err e = op->state ? crypto_mac(NULL, hf_slice(exponent, op->out_len), op->state)
                       : hf_fail(HF_ERR_NO_MEMORY, "%s", op->mech->name);
  hf_wipe(exponent, sizeof(exponent));
  return e;
}

/* Blocks of HMAC(key, number, label, bits). */
static hf_err expand(const uint8_t key[MAC_BYTES], const char *label, uint8_t *out, size_t len)
{
  uint8_t mac[MAC_BYTES];
  for (size_t at = 0, number = 0; at < len; at += MAC_BYTES, number++) {
    HF_CLEANUP(hf_buf_free) struct hf_buf seed = HF_BUF(64);
    HF_TRY(hf_buf_add_u16(&seed, (uint16_t)number));
    HF_TRY(hf_buf_add_str(&seed, label));
    HF_TRY(hf_buf_add_u16(&seed, (uint16_t)(len * 8)));
    HF_TRY(crypto_mac(key, hf_slice(seed.data, seed.len), mac));
    memcpy(out + at, mac, len - at < MAC_BYTES ? len - at : MAC_BYTES);
  }
  hf_wipe(mac, sizeof(mac));
  return HF_OK;
}

/* The last of the candidates that a message may have as its length, without a branch. */
static uint32_t pick_length(const uint8_t candidates[2 * LENGTHS], uint32_t most)
{
  uint32_t mask = most, length = 0;
  for (uint32_t shift = 1; shift < 16; shift *= 2)
    mask |= mask >> shift;
  for (size_t i = 0; i < LENGTHS; i++) {
    uint32_t candidate = ((uint32_t)candidates[2 * i] << 8 | candidates[2 * i + 1]) & mask;
    uint32_t fits = 0U - ((candidate - most - 1) >> 31);
    length = (candidate & fits) | (length & ~fits);
  }
  return length;
}

hf_err mech_rsa_reject(const struct op *op, struct hf_slice ciphertext, uint8_t *block, uint32_t len,
                       uint32_t *ret_start)
{
  uint8_t key[MAC_BYTES], candidates[2 * LENGTHS];
  hf_err e = crypto_mac(op->state, ciphertext, key);
  if (!hf_failed(e))
    e = expand(key, "length", candidates, sizeof(candidates));
  if (!hf_failed(e))
    e = expand(key, "message", block, len);
  if (!hf_failed(e))
    *ret_start = len - pick_length(candidates, len - RSA_PKCS1_OVERHEAD);
  hf_wipe(key, sizeof(key));
  hf_wipe(candidates, sizeof(candidates));
  return e;
}
