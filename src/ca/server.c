/* SPDX-License-Identifier: Apache-2.0 */
#include "ca/server.h"

#include "base/log.h"
#include "base/notify.h"
#include "ca/server_tls.h"
#include "ca/service.h"
#include "identity/program.h"

#include <limits.h>
#include <signal.h>
#include <sys/resource.h>
#include <time.h>

enum { THREADS = 4, QUEUE_MAX = 256, CHECK_S = 10, RETRY_S = 600, DRAIN_S = 5 };

/* What a configuration leads to. */
struct identity {
  struct config *config;
  struct authority *authority;
  SSL_CTX *ctx;
  int64_t renew_at; /* the server's own certificate */
};

/* Another identity, made in the pool: it signs in the token. */
struct refresh {
  struct pool_job job;
  struct server *server;
  struct identity identity; /* without ctx where it failed */
  bool running, by_signal;
  bool again; /* a signal came meanwhile: what it is about may not have been seen */
};

struct server {
  const char *config_path;
  struct event_base *base;
  struct registry *registry;
  struct identity identity;
  struct refresh refresh;
  struct pool *pool;
  struct service *service;
  struct front *tls, *plain; /* plain may be NULL */
  struct event *signals[3];
  struct event *tick;
};

static void identity_free(struct identity *identity)
{
  SSL_CTX_free(identity->ctx);
  authority_unref(identity->authority);
  config_free(identity->config);
  *identity = (struct identity){ .config = NULL };
}

static hf_err load_identity(struct server *s, struct identity *ret_identity)
{
  HF_CLEANUP(identity_free) struct identity identity = { .config = NULL };
  HF_TRY(config_load(s->config_path, &identity.config));
  HF_TRY(authority_open(identity.config, s->registry, &identity.authority));
  HF_TRY(server_tls_new(identity.config, identity.authority, &identity.ctx, &identity.renew_at));
  *ret_identity = identity;
  identity = (struct identity){ .config = NULL };
  return HF_OK;
}

static hf_err listen_at(struct server *s, enum config_key port, SSL_CTX *ctx, struct front **ret_front)
{
  const struct front_options options = {
    .address = config_get(s->identity.config, CONFIG_CA_BIND_ADDRESS),
    .port = (uint16_t)config_get_number(s->identity.config, port),
    .address_key = config_row(CONFIG_CA_BIND_ADDRESS)->key,
    .port_key = config_row(port)->key,
    .ctx = ctx,
    .pool = s->pool,
    .on_request = service_request,
    .arg = s->service,
  };
  HF_TRY(front_new(s->base, &options, ret_front));
  hf_log(HF_LOG_INFO, "listening at %s, port %u (%s)", options.address, options.port, ctx ? "HTTPS" : "plain HTTP");
  return HF_OK;
}

static hf_err listen_all(struct server *s)
{
  HF_TRY(pool_new(s->base, THREADS, QUEUE_MAX, &s->pool));
  HF_TRY(service_new(s->identity.authority, s->pool, &s->service));
  HF_TRY(listen_at(s, CONFIG_CA_BIND_PORT, s->identity.ctx, &s->tls));
  return config_get(s->identity.config, CONFIG_CA_BIND_HTTP_PORT)
             ? listen_at(s, CONFIG_CA_BIND_HTTP_PORT, NULL, &s->plain)
             : HF_OK;
}

/* Another configuration, or another certificate of its own in time */

static void run_refresh(struct pool_job *job)
{
  struct refresh *refresh = (struct refresh *)job;
  hf_err e = load_identity(refresh->server, &refresh->identity);
  if (hf_failed(e))
    hf_ignore(hf_log_err(e, "reading the configuration again: nothing was changed"));
}

static void use_identity(struct server *s, struct identity *identity)
{
  front_set_ctx(s->tls, identity->ctx);
  service_set_authority(s->service, identity->authority);
  identity_free(&s->identity);
  s->identity = *identity;
  *identity = (struct identity){ .config = NULL };
  hf_log(HF_LOG_INFO, "the configuration was read again; addresses, ports and ca.path are those of the start");
}

static void refresh_identity(struct server *s, bool by_signal);

static void refresh_done(struct pool_job *job)
{
  struct refresh *refresh = (struct refresh *)job;
  struct server *s = refresh->server;
  refresh->running = false;
  if (refresh->identity.ctx)
    use_identity(s, &refresh->identity);
  else
    s->identity.renew_at = (int64_t)time(NULL) + RETRY_S;
  if (refresh->again)
    refresh_identity(s, true);
  else if (refresh->by_signal)
    hf_notify("READY=1");
}

/* One at a time. */
static void refresh_identity(struct server *s, bool by_signal)
{
  if (s->refresh.running) {
    s->refresh.again |= by_signal;
    return;
  }
  s->refresh = (struct refresh){ .job = { .run = run_refresh, .done = refresh_done }, s, .by_signal = by_signal };
  s->refresh.running = pool_submit(s->pool, &s->refresh.job);
  if (!s->refresh.running)
    hf_log(HF_LOG_WARNING, "there is too much to do to read the configuration again: nothing was changed");
}

static void reload(struct server *s)
{
  struct timespec now;
  char state[96];
  clock_gettime(CLOCK_MONOTONIC, &now);
  snprintf(state, sizeof(state), "RELOADING=1\nMONOTONIC_USEC=%lld",
           (long long)now.tv_sec * 1000000 + now.tv_nsec / 1000);
  hf_notify(state);
  refresh_identity(s, true);
  if (!s->refresh.running)
    hf_notify("READY=1");
}

static void on_signal(evutil_socket_t number, short what, void *arg)
{
  (void)what;
  struct server *s = arg;
  if (number == SIGHUP)
    reload(s);
  else
    event_base_loopbreak(s->base);
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
  (void)fd;
  (void)what;
  struct server *s = arg;
  /* A token that does not answer takes a thread for good: systemd starts us anew. */
  if (pool_stuck(s->pool) < SERVICE_STUCK_S)
    hf_notify("WATCHDOG=1");
  if ((int64_t)time(NULL) >= s->identity.renew_at)
    refresh_identity(s, false);
}

static hf_err watch(struct server *s)
{
  static const int numbers[] = { SIGTERM, SIGINT, SIGHUP };
  const struct timeval period = { .tv_sec = CHECK_S };
  for (size_t i = 0; i < HF_ARRAY_LEN(numbers); i++) {
    s->signals[i] = evsignal_new(s->base, numbers[i], on_signal, s);
    if (!s->signals[i] || event_add(s->signals[i], NULL) != 0)
      return hf_fail(HF_ERR_NO_MEMORY, "signals");
  }
  s->tick = event_new(s->base, -1, EV_PERSIST, on_tick, s);
  return s->tick && event_add(s->tick, &period) == 0 ? HF_OK : hf_fail(HF_ERR_NO_MEMORY, "a timer");
}

/* A shell's soft limit is low for the sake of select(), which nothing here uses. */
static void raise_descriptors(void)
{
  struct rlimit files;
  if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
    files.rlim_cur = files.rlim_max < 65536 ? files.rlim_max : 65536;
    setrlimit(RLIMIT_NOFILE, &files);
  }
}

static hf_err start_program(struct server *s)
{
  HF_CLEANUP(config_freep) struct config *config = NULL;
  char module[PATH_MAX], path[PATH_MAX];
  HF_TRY(config_load(s->config_path, &config));
  HF_TRY(program_module(config, NULL, module, sizeof(module)));
  HF_TRY(program_start(config, module));
  HF_TRY(authority_path(config, path, sizeof(path)));
  return registry_open(path, &s->registry);
}

static hf_err start(struct server *s)
{
  HF_TRY(start_program(s));
  HF_TRY(load_identity(s, &s->identity));
  s->base = event_base_new();
  if (!s->base)
    return hf_fail(HF_ERR_NO_MEMORY, "the event loop");
  HF_TRY(watch(s));
  return listen_all(s);
}

/* What is being worked on is answered; nobody else is waited for. */
static void drain(struct server *s)
{
  const struct timeval step = { .tv_usec = 50000 };
  front_stop(s->tls);
  if (s->plain)
    front_stop(s->plain);
  for (int i = 0; i < DRAIN_S * 20 && front_count(s->tls) + (s->plain ? front_count(s->plain) : 0) > 0; i++) {
    event_base_loopexit(s->base, &step);
    event_base_dispatch(s->base);
  }
  if (pool_stuck(s->pool) < DRAIN_S)
    return;
  /* What was acknowledged is on disk, and nobody waits for the rest any more. */
  hf_log(HF_LOG_ERROR, "the token does not answer: ending without it");
  _exit(hf_err_status((hf_err){ HF_ERR_TIMEOUT }));
}

static void stop(struct server *s)
{
  s->pool = pool_free(s->pool);
  front_free(s->tls);
  front_free(s->plain);
  service_free(s->service);
  for (size_t i = 0; i < HF_ARRAY_LEN(s->signals); i++)
    if (s->signals[i])
      event_free(s->signals[i]);
  if (s->tick)
    event_free(s->tick);
  if (s->base)
    event_base_free(s->base);
  identity_free(&s->refresh.identity);
  identity_free(&s->identity);
  registry_close(s->registry);
}

hf_err server_run(const char *config_path)
{
  struct server s = { .config_path = config_path };
  signal(SIGPIPE, SIG_IGN);
  raise_descriptors();
  hf_err e = start(&s);
  if (!hf_failed(e)) {
    hf_log(HF_LOG_INFO, "ready");
    hf_notify("READY=1\nSTATUS=Serving");
    event_base_dispatch(s.base);
    hf_notify("STOPPING=1");
    drain(&s);
  }
  stop(&s);
  return e;
}
