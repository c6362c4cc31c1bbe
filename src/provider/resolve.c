/* SPDX-License-Identifier: Apache-2.0 */
#include "provider/resolve.h"

#include "base/file.h"
#include "config/config.h"

#include <dlfcn.h>
#include <limits.h>
#include <openssl/err.h>
#include <pthread.h>

/* The keys that are open in this process, for every provider context in it. They are never closed: see p11/module.h. */
struct open_key {
  struct open_key *next;
  struct p11_module *module;
  char *uri; /* as uri_format writes it: without the PIN */
  struct p11_key *key;
};

/* Held for a few instructions at a time, never across a call into a module: a fork finds it free. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct open_key *open_keys;

/* Read only where it is needed: a worker without root's rights may not be able to. */
struct sources {
  struct provider_ctx *ctx;
  const struct uri *uri;
  struct config *config;
};

static hf_err load_config(struct sources *s)
{
  return s->config ? HF_OK : config_load(NULL, &s->config);
}

/* Holdfast's own token, where it is installed (or built) beside this provider. */
static hf_err find_own_module(char *out, size_t size)
{
  static const char *const places[] = { "../pkcs11/libholdfast-token.so", "../token/libholdfast-token.so" };
  Dl_info self;
  if (dladdr(&open_keys, &self) && self.dli_fname) {
    size_t folder = strlen(self.dli_fname) - strlen(basename(self.dli_fname));
    for (size_t i = 0; i < HF_ARRAY_LEN(places); i++) {
      int len = snprintf(out, size, "%.*s%s", (int)folder, self.dli_fname, places[i]);
      if (len > 0 && (size_t)len < size && access(out, F_OK) == 0)
        return HF_OK;
    }
  }
  hf_err e = hf_fail(HF_ERR_MODULE_LOAD, "no module is named");
  return hf_hint(e, "Name it: module-path in the URI or in the provider's section of openssl.cnf, $HOLDFAST_MODULE, or "
                    "device.cryptoki.module_path in the configuration.");
}

/* Where the URI names no module by its path. */
static hf_err find_usual_module(struct sources *s, char *out, size_t size)
{
  const char *path = s->ctx->module_path;
  if (!path)
    path = secure_getenv("HOLDFAST_MODULE");
  if (path)
    return (size_t)snprintf(out, size, "%s", path) < size ? HF_OK
                                                          : hf_fail(HF_ERR_LIMIT, "the module's path %.64s...", path);
  HF_TRY(load_config(s));
  HF_TRY(config_module(s->config, out, size));
  return out[0] ? HF_OK : find_own_module(out, size);
}

/* With a module-name the usual module is asked for its name; having none is no matter then. */
static hf_err find_module_path(struct sources *s, char *out, size_t size)
{
  char usual[PATH_MAX];
  bool named = uri_get(s->uri, URI_MODULE_NAME), at_path = uri_get(s->uri, URI_MODULE_PATH);
  hf_err e = at_path ? HF_OK : find_usual_module(s, usual, sizeof(usual));
  if (!named)
    HF_TRY(e);
  return p11_module_of_uri(s->uri, at_path || hf_failed(e) ? NULL : usual, out, size);
}

/* No PIN at all is no error here: the token may need none, and says so where it does. */
static hf_err find_pin(struct sources *s, struct hf_secret **ret_pin)
{
  const char *value = uri_get(s->uri, URI_PIN_VALUE);
  if (value && value[0])
    return hf_secret_new(value, strlen(value), ret_pin);
  const char *source = uri_get(s->uri, URI_PIN_SOURCE);
  if (!source)
    source = s->ctx->pin_source;
  if (source)
    return hf_pin_source_read(source, ret_pin);
  if (hf_failed(load_config(s)))
    return HF_OK;
  hf_err e = config_pin(s->config, ret_pin);
  return e.code == HF_ERR_PIN_MISSING ? HF_OK : e;
}

/*
 * The reference is never given back: C_Finalize would end the sessions of the program itself, if it uses the module
 * too.
 */
static hf_err open_module(struct sources *s, struct p11_module **ret_module)
{
  char path[PATH_MAX];
  HF_TRY(find_module_path(s, path, sizeof(path)));
  return p11_module_open(path, ret_module);
}

/* The link that leads to it; with the lock held. */
static struct open_key **find_open(struct p11_module *module, const char *uri)
{
  struct open_key **link = &open_keys;
  while (*link && !((*link)->module == module && strcmp((*link)->uri, uri) == 0))
    link = &(*link)->next;
  return link;
}

static struct p11_key *get_open(struct p11_module *module, const char *uri)
{
  pthread_mutex_lock(&lock);
  struct open_key *found = *find_open(module, uri);
  struct p11_key *key = found ? p11_key_ref(found->key) : NULL;
  pthread_mutex_unlock(&lock);
  return key;
}

/* Remembers the key, in place of the one before. Without memory it is just not remembered. */
static void set_open(struct p11_module *module, const char *uri, struct p11_key *key)
{
  struct p11_key *old = NULL;
  struct open_key *entry = calloc(1, sizeof(*entry));
  char *copy = strdup(uri);
  pthread_mutex_lock(&lock);
  struct open_key *found = *find_open(module, uri);
  if (found) {
    old = found->key;
    found->key = p11_key_ref(key);
  } else if (entry && copy) {
    *entry = (struct open_key){ open_keys, module, copy, p11_key_ref(key) };
    open_keys = entry;
    entry = NULL;
    copy = NULL;
  }
  pthread_mutex_unlock(&lock);
  p11_key_unref(old);
  free(entry);
  free(copy);
}

/* A gateway runs for months, and another program makes the key that it changes to. */
static hf_err open_key(struct p11_module *module, const struct uri *uri, struct hf_secret *pin,
                       struct p11_key **ret_key)
{
  hf_err e = p11_key_open(module, uri, pin, ret_key);
  return e.code == HF_ERR_URI_NO_MATCH && p11_module_look_again(module) ? p11_key_open(module, uri, pin, ret_key) : e;
}

static hf_err resolve(struct sources *s, struct p11_key **ret_key)
{
  struct p11_module *module = NULL;
  HF_CLEANUP(hf_buf_free) struct hf_buf name = HF_BUF(4 * URI_MAX);
  HF_TRY(open_module(s, &module));
  HF_TRY(uri_format(s->uri, &name));
  const char *uri = hf_buf_str(&name);
  if (!uri)
    return hf_fail(HF_ERR_NO_MEMORY, "opening a key");
  HF_CLEANUP(p11_key_unrefp) struct p11_key *key = get_open(module, uri);
  bool same = false;
  if (key && !hf_failed(p11_key_check(key, &same)) && same) {
    *ret_key = HF_TAKE(key);
    return HF_OK;
  }
  key = p11_key_unref(key);
  HF_CLEANUP(hf_secret_freep) struct hf_secret *pin = NULL;
  HF_TRY(find_pin(s, &pin));
  hf_err e = open_key(module, s->uri, pin, &key);
  /* The PIN may be in a configuration that cannot be read: then that is what to tell. */
  if (e.code == HF_ERR_PIN_MISSING)
    HF_TRY(load_config(s));
  HF_TRY(e);
  set_open(module, uri, key);
  *ret_key = HF_TAKE(key);
  return HF_OK;
}

static hf_err resolve_key(struct provider_ctx *ctx, const char *text, struct p11_key **ret_key)
{
  struct uri uri = { 0 };
  HF_TRY(uri_parse(text, &uri));
  struct sources s = { ctx, &uri, NULL };
  hf_err e = resolve(&s, ret_key);
  config_free(s.config);
  uri_free(&uri);
  return e;
}

static hf_err load_key(struct provider_ctx *ctx, const char *uri, struct provider_key **ret_key)
{
  HF_CLEANUP(p11_key_unrefp) struct p11_key *key = NULL;
  EVP_PKEY *public = NULL;
  HF_TRY(resolve_key(ctx, uri, &key));
  HF_TRY(provider_public_new(ctx, p11_key_public(key), &public));
  return provider_key_new(ctx, HF_TAKE(key), public, ret_key);
}

hf_err provider_load_key(struct provider_ctx *ctx, const char *uri, struct provider_key **ret_key)
{
  if (!uri)
    return hf_fail(HF_ERR_NO_MEMORY, "a key");
  ERR_set_mark();
  hf_err e = load_key(ctx, uri, ret_key);
  ERR_pop_to_mark();
  return e;
}

static hf_err resolve_session(struct sources *s, struct p11_session **ret_session)
{
  struct p11_module *module = NULL;
  struct p11_token token;
  HF_TRY(open_module(s, &module));
  HF_TRY(p11_token_find(module, s->uri, &token));
  return p11_session_open(module, token.slot, P11_READ_ONLY, ret_session);
}

hf_err provider_resolve_session(struct provider_ctx *ctx, const struct uri *uri, struct p11_session **ret_session)
{
  struct sources s = { ctx, uri, NULL };
  ERR_set_mark();
  hf_err e = resolve_session(&s, ret_session);
  ERR_pop_to_mark();
  config_free(s.config);
  return e;
}
