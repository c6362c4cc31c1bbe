/* SPDX-License-Identifier: Apache-2.0 */
#include "httpd/front.h"

#include "base/log.h"
#include "httpd/connection.h"

#include <errno.h>
#include <event2/bufferevent.h>
#include <event2/listener.h>
#include <netdb.h>

enum { BACKLOG = 128, PAUSE_MS = 200 };

struct front {
  struct event_base *base;
  struct evhttp *http;
  struct evconnlistener *listener; /* http's */
  struct event *resume, *sweep;
  struct connections connections;
  SSL_CTX *ctx; /* NULL: plain */
  bool stopped;
  front_request_fn *on_request;
  void *arg;
};

static void listen_or_not(struct front *front)
{
  if (front->stopped || front->connections.count >= FRONT_CONNECTIONS_MAX)
    evconnlistener_disable(front->listener);
  else
    evconnlistener_enable(front->listener);
}

static void on_resume(evutil_socket_t fd, short what, void *arg)
{
  (void)fd;
  (void)what;
  listen_or_not(arg);
}

static void on_sweep(evutil_socket_t fd, short what, void *arg)
{
  (void)fd;
  (void)what;
  struct front *front = arg;
  connections_sweep(&front->connections);
  if (!event_pending(front->resume, EV_TIMEOUT, NULL))
    listen_or_not(front);
}

/* No descriptor left, as a rule: asking again at once would only burn the processor. */
static void on_accept_error(struct evconnlistener *listener, void *arg)
{
  struct front *front = arg;
  const struct timeval pause = { .tv_usec = PAUSE_MS * 1000 };
  hf_log(HF_LOG_WARNING, "accepting a connection: %s", strerror(errno));
  evconnlistener_disable(listener);
  event_add(front->resume, &pause);
}

static struct bufferevent *on_connection(struct event_base *base, void *arg)
{
  (void)base;
  struct front *front = arg;
  connections_sweep(&front->connections);
  struct bufferevent *bev = connection_new(&front->connections, front->ctx);
  listen_or_not(front);
  return bev;
}

static struct connection *of_request(struct front *front, struct evhttp_request *request)
{
  struct evhttp_connection *http = evhttp_request_get_connection(request);
  return http ? connection_of(&front->connections, evhttp_connection_get_bufferevent(http)) : NULL;
}

/* Where ours could not be made, evhttp makes a plain bufferevent: nobody is answered by that. */
static void on_request(struct evhttp_request *request, void *arg)
{
  struct front *front = arg;
  struct connection *connection = of_request(front, request);
  if (!connection) {
    evhttp_send_error(request, HTTP_SERVUNAVAIL, NULL);
    return;
  }
  connection_begin_work(connection);
  front->on_request(front, request, front->arg);
}

/* Listening */

static hf_err find_address(const struct front_options *options, struct addrinfo **ret_found)
{
  char port[8];
  const struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV };
  snprintf(port, sizeof(port), "%u", options->port);
  int rc = getaddrinfo(options->address, port, &hints, ret_found);
  if (rc == 0)
    return HF_OK;
  return hf_hint(hf_fail(HF_ERR_CONFIG, "the address %s: %s", options->address, gai_strerror(rc)),
                 "Set %s to one of this host's.", options->address_key);
}

static hf_err listen_at(struct front *front, const struct front_options *options)
{
  struct addrinfo *found = NULL;
  HF_TRY(find_address(options, &found));
  front->listener = evconnlistener_new_bind(front->base, NULL, NULL,
                                            LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC | LEV_OPT_REUSEABLE, BACKLOG,
                                            found->ai_addr, (int)found->ai_addrlen);
  int error = errno;
  freeaddrinfo(found);
  if (!front->listener)
    return hf_hint(
        hf_fail(HF_ERR_UNREACHABLE, "listening at %s, port %u: %s", options->address, options->port, strerror(error)),
        "Set %s and %s to what is free.", options->address_key, options->port_key);
  evconnlistener_set_error_cb(front->listener, on_accept_error);
  if (!evhttp_bind_listener(front->http, front->listener)) {
    evconnlistener_free(front->listener);
    front->listener = NULL;
    return hf_fail(HF_ERR_NO_MEMORY, "the HTTP server");
  }
  return HF_OK;
}

static void configure(struct front *front)
{
  evhttp_set_allowed_methods(front->http, EVHTTP_REQ_GET | EVHTTP_REQ_POST);
  evhttp_set_max_headers_size(front->http, FRONT_HEADERS_MAX);
  evhttp_set_max_body_size(front->http, FRONT_BODY_MAX);
  evhttp_set_timeout(front->http, FRONT_REQUEST_S);
  evhttp_set_default_content_type(front->http, NULL);
  evhttp_set_gencb(front->http, on_request, front);
  evhttp_set_bevcb(front->http, on_connection, front);
}

hf_err front_new(struct event_base *base, const struct front_options *options, struct front **ret_front)
{
  const struct timeval second = { .tv_sec = 1 };
  HF_CLEANUP(front_freep) struct front *front = calloc(1, sizeof(*front));
  if (!front)
    return hf_fail(HF_ERR_NO_MEMORY, "the HTTP server");
  front->base = base;
  front->on_request = options->on_request;
  front->arg = options->arg;
  connections_init(&front->connections, base, options->pool);
  front->http = evhttp_new(base);
  front->resume = event_new(base, -1, 0, on_resume, front);
  front->sweep = event_new(base, -1, EV_PERSIST, on_sweep, front);
  if (!front->http || !front->resume || !front->sweep || event_add(front->sweep, &second) != 0)
    return hf_fail(HF_ERR_NO_MEMORY, "the HTTP server");
  if (options->ctx)
    front_set_ctx(front, options->ctx);
  configure(front);
  HF_TRY(listen_at(front, options));
  *ret_front = HF_TAKE(front);
  return HF_OK;
}

struct front *front_free(struct front *front)
{
  if (!front)
    return NULL;
  if (front->http)
    evhttp_free(front->http); /* and the listener */
  connections_sweep(&front->connections);
  if (front->resume)
    event_free(front->resume);
  if (front->sweep)
    event_free(front->sweep);
  SSL_CTX_free(front->ctx);
  free(front);
  return NULL;
}

void front_set_ctx(struct front *front, SSL_CTX *ctx)
{
  SSL_CTX_up_ref(ctx);
  SSL_CTX_free(front->ctx);
  front->ctx = ctx;
}

void front_stop(struct front *front)
{
  front->stopped = true;
  listen_or_not(front);
  connections_close_idle(&front->connections);
}

size_t front_count(struct front *front)
{
  connections_sweep(&front->connections);
  return front->connections.count;
}

/* Requests */

SSL *front_ssl(struct front *front, struct evhttp_request *request)
{
  struct connection *connection = of_request(front, request);
  return connection ? connection->ssl : NULL;
}

const char *front_address(struct front *front, struct evhttp_request *request)
{
  struct connection *connection = of_request(front, request);
  return connection ? connection->address : "an unknown address";
}

const char *front_network(struct front *front, struct evhttp_request *request)
{
  struct connection *connection = of_request(front, request);
  return connection ? connection->network : "";
}

void front_reply(struct front *front, struct evhttp_request *request, int status, const char *reason,
                 struct evbuffer *body)
{
  struct connection *connection = of_request(front, request);
  if (connection)
    connection_end_work(connection);
  evhttp_send_reply(request, status, reason, body);
}
