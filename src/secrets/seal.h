/* SPDX-License-Identifier: Apache-2.0 */
/* AES-256-GCM and what it takes: nonce (12), ciphertext, tag (16). */
#ifndef HF_SECRETS_SEAL_H
#define HF_SECRETS_SEAL_H

#include "base/buf.h"
#include "base/secret.h"

enum {
  SEAL_KEY_BYTES = 32,
  SEAL_NONCE_BYTES = 12,
  SEAL_TAG_BYTES = 16,
  SEAL_OVERHEAD = SEAL_NONCE_BYTES + SEAL_TAG_BYTES
};

hf_err seal_random(void *ret_data, size_t len);

/* Appends to out. nonce NULL: a random one. */
hf_err seal_close(const uint8_t *key, const uint8_t *nonce, struct hf_slice aad, struct hf_slice plain,
                  struct hf_buf *out);

/* Fails with SECRETS where the key, aad or one bit differ. */
hf_err seal_open(const uint8_t *key, struct hf_slice aad, struct hf_slice sealed, struct hf_secret **ret_plain);

#endif
