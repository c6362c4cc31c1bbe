/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The OpenSSL provider "holdfast": any OpenSSL program uses a private key in a token by its pkcs11: URI. Nothing is
 * loaded and nobody logged in until the first key is asked for, since this is initialised in every program that reads
 * openssl.cnf.
 */
#include "provider/context.h"

#include "base/cleanup.h"

#include <openssl/core_names.h>
#include <openssl/params.h>
#include <stdbool.h>

OSSL_provider_init_fn OSSL_provider_init;

static const OSSL_PARAM *gettable_params(void *provctx)
{
  (void)provctx;
  static const OSSL_PARAM params[] = {
    OSSL_PARAM_DEFN(OSSL_PROV_PARAM_NAME, OSSL_PARAM_UTF8_PTR, NULL, 0),
    OSSL_PARAM_DEFN(OSSL_PROV_PARAM_VERSION, OSSL_PARAM_UTF8_PTR, NULL, 0),
    OSSL_PARAM_DEFN(OSSL_PROV_PARAM_BUILDINFO, OSSL_PARAM_UTF8_PTR, NULL, 0),
    OSSL_PARAM_DEFN(OSSL_PROV_PARAM_STATUS, OSSL_PARAM_INTEGER, NULL, 0),
    OSSL_PARAM_END,
  };
  return params;
}

static int get_params(void *provctx, OSSL_PARAM params[])
{
  (void)provctx;
  static const struct {
    const char *key;
    const char *value;
  } texts[] = {
    { OSSL_PROV_PARAM_NAME, "Holdfast: keys in PKCS #11 tokens" },
    { OSSL_PROV_PARAM_VERSION, HF_VERSION },
    { OSSL_PROV_PARAM_BUILDINFO, HF_VERSION },
  };
  for (size_t i = 0; i < HF_ARRAY_LEN(texts); i++) {
    OSSL_PARAM *p = OSSL_PARAM_locate(params, texts[i].key);
    if (p && !OSSL_PARAM_set_utf8_ptr(p, texts[i].value))
      return 0;
  }
  OSSL_PARAM *status = OSSL_PARAM_locate(params, OSSL_PROV_PARAM_STATUS);
  return !status || OSSL_PARAM_set_int(status, 1);
}

static const OSSL_ALGORITHM *query_operation(void *provctx, int operation, int *no_cache)
{
  (void)provctx;
  static const struct {
    int operation;
    const OSSL_ALGORITHM *algorithms;
  } rows[] = {
    { OSSL_OP_KEYMGMT, provider_keymgmts },
    { OSSL_OP_SIGNATURE, provider_signatures },
    { OSSL_OP_STORE, provider_stores },
    { OSSL_OP_DECODER, provider_decoders },
  };
  *no_cache = 0;
  for (size_t i = 0; i < HF_ARRAY_LEN(rows); i++)
    if (rows[i].operation == operation)
      return rows[i].algorithms;
  return NULL;
}

static const OSSL_ITEM *get_reason_strings(void *provctx)
{
  (void)provctx;
  return provider_reasons();
}

/* Modules and keys stay: this runs from OpenSSL's exit handler too, when the module may have gone before us. */
static void teardown(void *provctx)
{
  struct provider_ctx *ctx = provctx;
  if (ctx->defaults)
    OSSL_PROVIDER_unload(ctx->defaults);
  OSSL_LIB_CTX_free(ctx->libctx);
  free(ctx->module_path);
  free(ctx->pin_source);
  free(ctx);
}

static const OSSL_DISPATCH provider_functions[] = {
  PROVIDER_FUNCTION(OSSL_FUNC_PROVIDER_TEARDOWN, teardown),
  PROVIDER_FUNCTION(OSSL_FUNC_PROVIDER_GETTABLE_PARAMS, gettable_params),
  PROVIDER_FUNCTION(OSSL_FUNC_PROVIDER_GET_PARAMS, get_params),
  PROVIDER_FUNCTION(OSSL_FUNC_PROVIDER_QUERY_OPERATION, query_operation),
  PROVIDER_FUNCTION(OSSL_FUNC_PROVIDER_GET_REASON_STRINGS, get_reason_strings),
  PROVIDER_END,
};

/* The type of every function pointer is fixed by its number (provider-base(7)). */
static void take_core(struct provider_ctx *ctx, const OSSL_DISPATCH *in, OSSL_FUNC_core_get_params_fn **ret_get_params)
{
  const struct {
    int id;
    void *place;
  } rows[] = {
    { OSSL_FUNC_CORE_NEW_ERROR, &ctx->new_error },   { OSSL_FUNC_CORE_SET_ERROR_DEBUG, &ctx->set_error_debug },
    { OSSL_FUNC_CORE_VSET_ERROR, &ctx->vset_error }, { OSSL_FUNC_BIO_GETS, &ctx->bio_gets },
    { OSSL_FUNC_BIO_READ_EX, &ctx->bio_read_ex },    { OSSL_FUNC_CORE_GET_PARAMS, ret_get_params },
  };
  for (; in->function_id != 0; in++)
    for (size_t i = 0; i < HF_ARRAY_LEN(rows); i++)
      if (rows[i].id == in->function_id)
        memcpy(rows[i].place, &in->function, sizeof(in->function));
}

static char *copy_setting(const char *value)
{
  return value ? strdup(value) : NULL;
}

/* Our section of openssl.cnf. Its strings are the core's. */
static bool read_settings(struct provider_ctx *ctx, OSSL_FUNC_core_get_params_fn *core_get_params)
{
  char *module_path = NULL, *pin_source = NULL;
  OSSL_PARAM params[] = {
    OSSL_PARAM_DEFN("module-path", OSSL_PARAM_UTF8_PTR, &module_path, sizeof(void *)),
    OSSL_PARAM_DEFN("pin-source", OSSL_PARAM_UTF8_PTR, &pin_source, sizeof(void *)),
    OSSL_PARAM_END,
  };
  if (!core_get_params(ctx->core, params))
    return false;
  ctx->module_path = copy_setting(module_path);
  ctx->pin_source = copy_setting(pin_source);
  return (ctx->module_path || !module_path) && (ctx->pin_source || !pin_source);
}

__attribute__((visibility("default"))) int OSSL_provider_init(const OSSL_CORE_HANDLE *handle, const OSSL_DISPATCH *in,
                                                              const OSSL_DISPATCH **out, void **provctx)
{
  struct provider_ctx *ctx = calloc(1, sizeof(*ctx));
  if (!ctx)
    return 0;
  OSSL_FUNC_core_get_params_fn *core_get_params = NULL;
  ctx->core = handle;
  take_core(ctx, in, &core_get_params);
  ctx->libctx = OSSL_LIB_CTX_new();
  ctx->defaults = ctx->libctx ? OSSL_PROVIDER_load(ctx->libctx, "default") : NULL;
  if (!ctx->defaults || !core_get_params || !read_settings(ctx, core_get_params)) {
    teardown(ctx);
    return 0;
  }
  *out = provider_functions;
  *provctx = ctx;
  return 1;
}
