/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/tls.h"

#include "base/cleanup.h"
#include "gateway/net.h"
#include "identity/openssl.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <sys/stat.h>

/* A TLS 1.3 server that takes our certificate sends a ticket at once, as a rule; one that sends none has this long to refuse. */
enum { REFUSAL_MS = 1000 };

static void ctx_freep(SSL_CTX **ctx)
{
  SSL_CTX_free(*ctx);
}

static void ssl_freep(SSL **ssl)
{
  SSL_free(*ssl);
}

/* What the callbacks see of one connection. */
struct seen {
  int verify_error;
  char server_name[256];
  bool ticket;
};

static void name_of(const X509 *certificate, char *out, size_t size)
{
  if (X509_NAME_get_text_by_NID((X509_NAME *)X509_get_subject_name(certificate), NID_commonName, out, (int)size) < 0)
    snprintf(out, size, "?");
}

/* Keeps the first reason, and the server's name even where it is refused. */
static int on_verify(int good, X509_STORE_CTX *store)
{
  SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
  struct seen *seen = SSL_get_app_data(ssl);
  name_of(X509_STORE_CTX_get0_cert(store), seen->server_name, sizeof(seen->server_name));
  if (!good && seen->verify_error == X509_V_OK)
    seen->verify_error = X509_STORE_CTX_get_error(store);
  return good;
}

static int on_session(SSL *ssl, SSL_SESSION *session)
{
  (void)session;
  struct seen *seen = SSL_get_app_data(ssl);
  seen->ticket = true;
  return 0;
}

static hf_err load_roots(SSL_CTX *ctx, const char *path)
{
  struct stat st;
  if (stat(path, &st) != 0)
    return hf_hint(hf_fail_errno(errno, "%s", path),
                   "Set mqtt.root_cert_path to the certificates that the server is checked with.");
  bool dir = S_ISDIR(st.st_mode);
  if ((dir ? SSL_CTX_load_verify_dir(ctx, path) : SSL_CTX_load_verify_file(ctx, path)) != 1)
    return openssl_fail(HF_ERR_CERT_FILE, "the trusted certificates ", path);
  return HF_OK;
}

static hf_err load_identity(SSL_CTX *ctx, const struct tls_identity *identity)
{
  HF_TRY(load_roots(ctx, identity->root_path));
  if (SSL_CTX_use_certificate_chain_file(ctx, identity->cert_path) != 1)
    return openssl_fail(HF_ERR_CERT_FILE, "the device's certificate ", identity->cert_path);
  if (SSL_CTX_use_PrivateKey(ctx, identity->key) != 1)
    return openssl_fail(HF_ERR_KEY_MISMATCH, "", identity->cert_path);
  return HF_OK;
}

static hf_err new_ctx(const struct tls_identity *identity, SSL_CTX **ret_ctx)
{
  HF_CLEANUP(ctx_freep) SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
  if (!ctx)
    return hf_fail(HF_ERR_NO_MEMORY, "TLS");
  SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
  SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, on_verify);
  SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
  SSL_CTX_sess_set_new_cb(ctx, on_session);
  HF_TRY(load_identity(ctx, identity));
  *ret_ctx = HF_TAKE(ctx);
  return HF_OK;
}

/* The name that is asked for (SNI) and checked; an IP address is only checked. */
static bool name_server(SSL *ssl, const char *host)
{
  uint8_t address[sizeof(struct in6_addr)];
  if (inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1)
    return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host) == 1;
  SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  return SSL_set1_host(ssl, host) == 1 && SSL_set_tlsext_host_name(ssl, host) == 1;
}

static hf_err new_ssl(SSL_CTX *ctx, int fd, const struct tls_server *server, struct seen *seen, SSL **ret_ssl)
{
  HF_CLEANUP(ssl_freep) SSL *ssl = SSL_new(ctx);
  if (!ssl || SSL_set_fd(ssl, fd) != 1 || SSL_set_app_data(ssl, seen) != 1 || !name_server(ssl, server->host))
    return hf_fail(HF_ERR_NO_MEMORY, "TLS with %s", server->peer.address);
  *ret_ssl = HF_TAKE(ssl);
  return HF_OK;
}

/* After a call that did not succeed: waits, or says why it failed. */
static hf_err go_on(SSL *ssl, int rc, const struct tls_server *server, const struct seen *seen, int64_t deadline_ms)
{
  switch (SSL_get_error(ssl, rc)) {
  case SSL_ERROR_WANT_READ:
    return net_wait(SSL_get_fd(ssl), POLLIN, deadline_ms, server->peer.address);
  case SSL_ERROR_WANT_WRITE:
    return net_wait(SSL_get_fd(ssl), POLLOUT, deadline_ms, server->peer.address);
  default:
    return seen->verify_error != X509_V_OK ? tls_error_server(&server->peer, seen->verify_error, seen->server_name)
                                           : tls_error_handshake(&server->peer);
  }
}

static hf_err await_refusal(SSL *ssl, const struct tls_server *server, const struct seen *seen)
{
  int64_t deadline_ms = net_now_ms() + REFUSAL_MS;
  while (!seen->ticket && SSL_version(ssl) >= TLS1_3_VERSION) {
    uint8_t byte;
    ERR_clear_error();
    int rc = SSL_peek(ssl, &byte, 1);
    if (rc == 1)
      return HF_OK;
    hf_err e = go_on(ssl, rc, server, seen, deadline_ms);
    if (seen->ticket || e.code == HF_ERR_TIMEOUT)
      return HF_OK;
    HF_TRY(e);
  }
  return HF_OK;
}

hf_err tls_handshake(int fd, const struct tls_identity *identity, const struct tls_server *server, int64_t deadline_ms,
                     char result[TLS_RESULT_MAX])
{
  struct seen seen = { .server_name = "?" };
  HF_CLEANUP(ctx_freep) SSL_CTX *ctx = NULL;
  HF_TRY(new_ctx(identity, &ctx));
  HF_CLEANUP(ssl_freep) SSL *ssl = NULL;
  HF_TRY(new_ssl(ctx, fd, server, &seen, &ssl));
  for (;;) {
    ERR_clear_error();
    int rc = SSL_connect(ssl);
    if (rc == 1)
      break;
    HF_TRY(go_on(ssl, rc, server, &seen, deadline_ms));
  }
  HF_TRY(await_refusal(ssl, server, &seen));
  snprintf(result, TLS_RESULT_MAX, "%s, server '%s'", SSL_get_version(ssl), seen.server_name);
  SSL_shutdown(ssl);
  return HF_OK;
}
