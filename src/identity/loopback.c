/* SPDX-License-Identifier: Apache-2.0 */
#include "identity/loopback.h"

#include "identity/tls_identity.h"

#include <openssl/err.h>
#include <stdbool.h>

enum { TURNS_MAX = 32 /* of either end; a handshake takes a few */ };

static void ctx_freep(SSL_CTX **ctx)
{
  SSL_CTX_free(*ctx);
}

static void ssl_freep(SSL **ssl)
{
  SSL_free(*ssl);
}

/* Who it is, is compared afterwards; any certificate will do until then. */
static int on_verify(int good, X509_STORE_CTX *store)
{
  (void)good;
  (void)store;
  return 1;
}

static hf_err new_end(const STACK_OF(X509) * chain, EVP_PKEY *key, const char *where, int version, SSL **ret_ssl)
{
  HF_CLEANUP(ctx_freep) SSL_CTX *ctx = SSL_CTX_new(TLS_method());
  if (!ctx || SSL_CTX_set_min_proto_version(ctx, version) != 1 || SSL_CTX_set_max_proto_version(ctx, version) != 1)
    return openssl_fail(HF_ERR_NO_MEMORY, "TLS", "");
  HF_TRY(tls_identity_use(ctx, chain, key, where));
  SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, on_verify);
  SSL *ssl = SSL_new(ctx);
  if (!ssl)
    return openssl_fail(HF_ERR_NO_MEMORY, "TLS", "");
  *ret_ssl = ssl;
  return HF_OK;
}

/* What one end writes, the other reads. */
static bool join(SSL *a, SSL *b)
{
  BIO *one = NULL, *other = NULL;
  if (BIO_new_bio_pair(&one, 0, &other, 0) != 1)
    return false;
  SSL_set_bio(a, one, one);
  SSL_set_bio(b, other, other);
  return true;
}

static hf_err turn(SSL *ssl, const char *where, bool *done)
{
  ERR_clear_error();
  int rc = SSL_do_handshake(ssl), why = SSL_get_error(ssl, rc);
  *done = rc == 1;
  if (rc == 1 || why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE)
    return HF_OK;
  return openssl_fail(HF_ERR_TLS, "with itself, by ", where);
}

static hf_err shake_hands(SSL *client, SSL *server, const char *where)
{
  bool client_done = false, server_done = false;
  for (int i = 0; i < TURNS_MAX && !(client_done && server_done); i++) {
    HF_TRY(turn(client, where, &client_done));
    HF_TRY(turn(server, where, &server_done));
  }
  return client_done && server_done ? HF_OK : hf_fail(HF_ERR_TLS, "with itself, by %s: it does not end", where);
}

static hf_err check_shown(const SSL *ssl, const STACK_OF(X509) * chain, const char *where)
{
  const X509 *shown = SSL_get0_peer_certificate(ssl);
  return shown && X509_cmp(shown, sk_X509_value(chain, 0)) == 0
             ? HF_OK
             : hf_fail(HF_ERR_TLS, "with itself, by %s: another certificate was shown", where);
}

hf_err loopback_handshake(const STACK_OF(X509) * chain, EVP_PKEY *key, const char *where, int version)
{
  HF_CLEANUP(ssl_freep) SSL *client = NULL, *server = NULL;
  HF_TRY(new_end(chain, key, where, version, &client));
  HF_TRY(new_end(chain, key, where, version, &server));
  if (!join(client, server))
    return openssl_fail(HF_ERR_NO_MEMORY, "TLS", "");
  SSL_set_connect_state(client);
  SSL_set_accept_state(server);
  HF_TRY(shake_hands(client, server, where));
  HF_TRY(check_shown(client, chain, where));
  return check_shown(server, chain, where);
}
