/* SPDX-License-Identifier: Apache-2.0 */
/* AES key wrap with padding (RFC 5649), by which RSA and elliptic curve keys wrap what is longer than they are. */
#ifndef HF_TOKEN_MECH_KWP_H
#define HF_TOKEN_MECH_KWP_H

#include "token/mech/op.h"

enum { KWP_AES_MAX = 32, KWP_BLOCK = 8, KWP_LEAST = 16 };

/* By the AES key's bits; NULL: there is no such AES. */
const EVP_CIPHER *kwp_cipher(CK_ULONG bits);

/* Wraps or unwraps; appends to out. False where it is none that this key wrapped. */
bool kwp_run(EVP_CIPHER_CTX *ctx, const EVP_CIPHER *cipher, const uint8_t *key, bool wrap, struct hf_slice in,
             struct hf_buf *out);

/* struct mech_ops's, where op->out_len bytes stand before what is wrapped. */
size_t kwp_crypt_size(const struct op *op, size_t in_len, bool last);

#endif
