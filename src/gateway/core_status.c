/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/core_status.h"

#include "gateway/net.h"
#include "gateway/pidfile.h"

#include <errno.h>
#include <jansson.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

enum { BACKLOG = 16, ASK_TIMEOUT_MS = 5000, CHUNK = 4096 };

static json_t *error_json(const struct hf_err_saved *saved)
{
  char line[HF_CONTEXT_MAX + 256];
  if (!hf_failed(saved->error))
    return json_null();
  hf_ignore(hf_err_restore(saved));
  hf_err_format(saved->error, line, sizeof(line));
  return json_pack("{s:s, s:s, s:s, s:s}", "code", hf_err_name(saved->error), "error", line, "context", saved->context,
                   "hint", hf_err_hint(saved->error));
}

static json_t *side_json(const struct bridge_side_status *side)
{
  const char *version = side->version == MQTT_5 ? "5" : "3.1.1";
  return json_pack("{s:b, s:s?, s:I, s:I, s:i, s:o}", "connected", side->connected, "mqtt",
                   side->connected ? version : NULL, "since", (json_int_t)side->since_s, "retry_ms",
                   (json_int_t)side->retry_ms, "failures", (int)side->failures, "cause", error_json(&side->cause));
}

static json_t *queue_json(const struct spool_stats *queue)
{
  return json_pack("{s:I, s:I, s:I, s:I, s:I}", "messages", (json_int_t)queue->messages, "bytes",
                   (json_int_t)queue->bytes, "dropped", (json_int_t)queue->dropped, "rejected",
                   (json_int_t)queue->rejected, "oldest_ms", (json_int_t)queue->oldest_ms);
}

static json_t *flow_json(const struct bridge_flow_status *flow)
{
  const struct {
    const char *name;
    uint64_t value;
  } counts[] = { { "received", flow->received },         { "sent", flow->sent },
                 { "acknowledged", flow->acknowledged }, { "rejected", flow->rejected },
                 { "expired", flow->expired },           { "dropped", flow->dropped },
                 { "repeated", flow->repeated },         { "unmatched", flow->unmatched },
                 { "in_flight", flow->in_flight } };
  json_t *json = json_object();
  for (size_t i = 0; i < HF_ARRAY_LEN(counts); i++)
    json_object_set_new(json, counts[i].name, json_integer((json_int_t)counts[i].value));
  json_object_set_new(json, "refusing", json_boolean(flow->refusing));
  json_object_set_new(json, "queue", queue_json(&flow->queue));
  return json;
}

static json_t *bridge_json(const struct config_cloud *cloud, struct bridge *bridge, const struct hf_err_saved *cause)
{
  struct bridge_status status;
  if (!bridge)
    return json_pack("{s:s, s:s, s:s, s:o}", "cloud", cloud->name, "title", cloud->title, "state", "not started",
                     "cause", error_json(cause));
  bridge_status(bridge, &status);
  bool up = status.sides[BRIDGE_LOCAL].connected && status.sides[BRIDGE_CLOUD].connected;
  return json_pack("{s:s, s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:o}", "cloud", cloud->name, "title", cloud->title,
                   "state", up ? "up" : "down", "local_side", side_json(&status.sides[BRIDGE_LOCAL]), "cloud_side",
                   side_json(&status.sides[BRIDGE_CLOUD]), "to_cloud", flow_json(&status.flows[SPOOL_OUT]),
                   "from_cloud", flow_json(&status.flows[SPOOL_IN]), "rejected", queue_json(&status.rejected), "spool",
                   error_json(&status.spool_cause));
}

static json_t *bridges_json(const struct core_status *status)
{
  json_t *list = json_array();
  for (size_t i = 0; i < CONFIG_CLOUD_COUNT; i++)
    if (config_get_bool(status->config, clouds[i].config->bridge_enabled))
      json_array_append_new(list,
                            bridge_json(clouds[i].config, status->bridges->running[i], &status->bridges->causes[i]));
  return list;
}

static json_t *broker_json(const struct broker *broker)
{
  struct broker_status status;
  broker_status(broker, &status);
  return json_pack("{s:b, s:s, s:i, s:I, s:s, s:s, s:s}", "managed", status.managed, "state", status.state, "pid",
                   (int)status.pid, "restarts", (json_int_t)status.restarts, "address", status.address, "port",
                   status.port, "last_end", status.last_end);
}

static json_t *discovery_json(const struct core_server_status *status, const struct config *config)
{
  bool wanted = config_get_bool(config, CONFIG_MQTT_SERVER_DISCOVERY_ENABLED);
  return json_pack("{s:s, s:s, s:o}", "state",
                   status->discovers ? "up"
                   : wanted          ? "down"
                                     : "off",
                   "port", config_get(config, CONFIG_MQTT_SERVER_DISCOVERY_PORT), "cause",
                   error_json(&status->discovery_cause));
}

/* The first cause: what is missing for the listener, else why mosquitto runs without it. */
static json_t *server_json(const struct core_status *status)
{
  struct core_server_status server = { .cause = *status->server_cause };
  struct broker_status broker;
  bool wanted = config_get_bool(status->config, CONFIG_MQTT_SERVER_ENABLED);
  broker_status(status->broker, &broker);
  if (status->server)
    core_server_status(status->server, &server);
  return json_pack("{s:b, s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:o, s:o}", "enabled", wanted, "state",
                   !wanted              ? "off"
                   : broker.tls_listens ? "up"
                                        : "down",
                   "address", config_get(status->config, CONFIG_MQTT_SERVER_BIND_ADDRESS), "port",
                   config_get(status->config, CONFIG_MQTT_SERVER_BIND_PORT), "certificate", server.cert_path,
                   "valid_until", (json_int_t)server.until, "renew_at", (json_int_t)server.renew_at, "things",
                   (json_int_t)server.things, "routes", (json_int_t)server.routes, "discovery",
                   discovery_json(&server, status->config), "cause",
                   error_json(hf_failed(server.cause.error) ? &server.cause : &broker.tls_cause));
}

static json_t *renewal_json(struct core_renewal *renewal)
{
  struct renewal_status status;
  core_renewal_status(renewal, &status);
  return json_pack("{s:I, s:I, s:I, s:I, s:s, s:i, s:o}", "last_try", (json_int_t)status.last_try, "last_success",
                   (json_int_t)status.last_success, "next_try", (json_int_t)status.next_look, "valid_until",
                   (json_int_t)status.until, "last_result", renewal_result_name(status.last_result), "failures",
                   (int)status.failures, "cause", error_json(&status.cause));
}

static char *format(const struct core_status *status)
{
  HF_CLEANUP(json_decrefp)
  json_t *json = json_pack("{s:s, s:i, s:I, s:s, s:o, s:o, s:o, s:o}", "version", HF_VERSION, "pid", (int)getpid(),
                           "started", (json_int_t)status->started_s, "configuration", config_path(status->config),
                           "broker", broker_json(status->broker), "server", server_json(status), "bridges",
                           bridges_json(status), "renewal", renewal_json(status->renewal));
  return json ? json_dumps(json, JSON_INDENT(2)) : NULL;
}

static hf_err address_of(const struct config *config, struct sockaddr_un *ret_at)
{
  *ret_at = (struct sockaddr_un){ .sun_family = AF_UNIX };
  return core_run_file(config, "core.sock", ret_at->sun_path, sizeof(ret_at->sun_path));
}

hf_err core_status_listen(const struct config *config, int *ret_fd)
{
  struct sockaddr_un at;
  HF_TRY(address_of(config, &at));
  HF_CLEANUP(hf_closep) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  unlink(at.sun_path); /* whoever has the pid file's lock has the socket, too */
  mode_t old = umask(0177);
  bool bound = fd >= 0 && bind(fd, (const struct sockaddr *)&at, sizeof(at)) == 0 && listen(fd, BACKLOG) == 0;
  int error = errno;
  umask(old);
  if (!bound)
    return hf_fail_errno(error, "the socket %s", at.sun_path);
  *ret_fd = fd;
  fd = -1;
  return HF_OK;
}

void core_status_serve(int fd, const struct core_status *status)
{
  for (int client; (client = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0; close(client)) {
    char *text = format(status);
    size_t len = text ? strlen(text) : 0;
    /* It fits into a socket's buffer; who does not read it misses it. */
    if (len && send(client, text, len, MSG_NOSIGNAL) != (ssize_t)len)
      shutdown(client, SHUT_RDWR);
    free(text);
  }
}

static hf_err read_all(int fd, const char *path, struct hf_buf *out)
{
  int64_t deadline = net_now_ms() + ASK_TIMEOUT_MS;
  for (;;) {
    uint8_t *room;
    HF_TRY(net_wait(fd, POLLIN, deadline, path));
    HF_TRY(hf_buf_reserve(out, CHUNK, &room));
    ssize_t n = recv(fd, room, CHUNK, 0);
    if (n < 0)
      return hf_fail_errno(errno, "%s", path);
    if (n == 0)
      return out->len ? HF_OK : hf_fail(HF_ERR_IO, "%s: an empty answer", path);
    hf_buf_commit(out, (size_t)n);
  }
}

hf_err core_status_ask(const struct config *config, struct hf_buf *ret_json)
{
  struct sockaddr_un at;
  HF_TRY(address_of(config, &at));
  HF_CLEANUP(hf_closep) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0)
    return hf_fail_errno(errno, "a socket");
  if (connect(fd, (const struct sockaddr *)&at, sizeof(at)) != 0) {
    if (errno != ECONNREFUSED && errno != ENOENT)
      return hf_fail_errno(errno, "%s", at.sun_path);
    return hf_hint(hf_fail(HF_ERR_NOT_FOUND, "no holdfast-core runs here (%s)", at.sun_path),
                   "Start it: 'holdfast core start', or 'holdfast connect CLOUD'.");
  }
  return read_all(fd, at.sun_path, ret_json);
}
