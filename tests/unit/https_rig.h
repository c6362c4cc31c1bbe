/* SPDX-License-Identifier: Apache-2.0 */
/* An HTTPS server on loopback, in a thread: each connection gets one canned answer. */
#ifndef HF_TESTS_HTTPS_RIG_H
#define HF_TESTS_HTTPS_RIG_H

#include "identity_rig.h"

#include <arpa/inet.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

struct https_rig {
  /* What the test says before https_rig_start. */
  X509 *certificate;
  EVP_PKEY *key;
  X509 *client_ca;    /* NULL: no client certificate is asked for */
  const char *answer; /* NULL: it closes without one */
  bool plain;         /* no TLS */
  bool silent;        /* accepts, and says nothing */
  /* What it has seen. */
  char request[4096];
  char client[64]; /* CN */
  /* Its own. */
  int listener;
  unsigned port;
  pthread_t thread;
  SSL_CTX *ctx;
};

static inline void https_rig_read(struct https_rig *rig, SSL *ssl)
{
  size_t len = 0;
  rig->request[0] = '\0';
  for (;;) {
    int n = SSL_read(ssl, rig->request + len, (int)(sizeof(rig->request) - 1 - len));
    if (n <= 0)
      return;
    len += (size_t)n;
    rig->request[len] = '\0';
    const char *body = strstr(rig->request, "\r\n\r\n"), *length = strstr(rig->request, "Content-Length: ");
    if (body && (!length || len - (size_t)(body + 4 - rig->request) >= strtoul(length + 16, NULL, 10)))
      return;
  }
}

static inline void https_rig_tls(struct https_rig *rig, int fd)
{
  SSL *ssl = SSL_new(rig->ctx);
  SSL_set_fd(ssl, fd);
  if (SSL_accept(ssl) == 1) {
    X509 *client = SSL_get1_peer_certificate(ssl);
    if (client)
      X509_NAME_get_text_by_NID(X509_get_subject_name(client), NID_commonName, rig->client, sizeof(rig->client));
    X509_free(client);
    https_rig_read(rig, ssl);
    if (rig->answer)
      SSL_write(ssl, rig->answer, (int)strlen(rig->answer));
    SSL_shutdown(ssl);
  }
  SSL_free(ssl);
}

static inline void *https_rig_serve(void *arg)
{
  struct https_rig *rig = arg;
  for (;;) {
    int fd = accept(rig->listener, NULL, NULL);
    if (fd < 0)
      return NULL;
    char byte;
    if (rig->plain)
      send(fd, rig->answer, strlen(rig->answer), MSG_NOSIGNAL);
    else if (rig->silent)
      while (recv(fd, &byte, 1, 0) > 0)
        continue;
    else
      https_rig_tls(rig, fd);
    close(fd);
  }
}

static inline void https_rig_start(struct https_rig *rig)
{
  struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
  socklen_t len = sizeof(at);
  rig->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  assert_int_equal(bind(rig->listener, (struct sockaddr *)&at, sizeof(at)), 0);
  assert_int_equal(listen(rig->listener, 8), 0);
  assert_int_equal(getsockname(rig->listener, (struct sockaddr *)&at, &len), 0);
  rig->port = ntohs(at.sin_port);
  rig->ctx = SSL_CTX_new(TLS_server_method());
  assert_int_equal(SSL_CTX_use_certificate(rig->ctx, rig->certificate), 1);
  assert_int_equal(SSL_CTX_use_PrivateKey(rig->ctx, rig->key), 1);
  if (rig->client_ca) {
    X509_STORE_add_cert(SSL_CTX_get_cert_store(rig->ctx), rig->client_ca);
    SSL_CTX_set_verify(rig->ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
  }
  assert_int_equal(pthread_create(&rig->thread, NULL, https_rig_serve, rig), 0);
}

static inline void https_rig_stop(struct https_rig *rig)
{
  shutdown(rig->listener, SHUT_RDWR);
  close(rig->listener);
  pthread_join(rig->thread, NULL);
  SSL_CTX_free(rig->ctx);
}

#endif
