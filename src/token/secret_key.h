/* SPDX-License-Identifier: Apache-2.0 */
/* Secret keys as PKCS #11 sees them: how long they are, and what tells two of them apart. */
#ifndef HF_TOKEN_SECRET_KEY_H
#define HF_TOKEN_SECRET_KEY_H

#include "token/policy.h"

/* Whether a key of this type can have so many bytes. */
bool secret_key_fits(CK_KEY_TYPE type, size_t len);
/* How many bytes every key of this type has; 0 where that differs. */
size_t secret_key_length(CK_KEY_TYPE type);

/* Gives the bytes of a DES key's CKA_VALUE odd parity; leaves other keys alone. */
hf_err secret_key_set_parity(CK_KEY_TYPE type, struct attrs *secret);

/*
 * The CKA_CHECK_VALUE of a secret key, three bytes: of a block of zeros encrypted with it, where it is a block cipher's, else of its
 * SHA-1; of a certificate, of the SHA-1 of its CKA_VALUE. Sets it where the template did not; an empty one stays empty. Fails with
 * ATTRIBUTE_VALUE_INVALID where the template had another one.
 */
hf_err check_value_complete(struct kind kind, struct attr_halves *halves);

#endif
