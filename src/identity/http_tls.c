/* SPDX-License-Identifier: Apache-2.0 */
#include "identity/http_private.h"

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

static hf_err use_identity(SSL_CTX *ctx, const struct http_options *options)
{
  if (!options->chain || !options->key)
    return HF_OK;
  if (SSL_CTX_use_certificate(ctx, sk_X509_value(options->chain, 0)) != 1)
    return openssl_fail(HF_ERR_CERT_FILE, "the device's certificate", "");
  for (int i = 1; i < sk_X509_num(options->chain); i++)
    if (SSL_CTX_add1_chain_cert(ctx, sk_X509_value(options->chain, i)) != 1)
      return openssl_fail(HF_ERR_CERT_FILE, "the device's certificate chain", "");
  if (SSL_CTX_use_PrivateKey(ctx, options->key) != 1)
    return openssl_fail(HF_ERR_KEY_MISMATCH, "the device's certificate and key", "");
  return HF_OK;
}

CURLcode http_tls_setup(CURL *curl, void *ctx, void *arg)
{
  (void)curl;
  struct http *http = arg;
  pthread_once(&index_once, make_index);
  ERR_clear_error();
  http->failed = use_identity(ctx, &http->options);
  if (hf_failed(http->failed) || SSL_CTX_set_ex_data(ctx, http_index, http) != 1)
    return CURLE_ABORTED_BY_CALLBACK;
  SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, on_verify);
  SSL_CTX_set_info_callback(ctx, on_info);
  return CURLE_OK;
}
