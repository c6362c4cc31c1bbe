/* SPDX-License-Identifier: Apache-2.0 */
#include "identity/http_private.h"
#include "identity/tls_identity.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <pthread.h>

static pthread_once_t index_once = PTHREAD_ONCE_INIT;
static int http_index = -1; /* where an SSL_CTX keeps its struct http; libcurl has indices of its own */

static void make_index(void)
{
  http_index = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, NULL);
}

static struct http *http_of(const SSL *ssl)
{
  return SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), http_index);
}

/* Keeps the first reason, and the server's name even where it is refused. */
static int on_verify(int good, X509_STORE_CTX *store)
{
  struct http *http = http_of(X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx()));
  X509_NAME *subject = X509_get_subject_name(X509_STORE_CTX_get0_cert(store));
  if (X509_NAME_get_text_by_NID(subject, NID_commonName, http->server_name, sizeof(http->server_name)) < 0)
    snprintf(http->server_name, sizeof(http->server_name), "?");
  if (!good && http->verify_error == X509_V_OK)
    http->verify_error = X509_STORE_CTX_get_error(store);
  return good;
}

/* libcurl turns errors into texts of its own: here they are still what OpenSSL, and our provider, made of them. */
static void on_info(const SSL *ssl, int where, int value)
{
  struct http *http = http_of(ssl);
  const struct tls_peer peer = http_peer(http);
  bool alert = (where & SSL_CB_READ_ALERT) == SSL_CB_READ_ALERT && value >> 8 == SSL3_AL_FATAL;
  bool stopped = (where & SSL_CB_CONNECT_EXIT) == SSL_CB_CONNECT_EXIT && value <= 0 && ERR_peek_error() != 0;
  if (hf_failed(http->failed) || http->verify_error != X509_V_OK)
    return;
  if (alert)
    http->failed = tls_error_alert(&peer, value & 0xff);
  else if (stopped)
    http->failed = tls_error_handshake(&peer);
}

CURLcode http_tls_setup(CURL *curl, void *ctx, void *arg)
{
  (void)curl;
  struct http *http = arg;
  pthread_once(&index_once, make_index);
  ERR_clear_error();
  http->failed =
      http->options.chain ? tls_identity_use(ctx, http->options.chain, http->options.key, "the device") : HF_OK;
  if (hf_failed(http->failed) || SSL_CTX_set_ex_data(ctx, http_index, http) != 1)
    return CURLE_ABORTED_BY_CALLBACK;
  SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, on_verify);
  SSL_CTX_set_info_callback(ctx, on_info);
  return CURLE_OK;
}
