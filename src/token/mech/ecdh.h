/* SPDX-License-Identifier: Apache-2.0 */
/* What is done with the secret that two keys of a curve agree on. */
#ifndef HF_TOKEN_MECH_ECDH_H
#define HF_TOKEN_MECH_ECDH_H

#include "token/mech/mech.h"

struct ecdh_kdf {
  CK_ULONG kdf; /* CKD_ */
  struct hf_slice shared;
};

/* Fails with MECHANISM_PARAM_INVALID where there is no such KDF here, or it takes no such shared data. */
hf_err ecdh_check_kdf(const struct mech *mech, const struct ecdh_kdf *kdf);

/* ctx has the key and its peer. Appends len bytes; 0: the whole bare secret. */
hf_err ecdh_agree(const struct mech *mech, EVP_PKEY_CTX *ctx, const struct ecdh_kdf *kdf, size_t len,
                  struct hf_buf *out);

#endif
