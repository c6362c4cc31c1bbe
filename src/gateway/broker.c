/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/broker.h"

#include "base/file.h"
#include "base/log.h"
#include "base/process.h"
#include "gateway/broker_child.h"
#include "gateway/broker_config.h"
#include "gateway/net.h"
#include "gateway/pidfile.h"
#include "gateway/port_owner.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <sys/stat.h>

enum {
  START_TIMEOUT_MS = 15000,
  PROBE_MS = 50,
  IDLE_MS = 3600000,
  BACKOFF_MIN_MS = 200,
  BACKOFF_MAX_MS = 10000,
  STEADY_MS = 30000,
  CONFIG_BYTES_MAX = 16 * 1024
};

enum broker_state { BROKER_EXTERNAL, BROKER_STARTING, BROKER_UP, BROKER_WAITING };

struct broker {
  enum broker_state state;
  struct broker_status status;
  char config_path[PATH_MAX], pid_path[PATH_MAX];
  struct hf_buf text; /* what config_path holds */
  struct broker_child child;
  int64_t started_ms, next_ms; /* next_ms: of a probe, or of the next start */
  int backoff_ms;
};

/* Its files */

static hf_err make_directories(const struct config *config, char data_dir[PATH_MAX])
{
  char base[PATH_MAX];
  HF_TRY(config_data_path(config, base, sizeof(base)));
  if ((size_t)snprintf(data_dir, PATH_MAX, "%s/mosquitto", base) >= PATH_MAX)
    return hf_fail(HF_ERR_LIMIT, "the path %s", base);
  return hf_dir_make(data_dir);
}

static hf_err write_config(struct broker *broker, const struct hf_buf *text)
{
  HF_TRY(hf_dir_make_above(broker->config_path, 0755));
  HF_TRY(hf_file_write(broker->config_path, text->data, text->len, 0600));
  broker->text.len = 0;
  return hf_buf_add(&broker->text, text->data, text->len);
}

static hf_err build_config(const struct config *config, struct hf_buf *text)
{
  char data_dir[PATH_MAX];
  HF_TRY(make_directories(config, data_dir));
  return broker_config_add(config, data_dir, text);
}

static void note_address(struct broker *broker, const struct config *config)
{
  struct broker_status *status = &broker->status;
  snprintf(status->address, sizeof(status->address), "%s", config_get(config, CONFIG_MQTT_BIND_ADDRESS));
  snprintf(status->port, sizeof(status->port), "%s", config_get(config, CONFIG_MQTT_BIND_PORT));
}

/* Starting */

static hf_err port_is_free(const char *address, const char *port)
{
  hf_err e = port_check_free(address, port);
  if (e.code != HF_ERR_BUSY)
    return e;
  return hf_hint(e,
                 "To use the broker that is there: 'holdfast config set mqtt.broker external'; else end it, or choose "
                 "another mqtt.bind.port.");
}

static hf_err start_child(struct broker *broker)
{
  HF_TRY(port_is_free(broker->status.address, broker->status.port));
  HF_TRY(broker_child_start(broker->config_path, broker->pid_path, &broker->child));
  broker->state = BROKER_STARTING;
  broker->started_ms = net_now_ms();
  broker->next_ms = broker->started_ms + PROBE_MS;
  broker->status.pid = broker->child.pid;
  return HF_OK;
}

static bool listens(const struct broker *broker)
{
  struct config_address at = { 0 };
  HF_CLEANUP(net_addrinfo_freep) struct addrinfo *found = NULL;
  HF_CLEANUP(hf_closep) int fd = -1;
  snprintf(at.host, sizeof(at.host), "%s", broker->status.address);
  snprintf(at.port, sizeof(at.port), "%s", broker->status.port);
  return !hf_failed(net_resolve(&at, &found)) && !hf_failed(net_connect(found, net_now_ms() + 1000, &fd));
}

static void wait_and_start_again(struct broker *broker)
{
  int64_t now = net_now_ms();
  bool steady = now - broker->started_ms > STEADY_MS;
  broker->backoff_ms = steady || !broker->backoff_ms ? BACKOFF_MIN_MS : broker->backoff_ms * 2;
  if (broker->backoff_ms > BACKOFF_MAX_MS)
    broker->backoff_ms = BACKOFF_MAX_MS;
  broker->state = BROKER_WAITING;
  broker->next_ms = now + broker->backoff_ms;
  broker->status.pid = 0;
}

/* Its end is noted; what comes of it is the caller's. */
static bool has_ended(struct broker *broker)
{
  if (!broker_child_ended(&broker->child, broker->status.last_end, sizeof(broker->status.last_end)))
    return false;
  broker->status.pid = 0;
  return true;
}

static hf_err ended_at_once(const char *last_end)
{
  hf_err e = hf_fail(HF_ERR_SERVICE, "mosquitto %s", last_end);
  return strstr(last_end, "database")
             ? hf_hint(e, "Move mosquitto/mosquitto.db below data.path away; what the local broker "
                          "itself kept is lost then.")
             : e;
}

static hf_err await_listening(struct broker *broker)
{
  while (broker->state == BROKER_STARTING) {
    poll(NULL, 0, PROBE_MS);
    broker_child_log(&broker->child);
    if (has_ended(broker))
      return ended_at_once(broker->status.last_end);
    if (listens(broker))
      broker->state = BROKER_UP;
    else if (net_now_ms() - broker->started_ms > START_TIMEOUT_MS)
      return hf_fail(HF_ERR_TIMEOUT, "mosquitto does not listen on port %s", broker->status.port);
  }
  return HF_OK;
}

static hf_err start_managed(struct broker *broker, const struct config *config)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf text = HF_BUF(CONFIG_BYTES_MAX);
  HF_TRY(build_config(config, &text));
  HF_TRY(broker_child_end_leftover(broker->pid_path));
  HF_TRY(write_config(broker, &text));
  HF_TRY(start_child(broker));
  hf_err e = await_listening(broker);
  if (hf_failed(e))
    broker_child_end(&broker->child);
  return e;
}

static bool is_managed(const struct config *config)
{
  return strcmp(config_get(config, CONFIG_MQTT_BROKER), "managed") == 0;
}

hf_err broker_start(const struct config *config, struct broker **ret_broker)
{
  HF_CLEANUP(broker_stopp) struct broker *broker = calloc(1, sizeof(*broker));
  if (!broker)
    return hf_fail(HF_ERR_NO_MEMORY, "the broker");
  broker->text = HF_BUF(CONFIG_BYTES_MAX);
  broker->child = BROKER_NO_CHILD;
  broker->status.managed = is_managed(config);
  note_address(broker, config);
  HF_TRY(core_run_file(config, "mosquitto.conf", broker->config_path, sizeof(broker->config_path)));
  HF_TRY(core_run_file(config, "mosquitto.pid", broker->pid_path, sizeof(broker->pid_path)));
  if (broker->status.managed)
    HF_TRY(start_managed(broker, config));
  *ret_broker = HF_TAKE(broker);
  return HF_OK;
}

/* While it runs */

/* Before the one that runs is ended for it. */
static hf_err check_new_port(const struct broker *broker, const struct config *config)
{
  const char *port = config_get(config, CONFIG_MQTT_BIND_PORT);
  return strcmp(port, broker->status.port) == 0 ? HF_OK
                                                : port_is_free(config_get(config, CONFIG_MQTT_BIND_ADDRESS), port);
}

static hf_err reload_managed(struct broker *broker, const struct config *config)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf text = HF_BUF(CONFIG_BYTES_MAX);
  HF_TRY(build_config(config, &text));
  if (hf_slice_equal(hf_slice(text.data, text.len), hf_slice(broker->text.data, broker->text.len)))
    return HF_OK;
  bool reloads = broker_config_reloads(hf_buf_str(&broker->text), hf_buf_str(&text));
  HF_TRY(check_new_port(broker, config));
  HF_TRY(write_config(broker, &text));
  if (reloads && broker->child.pid) {
    hf_log(HF_LOG_INFO, "the local broker reads its configuration again");
    kill(broker->child.pid, SIGHUP);
    return HF_OK;
  }
  hf_log(HF_LOG_INFO, "the local broker is started again, with its new configuration");
  broker_child_end(&broker->child);
  note_address(broker, config);
  broker->backoff_ms = 0;
  broker->state = BROKER_WAITING;
  broker->next_ms = net_now_ms();
  broker->status.pid = 0;
  return HF_OK;
}

hf_err broker_reload(struct broker *broker, const struct config *config)
{
  bool managed = is_managed(config);
  if (managed && broker->status.managed)
    return reload_managed(broker, config);
  if (managed) {
    struct broker *started;
    HF_TRY(broker_start(config, &started));
    hf_buf_free(&broker->text);
    *broker = *started;
    free(started);
    return HF_OK;
  }
  broker_child_end(&broker->child);
  broker->state = BROKER_EXTERNAL;
  broker->status.managed = false;
  broker->status.pid = 0;
  note_address(broker, config);
  return HF_OK;
}

void broker_save(const struct broker *broker)
{
  if (broker->child.pid)
    kill(broker->child.pid, SIGUSR1); /* mosquitto(8) */
}

struct broker *broker_stop(struct broker *broker)
{
  if (!broker)
    return NULL;
  broker_child_end(&broker->child);
  if (broker->status.managed && broker->pid_path[0])
    unlink(broker->pid_path);
  hf_buf_free(&broker->text);
  free(broker);
  return NULL;
}

void broker_polled(const struct broker *broker, struct pollfd polled[BROKER_POLLED])
{
  polled[0] = (struct pollfd){ .fd = broker->child.log_fd, .events = POLLIN };
  polled[1] = (struct pollfd){ .fd = broker->child.pid_fd, .events = POLLIN };
}

int64_t broker_next_tick(const struct broker *broker)
{
  bool waits = broker->state == BROKER_STARTING || broker->state == BROKER_WAITING;
  return waits ? broker->next_ms : net_now_ms() + IDLE_MS;
}

static void start_again(struct broker *broker)
{
  broker->status.restarts++;
  broker->started_ms = net_now_ms();
  hf_err e = start_child(broker);
  if (!hf_failed(e))
    return;
  hf_ignore(hf_log_err(e, "starting the local broker"));
  hf_err_format(e, broker->status.last_end, sizeof(broker->status.last_end));
  wait_and_start_again(broker);
}

void broker_tick(struct broker *broker)
{
  broker_child_log(&broker->child);
  if (broker->child.pid && has_ended(broker)) {
    wait_and_start_again(broker);
    hf_log(HF_LOG_ERROR, "the local broker, mosquitto, %s; another is started in %.1f s", broker->status.last_end,
           broker->backoff_ms / 1000.0);
  }
  if (net_now_ms() < broker_next_tick(broker))
    return;
  if (broker->state == BROKER_WAITING) {
    start_again(broker);
  } else if (broker->state == BROKER_STARTING) {
    broker->next_ms = net_now_ms() + PROBE_MS;
    if (listens(broker)) {
      broker->state = BROKER_UP;
      hf_log(HF_LOG_INFO, "the local broker listens again");
    }
  }
}

void broker_status(const struct broker *broker, struct broker_status *ret_status)
{
  static const char *const names[] = {
    [BROKER_EXTERNAL] = "external",
    [BROKER_STARTING] = "starting",
    [BROKER_UP] = "up",
    [BROKER_WAITING] = "waiting",
  };
  *ret_status = broker->status;
  ret_status->state = names[broker->state];
}
