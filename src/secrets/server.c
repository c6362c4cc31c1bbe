/* SPDX-License-Identifier: Apache-2.0 */
#include "secrets/server.h"

#include "base/log.h"
#include "policy/audit.h"
#include "secrets/answer.h"
#include "secrets/client.h"
#include "secrets/request.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>

enum {
  CONNECTIONS_MAX = 64,
  CONNECTIONS_PER_USER = 16,
  BACKLOG = 32,
  STACK_BYTES = 512 * 1024,
  LINE_WAIT_MS = 10000, /* for a whole request, and for a whole answer to be taken */
  IDLE_MS = 60000,      /* between requests */
  PAUSE_MS = 100,
  REST_MS = 1000,
  REST_READS = 16,
};

/* What a configuration leads to; requests under way keep the one that they began with. */
struct state {
  atomic_uint refs;
  struct config *config;
  char module_path[PATH_MAX];
  pthread_mutex_t lock;
  struct secrets *secrets; /* NULL until there are some */
};

struct place {
  int fd; /* -1: free */
  uid_t uid;
};

struct secrets_server {
  int listening, stopping;
  pthread_t thread;
  pthread_attr_t attr;
  struct policy *policy;
  pthread_mutex_t lock; /* of what follows */
  pthread_cond_t gone;
  struct state *state;
  struct place places[CONNECTIONS_MAX];
  size_t open;
};

struct connection {
  struct secrets_server *server;
  struct place *place;
  struct peer peer;
};

/* The state */

static struct state *state_unref(struct state *state)
{
  if (!state || atomic_fetch_sub(&state->refs, 1) > 1)
    return NULL;
  secrets_close(state->secrets);
  config_free(state->config);
  pthread_mutex_destroy(&state->lock);
  free(state);
  return NULL;
}

HF_DEFINE_CLEANUP(struct state, state_unref)

static hf_err state_new(const char *config_file, const char *module_path, struct state **ret_state)
{
  HF_CLEANUP(state_unrefp) struct state *state = calloc(1, sizeof(*state));
  if (!state)
    return hf_fail(HF_ERR_NO_MEMORY, "the socket of secrets");
  state->refs = 1;
  pthread_mutex_init(&state->lock, NULL);
  snprintf(state->module_path, sizeof(state->module_path), "%s", module_path);
  /* The usual file may be missing, and then so is it here. */
  HF_TRY(config_load(access(config_file, F_OK) == 0 ? config_file : NULL, &state->config));
  *ret_state = HF_TAKE(state);
  return HF_OK;
}

static struct state *state_ref(struct secrets_server *server)
{
  pthread_mutex_lock(&server->lock);
  struct state *state = server->state;
  atomic_fetch_add(&state->refs, 1);
  pthread_mutex_unlock(&server->lock);
  return state;
}

/* The first secret may be put after we started. */
static hf_err state_secrets(struct state *state, struct secrets **ret_secrets)
{
  pthread_mutex_lock(&state->lock);
  hf_err e = state->secrets ? HF_OK : secrets_open(state->config, state->module_path, false, &state->secrets);
  pthread_mutex_unlock(&state->lock);
  if (!hf_failed(e))
    *ret_secrets = state->secrets;
  return e;
}

/* One request */

static int64_t now_ms(void)
{
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static hf_err read_secret(struct secrets_server *server, const struct secrets_request *request,
                          struct secrets_value *ret_value)
{
  HF_CLEANUP(state_unrefp) struct state *state = state_ref(server);
  struct secrets *secrets;
  HF_TRY(state_secrets(state, &secrets));
  return secrets_get(secrets, request->name, request->stage[0] ? request->stage : NULL,
                     request->has_version ? request->version : NULL, ret_value);
}

/* The answer, before it leaves. */
static hf_err answer(struct secrets_server *server, const struct secrets_request *request,
                     const struct policy_answer *verdict, char version[SECRETS_ID_TEXT], struct hf_buf *out)
{
  HF_CLEANUP(secrets_value_free) struct secrets_value value = { 0 };
  if (verdict->verdict == VERDICT_DENY)
    return hf_hint(hf_fail(HF_ERR_PERMISSION, "the policy does not let you read '%s'", request->name),
                   "The audit line of holdfast-core names the rule, and the one that would allow it.");
  HF_TRY(read_secret(server, request, &value));
  secrets_id_format(value.version, version);
  return secrets_answer_add(&value, out);
}

static hf_err answer_line(struct connection *connection, struct hf_slice line, struct hf_buf *out)
{
  struct secrets_request request = { .has_version = false };
  struct policy_answer verdict;
  char version[SECRETS_ID_TEXT] = "";
  struct audit_event event = { .peer = &connection->peer, .socket = "secrets", .request = "get" };
  int64_t began = now_ms();
  event.result = secrets_request_parse(line, &request);
  if (!hf_failed(event.result)) {
    policy_ask_secret(connection->server->policy, &connection->peer, request.name, &verdict);
    event.op = policy_op_name(POLICY_READ);
    event.secret = request.name;
    event.answer = &verdict;
    event.result = answer(connection->server, &request, &verdict, version, out);
    event.version = version[0] ? version : NULL;
  }
  event.seconds = (double)(now_ms() - began) / 1e3;
  struct hf_err_saved saved = hf_err_save(event.result);
  audit_write(&event);
  return hf_err_restore(&saved);
}

/* Connections */

/* Fails with TIMEOUT. */
static hf_err wait_for(int fd, short events, int64_t until)
{
  struct pollfd polled = { .fd = fd, .events = events };
  for (;;) {
    int64_t left = until - now_ms();
    int n = left > 0 ? poll(&polled, 1, (int)left) : 0;
    if (n > 0)
      return HF_OK;
    if (n == 0 || errno != EINTR)
      return hf_fail(HF_ERR_TIMEOUT, "a client of the socket of secrets");
  }
}

/* A whole line at the front of in; *ret_more false at the end. */
static hf_err receive_line(int fd, struct hf_buf *in, size_t *ret_len, bool *ret_more)
{
  int64_t until = now_ms() + (in->len ? LINE_WAIT_MS : IDLE_MS);
  for (;;) {
    const uint8_t *end = in->len ? memchr(in->data, '\n', in->len) : NULL;
    uint8_t *room;
    if (end) {
      *ret_len = (size_t)(end - in->data);
      *ret_more = true;
      return HF_OK;
    }
    HF_TRY(hf_buf_reserve(in, 1, &room));
    size_t size = in->max - in->len;
    HF_TRY(hf_buf_reserve(in, size, &room));
    HF_TRY(wait_for(fd, POLLIN, until));
    ssize_t n = recv(fd, room, size, 0);
    if (n == 0) {
      *ret_more = false;
      return HF_OK;
    }
    if (n < 0 && errno != EINTR)
      return hf_fail_errno(errno, "a client of the socket of secrets");
    if (n > 0 && in->len == 0)
      until = now_ms() + LINE_WAIT_MS;
    hf_buf_commit(in, n > 0 ? (size_t)n : 0);
  }
}

static hf_err send_all(int fd, const struct hf_buf *out)
{
  int64_t until = now_ms() + LINE_WAIT_MS;
  for (size_t done = 0; done < out->len;) {
    HF_TRY(wait_for(fd, POLLOUT, until));
    ssize_t n = send(fd, out->data + done, out->len - done, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0 && errno != EINTR && errno != EAGAIN)
      return hf_fail_errno(errno, "a client of the socket of secrets");
    done += n > 0 ? (size_t)n : 0;
  }
  return HF_OK;
}

/* After what is no request there is no telling where the next one begins. */
static hf_err serve_line(struct connection *connection, struct hf_slice line, bool *ret_go_on)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf out = HF_BUF(SECRETS_ANSWER_MAX);
  hf_err e = answer_line(connection, line, &out);
  *ret_go_on = e.code != HF_ERR_PARSE;
  if (hf_failed(e)) {
    struct hf_err_saved saved = hf_err_save(e);
    hf_buf_free(&out);
    HF_TRY(secrets_answer_add_error(hf_err_restore(&saved), &out));
  }
  return send_all(connection->place->fd, &out);
}

/* A socket that is closed over what was not read takes the answer along: what is on its way is read, within bounds. */
static void read_rest(int fd)
{
  uint8_t rest[SECRETS_REQUEST_MAX];
  int64_t until = now_ms() + REST_MS;
  shutdown(fd, SHUT_WR);
  for (int i = 0; i < REST_READS && !hf_failed(wait_for(fd, POLLIN, until)); i++)
    if (recv(fd, rest, sizeof(rest), MSG_DONTWAIT) <= 0)
      return;
}

static hf_err serve(struct connection *connection)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf in = HF_BUF(SECRETS_REQUEST_MAX + 1);
  bool go_on = true;
  while (go_on) {
    size_t len = 0;
    hf_err e = receive_line(connection->place->fd, &in, &len, &go_on);
    if (e.code == HF_ERR_LIMIT) { /* the buffer is full, and no line ended */
      HF_TRY(serve_line(connection, hf_slice(in.data, in.len), &go_on));
      break;
    }
    HF_TRY(e);
    if (!go_on)
      return HF_OK;
    HF_TRY(serve_line(connection, hf_slice(in.data, len), &go_on));
    hf_buf_drop(&in, len + 1);
  }
  read_rest(connection->place->fd);
  return HF_OK;
}

/* Its place goes first: who stops us must not shut the descriptor's next owner down. */
static void leave(struct secrets_server *server, struct place *place)
{
  pthread_mutex_lock(&server->lock);
  int fd = place->fd;
  place->fd = -1;
  server->open--;
  pthread_cond_signal(&server->gone);
  pthread_mutex_unlock(&server->lock);
  close(fd);
}

static void *run_connection(void *arg)
{
  HF_CLEANUP(hf_freep) struct connection *connection = arg;
  hf_err e = peer_of_socket(connection->place->fd, &connection->peer);
  if (!hf_failed(e))
    e = serve(connection);
  if (hf_failed(e))
    hf_log(HF_LOG_DEBUG, "the socket of secrets: %s", hf_err_context());
  leave(connection->server, connection->place);
  return NULL;
}

static struct place *take_place(struct secrets_server *server, int fd, uid_t uid)
{
  struct place *found = NULL;
  size_t own = 0;
  pthread_mutex_lock(&server->lock);
  for (size_t i = 0; i < CONNECTIONS_MAX; i++) {
    struct place *place = &server->places[i];
    own += place->fd >= 0 && place->uid == uid;
    if (place->fd < 0 && !found)
      found = place;
  }
  if (own >= CONNECTIONS_PER_USER)
    found = NULL;
  if (found) {
    *found = (struct place){ fd, uid };
    server->open++;
  }
  pthread_mutex_unlock(&server->lock);
  return found;
}

static bool start_connection(struct secrets_server *server, struct place *place)
{
  struct connection *connection = calloc(1, sizeof(*connection));
  pthread_t thread;
  if (!connection)
    return false;
  connection->server = server;
  connection->place = place;
  if (pthread_create(&thread, &server->attr, run_connection, connection) == 0)
    return true;
  free(connection);
  return false;
}

static void refuse(int fd)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf out = HF_BUF(4 * HF_CONTEXT_MAX);
  hf_err e = hf_hint(hf_fail(HF_ERR_BUSY, "the socket of secrets has too many clients"), "Try again.");
  if (!hf_failed(secrets_answer_add_error(e, &out)) && send(fd, out.data, out.len, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
    hf_log(HF_LOG_DEBUG, "a refused client has gone");
}

static void take_client(struct secrets_server *server, int fd)
{
  uid_t uid;
  struct place *place = hf_failed(peer_uid_of_socket(fd, &uid)) ? NULL : take_place(server, fd, uid);
  if (place && start_connection(server, place))
    return;
  refuse(fd);
  if (place)
    leave(server, place);
  else
    close(fd);
}

static void *run_server(void *arg)
{
  struct secrets_server *server = arg;
  struct pollfd polled[] = { { .fd = server->listening, .events = POLLIN },
                             { .fd = server->stopping, .events = POLLIN } };
  while (!(polled[1].revents & POLLIN)) {
    int fd = accept4(server->listening, NULL, NULL, SOCK_CLOEXEC);
    if (fd >= 0) {
      take_client(server, fd);
      continue;
    }
    /* Out of descriptors: a turn's pause in place of a busy loop. */
    if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
      poll(&polled[1], 1, PAUSE_MS);
    poll(polled, 2, -1);
  }
  return NULL;
}

/* Its life */

static hf_err listen_at(const struct config *config, int *ret_fd)
{
  struct sockaddr_un at = { .sun_family = AF_UNIX };
  HF_TRY(secrets_socket_path(config, at.sun_path, sizeof(at.sun_path)));
  HF_CLEANUP(hf_closep) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0)
    return hf_fail_errno(errno, "a socket");
  unlink(at.sun_path); /* whoever has the pid file's lock has the socket, too */
  /* The policy decides, not the mode. */
  if (bind(fd, (const struct sockaddr *)&at, sizeof(at)) != 0 || chmod(at.sun_path, 0666) != 0 ||
      listen(fd, BACKLOG) != 0)
    return hf_fail_errno(errno, "the socket %s", at.sun_path);
  *ret_fd = fd;
  fd = -1;
  return HF_OK;
}

static hf_err prepare(struct secrets_server *server, const struct config *config, const char *module_path)
{
  HF_TRY(policy_load(config_get(config, CONFIG_SECRETS_POLICY_PATH), (gid_t)-1, &server->policy));
  HF_TRY(state_new(config_path(config), module_path, &server->state));
  server->stopping = eventfd(0, EFD_CLOEXEC);
  if (server->stopping < 0)
    return hf_fail_errno(errno, "the socket of secrets");
  HF_TRY(listen_at(config, &server->listening));
  int error = pthread_create(&server->thread, NULL, run_server, server);
  return error ? hf_fail_errno(error, "the thread of the socket of secrets") : HF_OK;
}

static void free_server(struct secrets_server *server)
{
  hf_closep(&server->listening);
  hf_closep(&server->stopping);
  policy_free(server->policy);
  state_unref(server->state);
  pthread_attr_destroy(&server->attr);
  pthread_mutex_destroy(&server->lock);
  pthread_cond_destroy(&server->gone);
  free(server);
}

hf_err secrets_server_start(const struct config *config, const char *module_path, struct secrets_server **ret_server)
{
  struct secrets_server *server = calloc(1, sizeof(*server));
  if (!server)
    return hf_fail(HF_ERR_NO_MEMORY, "the socket of secrets");
  server->listening = server->stopping = -1;
  for (size_t i = 0; i < CONNECTIONS_MAX; i++)
    server->places[i].fd = -1;
  pthread_mutex_init(&server->lock, NULL);
  pthread_cond_init(&server->gone, NULL);
  pthread_attr_init(&server->attr);
  pthread_attr_setdetachstate(&server->attr, PTHREAD_CREATE_DETACHED);
  pthread_attr_setstacksize(&server->attr, STACK_BYTES);
  hf_err e = prepare(server, config, module_path);
  if (hf_failed(e))
    free_server(server);
  else
    *ret_server = server;
  return e;
}

hf_err secrets_server_reload(struct secrets_server *server, const struct config *config)
{
  struct state *state;
  HF_TRY(policy_reload(server->policy));
  HF_TRY(state_new(config_path(config), server->state->module_path, &state));
  pthread_mutex_lock(&server->lock);
  struct state *old = server->state;
  server->state = state;
  pthread_mutex_unlock(&server->lock);
  state_unref(old);
  return HF_OK;
}

struct secrets_server *secrets_server_stop(struct secrets_server *server)
{
  if (!server)
    return NULL;
  eventfd_write(server->stopping, 1);
  pthread_join(server->thread, NULL);
  pthread_mutex_lock(&server->lock);
  for (size_t i = 0; i < CONNECTIONS_MAX; i++)
    if (server->places[i].fd >= 0)
      shutdown(server->places[i].fd, SHUT_RDWR);
  while (server->open)
    pthread_cond_wait(&server->gone, &server->lock);
  pthread_mutex_unlock(&server->lock);
  free_server(server);
  return NULL;
}
