/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A listening port of evhttp's, and the connections that come by it. Over TLS each step of a handshake is a job of the
 * pool's, since the server's key signs in a token; the loop waits for nobody. Limits: connections in all and from one
 * address, time for the handshake and for each request.
 */
#ifndef HF_HTTPD_FRONT_H
#define HF_HTTPD_FRONT_H

#include "httpd/pool.h"

#include <event2/http.h>
#include <openssl/ssl.h>

enum {
  FRONT_CONNECTIONS_MAX = 512,
  FRONT_OF_ADDRESS_MAX = 64,
  FRONT_HANDSHAKE_S = 10,
  FRONT_REQUEST_S =
      30, /* from the handshake, or from our last answer, to the end of a request; and to take the answer */
  FRONT_HEADERS_MAX = 16 * 1024,
  FRONT_BODY_MAX = 64 * 1024,
};

struct front;

typedef void front_request_fn(struct front *front, struct evhttp_request *request, void *arg);

struct front_options {
  const char *address; /* a name or an IP address */
  uint16_t port;
  const char *address_key, *port_key; /* the configuration's keys that say so, for hints: "ca.bind.address" */
  SSL_CTX *ctx;                       /* NULL: plain HTTP */
  struct pool *pool;
  front_request_fn
      *on_request; /* of the loop's thread; each request is answered by front_reply, once, sooner or later */
  void *arg;
};

/* Fails with CONFIG where the address cannot be found, UNREACHABLE where it cannot be listened at. */
hf_err front_new(struct event_base *base, const struct front_options *options, struct front **ret_front);

/* Closes all connections. The pool must be gone. */
struct front *front_free(struct front *front);
HF_DEFINE_CLEANUP(struct front, front_free)

/* For new connections from now on. */
void front_set_ctx(struct front *front, SSL_CTX *ctx);

/* Takes no new connection, closes those that ask for nothing now. */
void front_stop(struct front *front);
size_t front_count(struct front *front);

/* The request's TLS; NULL over plain HTTP. */
SSL *front_ssl(struct front *front, struct evhttp_request *request);
/* The peer's address, and what counts as one peer: that, or an IPv6 address's /64. */
const char *front_address(struct front *front, struct evhttp_request *request);
const char *front_network(struct front *front, struct evhttp_request *request);

/* Sends what its output headers and body hold. The client may be gone: then nothing happens. */
void front_reply(struct front *front, struct evhttp_request *request, int status, const char *reason,
                 struct evbuffer *body);

#endif
