/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Store (provider-storemgmt(7)) for pkcs11: URIs: a private key, or by type=cert a certificate, by type=public a
 * public key.
 */
#include "provider/resolve.h"

#include <openssl/core_names.h>
#include <openssl/core_object.h>
#include <openssl/params.h>
#include <openssl/store.h>

struct store {
  struct provider_ctx *ctx;
  char *text;
  struct uri uri;
  int expect; /* OSSL_STORE_INFO_...; 0: anything */
  bool done;
};

static struct store *store_free(struct store *store)
{
  if (store) {
    uri_free(&store->uri);
    if (store->text)
      hf_wipe(store->text, strlen(store->text));
    free(store->text);
    free(store);
  }
  return NULL;
}
HF_DEFINE_CLEANUP(struct store, store_free)

static hf_err open_store(struct provider_ctx *ctx, const char *text, struct store **ret_store)
{
  HF_CLEANUP(store_freep) struct store *store = calloc(1, sizeof(*store));
  if (!store || !(store->text = strdup(text)))
    return hf_fail(HF_ERR_NO_MEMORY, "a store");
  store->ctx = ctx;
  HF_TRY(uri_parse(text, &store->uri));
  *ret_store = HF_TAKE(store);
  return HF_OK;
}

static void *store_open(void *provctx, const char *text)
{
  if (!uri_is_pkcs11(text))
    return NULL;
  struct store *store = NULL;
  hf_err e = open_store(provctx, text, &store);
  if (hf_failed(e))
    provider_raise(provctx, e);
  return store;
}

static const OSSL_PARAM *store_settable_ctx_params(void *provctx)
{
  (void)provctx;
  static const OSSL_PARAM params[] = { OSSL_PARAM_int(OSSL_STORE_PARAM_EXPECT, NULL), OSSL_PARAM_END };
  return params;
}

static int store_set_ctx_params(void *loader, const OSSL_PARAM params[])
{
  struct store *store = loader;
  const OSSL_PARAM *expect = OSSL_PARAM_locate_const(params, OSSL_STORE_PARAM_EXPECT);
  return !expect || OSSL_PARAM_get_int(expect, &store->expect);
}

typedef hf_err (*load_fn)(struct store *store, OSSL_CALLBACK *callback, void *arg, int *ret_ok);

static hf_err load_private(struct store *store, OSSL_CALLBACK *callback, void *arg, int *ret_ok)
{
  HF_CLEANUP(provider_key_unrefp) struct provider_key *key = NULL;
  HF_TRY(provider_load_key(store->ctx, store->text, &key));
  *ret_ok = provider_key_hand_over(&key, callback, arg);
  return HF_OK;
}

static hf_err find_object(struct store *store, const char *type, struct p11_session **ret_session,
                          struct p11_object *ret_object)
{
  HF_TRY(uri_set(&store->uri, URI_TYPE, type, strlen(type)));
  HF_CLEANUP(p11_session_closep) struct p11_session *session = NULL;
  HF_TRY(provider_resolve_session(store->ctx, &store->uri, &session));
  HF_TRY(p11_object_find(session, &store->uri, ret_object));
  *ret_session = HF_TAKE(session);
  return HF_OK;
}

static hf_err load_public(struct store *store, OSSL_CALLBACK *callback, void *arg, int *ret_ok)
{
  HF_CLEANUP(p11_session_closep) struct p11_session *session = NULL;
  struct p11_object object;
  struct p11_public public;
  HF_TRY(find_object(store, "public", &session, &object));
  p11_public_init(&public);
  EVP_PKEY *pkey = NULL;
  HF_CLEANUP(provider_key_unrefp) struct provider_key *key = NULL;
  hf_err e = p11_public_read(session, &object, &public);
  if (!hf_failed(e))
    e = provider_public_new(store->ctx, &public, &pkey);
  if (!hf_failed(e))
    e = provider_key_new(store->ctx, NULL, pkey, &key);
  p11_public_free(&public);
  p11_object_free(&object);
  HF_TRY(e);
  *ret_ok = provider_key_hand_over(&key, callback, arg);
  return HF_OK;
}

static hf_err load_cert(struct store *store, OSSL_CALLBACK *callback, void *arg, int *ret_ok)
{
  HF_CLEANUP(p11_session_closep) struct p11_session *session = NULL;
  HF_CLEANUP(hf_buf_free) struct hf_buf der = HF_BUF(P11_ATTRIBUTE_MAX);
  struct p11_object object;
  HF_TRY(find_object(store, "cert", &session, &object));
  hf_err e = p11_object_get(session, object.handle, CKA_VALUE, &der);
  p11_object_free(&object);
  HF_TRY(e);
  int type = OSSL_OBJECT_CERT;
  OSSL_PARAM params[] = {
    OSSL_PARAM_int(OSSL_OBJECT_PARAM_TYPE, &type),
    OSSL_PARAM_octet_string(OSSL_OBJECT_PARAM_DATA, der.data, der.len),
    OSSL_PARAM_END,
  };
  *ret_ok = callback(params, arg);
  return HF_OK;
}

/* By the URI's type, else by what the program expects, else the private key. */
static const struct load_row {
  const char *type;
  int expect;
  load_fn load;
} loads[] = {
  { "private", OSSL_STORE_INFO_PKEY, load_private },
  { "public", OSSL_STORE_INFO_PUBKEY, load_public },
  { "cert", OSSL_STORE_INFO_CERT, load_cert },
};

static load_fn choose(struct store *store)
{
  const char *type = uri_get(&store->uri, URI_TYPE);
  for (size_t i = 0; i < HF_ARRAY_LEN(loads); i++)
    if (type ? strcmp(loads[i].type, type) == 0 : loads[i].expect == store->expect)
      return loads[i].load;
  return type || store->expect ? NULL : load_private;
}

static int store_load(void *loader, OSSL_CALLBACK *callback, void *arg, OSSL_PASSPHRASE_CALLBACK *ask, void *ask_arg)
{
  (void)ask;
  (void)ask_arg;
  struct store *store = loader;
  store->done = true;
  load_fn load = choose(store);
  int ok = 0;
  hf_err e = load ? load(store, callback, arg, &ok)
                  : hf_fail(HF_ERR_URI_NO_MATCH, "only private keys, public keys and certificates are loaded by URI");
  if (hf_failed(e))
    provider_raise(store->ctx, e);
  return ok;
}

static int store_eof(void *loader)
{
  const struct store *store = loader;
  return store->done;
}

static int store_close(void *loader)
{
  store_free(loader);
  return 1;
}

static const OSSL_DISPATCH functions[] = {
  PROVIDER_FUNCTION(OSSL_FUNC_STORE_OPEN, store_open),
  PROVIDER_FUNCTION(OSSL_FUNC_STORE_SETTABLE_CTX_PARAMS, store_settable_ctx_params),
  PROVIDER_FUNCTION(OSSL_FUNC_STORE_SET_CTX_PARAMS, store_set_ctx_params),
  PROVIDER_FUNCTION(OSSL_FUNC_STORE_LOAD, store_load),
  PROVIDER_FUNCTION(OSSL_FUNC_STORE_EOF, store_eof),
  PROVIDER_FUNCTION(OSSL_FUNC_STORE_CLOSE, store_close),
  PROVIDER_END,
};

const OSSL_ALGORITHM provider_stores[] = {
  { "pkcs11", "provider=holdfast", functions, "PKCS #11 URIs (RFC 7512)" },
  { NULL, NULL, NULL, NULL },
};
