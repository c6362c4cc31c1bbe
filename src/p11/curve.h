/* SPDX-License-Identifier: Apache-2.0 */
/* The curves we know. Inside src/p11 only. */
#ifndef HF_P11_CURVE_H
#define HF_P11_CURVE_H

#include "base/buf.h"

struct p11_curve {
  const char *name;         /* SEC 2, RFC 5639 */
  const char *openssl_name; /* where OpenSSL says it differently */
  size_t bits;
  struct hf_slice oid; /* DER, tag and length too: as CKA_EC_PARAMS has it */
};

/* By CKA_EC_PARAMS; NULL where it is none of ours. */
const struct p11_curve *p11_curve_by_params(struct hf_slice params);
/* By either name; NULL where it is none of ours. */
const struct p11_curve *p11_curve_by_name(const char *name);

#endif
