/* SPDX-License-Identifier: Apache-2.0 */
/* What DSA and ECDSA share: signatures are r and s side by side, each as long as the order; libcrypto's are DER. */
#ifndef HF_TOKEN_MECH_DSS_H
#define HF_TOKEN_MECH_DSS_H

#include "token/mech/op.h"

/* op->key_ctx and op->out_len, for an order of that many bits. Takes no parameter. */
hf_err mech_dss_prepare(struct op *op, EVP_PKEY *key, int order_bits, const CK_MECHANISM *mechanism);

/* Verbs of struct mech_ops. A hash longer than the order is cut by libcrypto (FIPS 186-4, section 6.4). */
hf_err mech_dss_sign(struct op *op, struct hf_slice input, uint8_t *ret_signature);
hf_err mech_dss_verify(struct op *op, struct hf_slice input, struct hf_slice signature);

#endif
