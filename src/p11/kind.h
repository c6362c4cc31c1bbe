/* SPDX-License-Identifier: Apache-2.0 */
/* The kinds of key pair, and what a token says of them. Inside src/p11 only. */
#ifndef HF_P11_KIND_H
#define HF_P11_KIND_H

#include "p11/curve.h"
#include "p11/object.h"

struct p11_kind {
  const char *name;
  CK_MECHANISM_TYPE mechanism; /* that makes such a pair */
  const char *curve;           /* NULL for RSA */
};

const struct p11_kind *p11_kind(enum p11_key_kind kind);

/*
 * Whether the slot's token says that it makes keys of this kind and size; what it does not say counts as yes. Fails with
 * MECHANISM_INVALID or KEY_SIZE_RANGE, and a hint that names what it offers.
 */
hf_err p11_kind_check(struct p11_session *session, const struct p11_key_spec *spec);

#endif
