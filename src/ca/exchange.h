/* SPDX-License-Identifier: Apache-2.0 */
/* One request and its answer, on the way through the service. */
#ifndef HF_CA_EXCHANGE_H
#define HF_CA_EXCHANGE_H

#include "ca/grant.h"
#include "httpd/front.h"

struct exchange;

struct route {
  const char *path; /* of EST, what follows /.well-known/est[/LABEL]/ */
  enum evhttp_cmd_type method;
  bool est;    /* over TLS alone */
  bool prefix; /* path is what it begins with; the rest is the body */
  bool waits;  /* for the token or the disk: run is called in the pool */
  void (*run)(struct exchange *x);
};

struct exchange {
  struct pool_job job; /* first */
  struct front *front;
  struct evhttp_request *request; /* the loop's: not for a handler */
  const struct route *route;
  const struct grant_limits *limits;
  struct pool *pool;
  struct authority *authority;
  struct hf_buf body;
  struct hf_buf credentials; /* "device\0password" of Basic; empty: none */
  char content_type[128];    /* "" none */
  char address[64], network[64];
  X509 *client; /* NULL: none */
  long client_verdict;
  struct answer answer;
};

/* NULL: the answer tells why there is none. */
const struct route *route_find(struct exchange *x, const char *path, enum evhttp_cmd_type method, bool tls);

#endif
