/* SPDX-License-Identifier: Apache-2.0 */
/* Digests, which op makes by itself (PKCS #11 v3.2, sections 6.20 to 6.22). */
#include "token/mech/mech.h"

static const struct mech_ops mech_digest = { 0 };

#define ROW(type, digest)                                                                \
  {                                                                                      \
    type, #type, MECH_KEY(MECH_NO_KEY), { 0, 0, CKF_DIGEST }, digest, NULL, &mech_digest \
  }

/* clang-format off */
static const struct mech rows[] = {
  ROW(CKM_SHA_1,  "SHA1"),
  ROW(CKM_SHA224, "SHA224"),
  ROW(CKM_SHA256, "SHA256"),
  ROW(CKM_SHA384, "SHA384"),
  ROW(CKM_SHA512, "SHA512"),
  ROW(CKM_SHA512_224, "SHA512-224"),
  ROW(CKM_SHA512_256, "SHA512-256"),
  ROW(CKM_SHA3_224, "SHA3-224"),
  ROW(CKM_SHA3_256, "SHA3-256"),
  ROW(CKM_SHA3_384, "SHA3-384"),
  ROW(CKM_SHA3_512, "SHA3-512"),
};
/* clang-format on */

const struct mech_table mech_table_digest = { rows, HF_ARRAY_LEN(rows) };
