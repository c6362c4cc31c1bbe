/* SPDX-License-Identifier: Apache-2.0 */
/* The curves we know. */
#ifndef HF_P11_CURVE_H
#define HF_P11_CURVE_H

#include "base/buf.h"
#include "holdfast/pkcs11.h"

enum { P11_CURVE_FORMS = 3 };

struct p11_curve {
  const char *name; /* SEC 2, RFC 5639, RFC 8032 */
  const char
      *openssl_name; /* where OpenSSL says it differently: its group, or the type of key that an Edwards curve has */
  CK_KEY_TYPE type;  /* of its keys: CKK_EC, CKK_EC_EDWARDS */
  size_t bits;       /* of its field */
  /* CKA_EC_PARAMS, DER with tag and length. There are several forms where tokens do not agree; most take the first. */
  struct hf_slice params[P11_CURVE_FORMS];
};

/* By CKA_EC_PARAMS in any form, numbers in place of a name too; NULL where it is none of ours. */
const struct p11_curve *p11_curve_by_params(struct hf_slice params);
/* By either name; NULL where it is none of ours. */
const struct p11_curve *p11_curve_by_name(const char *name);

#endif
