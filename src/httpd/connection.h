/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One connection of a front. evhttp drops connections by itself and tells nobody: so each has a reference to its bufferevent,
 * and is swept up once evhttp has let go of that.
 */
#ifndef HF_HTTPD_CONNECTION_H
#define HF_HTTPD_CONNECTION_H

#include "httpd/front.h"

#include <sys/queue.h>

struct connection {
  TAILQ_ENTRY(connection) entry;
  struct connections *all;
  SSL *ssl; /* bev's; NULL: plain */
  struct bufferevent *bev;
  struct event *begin, *io, *deadline;
  struct pool_job job; /* a step of the handshake */
  int step;            /* what came of it: an SSL_ERROR_ */
  bool working;        /* a thread of the pool has ssl: keep away */
  bool doomed;         /* to be closed once that is done */
  bool busy;           /* a request is being worked on */
  char address[64];    /* "" until it is known */
  char network[64];    /* what counts as one peer: the address; of IPv6 its /64, which is one customer's */
};

/* A front's connections. */
struct connections {
  TAILQ_HEAD(, connection) list;
  size_t count;
  struct event_base *base;
  struct pool *pool;
};

void connections_init(struct connections *all, struct event_base *base, struct pool *pool);

/*
 * For evhttp's bevcb: a bufferevent that begins by itself once evhttp has given it its socket. ctx NULL: plain. NULL without
 * memory.
 */
struct bufferevent *connection_new(struct connections *all, SSL_CTX *ctx);

/* NULL for a bufferevent that is not one of these. */
struct connection *connection_of(struct connections *all, const struct bufferevent *bev);

/* A request was read: no time runs out while we work on it. / It is answered: the next one's time begins. */
void connection_begin_work(struct connection *connection);
void connection_end_work(struct connection *connection);

/* Ends those that evhttp has let go of. */
void connections_sweep(struct connections *all);

/* Closes those that wait for the peer. */
void connections_close_idle(struct connections *all);

#endif
