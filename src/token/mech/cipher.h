/* SPDX-License-Identifier: Apache-2.0 */
/* What the families of ciphers share: finding libcrypto's, blocks out of parts of any length, and verbs of struct mech_ops. */
#ifndef HF_TOKEN_MECH_CIPHER_H
#define HF_TOKEN_MECH_CIPHER_H

#include "token/mech/op.h"

enum { CIPHER_BLOCK_MAX = 16, CIPHER_IV_MAX = 16, CIPHER_KEY_MAX = 64 };

/* op->state of these families. */
struct cipher_state {
  uint8_t iv[CIPHER_IV_MAX];
  size_t block; /* 1 of a stream cipher */
  size_t keep;  /* 1: the last block waits for the end of the message, for its padding */
  uint8_t tail[CIPHER_BLOCK_MAX];
  size_t tail_len;
  uint64_t limit; /* bytes that the counter reaches */
  uint64_t left;
  struct hf_buf held; /* the message so far, of those that need all of it */
};

/* libcrypto's for the row and a key of so many bytes; NULL where there is none. */
const EVP_CIPHER *cipher_find(const struct mech *mech, size_t key_len);
/* The key as libcrypto's cipher wants it (at most CIPHER_KEY_MAX bytes, to be wiped); how long that is. */
size_t cipher_key(const EVP_CIPHER *cipher, struct hf_slice key, uint8_t ret_key[CIPHER_KEY_MAX]);
/* Gives op->cipher_ctx the key, in the direction of op->kind, without padding. */
hf_err cipher_set_key(struct op *op, const EVP_CIPHER *cipher, struct hf_slice key);

/* Verbs: whether there is a cipher for any size of key; the context and the state; back to the IV. */
bool cipher_available(const struct mech *mech);
hf_err cipher_prepare(struct op *op, const struct op_key *key, const CK_MECHANISM *m);
hf_err cipher_start(struct op *op);
/* The IV is the parameter: exactly as long as the cipher's, none where it has none. */
hf_err cipher_set_iv(struct op *op, const CK_MECHANISM *m);

/* Bytes in whole blocks, ret_out being apart from in or the same. */
hf_err cipher_run(struct op *op, struct hf_slice in, uint8_t *ret_out);
/* The whole blocks of what waits in the tail and of in; the rest is the new tail. ret_out may be the same memory as in. */
hf_err cipher_feed(struct op *op, struct hf_slice in, uint8_t *ret_out, size_t *ret_len);
/* How many bytes cipher_feed would yield. */
size_t cipher_ready(const struct op *op, size_t in_len);

/* DATA_LEN_RANGE or ENCRYPTED_DATA_LEN_RANGE, as the direction is; ENCRYPTED_DATA_INVALID. */
hf_err cipher_bad_length(const struct op *op, size_t len);
hf_err cipher_not_valid(const struct op *op);

/* Adds to what is held. Fails as cipher_bad_length past OP_RESULT_MAX. */
hf_err cipher_hold(const struct op *op, struct hf_buf *held, struct hf_slice in);

#endif
