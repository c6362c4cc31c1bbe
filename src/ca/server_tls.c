/* SPDX-License-Identifier: Apache-2.0 */
#include "ca/server_tls.h"

#include "base/log.h"
#include "identity/chain.h"
#include "identity/host_names.h"
#include "identity/key.h"

#include <limits.h>
#include <openssl/err.h>
#include <time.h>

/* ca.server.names as alternative names. */
static hf_err read_names(const struct config *config, struct host_names *ret_names)
{
  const struct host_names_options options = { .set = config_get(config, CONFIG_CA_SERVER_NAMES),
                                              .key = config_row(CONFIG_CA_SERVER_NAMES)->key,
                                              .common_name = "holdfast-ca" };
  return host_names_read(&options, ret_names);
}

/* The certificate that is there */

/* When a third of its life is left. */
static hf_err renewal_time(const X509 *certificate, int64_t *ret_time)
{
  int64_t from, until;
  HF_TRY(authority_time(X509_get0_notBefore(certificate), &from));
  HF_TRY(authority_time(X509_get0_notAfter(certificate), &until));
  *ret_time = until - (until - from) / 3;
  return HF_OK;
}

static bool is_good(const X509 *certificate, const struct authority *authority, EVP_PKEY *key,
                    const struct profile_names *names)
{
  int64_t renew_at;
  X509 *leaf = (X509 *)(uintptr_t)certificate;
  bool good = X509_check_private_key(leaf, key) == 1 &&
              X509_verify(leaf, X509_get0_pubkey(authority->certificate)) == 1 &&
              host_names_match(certificate, names) && !hf_failed(renewal_time(certificate, &renew_at)) &&
              renew_at > (int64_t)time(NULL);
  ERR_clear_error();
  return good;
}

static hf_err issue_new(const struct authority *authority, EVP_PKEY *key, const struct profile_names *names,
                        const char *path, STACK_OF(X509) * *ret_chain)
{
  const struct authority_order order = { PROFILE_SERVER, AUTHORITY_SERVER_LIFETIME_S, names };
  HF_CLEANUP(openssl_x509_freep) X509 *certificate = NULL;
  HF_TRY(authority_issue_key(authority, key, &order, &certificate));
  HF_TRY(authority_record(authority->registry, certificate, REGISTRY_SERVER));
  HF_CLEANUP(chain_freep) STACK_OF(X509) *chain = X509_chain_up_ref(authority->chain);
  if (!chain || sk_X509_unshift(chain, certificate) <= 0)
    return hf_fail(HF_ERR_NO_MEMORY, "the server's chain");
  (void)HF_TAKE(certificate);
  HF_TRY(chain_write(path, chain));
  hf_log(HF_LOG_INFO, "the server has a new certificate: %s", path);
  *ret_chain = HF_TAKE(chain);
  return HF_OK;
}

static hf_err get_chain(const struct config *config, const struct authority *authority, EVP_PKEY *key,
                        STACK_OF(X509) * *ret_chain)
{
  struct host_names names;
  char dir[PATH_MAX], path[PATH_MAX + 16];
  HF_CLEANUP(chain_freep) STACK_OF(X509) *chain = NULL;
  HF_TRY(authority_path(config, dir, sizeof(dir)));
  HF_TRY(read_names(config, &names));
  snprintf(path, sizeof(path), "%s/server.pem", dir);
  hf_err e = chain_read(path, &chain);
  if (hf_failed(e) && e.code != HF_ERR_NOT_FOUND && e.code != HF_ERR_CERT_FILE)
    return e;
  if (chain && is_good(sk_X509_value(chain, 0), authority, key, &names.names)) {
    *ret_chain = HF_TAKE(chain);
    return HF_OK;
  }
  return issue_new(authority, key, &names.names, path, ret_chain);
}

/* The context */

/* All are taken: a handshake that fails tells a device nothing, an answer tells it what to do. */
static int take_any(int good, X509_STORE_CTX *store)
{
  (void)good;
  (void)store;
  return 1;
}

static bool trust(SSL_CTX *ctx, const struct authority *authority)
{
  X509_STORE *store = SSL_CTX_get_cert_store(ctx);
  X509 *own = (X509 *)(uintptr_t)authority->certificate;
  /* Its own certificates end at itself, whoever stands above it. */
  return X509_STORE_add_cert(store, own) == 1 && X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN) == 1 &&
         SSL_CTX_add_client_CA(ctx, own) == 1;
}

/* A root that the client has, or has not, is of no use in the handshake. */
static bool use_chain(SSL_CTX *ctx, const STACK_OF(X509) * chain)
{
  if (SSL_CTX_use_certificate(ctx, sk_X509_value(chain, 0)) != 1)
    return false;
  for (int i = 1; i < sk_X509_num(chain); i++) {
    X509 *one = sk_X509_value(chain, i);
    if (!(X509_get_extension_flags(one) & EXFLAG_SS) && SSL_CTX_add1_chain_cert(ctx, one) != 1)
      return false;
  }
  return true;
}

static hf_err new_ctx(const struct authority *authority, const STACK_OF(X509) * chain, EVP_PKEY *key, SSL_CTX **ret_ctx)
{
  ERR_clear_error();
  HF_CLEANUP(server_ctx_freep) SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
  if (!ctx)
    return openssl_fail(HF_ERR_NO_MEMORY, "TLS", "");
  SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
  SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET | SSL_OP_CIPHER_SERVER_PREFERENCE);
  SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_num_tickets(ctx, 0);
  SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, take_any);
  if (!trust(ctx, authority) || !use_chain(ctx, chain) || SSL_CTX_use_PrivateKey(ctx, key) != 1)
    return openssl_fail(HF_ERR_TLS, "the server's key and certificate", "");
  *ret_ctx = HF_TAKE(ctx);
  return HF_OK;
}

hf_err server_tls_new(const struct config *config, const struct authority *authority, SSL_CTX **ret_ctx,
                      int64_t *ret_renew_at)
{
  const char *uri;
  int64_t renew_at;
  HF_CLEANUP(openssl_pkey_freep) EVP_PKEY *key = NULL;
  HF_CLEANUP(chain_freep) STACK_OF(X509) *chain = NULL;
  HF_CLEANUP(server_ctx_freep) SSL_CTX *ctx = NULL;
  HF_TRY(config_require(config, CONFIG_CA_SERVER_KEY_URI, &uri));
  HF_TRY(identity_key_load(uri, &key));
  HF_TRY(get_chain(config, authority, key, &chain));
  HF_TRY(renewal_time(sk_X509_value(chain, 0), &renew_at));
  HF_TRY(new_ctx(authority, chain, key, &ctx));
  *ret_ctx = HF_TAKE(ctx);
  *ret_renew_at = renew_at;
  return HF_OK;
}
