/* SPDX-License-Identifier: Apache-2.0 */
/* Private keys as PKCS #8 (PKCS #11 v3.2, section 6.7). */
#ifndef HF_TOKEN_PKCS8_H
#define HF_TOKEN_PKCS8_H

#include "base/buf.h"

#include <openssl/evp.h>

/* Appends the DER of PrivateKeyInfo. */
hf_err pkcs8_encode(const EVP_PKEY *key, struct hf_buf *out);

/* Zeros behind it, fewer than a cipher's block, are its padding. Fails with WRAPPED_KEY_INVALID. */
hf_err pkcs8_decode(struct hf_slice der, EVP_PKEY **ret_key);

#endif
