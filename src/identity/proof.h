/* SPDX-License-Identifier: Apache-2.0 */
/* That a key in the HSM is the private half of a public key, and that it signs: by a signature, verified outside the HSM. */
#ifndef HF_IDENTITY_PROOF_H
#define HF_IDENTITY_PROOF_H

#include "p11/key.h"

#include <openssl/evp.h>

/*
 * Signs random bytes with the key and verifies them with public_key; of: whose public key that is, for texts. Fails with
 * KEY_MISMATCH, and as p11_key_sign does.
 */
hf_err proof_check(EVP_PKEY *public_key, const char *of, struct p11_key *key);

/*
 * The same without a look at the signature, which is appended to out: what one signature costs. Fails with
 * KEY_TYPE_INCONSISTENT, and as p11_key_sign does.
 */
hf_err proof_sign(struct p11_key *key, struct hf_buf *out);

#endif
