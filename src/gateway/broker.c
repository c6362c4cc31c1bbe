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
  TLS_RETRY_MIN_MS = 5000,
  TLS_RETRY_MAX_MS = 600000,
  CONFIG_BYTES_MAX = 16 * 1024
};

enum broker_state { BROKER_EXTERNAL, BROKER_STARTING, BROKER_UP, BROKER_WAITING };

struct broker {
  enum broker_state state;
  struct broker_status status;
  char config_path[PATH_MAX], pid_path[PATH_MAX];
  struct broker_tls tls;  /* listens false: there is none */
  struct hf_buf texts[2]; /* what it is told without the listener for devices, and with it */
  bool with_tls;          /* which of them config_path holds */
  int64_t tls_retry_ms;   /* when it is tried again, where it should be there and is not */
  int tls_backoff_ms;
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

static void free_texts(struct hf_buf texts[2])
{
  hf_buf_free(&texts[0]);
  hf_buf_free(&texts[1]);
}

static void free_two(struct hf_buf (*texts)[2])
{
  free_texts(*texts);
}

#define TWO_TEXTS                                      \
  {                                                    \
    HF_BUF(CONFIG_BYTES_MAX), HF_BUF(CONFIG_BYTES_MAX) \
  }

static hf_err build_configs(const struct config *config, const struct broker_tls *tls, struct hf_buf texts[2])
{
  char data_dir[PATH_MAX];
  HF_TRY(make_directories(config, data_dir));
  for (int with_tls = 0; with_tls < 2; with_tls++) {
    struct broker_tls listener = tls ? *tls : (struct broker_tls){ .listens = false };
    listener.listens = listener.listens && with_tls;
    HF_TRY(broker_config_add(config, data_dir, tls ? &listener : NULL, &texts[with_tls]));
  }
  return HF_OK;
}

/* Then they are the broker's. */
static hf_err write_config(struct broker *broker, struct hf_buf texts[2], bool with_tls)
{
  HF_TRY(hf_dir_make_above(broker->config_path, 0755));
  HF_TRY(hf_file_write(broker->config_path, texts[with_tls].data, texts[with_tls].len, 0600));
  broker->with_tls = with_tls;
  if (texts == broker->texts)
    return HF_OK;
  free_texts(broker->texts);
  memcpy(broker->texts, texts, sizeof(broker->texts));
  texts[0] = texts[1] = HF_BUF(CONFIG_BYTES_MAX);
  return HF_OK;
}

static void note_tls(struct broker *broker, const struct broker_tls *tls)
{
  broker->tls = tls ? *tls : (struct broker_tls){ .listens = false };
  broker->tls_backoff_ms = 0;
  broker->status.tls_cause = (struct hf_err_saved){ .error = HF_OK };
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

/* Goes on without the listener for devices, for a while. */
static hf_err leave_tls_out(struct broker *broker, hf_err why)
{
  broker->status.tls_cause = hf_err_save(why);
  hf_ignore(hf_log_err(why, "the listener for devices; the local broker runs without it"));
  broker->tls_backoff_ms = broker->tls_backoff_ms ? broker->tls_backoff_ms * 2 : TLS_RETRY_MIN_MS;
  if (broker->tls_backoff_ms > TLS_RETRY_MAX_MS)
    broker->tls_backoff_ms = TLS_RETRY_MAX_MS;
  broker->tls_retry_ms = net_now_ms() + broker->tls_backoff_ms;
  return write_config(broker, broker->texts, false);
}

static hf_err check_tls_port(const struct broker *broker)
{
  hf_err e = port_check_free(broker->tls.address, broker->tls.port);
  return hf_failed(e) ? hf_hint(e, "End it, or choose another mqtt.server.bind.port.") : e;
}

static hf_err start_child(struct broker *broker)
{
  HF_TRY(port_is_free(broker->status.address, broker->status.port));
  hf_err e = broker->with_tls ? check_tls_port(broker) : HF_OK;
  if (hf_failed(e))
    HF_TRY(leave_tls_out(broker, e));
  const char *conf = broker->with_tls ? broker->tls.openssl_conf : NULL;
  HF_TRY(broker_child_start(broker->config_path, broker->pid_path, conf, &broker->child));
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

/* One that ended as it started with the listener for devices did so for its sake, as a rule: all else was well before. */
static hf_err start_without_tls(struct broker *broker)
{
  hf_err e = hf_fail(HF_ERR_SERVICE, "mosquitto %s", broker->status.last_end);
  HF_TRY(leave_tls_out(broker, hf_hint(e, "See the log above this; 'holdfast core restart' tries at once.")));
  return start_child(broker);
}

static hf_err await_listening(struct broker *broker)
{
  while (broker->state == BROKER_STARTING) {
    poll(NULL, 0, PROBE_MS);
    broker_child_log(&broker->child);
    if (has_ended(broker) && !broker->with_tls)
      return ended_at_once(broker->status.last_end);
    if (!broker->child.pid)
      HF_TRY(start_without_tls(broker));
    else if (listens(broker))
      broker->state = BROKER_UP;
    else if (net_now_ms() - broker->started_ms > START_TIMEOUT_MS)
      return hf_fail(HF_ERR_TIMEOUT, "mosquitto does not listen on port %s", broker->status.port);
  }
  return HF_OK;
}

static hf_err start_managed(struct broker *broker, const struct config *config, const struct broker_tls *tls)
{
  HF_CLEANUP(free_two) struct hf_buf texts[2] = TWO_TEXTS;
  HF_TRY(build_configs(config, tls, texts));
  HF_TRY(broker_child_end_leftover(broker->pid_path));
  note_tls(broker, tls);
  HF_TRY(write_config(broker, texts, broker->tls.listens));
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

hf_err broker_start(const struct config *config, const struct broker_tls *tls, struct broker **ret_broker)
{
  HF_CLEANUP(broker_stopp) struct broker *broker = calloc(1, sizeof(*broker));
  if (!broker)
    return hf_fail(HF_ERR_NO_MEMORY, "the broker");
  broker->texts[0] = broker->texts[1] = HF_BUF(CONFIG_BYTES_MAX);
  broker->child = BROKER_NO_CHILD;
  broker->status.managed = is_managed(config);
  note_address(broker, config);
  HF_TRY(core_run_file(config, "mosquitto.conf", broker->config_path, sizeof(broker->config_path)));
  HF_TRY(core_run_file(config, "mosquitto.pid", broker->pid_path, sizeof(broker->pid_path)));
  if (broker->status.managed)
    HF_TRY(start_managed(broker, config, tls));
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

/* Ends it, and has the loop start it with the file that is there now. */
static void start_anew(struct broker *broker)
{
  broker_child_end(&broker->child);
  broker->backoff_ms = 0;
  broker->state = BROKER_WAITING;
  broker->next_ms = net_now_ms();
  broker->status.pid = 0;
}

/* What it reads at SIGHUP, in its files or those that they name. */
static void read_again(const struct broker *broker)
{
  hf_log(HF_LOG_INFO, "the local broker reads its configuration and certificates again");
  if (broker->child.pid)
    kill(broker->child.pid, SIGHUP);
}

static bool is_same(const struct hf_buf *a, const struct hf_buf *b)
{
  return hf_slice_equal(hf_slice(a->data, a->len), hf_slice(b->data, b->len));
}

static hf_err reload_managed(struct broker *broker, const struct config *config, const struct broker_tls *tls)
{
  HF_CLEANUP(free_two) struct hf_buf texts[2] = TWO_TEXTS;
  HF_TRY(build_configs(config, tls, texts));
  struct hf_buf *now = &broker->texts[broker->with_tls];
  bool same_files = !tls || tls->stamp == broker->tls.stamp;
  bool same_both = is_same(&texts[0], &broker->texts[0]) && is_same(&texts[1], &broker->texts[1]);
  if (same_both && same_files)
    return HF_OK;
  bool with_tls = tls && tls->listens, changes = !is_same(now, &texts[with_tls]);
  bool reloads = broker_config_reloads(hf_buf_str(now), hf_buf_str(&texts[with_tls]));
  HF_TRY(check_new_port(broker, config));
  HF_TRY(write_config(broker, texts, with_tls));
  note_tls(broker, tls);
  if (reloads && broker->child.pid) {
    if (changes || !same_files)
      read_again(broker);
    return HF_OK;
  }
  hf_log(HF_LOG_INFO, "the local broker is started again, with its new configuration");
  note_address(broker, config);
  start_anew(broker);
  return HF_OK;
}

hf_err broker_reload(struct broker *broker, const struct config *config, const struct broker_tls *tls)
{
  bool managed = is_managed(config);
  if (managed && broker->status.managed)
    return reload_managed(broker, config, tls);
  if (managed) {
    struct broker *started;
    HF_TRY(broker_start(config, tls, &started));
    free_texts(broker->texts);
    *broker = *started;
    free(started);
    return HF_OK;
  }
  broker_child_end(&broker->child);
  broker->state = BROKER_EXTERNAL;
  broker->status.managed = false;
  broker->status.pid = 0;
  note_tls(broker, NULL);
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
  free_texts(broker->texts);
  free(broker);
  return NULL;
}

void broker_polled(const struct broker *broker, struct pollfd polled[BROKER_POLLED])
{
  polled[0] = (struct pollfd){ .fd = broker->child.log_fd, .events = POLLIN };
  polled[1] = (struct pollfd){ .fd = broker->child.pid_fd, .events = POLLIN };
}

static bool lacks_tls(const struct broker *broker)
{
  return broker->state == BROKER_UP && broker->tls.listens && !broker->with_tls;
}

int64_t broker_next_tick(const struct broker *broker)
{
  if (lacks_tls(broker))
    return broker->tls_retry_ms;
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

static void after_its_end(struct broker *broker)
{
  bool was_starting = broker->state == BROKER_STARTING;
  hf_err e = was_starting && broker->with_tls ? start_without_tls(broker) : hf_fail(HF_ERR_SERVICE, "mosquitto");
  if (!hf_failed(e))
    return;
  wait_and_start_again(broker);
  hf_log(HF_LOG_ERROR, "the local broker, mosquitto, %s; another is started in %.1f s", broker->status.last_end,
         broker->backoff_ms / 1000.0);
}

/* A listener more takes a start. Whoever is connected comes back; nothing that it keeps is lost. */
static void try_tls_again(struct broker *broker)
{
  hf_err e = check_tls_port(broker);
  if (!hf_failed(e))
    e = write_config(broker, broker->texts, true);
  if (hf_failed(e)) {
    hf_ignore(leave_tls_out(broker, e));
    return;
  }
  hf_log(HF_LOG_INFO, "the local broker is started again, with the listener for devices");
  start_anew(broker);
}

static void probe(struct broker *broker)
{
  broker->next_ms = net_now_ms() + PROBE_MS;
  if (!listens(broker))
    return;
  broker->state = BROKER_UP;
  if (broker->with_tls)
    broker->status.tls_cause = (struct hf_err_saved){ .error = HF_OK };
  hf_log(HF_LOG_INFO, "the local broker listens again");
}

void broker_tick(struct broker *broker)
{
  broker_child_log(&broker->child);
  if (broker->child.pid && has_ended(broker))
    after_its_end(broker);
  if (net_now_ms() < broker_next_tick(broker))
    return;
  if (broker->state == BROKER_WAITING)
    start_again(broker);
  else if (broker->state == BROKER_STARTING)
    probe(broker);
  else if (lacks_tls(broker))
    try_tls_again(broker);
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
  ret_status->tls_listens = broker->state == BROKER_UP && broker->with_tls;
}
