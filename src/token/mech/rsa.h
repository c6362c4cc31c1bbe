/* SPDX-License-Identifier: Apache-2.0 */
/* What RSA's families share. */
#ifndef HF_TOKEN_MECH_RSA_H
#define HF_TOKEN_MECH_RSA_H

#include "token/mech/op.h"

enum { RSA_PKCS1_OVERHEAD = 11, RSA_BLOCK_MAX = 8192 / 8 };

/* op->key_ctx with this padding (RSA_..._PADDING) and op->md, and op->out_len. Fails with KEY_SIZE_RANGE by the row's sizes. */
hf_err mech_rsa_begin(struct op *op, EVP_PKEY *key, int padding);

/* Verbs of struct mech_ops. mech_rsa_crypt_pkcs wants RSA_NO_PADDING for decryption. */
hf_err mech_rsa_sign(struct op *op, struct hf_slice input, uint8_t *ret_signature);
hf_err mech_rsa_verify(struct op *op, struct hf_slice input, struct hf_slice signature);
hf_err mech_rsa_crypt_pkcs(struct op *op, struct hf_slice in, bool last, uint8_t *ret_out, size_t *ret_len);
hf_err mech_rsa_crypt_oaep(struct op *op, struct hf_slice in, bool last, uint8_t *ret_out, size_t *ret_len);
size_t mech_rsa_crypt_size(const struct op *op, size_t in_len, bool last);

/* Encrypts or decrypts the bare number; yields op->out_len bytes. */
hf_err mech_rsa_crypt_x509(struct op *op, struct hf_slice in, uint8_t *ret_out);

/* The message with which a signature was made, padding removed; raw: all of it, as long as the modulus. */
hf_err mech_rsa_recover(struct op *op, struct hf_slice signature, uint8_t *ret_out, size_t *ret_len);
/* Puts a number in front of which bytes were left out into a block as long as the modulus. */
hf_err mech_rsa_block(const struct op *op, struct hf_slice input, uint8_t block[RSA_BLOCK_MAX]);

hf_err mech_rsa_prepare_oaep(struct op *op, const struct op_key *key, const CK_MECHANISM *mechanism);

/* What takes the place of a message whose PKCS #1 v1.5 padding is wrong (rsa_reject.c). */
hf_err mech_rsa_reject_prepare(struct op *op, const EVP_PKEY *key);
/* Fills block (len bytes) with bytes that follow from key and ciphertext alone, and gives where among them the message begins. */
hf_err mech_rsa_reject(const struct op *op, struct hf_slice ciphertext, uint8_t *block, uint32_t len,
                       uint32_t *ret_start);

#endif
