/* SPDX-License-Identifier: Apache-2.0 */
/* What the token knows of an object but its creator need not say; and whether the object is one at all. */
#ifndef HF_TOKEN_COMPLETE_H
#define HF_TOKEN_COMPLETE_H

#include "token/policy.h"

/*
 * Adds lengths (CKA_MODULUS_BITS, CKA_VALUE_LEN, ...), CKA_CHECK_VALUE, CKA_PUBLIC_KEY_INFO and a point's DER form. Checks a key by
 * decoding it, and what the template said of these. Fails with ATTRIBUTE_VALUE_INVALID and as key_decode.
 */
hf_err complete_object(struct kind kind, struct attr_halves *halves);

/* The same for a pair that was just generated: its CKA_PUBLIC_KEY_INFO. */
hf_err complete_pair(struct kind public_kind, struct attr_halves *public, struct attr_halves *private);

#endif
