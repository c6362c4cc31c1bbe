/* SPDX-License-Identifier: Apache-2.0 */
/* AES key wrap with padding (RFC 5649), by which RSA and elliptic curve keys wrap what is longer than they are. */
#ifndef HF_TOKEN_MECH_KWP_H
#define HF_TOKEN_MECH_KWP_H

#include "token/mech/mech.h"

enum { KWP_AES_MAX = 32, KWP_BLOCK = 8, KWP_LEAST = 16 };

/* By the AES key's bits; NULL: there is no such AES. */
const EVP_CIPHER *kwp_cipher(CK_ULONG bits);

/* Wraps or unwraps; appends to out. False where it is none that this key wrapped. */
bool kwp_run(EVP_CIPHER_CTX *ctx, const EVP_CIPHER *cipher, const uint8_t *key, bool wrap, struct hf_slice in,
             struct hf_buf *out);

/* How many bytes in_len bytes are when they are wrapped. */
static inline size_t kwp_size(size_t in_len)
{
  return (in_len + KWP_BLOCK - 1) / KWP_BLOCK * KWP_BLOCK + KWP_BLOCK;
}

#endif
