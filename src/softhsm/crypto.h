/* SPDX-License-Identifier: Apache-2.0 */
/* How SoftHSM2 encrypts. */
#ifndef HF_SOFTHSM_CRYPTO_H
#define HF_SOFTHSM_CRYPTO_H

#include "base/buf.h"
#include "base/secret.h"

enum { SOFTHSM_KEY_BYTES = 32 };

/* IV, then AES-256-CBC with PKCS #7 padding. Appends the plain text. Fails with TOKEN_STORE. */
hf_err softhsm_decrypt(const uint8_t key[SOFTHSM_KEY_BYTES], struct hf_slice in, struct hf_buf *out);

/*
 * The master key out of the blob that a PIN opens; whose PIN it is, for the text. Fails with PIN_INCORRECT, and with
 * TOKEN_STORE where the blob is not of the form.
 */
hf_err softhsm_blob_open(struct hf_slice blob, struct hf_slice pin, const char *whose, struct hf_secret **ret_key);

#endif
