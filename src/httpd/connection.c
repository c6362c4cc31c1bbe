/* SPDX-License-Identifier: Apache-2.0 */
#include "httpd/connection.h"

#include "base/log.h"

#include <arpa/inet.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <netinet/tcp.h>
#include <openssl/err.h>

static void free_event(struct event **event)
{
  if (*event)
    event_free(*event);
  *event = NULL;
}

static void end(struct connection *connection)
{
  TAILQ_REMOVE(&connection->all->list, connection, entry);
  connection->all->count--;
  free_event(&connection->begin);
  free_event(&connection->io);
  free_event(&connection->deadline);
  if (connection->bev)
    bufferevent_decref(connection->bev);
  free(connection);
}

/* bufferevent_free takes the callbacks off. */
static bool is_gone(const struct connection *connection)
{
  bufferevent_event_cb on_event = NULL;
  bufferevent_getcb(connection->bev, NULL, NULL, &on_event, NULL);
  return !on_event;
}

void connections_sweep(struct connections *all)
{
  struct connection *connection = TAILQ_FIRST(&all->list);
  while (connection) {
    struct connection *next = TAILQ_NEXT(connection, entry);
    if (!connection->working && is_gone(connection))
      end(connection);
    connection = next;
  }
}

/* evhttp closes what fails. */
static void close_now(struct connection *connection)
{
  event_del(connection->deadline);
  if (connection->io)
    event_del(connection->io);
  connection->doomed = true;
  if (!connection->working && !is_gone(connection))
    bufferevent_trigger_event(connection->bev, BEV_EVENT_ERROR, 0);
}

static void set_deadline(struct connection *connection, int seconds)
{
  const struct timeval time = { .tv_sec = seconds };
  event_add(connection->deadline, &time);
}

static void on_deadline(evutil_socket_t fd, short what, void *arg)
{
  (void)fd;
  (void)what;
  close_now(arg);
}

/* The handshake */

static void run_step(struct pool_job *job)
{
  struct connection *connection = (struct connection *)((char *)job - offsetof(struct connection, job));
  ERR_clear_error();
  int rc = SSL_do_handshake(connection->ssl);
  connection->step = rc == 1 ? SSL_ERROR_NONE : SSL_get_error(connection->ssl, rc);
  if (connection->step == SSL_ERROR_SSL) {
    const char *reason = ERR_reason_error_string(ERR_peek_error());
    hf_log(HF_LOG_DEBUG, "TLS with %s: %s", connection->address, reason ? reason : "failed");
  }
  ERR_clear_error();
}

static void on_io(evutil_socket_t fd, short what, void *arg)
{
  (void)fd;
  (void)what;
  struct connection *connection = arg;
  connection->step = SSL_ERROR_SSL; /* until it was run */
  connection->working = pool_submit(connection->all->pool, &connection->job);
  if (!connection->working)
    close_now(connection);
}

static bool wait_for(struct connection *connection, short what)
{
  free_event(&connection->io);
  connection->io = event_new(connection->all->base, bufferevent_getfd(connection->bev), what, on_io, connection);
  return connection->io && event_add(connection->io, NULL) == 0;
}

static void step_done(struct pool_job *job)
{
  struct connection *connection = (struct connection *)((char *)job - offsetof(struct connection, job));
  connection->working = false;
  bool good = !connection->doomed;
  if (good && connection->step == SSL_ERROR_NONE) {
    set_deadline(connection, FRONT_REQUEST_S);
    bufferevent_enable(connection->bev, EV_READ);
    return;
  }
  if (good && connection->step == SSL_ERROR_WANT_READ)
    good = wait_for(connection, EV_READ);
  else if (good && connection->step == SSL_ERROR_WANT_WRITE)
    good = wait_for(connection, EV_WRITE);
  else
    good = false;
  if (!good)
    close_now(connection);
}

/* Beginning */

static bool format_network(const struct in6_addr *address, struct connection *connection)
{
  struct in6_addr network = *address;
  if (!IN6_IS_ADDR_V4MAPPED(address))
    memset(network.s6_addr + 8, 0, 8);
  return inet_ntop(AF_INET6, &network, connection->network, sizeof(connection->network));
}

static bool read_address(struct connection *connection, evutil_socket_t fd)
{
  struct sockaddr_storage peer = { 0 };
  socklen_t len = sizeof(peer);
  if (fd < 0 || getpeername(fd, (struct sockaddr *)&peer, &len) != 0)
    return false;
  const struct in6_addr *v6 = &((const struct sockaddr_in6 *)&peer)->sin6_addr;
  const struct in_addr *v4 = &((const struct sockaddr_in *)&peer)->sin_addr;
  bool is_v6 = peer.ss_family == AF_INET6;
  if (!inet_ntop(peer.ss_family, is_v6 ? (const void *)v6 : (const void *)v4, connection->address,
                 sizeof(connection->address)))
    return false;
  if (is_v6)
    return format_network(v6, connection);
  memcpy(connection->network, connection->address, sizeof(connection->network));
  return true;
}

static size_t count_of(const struct connections *all, const char *network)
{
  const struct connection *other;
  size_t count = 0;
  TAILQ_FOREACH(other, &all->list, entry)
  count += strcmp(other->network, network) == 0;
  return count;
}

/* evhttp has given it its socket, but nothing was read of that yet: this runs before the loop next asks the system. */
static void on_begin(evutil_socket_t fd, short what, void *arg)
{
  (void)fd;
  (void)what;
  struct connection *connection = arg;
  evutil_socket_t socket = bufferevent_getfd(connection->bev);
  int on = 1;
  if (connection->ssl)
    bufferevent_disable(connection->bev, EV_READ | EV_WRITE);
  set_deadline(connection, connection->ssl ? FRONT_HANDSHAKE_S : FRONT_REQUEST_S);
  if (!read_address(connection, socket) || count_of(connection->all, connection->network) > FRONT_OF_ADDRESS_MAX ||
      (connection->ssl && !wait_for(connection, EV_READ))) {
    close_now(connection);
    return;
  }
  setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

void connections_init(struct connections *all, struct event_base *base, struct pool *pool)
{
  *all = (struct connections){ .base = base, .pool = pool };
  TAILQ_INIT(&all->list);
}

/* Open, as far as libevent knows: the handshake is not its business. */
static struct bufferevent *make_tls(struct connection *connection, SSL_CTX *ctx)
{
  SSL *ssl = SSL_new(ctx);
  if (!ssl)
    return NULL;
  SSL_set_accept_state(ssl);
  struct bufferevent *bev =
      bufferevent_openssl_socket_new(connection->all->base, -1, ssl, BUFFEREVENT_SSL_OPEN, BEV_OPT_CLOSE_ON_FREE);
  if (bev)
    connection->ssl = ssl;
  else
    SSL_free(ssl);
  return bev;
}

struct bufferevent *connection_new(struct connections *all, SSL_CTX *ctx)
{
  struct connection *connection = calloc(1, sizeof(*connection));
  if (!connection)
    return NULL;
  connection->all = all;
  connection->job = (struct pool_job){ .run = run_step, .done = step_done };
  TAILQ_INSERT_TAIL(&all->list, connection, entry);
  all->count++;
  connection->begin = event_new(all->base, -1, 0, on_begin, connection);
  connection->deadline = event_new(all->base, -1, 0, on_deadline, connection);
  if (connection->begin && connection->deadline)
    connection->bev = ctx ? make_tls(connection, ctx) : bufferevent_socket_new(all->base, -1, BEV_OPT_CLOSE_ON_FREE);
  if (!connection->bev) {
    end(connection);
    return NULL;
  }
  bufferevent_incref(connection->bev);
  event_active(connection->begin, EV_TIMEOUT, 0);
  return connection->bev;
}

struct connection *connection_of(struct connections *all, const struct bufferevent *bev)
{
  struct connection *connection;
  TAILQ_FOREACH(connection, &all->list, entry)
  if (connection->bev == bev)
    return connection;
  return NULL;
}

void connection_begin_work(struct connection *connection)
{
  connection->busy = true;
  event_del(connection->deadline);
}

void connection_end_work(struct connection *connection)
{
  connection->busy = false;
  set_deadline(connection, FRONT_REQUEST_S);
}

void connections_close_idle(struct connections *all)
{
  struct connection *connection = TAILQ_FIRST(&all->list);
  while (connection) {
    struct connection *next = TAILQ_NEXT(connection, entry);
    if (!connection->busy)
      close_now(connection);
    connection = next;
  }
}
