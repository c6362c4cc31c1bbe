/* SPDX-License-Identifier: Apache-2.0 */
/* Two keys of a curve agree on a secret: the steps that derivation, encapsulation and wrapping share. */
#ifndef HF_TOKEN_MECH_ECDH_H
#define HF_TOKEN_MECH_ECDH_H

#include "token/mech/op.h"

enum { ECDH_POINT_MAX = 256 };

struct ecdh_kdf {
  CK_ULONG kdf; /* CKD_ */
  struct hf_slice shared;
};

/* Fails with MECHANISM_PARAM_INVALID where there is no such KDF here, or it takes no such shared data. */
hf_err ecdh_check_kdf(const struct mech *mech, const struct ecdh_kdf *kdf);

/* Makes a context of the private key. */
hf_err ecdh_begin(const struct mech *mech, EVP_PKEY *private, bool cofactor, EVP_PKEY_CTX **ret_ctx);
/* Gives it the other side's public key, or point: bare or as a DER OCTET STRING, on the curve of own (a key's open half). Fails with
 * MECHANISM_PARAM_INVALID. */
hf_err ecdh_set_peer(const struct mech *mech, EVP_PKEY_CTX *ctx, EVP_PKEY *peer);
hf_err ecdh_set_point(const struct mech *mech, EVP_PKEY_CTX *ctx, const struct attrs *own, struct hf_slice point);
/* Both, with a new private key for the other side's public key; appends the new one's point, bare. */
hf_err ecdh_begin_ephemeral(const struct mech *mech, EVP_PKEY *peer, bool cofactor, struct hf_buf *point,
                            EVP_PKEY_CTX **ret_ctx);
/* A key's point, bare. */
hf_err ecdh_point(const struct mech *mech, EVP_PKEY *key, struct hf_buf *point);

/* Appends len bytes; 0: the whole bare secret. Fails with MECHANISM_PARAM_INVALID where there is none. */
hf_err ecdh_agree(const struct mech *mech, EVP_PKEY_CTX *ctx, const struct ecdh_kdf *kdf, size_t len,
                  struct hf_buf *out);

/* For HF_CLEANUP. */
static inline void ecdh_ctx_free(EVP_PKEY_CTX **ctx)
{
  EVP_PKEY_CTX_free(*ctx);
}

#endif
