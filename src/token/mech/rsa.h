/* SPDX-License-Identifier: Apache-2.0 */
/* What RSA's families share. */
#ifndef HF_TOKEN_MECH_RSA_H
#define HF_TOKEN_MECH_RSA_H

#include "token/mech/op.h"

/* Verbs of struct mech_ops: PKCS #1 v1.5 encryption, whose op->key_ctx has RSA_NO_PADDING for decryption. */
hf_err mech_rsa_crypt_pkcs(struct op *op, struct hf_slice in, bool last, uint8_t *ret_out, size_t *ret_len);
size_t mech_rsa_crypt_size(const struct op *op, size_t in_len, bool last);

#endif
