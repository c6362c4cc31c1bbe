/* SPDX-License-Identifier: Apache-2.0 */
/* The two ways in which SoftHSM2 keeps a token (objectstore.backend). Inside this folder only. */
#ifndef HF_SOFTHSM_BACKEND_H
#define HF_SOFTHSM_BACKEND_H

#include "base/buf.h"

enum { SOFTHSM_OBJECTS_MAX = 1000 * 1000, SOFTHSM_NAME_MAX = 64 };

/* Errors name the file. Nothing is ever written. */
struct softhsm_backend {
  const char *file; /* a directory that holds it is a token of this kind */
  hf_err (*open)(const char *dir, void **ret_store);
  void (*close)(void *store);
  size_t (*count)(const void *store);
  void (*name)(const void *store, size_t number, char out[SOFTHSM_NAME_MAX]);
  /* The bytes of the token's own object, and of another, as object.h has them; nothing where a write was interrupted. */
  hf_err (*read_token)(void *store, struct hf_buf *out);
  hf_err (*read)(void *store, size_t number, struct hf_buf *out);
};

extern const struct softhsm_backend softhsm_files, softhsm_database;

#endif
