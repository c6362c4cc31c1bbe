/* SPDX-License-Identifier: Apache-2.0 */
/* What one loaded provider has: its settings, and a library context of its own for hashes and public keys. */
#ifndef HF_PROVIDER_CONTEXT_H
#define HF_PROVIDER_CONTEXT_H

#include "base/error.h"

#include <openssl/core.h>
#include <openssl/core_dispatch.h>
#include <openssl/crypto.h>
#include <openssl/provider.h>

struct provider_ctx {
  const OSSL_CORE_HANDLE *core;
  OSSL_LIB_CTX *libctx; /* with "default" by name; never the program's openssl.cnf, which may lead back to us */
  OSSL_PROVIDER *defaults;
  char *module_path; /* from our section of openssl.cnf; NULL where it says nothing */
  char *pin_source;
  OSSL_FUNC_core_new_error_fn *new_error;
  OSSL_FUNC_core_set_error_debug_fn *set_error_debug;
  OSSL_FUNC_core_vset_error_fn *vset_error;
  OSSL_FUNC_BIO_gets_fn *bio_gets;
  OSSL_FUNC_BIO_read_ex_fn *bio_read_ex;
};

/* Puts the error into OpenSSL's queue: the reason is the code's, its data what was recorded, and the hint. */
void provider_raise(const struct provider_ctx *ctx, hf_err e);

/* One row a code, for OSSL_FUNC_PROVIDER_GET_REASON_STRINGS. */
const OSSL_ITEM *provider_reasons(void);

extern const OSSL_ALGORITHM provider_keymgmts[];
extern const OSSL_ALGORITHM provider_signatures[];
extern const OSSL_ALGORITHM provider_stores[];
extern const OSSL_ALGORITHM provider_decoders[];

/* OpenSSL's tables hold functions of any type. */
#define PROVIDER_FUNCTION(id, function) \
  {                                     \
    id, (void (*)(void))(function)      \
  }
#define PROVIDER_END \
  {                  \
    0, NULL          \
  }

#endif
