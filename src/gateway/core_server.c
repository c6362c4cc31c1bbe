/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/core_server.h"

#include "base/log.h"
#include "gateway/discovery.h"
#include "gateway/server_material.h"
#include "httpd/front.h"
#include "identity/certificate.h"
#include "identity/host_names.h"

#include <errno.h>
#include <event2/buffer.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <time.h>

enum {
  THREADS = 2,
  QUEUE_MAX = 64,
  TICK_S = 1,
  LOOK_S = 60,
  RETRY_S = 10,
  RETIRED_MAX = 8,
  STUCK_S = 5,
  ANSWER_MAX = 1 << 20
};

/* A look, made in the pool. */
struct look {
  struct pool_job job;
  struct core_server *server;
  struct server_material material;
  struct config *config;
  struct hf_err_saved failure;
  bool running, again;
};

struct core_server {
  char config_path[PATH_MAX];
  pthread_t thread;
  struct event_base *base;
  struct pool *pool;
  struct event *tick, *woken;
  int wake, changed; /* eventfds: for our loop, for the core's */
  struct look look;
  int64_t next_look;
  /* The discovery: our loop's. */
  struct config *config;
  struct server_material material;
  struct front *front,
      *retired[RETIRED_MAX]; /* those of addresses before: freed at the end, since the pool may use them */
  size_t retired_count;
  char front_address[CONFIG_HOST_MAX + 1];
  unsigned front_port;
  /* Whoever asks from outside. */
  pthread_mutex_t lock;
  bool stopping, fresh;
  struct broker_tls tls;
  struct core_server_status status;
};

/* Looking */

static hf_err look_again(const char *config_path, struct config **ret_config, struct server_material *ret_material)
{
  HF_CLEANUP(config_freep) struct config *config = NULL;
  HF_TRY(config_load(config_path, &config));
  HF_TRY(server_material_make(config, time(NULL), ret_material));
  *ret_config = HF_TAKE(config);
  return HF_OK;
}

static void run_look(struct pool_job *job)
{
  struct look *look = (struct look *)job;
  hf_err e = look_again(look->server->config_path, &look->config, &look->material);
  look->failure = hf_failed(e) ? hf_err_save(e) : (struct hf_err_saved){ .error = HF_OK };
}

static void publish(struct core_server *server, const struct server_material *material)
{
  struct core_server_status *status = &server->status;
  pthread_mutex_lock(&server->lock);
  server->tls = material->tls;
  server->fresh = true;
  status->cause = (struct hf_err_saved){ .error = HF_OK };
  status->until = material->until;
  status->renew_at = material->renew_at;
  status->things = group_thing_count(material->group);
  status->routes = group_route_count(material->group);
  snprintf(status->cert_path, sizeof(status->cert_path), "%s", material->tls.cert_path);
  pthread_mutex_unlock(&server->lock);
  eventfd_write(server->changed, 1);
}

/* Told once, and not at each look. */
static void note_failure(struct core_server *server, const struct hf_err_saved *failure)
{
  bool known = server->status.cause.error.code == failure->error.code &&
               strcmp(server->status.cause.context, failure->context) == 0;
  if (!known)
    hf_ignore(hf_log_err(hf_err_restore(failure), "the local server for devices"));
  pthread_mutex_lock(&server->lock);
  server->status.cause = *failure;
  pthread_mutex_unlock(&server->lock);
}

/* The discovery */

/* Its own address, where it listens at one alone; else what the certificate is for, without this machine's own. */
static size_t find_hosts(const struct config *config, struct host_names *names, const char *hosts[HOST_NAMES_MAX + 1])
{
  const char *bind = config_get(config, CONFIG_MQTT_SERVER_BIND_ADDRESS);
  const struct host_names_options options = { .set = config_get(config, CONFIG_MQTT_SERVER_NAMES),
                                              .key = config_row(CONFIG_MQTT_SERVER_NAMES)->key,
                                              .common_name = "holdfast-core",
                                              .addresses = true };
  static const char *const own[] = { "localhost", "127.0.0.1", "::1" };
  size_t count = 0;
  bool everywhere = strcmp(bind, "0.0.0.0") == 0 || strcmp(bind, "::") == 0;
  if (!options.set && !everywhere) {
    hosts[count++] = bind;
  } else if (!hf_failed(host_names_read(&options, names))) {
    for (size_t i = 0; i < names->names.alt_name_count; i++) {
      const char *host = strchr(names->texts[i], ':') + 1;
      bool is_own = false;
      for (size_t k = 0; !options.set && k < HF_ARRAY_LEN(own); k++)
        is_own |= strcmp(own[k], host) == 0;
      if (!is_own)
        hosts[count++] = host;
    }
  }
  hosts[count] = NULL;
  return count;
}

static int answer(struct core_server *server, const char *path, X509 *client, struct hf_buf *out)
{
  char id[CERTIFICATE_CN_MAX] = "";
  const char *hosts[HOST_NAMES_MAX + 1];
  struct host_names names;
  find_hosts(server->config, &names, hosts);
  hf_ignore(certificate_device_id(server->config, id));
  const struct discovery discovery = {
    .group = server->material.group,
    .roots = server->material.roots,
    .core = id,
    .hosts = hosts,
    .port = (unsigned)config_get_number(server->config, CONFIG_MQTT_SERVER_BIND_PORT),
  };
  return discovery_answer(&discovery, path, client, out);
}

static void on_request(struct front *front, struct evhttp_request *request, void *arg)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf text = HF_BUF(ANSWER_MAX);
  HF_CLEANUP(openssl_x509_freep) X509 *client = NULL;
  SSL *ssl = front_ssl(front, request);
  const char *path = evhttp_uri_get_path(evhttp_request_get_evhttp_uri(request));
  client = ssl ? SSL_get1_peer_certificate(ssl) : NULL;
  bool get = evhttp_request_get_command(request) == EVHTTP_REQ_GET;
  int status = get ? answer(arg, path ? path : "", client, &text) : 405;
  struct evbuffer *body = evbuffer_new();
  if (body)
    evbuffer_add(body, text.data, text.len);
  evhttp_add_header(evhttp_request_get_output_headers(request), "Content-Type", "application/json");
  front_reply(front, request, status, NULL, body);
  if (body)
    evbuffer_free(body);
}

static bool is_where_it_was(const struct core_server *server)
{
  return strcmp(server->front_address, config_get(server->config, CONFIG_MQTT_SERVER_BIND_ADDRESS)) == 0 &&
         server->front_port == config_get_number(server->config, CONFIG_MQTT_SERVER_DISCOVERY_PORT);
}

static void retire_front(struct core_server *server)
{
  front_stop(server->front);
  server->retired[server->retired_count++] = HF_TAKE(server->front);
}

static hf_err listen_at(struct core_server *server)
{
  const struct front_options options = {
    .address = config_get(server->config, CONFIG_MQTT_SERVER_BIND_ADDRESS),
    .port = (uint16_t)config_get_number(server->config, CONFIG_MQTT_SERVER_DISCOVERY_PORT),
    .address_key = config_row(CONFIG_MQTT_SERVER_BIND_ADDRESS)->key,
    .port_key = config_row(CONFIG_MQTT_SERVER_DISCOVERY_PORT)->key,
    .ctx = server->material.ctx,
    .pool = server->pool,
    .on_request = on_request,
    .arg = server,
  };
  snprintf(server->front_address, sizeof(server->front_address), "%s", options.address);
  server->front_port = options.port;
  HF_TRY(front_new(server->base, &options, &server->front));
  hf_log(HF_LOG_INFO, "devices may ask for the local server at %s, port %u", options.address, options.port);
  return HF_OK;
}

static hf_err listen_or_not(struct core_server *server)
{
  bool wanted = config_get_bool(server->config, CONFIG_MQTT_SERVER_DISCOVERY_ENABLED);
  if (server->front && (!wanted || !is_where_it_was(server))) {
    if (server->retired_count == RETIRED_MAX)
      return hf_hint(hf_fail(HF_ERR_LIMIT, "the discovery has had %d addresses", RETIRED_MAX),
                     "'holdfast core restart' takes up another one.");
    retire_front(server);
  }
  if (server->front)
    front_set_ctx(server->front, server->material.ctx);
  return wanted && !server->front ? listen_at(server) : HF_OK;
}

static void serve(struct core_server *server)
{
  hf_err e = listen_or_not(server);
  struct hf_err_saved cause = hf_failed(e) ? hf_err_save(e) : (struct hf_err_saved){ .error = HF_OK };
  if (hf_failed(e) && server->status.discovery_cause.error.code != e.code)
    hf_ignore(hf_log_err(e, "the discovery for devices"));
  pthread_mutex_lock(&server->lock);
  server->status.discovers = server->front != NULL;
  server->status.discovery_cause = cause;
  pthread_mutex_unlock(&server->lock);
  if (hf_failed(e))
    server->next_look = time(NULL) + RETRY_S;
}

/* What comes of a look */

static void use(struct core_server *server, struct look *look)
{
  config_free(server->config);
  server->config = HF_TAKE(look->config);
  server_material_free(&server->material);
  server->material = look->material;
  look->material = (struct server_material){ .ctx = NULL };
  publish(server, &server->material);
}

static void take_look(struct core_server *server, struct look *look)
{
  int64_t now = time(NULL), renew_at;
  bool failed = hf_failed(look->failure.error);
  if (failed)
    note_failure(server, &look->failure);
  else
    use(server, look);
  renew_at = server->material.renew_at;
  server->next_look = now + (failed ? RETRY_S : LOOK_S);
  if (!failed && renew_at && renew_at < server->next_look)
    server->next_look = renew_at > now ? renew_at : now + 1;
}

static void submit_look(struct core_server *server);

static void look_done(struct pool_job *job)
{
  struct look *look = (struct look *)job;
  struct core_server *server = look->server;
  bool again = look->again;
  look->running = false;
  take_look(server, look);
  if (server->material.ctx)
    serve(server);
  if (again)
    submit_look(server);
}

/* One at a time. */
static void submit_look(struct core_server *server)
{
  struct look *look = &server->look;
  if (look->running) {
    look->again = true;
    return;
  }
  *look = (struct look){ .job = { .run = run_look, .done = look_done }, .server = server };
  look->running = pool_submit(server->pool, &look->job);
}

/* The loop */

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
  (void)fd;
  (void)what;
  struct core_server *server = arg;
  if (time(NULL) >= server->next_look && !server->look.running)
    submit_look(server);
}

static void on_wake(evutil_socket_t fd, short what, void *arg)
{
  (void)what;
  struct core_server *server = arg;
  eventfd_t count;
  eventfd_read(fd, &count);
  pthread_mutex_lock(&server->lock);
  bool stopping = server->stopping;
  pthread_mutex_unlock(&server->lock);
  if (stopping)
    event_base_loopbreak(server->base);
  else
    submit_look(server);
}

static void *run(void *arg)
{
  struct core_server *server = arg;
  if (server->material.ctx)
    serve(server);
  event_base_dispatch(server->base);
  server->look.again = false;
  /* A token that does not answer is not waited for: the process ends now. */
  if (pool_stuck(server->pool) < STUCK_S)
    server->pool = pool_free(server->pool);
  return NULL;
}

static hf_err make_loop(struct core_server *server)
{
  const struct timeval second = { .tv_sec = TICK_S };
  server->base = event_base_new();
  if (!server->base)
    return hf_fail(HF_ERR_NO_MEMORY, "the event loop");
  HF_TRY(pool_new(server->base, THREADS, QUEUE_MAX, &server->pool));
  server->tick = event_new(server->base, -1, EV_PERSIST, on_tick, server);
  server->woken = event_new(server->base, server->wake, EV_READ | EV_PERSIST, on_wake, server);
  if (!server->tick || !server->woken || event_add(server->tick, &second) != 0 || event_add(server->woken, NULL) != 0)
    return hf_fail(HF_ERR_NO_MEMORY, "the event loop");
  return HF_OK;
}

static void free_all(struct core_server *server)
{
  front_free(server->front);
  for (size_t i = 0; i < server->retired_count; i++)
    front_free(server->retired[i]);
  server_material_free(&server->material);
  server_material_free(&server->look.material);
  config_free(server->look.config);
  config_free(server->config);
  if (server->tick)
    event_free(server->tick);
  if (server->woken)
    event_free(server->woken);
  if (server->base)
    event_base_free(server->base);
  hf_closep(&server->wake);
  hf_closep(&server->changed);
  pthread_mutex_destroy(&server->lock);
  free(server);
}

static hf_err start(struct core_server *server, const struct config *config)
{
  server->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  server->changed = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (server->wake < 0 || server->changed < 0)
    return hf_fail_errno(errno, "an eventfd");
  HF_TRY(server_material_base(config, &server->tls));
  HF_TRY(make_loop(server));
  server->look.server = server;
  run_look(&server->look.job);
  take_look(server, &server->look);
  int error = pthread_create(&server->thread, NULL, run, server);
  return error ? hf_fail_errno(error, "a thread for the local server") : HF_OK;
}

hf_err core_server_start(const struct config *config, struct core_server **ret_server)
{
  struct core_server *server = calloc(1, sizeof(*server));
  if (!server)
    return hf_fail(HF_ERR_NO_MEMORY, "the local server");
  server->wake = server->changed = -1;
  server->fresh = true;
  pthread_mutex_init(&server->lock, NULL);
  snprintf(server->config_path, sizeof(server->config_path), "%s", config_path(config));
  hf_err e = start(server, config);
  if (hf_failed(e)) {
    pool_free(server->pool);
    free_all(server);
    return e;
  }
  *ret_server = server;
  return HF_OK;
}

void core_server_wake(struct core_server *server)
{
  eventfd_write(server->wake, 1);
}

int core_server_polled(const struct core_server *server)
{
  return server->changed;
}

bool core_server_take(struct core_server *server, struct broker_tls *ret_tls)
{
  eventfd_t count;
  eventfd_read(server->changed, &count);
  pthread_mutex_lock(&server->lock);
  bool fresh = server->fresh;
  server->fresh = false;
  *ret_tls = server->tls;
  pthread_mutex_unlock(&server->lock);
  return fresh;
}

void core_server_status(struct core_server *server, struct core_server_status *ret_status)
{
  pthread_mutex_lock(&server->lock);
  *ret_status = server->status;
  pthread_mutex_unlock(&server->lock);
}

struct core_server *core_server_stop(struct core_server *server)
{
  if (!server)
    return NULL;
  pthread_mutex_lock(&server->lock);
  server->stopping = true;
  pthread_mutex_unlock(&server->lock);
  core_server_wake(server);
  pthread_join(server->thread, NULL);
  if (!server->pool)
    free_all(server);
  return NULL;
}
