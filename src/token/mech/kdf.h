/* SPDX-License-Identifier: Apache-2.0 */
/* What the families have in common that derive from a secret key. */
#ifndef HF_TOKEN_MECH_KDF_H
#define HF_TOKEN_MECH_KDF_H

#include "token/mech/op.h"

#include <openssl/core.h>

enum { KDF_DATA_MAX = 1024 };

/* In op->state, until C_DeriveKey is over. */
struct kdf {
  struct hf_buf base;  /* the base key's value */
  struct hf_buf other; /* op->other's */
};

/* For prepare: checks that the parameter has the size of its structure (op->param has a copy), and keeps the base key's value. */
hf_err kdf_keep(struct op *op, const struct op_key *key, size_t param_size);
struct kdf *kdf_of(struct op *op);

/* What a parameter points at. Fails with MECHANISM_PARAM_INVALID where it is longer than max, or nowhere. */
hf_err kdf_bytes(const struct mech *mech, const void *data, CK_ULONG len, CK_ULONG max, struct hf_slice *ret_bytes);
hf_err kdf_bad_param(const struct mech *mech, const char *what);
/* Where a template says no length and the mechanism makes any. */
hf_err kdf_need_len(const struct op *op, size_t len);

/* The first len bytes of what a mechanism makes; 0: all. Fails with TEMPLATE_INCONSISTENT where it has no more. */
hf_err kdf_give(const struct op *op, struct hf_slice made, size_t len, struct hf_buf *out);

/* libcrypto's KDF of this name. */
hf_err kdf_run(const struct mech *mech, const char *name, const OSSL_PARAM *params, size_t len, struct hf_buf *out);
bool kdf_there(const char *name);

/* One row of its parameters: a string, bytes (which need be there for as long as it). */
OSSL_PARAM kdf_text(const char *key, const char *text);
OSSL_PARAM kdf_octets(const char *key, struct hf_slice bytes);

#endif
