/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/tls.h"

#include "base/cleanup.h"
#include "config/address.h"
#include "gateway/net.h"
#include "identity/chain.h"
#include "identity/openssl.h"
#include "identity/tls_identity.h"

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

struct tls {
  SSL *ssl;
  char address[CONFIG_HOST_MAX + 16];
  struct tls_peer peer;
  int verify_error;
  char server_name[256];
  bool ticket, wants_write;
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
  struct tls *tls = SSL_get_app_data(ssl);
  name_of(X509_STORE_CTX_get0_cert(store), tls->server_name, sizeof(tls->server_name));
  if (!good && tls->verify_error == X509_V_OK)
    tls->verify_error = X509_STORE_CTX_get_error(store);
  return good;
}

static int on_session(SSL *ssl, SSL_SESSION *session)
{
  (void)session;
  struct tls *tls = SSL_get_app_data(ssl);
  tls->ticket = true;
  return 0;
}

static hf_err load_roots(SSL_CTX *ctx, const char *path, const struct tls_peer *peer)
{
  struct stat st;
  if (stat(path, &st) != 0)
    return tls_error_hint(peer, "Set {root} to the certificates that the server is checked with.",
                          hf_fail_errno(errno, "%s", path));
  bool dir = S_ISDIR(st.st_mode);
  if ((dir ? SSL_CTX_load_verify_dir(ctx, path) : SSL_CTX_load_verify_file(ctx, path)) != 1)
    return openssl_fail(HF_ERR_CERT_FILE, "the trusted certificates ", path);
  return HF_OK;
}

static hf_err load_identity(SSL_CTX *ctx, const struct tls_identity *identity, const struct tls_peer *peer)
{
  HF_TRY(load_roots(ctx, identity->root_path, peer));
  if (!identity->cert_path)
    return HF_OK;
  HF_CLEANUP(chain_freep) STACK_OF(X509) *chain = NULL;
  HF_TRY(chain_read(identity->cert_path, &chain));
  return tls_identity_use(ctx, chain, identity->key, identity->cert_path);
}

static hf_err new_ctx(const struct tls_identity *identity, const struct tls_peer *peer, SSL_CTX **ret_ctx)
{
  HF_CLEANUP(ctx_freep) SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
  if (!ctx)
    return hf_fail(HF_ERR_NO_MEMORY, "TLS");
  SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
  SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, on_verify);
  SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
  SSL_CTX_sess_set_new_cb(ctx, on_session);
  SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_AUTO_RETRY);
  HF_TRY(load_identity(ctx, identity, peer));
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

/* One protocol, its length in front (RFC 7301, section 3.1). */
static bool ask_protocol(SSL *ssl, const char *alpn)
{
  uint8_t list[256];
  size_t len = alpn ? strlen(alpn) : 0;
  if (len == 0 || len >= sizeof(list))
    return len == 0;
  list[0] = (uint8_t)len;
  memcpy(list + 1, alpn, len);
  return SSL_set_alpn_protos(ssl, list, (unsigned)len + 1) == 0;
}

static hf_err new_tls(int fd, const struct tls_identity *identity, const struct tls_server *server,
                      struct tls **ret_tls)
{
  HF_CLEANUP(ctx_freep) SSL_CTX *ctx = NULL;
  HF_TRY(new_ctx(identity, &server->peer, &ctx));
  HF_CLEANUP(tls_freep) struct tls *tls = calloc(1, sizeof(*tls));
  if (tls)
    tls->ssl = SSL_new(ctx);
  if (!tls || !tls->ssl || SSL_set_fd(tls->ssl, fd) != 1 || SSL_set_app_data(tls->ssl, tls) != 1 ||
      !name_server(tls->ssl, server->host) || !ask_protocol(tls->ssl, server->alpn))
    return hf_fail(HF_ERR_NO_MEMORY, "TLS with %s", server->peer.address);
  snprintf(tls->address, sizeof(tls->address), "%s", server->peer.address);
  tls->peer = server->peer;
  tls->peer.address = tls->address;
  snprintf(tls->server_name, sizeof(tls->server_name), "?");
  *ret_tls = HF_TAKE(tls);
  return HF_OK;
}

/* Why a call failed for good. */
static hf_err failure(struct tls *tls)
{
  return tls->verify_error != X509_V_OK ? tls_error_server(&tls->peer, tls->verify_error, tls->server_name)
                                        : tls_error_handshake(&tls->peer);
}

/* After a call that did not succeed: waits, or says why it failed. */
static hf_err go_on(struct tls *tls, int rc, int64_t deadline_ms)
{
  int error = SSL_get_error(tls->ssl, rc);
  if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE)
    return failure(tls);
  return net_wait(SSL_get_fd(tls->ssl), error == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT, deadline_ms, tls->address);
}

hf_err tls_open(int fd, const struct tls_identity *identity, const struct tls_server *server, int64_t deadline_ms,
                struct tls **ret_tls)
{
  HF_CLEANUP(tls_freep) struct tls *tls = NULL;
  HF_TRY(new_tls(fd, identity, server, &tls));
  for (;;) {
    ERR_clear_error();
    int rc = SSL_connect(tls->ssl);
    if (rc == 1)
      break;
    HF_TRY(go_on(tls, rc, deadline_ms));
  }
  *ret_tls = HF_TAKE(tls);
  return HF_OK;
}

struct tls *tls_free(struct tls *tls)
{
  if (!tls)
    return NULL;
  ERR_clear_error();
  if (tls->ssl && SSL_is_init_finished(tls->ssl))
    SSL_shutdown(tls->ssl);
  SSL_free(tls->ssl);
  ERR_clear_error();
  free(tls);
  return NULL;
}

static hf_err ended(struct tls *tls, int error)
{
  unsigned long code = ERR_peek_last_error();
  bool quiet = error == SSL_ERROR_ZERO_RETURN || (error == SSL_ERROR_SYSCALL && code == 0) ||
               ERR_GET_REASON(code) == SSL_R_UNEXPECTED_EOF_WHILE_READING;
  if (!quiet)
    return failure(tls);
  ERR_clear_error();
  return hf_fail(HF_ERR_LOST, "%s closed it", tls->address);
}

/* What a read or write that brought nothing means. */
static hf_err nothing(struct tls *tls, int rc)
{
  int error = SSL_get_error(tls->ssl, rc);
  tls->wants_write = error == SSL_ERROR_WANT_WRITE;
  return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE ? HF_OK : ended(tls, error);
}

hf_err tls_read(struct tls *tls, void *data, size_t size, size_t *ret_len)
{
  size_t len = 0;
  ERR_clear_error();
  int rc = SSL_read_ex(tls->ssl, data, size, &len);
  if (rc != 1)
    HF_TRY(nothing(tls, rc));
  *ret_len = rc == 1 ? len : 0;
  return HF_OK;
}

hf_err tls_write(struct tls *tls, const void *data, size_t len, size_t *ret_len)
{
  size_t written = 0;
  ERR_clear_error();
  int rc = SSL_write_ex(tls->ssl, data, len, &written);
  if (rc != 1)
    HF_TRY(nothing(tls, rc));
  *ret_len = rc == 1 ? written : 0;
  return HF_OK;
}

bool tls_wants_write(const struct tls *tls)
{
  return tls->wants_write;
}

bool tls_pending(const struct tls *tls)
{
  return SSL_has_pending(tls->ssl);
}

uint64_t tls_sent(const struct tls *tls)
{
  return BIO_number_written(SSL_get_wbio(tls->ssl));
}

void tls_describe(const struct tls *tls, char result[TLS_RESULT_MAX])
{
  snprintf(result, TLS_RESULT_MAX, "%s, server '%s'", SSL_get_version(tls->ssl), tls->server_name);
}

static hf_err await_refusal(struct tls *tls)
{
  int64_t deadline_ms = net_now_ms() + REFUSAL_MS;
  while (!tls->ticket && SSL_version(tls->ssl) >= TLS1_3_VERSION) {
    uint8_t byte;
    ERR_clear_error();
    int rc = SSL_peek(tls->ssl, &byte, 1);
    if (rc == 1)
      return HF_OK;
    hf_err e = go_on(tls, rc, deadline_ms);
    if (tls->ticket || e.code == HF_ERR_TIMEOUT)
      return HF_OK;
    HF_TRY(e);
  }
  return HF_OK;
}

hf_err tls_handshake(int fd, const struct tls_identity *identity, const struct tls_server *server, int64_t deadline_ms,
                     char result[TLS_RESULT_MAX])
{
  HF_CLEANUP(tls_freep) struct tls *tls = NULL;
  HF_TRY(tls_open(fd, identity, server, deadline_ms, &tls));
  HF_TRY(await_refusal(tls));
  tls_describe(tls, result);
  return HF_OK;
}
