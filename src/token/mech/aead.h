/* SPDX-License-Identifier: Apache-2.0 */
/* Authenticated encryption: what GCM, CCM and ChaCha20-Poly1305 share, of one message an operation and of many (message-based). */
#ifndef HF_TOKEN_MECH_AEAD_H
#define HF_TOKEN_MECH_AEAD_H

#include "token/mech/cipher.h"

enum { AEAD_IV_MAX = 128, AEAD_TAG_MAX = 16, AEAD_KEY_MAX = 32 };

/* op->state. */
struct aead_state {
  uint8_t key[AEAD_KEY_MAX]; /* CCM alone: its context takes the key for each message */
  size_t key_len;
  uint8_t iv[AEAD_IV_MAX];
  size_t iv_len, tag_len;
  size_t ctx_iv_len;    /* as the context knows it */
  CK_ULONG data_len;    /* CCM: what the parameter says of the message */
  struct hf_buf aad;    /* of the message */
  struct hf_buf held;   /* the message so far, until its tag is verified; of CCM always */
  bool message_based;   /* the tag is no part of the message */
  uint8_t *message_tag; /* but here, while crypt runs */
  uint64_t counter;     /* how many IVs were made */
  uint8_t base_iv[AEAD_IV_MAX];
};

/* An IV and how it is made: the first fixed_bits of it stay. */
struct aead_iv {
  uint8_t *iv; /* the caller's */
  CK_ULONG len;
  CK_ULONG fixed_bits;
  CK_ULONG generator; /* CKG_... */
};

/* Takes the message's IV, additional data and length of the tag, and forgets the last one's. Fails with MECHANISM_PARAM_INVALID on NULL
 * pointers and absurd lengths. */
hf_err aead_set(struct op *op, struct hf_slice iv, struct hf_slice aad, size_t tag_len);
/* The tag's length by the mechanism's parameter: bytes of SP 800-38D (GCM), SP 800-38C (CCM). */
hf_err aead_gcm_tag(const struct op *op, CK_ULONG bits, size_t *ret_len);
hf_err aead_ccm_check(const struct op *op, CK_ULONG data_len, CK_ULONG nonce_len, CK_ULONG tag_len);

/* Verbs of struct mech_ops. */
hf_err aead_start_stream(struct op *op);
hf_err aead_start_ccm(struct op *op);

/* aead_message.c: where a message that is encrypted wants it, makes the IV and writes it to where the caller has it. Fails with
 * MECHANISM_PARAM_INVALID, and with FUNCTION_FAILED once a counter has no value left. */
hf_err aead_make_iv(struct op *op, const struct aead_iv *iv);

hf_err aead_gcm_message_param(struct op *op, void *param, CK_ULONG param_len, struct hf_slice aad);
hf_err aead_gcm_message_tag(struct op *op, void *param, CK_ULONG param_len);
hf_err aead_ccm_message_param(struct op *op, void *param, CK_ULONG param_len, struct hf_slice aad);
hf_err aead_ccm_message_tag(struct op *op, void *param, CK_ULONG param_len);
hf_err aead_chacha_message_param(struct op *op, void *param, CK_ULONG param_len, struct hf_slice aad);
hf_err aead_chacha_message_tag(struct op *op, void *param, CK_ULONG param_len);

#endif
