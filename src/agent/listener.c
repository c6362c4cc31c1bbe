/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/listener.h"

#include "agent/refusals.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/time.h>

/* Descriptors that the module and the policy may need besides the connections. */
enum {
  FDS_RESERVED = 64 + REFUSALS_MAX,
  FDS_FOR_CONNECTIONS_MIN = 8,
  METRICS_RESERVED = 4,
  STACK_BYTES = 512 * 1024,
  TURN_MS = 500,
  BATCH = 32,
  IDLE_THREADS_MAX = 16,
  IDLE_SECONDS = 10
};

static const struct {
  agent_serve_fn serve;
  bool timed; /* reading, too: a PKCS #11 client may be silent for days */
} services[SOCKET_KINDS] = {
  [SOCKET_SIGNING] = { sign_socket_serve, true },
  [SOCKET_PKCS11] = { p11_socket_serve, false },
  [SOCKET_METRICS] = { metrics_socket_serve, true },
};

struct connection {
  struct listener *listener;
  int fd; /* -1: this place is free */
  uid_t uid;
  enum socket_kind kind;
  struct connection *next; /* while it waits for a thread */
};

struct listener {
  struct agent *agent;
  int fds[SOCKET_KINDS];
  int spare; /* given up to accept, and so to refuse, one connection more than there are descriptors */
  struct refusals refusals;
  pthread_attr_t attr;
  atomic_ulong turns;
  pthread_mutex_t lock; /* of what follows */
  pthread_cond_t gone;
  pthread_cond_t came; /* for threads that have served and wait for more: a new thread costs more than a request */
  struct connection *waiting; /* never more than there are idle threads */
  size_t waiting_count, idle;
  size_t max, max_per_user, open;
  struct connection *connections;
};

static size_t connections_max(const struct options *options)
{
  struct rlimit files;
  size_t wanted = options_number(options, OPTION_MAX_CONNECTIONS);
  if (getrlimit(RLIMIT_NOFILE, &files) != 0 || files.rlim_cur == RLIM_INFINITY)
    return wanted;
  size_t room =
      files.rlim_cur > FDS_RESERVED + FDS_FOR_CONNECTIONS_MIN ? files.rlim_cur - FDS_RESERVED : FDS_FOR_CONNECTIONS_MIN;
  return wanted < room ? wanted : room;
}

static int open_spare(void)
{
  return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

hf_err listener_new(struct agent *agent, const int fds[SOCKET_KINDS], struct listener **ret_listener)
{
  struct listener *listener = calloc(1, sizeof(*listener));
  size_t max = connections_max(agent->options) + METRICS_RESERVED;
  struct connection *connections = calloc(max, sizeof(*connections));
  if (!listener || !connections) {
    free(listener);
    free(connections);
    return hf_fail(HF_ERR_NO_MEMORY, "%zu connections", max);
  }
  *listener = (struct listener){ .agent = agent,
                                 .spare = open_spare(),
                                 .max = max,
                                 .max_per_user = options_number(agent->options, OPTION_MAX_PER_USER),
                                 .connections = connections };
  memcpy(listener->fds, fds, sizeof(listener->fds));
  for (size_t i = 0; i < max; i++)
    connections[i] = (struct connection){ .listener = listener, .fd = -1 };
  pthread_mutex_init(&listener->lock, NULL);
  pthread_cond_init(&listener->gone, NULL);
  pthread_condattr_t monotonic;
  pthread_condattr_init(&monotonic);
  pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
  pthread_cond_init(&listener->came, &monotonic);
  pthread_attr_init(&listener->attr);
  pthread_attr_setdetachstate(&listener->attr, PTHREAD_CREATE_DETACHED);
  pthread_attr_setstacksize(&listener->attr, STACK_BYTES);
  *ret_listener = listener;
  return HF_OK;
}

unsigned long listener_turns(const struct listener *listener)
{
  return atomic_load(&listener->turns);
}

static void set_times(int fd, enum socket_kind kind, const struct options *options)
{
  struct timeval limit = { .tv_sec = (time_t)options_number(options, OPTION_CLIENT_TIMEOUT) };
  setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
  if (services[kind].timed)
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
}

/* Its place goes first: a drain must not touch the descriptor's next owner. */
static void connection_end(struct connection *connection)
{
  struct listener *listener = connection->listener;
  pthread_mutex_lock(&listener->lock);
  int fd = connection->fd;
  connection->fd = -1;
  listener->open--;
  metrics_set_open(listener->agent->metrics, listener->open);
  pthread_cond_signal(&listener->gone);
  pthread_mutex_unlock(&listener->lock);
  close(fd);
}

static void connection_serve(struct connection *connection)
{
  struct agent *agent = connection->listener->agent;
  set_times(connection->fd, connection->kind, agent->options);
  struct peer peer;
  hf_err e = peer_of_socket(connection->fd, &peer);
  if (!hf_failed(e))
    services[connection->kind].serve(agent, connection->fd, &peer);
  else
    hf_ignore(hf_log_err(e, "a connection"));
  connection_end(connection);
}

/* The next connection for a thread that has nothing to do; NULL: none came for a while, or enough others wait. */
static struct connection *next_connection(struct listener *listener)
{
  struct timespec until;
  clock_gettime(CLOCK_MONOTONIC, &until);
  until.tv_sec += IDLE_SECONDS;
  pthread_mutex_lock(&listener->lock);
  struct connection *connection = NULL;
  if (listener->idle < IDLE_THREADS_MAX) {
    int waited = 0;
    listener->idle++;
    while (!listener->waiting && waited == 0)
      waited = pthread_cond_timedwait(&listener->came, &listener->lock, &until);
    listener->idle--;
    connection = listener->waiting;
    if (connection) {
      listener->waiting = connection->next;
      listener->waiting_count--;
    }
  }
  pthread_mutex_unlock(&listener->lock);
  return connection;
}

static void *connection_main(void *arg)
{
  struct connection *connection = arg;
  struct listener *listener = connection->listener;
  for (; connection; connection = next_connection(listener))
    connection_serve(connection);
  return NULL;
}

static bool give_to_idle_thread(struct listener *listener, struct connection *connection)
{
  pthread_mutex_lock(&listener->lock);
  bool given = listener->waiting_count < listener->idle;
  if (given) {
    connection->next = listener->waiting;
    listener->waiting = connection;
    listener->waiting_count++;
    pthread_cond_signal(&listener->came);
  }
  pthread_mutex_unlock(&listener->lock);
  return given;
}

/*
 * A place for the connection; NULL where its user, on that socket, or all together have as many as they may. The last
 * places are for the metrics alone: they are asked most when it is crowded.
 */
static struct connection *take_place(struct listener *listener, int fd, uid_t uid, enum socket_kind kind)
{
  struct connection *place = NULL;
  size_t same_user = 0;
  pthread_mutex_lock(&listener->lock);
  for (size_t i = 0, seen = 0; i < listener->max && (seen < listener->open || !place); i++) {
    struct connection *connection = &listener->connections[i];
    if (connection->fd < 0) {
      place = place ? place : connection;
      continue;
    }
    seen++;
    same_user += connection->uid == uid && connection->kind == kind;
  }
  size_t max = kind == SOCKET_METRICS ? listener->max : listener->max - METRICS_RESERVED;
  if (place && same_user < listener->max_per_user && listener->open < max) {
    *place = (struct connection){ .listener = listener, .fd = fd, .uid = uid, .kind = kind };
    listener->open++;
    metrics_set_open(listener->agent->metrics, listener->open);
  } else {
    place = NULL;
  }
  pthread_mutex_unlock(&listener->lock);
  return place;
}

static void refuse(struct listener *listener, int fd, enum socket_kind kind)
{
  metrics_add(listener->agent->metrics, METRIC_CONNECTIONS_REFUSED, 1);
  refusals_add(&listener->refusals, fd, kind == SOCKET_SIGNING);
}

static void serve(struct listener *listener, int fd, enum socket_kind kind)
{
  uid_t uid = (uid_t)-1;
  hf_ignore(peer_uid_of_socket(fd, &uid));
  metrics_add(listener->agent->metrics, METRIC_CONNECTIONS, 1);
  struct connection *connection = take_place(listener, fd, uid, kind);
  pthread_t thread;
  if (!connection) {
    refuse(listener, fd, kind);
    return;
  }
  if (give_to_idle_thread(listener, connection) ||
      pthread_create(&thread, &listener->attr, connection_main, connection) == 0)
    return;
  int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
  connection_end(connection);
  if (copy >= 0)
    refuse(listener, copy, kind);
}

/* With no descriptor left, the newest connection goes, not the daemon; nor does it spin on one that it cannot take. */
static void shed(struct listener *listener, enum socket_kind kind)
{
  if (listener->spare >= 0)
    close(listener->spare);
  int fd = accept4(listener->fds[kind], NULL, NULL, SOCK_CLOEXEC);
  if (fd >= 0) {
    metrics_add(listener->agent->metrics, METRIC_CONNECTIONS_REFUSED, 1);
    refusals_now(fd, kind == SOCKET_SIGNING);
  }
  listener->spare = open_spare();
  hf_log(HF_LOG_WARNING, "no descriptor is left: a connection was refused");
}

/* Some at a time: no socket starves the others. */
static void accept_some(struct listener *listener, enum socket_kind kind)
{
  for (int i = 0; i < BATCH; i++) {
    int fd = accept4(listener->fds[kind], NULL, NULL, SOCK_CLOEXEC);
    if (fd >= 0) {
      serve(listener, fd, kind);
      continue;
    }
    if (errno == EMFILE || errno == ENFILE)
      shed(listener, kind);
    else if (errno == ENOMEM || errno == ENOBUFS)
      poll(NULL, 0, 10);
    return;
  }
}

static hf_err open_signals(int *ret_fd)
{
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
  if (fd < 0)
    return hf_fail_errno(errno, "a descriptor for signals");
  *ret_fd = fd;
  return HF_OK;
}

static int wait_for_any(struct pollfd *polled, size_t count, struct refusals *refusals)
{
  memcpy(polled + count, refusals->polled, refusals->count * sizeof(*polled));
  int ready = poll(polled, count + refusals->count, TURN_MS);
  for (size_t i = 0; i < refusals->count; i++)
    refusals->polled[i].revents = ready > 0 ? polled[count + i].revents : 0;
  refusals_turn(refusals);
  if (ready <= 0)
    for (size_t i = 0; i < count; i++)
      polled[i].revents = 0;
  return ready;
}

hf_err listener_run(struct listener *listener, int control, bool (*on_control)(void *context), void *context)
{
  HF_CLEANUP(hf_closep) int signals = -1;
  HF_TRY(open_signals(&signals));
  struct pollfd polled[SOCKET_KINDS + 2 + REFUSALS_MAX];
  for (enum socket_kind i = 0; i < SOCKET_KINDS; i++) {
    /* The next worker, or the supervisor, may accept from the same socket. */
    if (listener->fds[i] >= 0)
      fcntl(listener->fds[i], F_SETFL, fcntl(listener->fds[i], F_GETFL) | O_NONBLOCK);
    polled[i] = (struct pollfd){ .fd = listener->fds[i], .events = POLLIN };
  }
  polled[SOCKET_KINDS] = (struct pollfd){ .fd = control, .events = POLLIN };
  polled[SOCKET_KINDS + 1] = (struct pollfd){ .fd = signals, .events = POLLIN };
  for (;;) {
    atomic_fetch_add(&listener->turns, 1);
    if (wait_for_any(polled, SOCKET_KINDS + 2, &listener->refusals) < 0 && errno != EINTR)
      return hf_fail_errno(errno, "waiting for connections");
    if (polled[SOCKET_KINDS + 1].revents || (polled[SOCKET_KINDS].revents && !on_control(context)))
      return HF_OK;
    for (enum socket_kind i = 0; i < SOCKET_KINDS; i++)
      if (polled[i].revents)
        accept_some(listener, i);
  }
}

bool listener_drain(struct listener *listener, int timeout_ms)
{
  struct timespec until;
  clock_gettime(CLOCK_REALTIME, &until);
  until.tv_sec += timeout_ms / 1000;
  pthread_mutex_lock(&listener->lock);
  for (size_t i = 0; i < listener->max; i++)
    if (listener->connections[i].fd >= 0)
      shutdown(listener->connections[i].fd, SHUT_RD);
  int waited = 0;
  while (listener->open > 0 && waited == 0)
    waited = pthread_cond_timedwait(&listener->gone, &listener->lock, &until);
  bool empty = listener->open == 0;
  pthread_mutex_unlock(&listener->lock);
  return empty;
}
