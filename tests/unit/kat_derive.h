/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Examples of derivation and key agreement, from the standards and NIST's validation program (CAVP) as far as there are; others have
 * two independent witnesses, which their source names. Bytes are in hex. What a, b, c, n and m mean is the family's (makers).
 */
#ifndef HF_TESTS_KAT_DERIVE_H
#define HF_TESTS_KAT_DERIVE_H

#include "holdfast/pkcs11.h"

struct kat {
  CK_MECHANISM_TYPE type;
  const char *source;
  CK_KEY_TYPE key_type;
  const char *base;
  CK_ULONG makes; /* a key of this type; or a CKO_DATA, or a signature */
  const char *a, *b, *c;
  CK_ULONG n, m;
  const char *out;
};

static const struct kat kats[] = {
#include "kat_derive.inc"
};

#endif
