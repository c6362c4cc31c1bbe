/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/core.h"

#include "base/file.h"
#include "base/log.h"
#include "base/notify.h"
#include "gateway/core_check.h"
#include "gateway/core_status.h"
#include "gateway/net.h"
#include "gateway/pidfile.h"
#include "gateway/server_material.h"
#include "identity/program.h"
#include "identity/transaction.h"
#include "policy/audit.h"
#include "secrets/server.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <time.h>

enum { LOOK_MS = 1000 };

struct core {
  struct config *config;
  char module_path[PATH_MAX];
  int pid_file, signals, status_socket;
  struct core_server *server;       /* NULL: mqtt.server.enabled is false, or it cannot run */
  struct hf_err_saved server_cause; /* why not */
  struct broker_tls tls;            /* with server */
  struct broker *broker;
  struct core_bridges bridges;
  struct core_renewal *renewal;
  struct secrets_server *secrets;
  uint64_t stamp;
  int64_t started_s, next_look_ms;
  bool stopping;
};

/* The configuration, and what it leads to */

/* After a renewal that was cut has been finished or undone. */
static hf_err load(const char *path, struct config **ret_config)
{
  HF_CLEANUP(config_freep) struct config *config = NULL;
  HF_TRY(config_load(path, &config));
  HF_TRY(config_usable(config));
  HF_TRY(transaction_refresh(&config));
  *ret_config = HF_TAKE(config);
  return HF_OK;
}

static uint64_t stamp_of(const struct config *config)
{
  const char *cert = config_get(config, CONFIG_DEVICE_CERT_PATH);
  uint64_t cert_stamp = cert[0] == '/' ? hf_file_stamp(cert) : 0;
  return (hf_file_stamp(config_path(config)) * 31 + cert_stamp) * 31 + server_group_stamp(config);
}

/* The local server for devices. Whatever it lacks, the rest of the gateway goes on. */

static hf_err start_server(struct core *core, const struct config *config)
{
  if (strcmp(config_get(config, CONFIG_MQTT_BROKER), "managed") != 0)
    return hf_hint(hf_fail(HF_ERR_CONFIG, "mqtt.server.enabled with mqtt.broker external"),
                   "Have the broker that is there serve the devices, or set mqtt.broker to managed.");
  HF_TRY(core_server_start(config, &core->server));
  core_server_take(core->server, &core->tls);
  return HF_OK;
}

static void have_server(struct core *core, const struct config *config)
{
  bool managed = strcmp(config_get(config, CONFIG_MQTT_BROKER), "managed") == 0;
  bool wanted = config_get_bool(config, CONFIG_MQTT_SERVER_ENABLED);
  core->server_cause = (struct hf_err_saved){ .error = HF_OK };
  if (core->server && wanted && managed) {
    core_server_wake(core->server);
    return;
  }
  core->server = core_server_stop(core->server);
  hf_err e = wanted ? start_server(core, config) : HF_OK;
  if (!hf_failed(e))
    return;
  core->server_cause = hf_err_save(e);
  hf_ignore(hf_log_err(e, "the local server for devices"));
}

static const struct broker_tls *tls_of(const struct core *core)
{
  return core->server ? &core->tls : NULL;
}

static void use_server(struct core *core)
{
  if (!core->server || !core_server_take(core->server, &core->tls))
    return;
  hf_err e = broker_reload(core->broker, core->config, &core->tls);
  if (hf_failed(e))
    hf_ignore(hf_log_err(e, "the listener for devices"));
}

static void warn_of_module(struct core *core, const struct config *config)
{
  char now[PATH_MAX];
  if (hf_failed(program_module(config, NULL, now, sizeof(now))) || strcmp(now, core->module_path) == 0)
    return;
  hf_log(HF_LOG_WARNING, "the PKCS #11 module is now %s, but %s is loaded: 'holdfast core restart' loads the new one",
         now, core->module_path);
}

static hf_err take_up(struct core *core)
{
  HF_CLEANUP(config_freep) struct config *config = NULL;
  HF_TRY(load(config_path(core->config), &config));
  warn_of_module(core, config);
  have_server(core, config);
  HF_TRY(broker_reload(core->broker, config, tls_of(core)));
  HF_TRY(secrets_server_reload(core->secrets, config));
  struct config *old = core->config;
  core->config = HF_TAKE(config);
  config_free(old);
  core->stamp = stamp_of(core->config);
  hf_err e = core_bridges_apply(&core->bridges, core->config);
  core_renewal_wake(core->renewal);
  return e;
}

/* What cannot be taken up is told; what ran before goes on. */
static void reload(struct core *core)
{
  hf_notify("RELOADING=1");
  hf_err e = take_up(core);
  if (hf_failed(e))
    hf_ignore(hf_log_err(e, "taking up the changed configuration"));
  else
    hf_log(HF_LOG_INFO, "the configuration was read again");
  hf_notify("READY=1");
}

static void look(struct core *core)
{
  if (net_now_ms() < core->next_look_ms)
    return;
  core->next_look_ms = net_now_ms() + LOOK_MS;
  hf_notify("WATCHDOG=1");
  core_bridges_retry(&core->bridges, core->config);
  uint64_t stamp = stamp_of(core->config);
  if (stamp == core->stamp)
    return;
  core->stamp = stamp; /* one that is wrong is tried once */
  reload(core);
}

/* Signals */

static hf_err take_signals(struct core *core)
{
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGHUP);
  signal(SIGPIPE, SIG_IGN);
  pthread_sigmask(SIG_BLOCK, &set, NULL);
  core->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
  return core->signals >= 0 ? HF_OK : hf_fail_errno(errno, "waiting for signals");
}

static void obey_signals(struct core *core)
{
  for (struct signalfd_siginfo info; read(core->signals, &info, sizeof(info)) == sizeof(info);)
    if (info.ssi_signo == SIGHUP)
      reload(core);
    else
      core->stopping = true;
}

/* Its life */

static void log_warning(const struct core_check_result *result, void *arg)
{
  (void)arg;
  if (result->verdict == CORE_CHECK_WARNED)
    hf_log(HF_LOG_WARNING, "%s", result->cause.context);
}

static hf_err start(struct core *core, const char *path, bool check)
{
  HF_TRY(take_signals(core));
  HF_TRY(load(path, &core->config));
  if (config_warning(core->config))
    hf_log(HF_LOG_WARNING, "%s", config_warning(core->config));
  HF_TRY(pidfile_take(core->config, &core->pid_file));
  HF_TRY(program_module(core->config, getenv("HOLDFAST_MODULE"), core->module_path, sizeof(core->module_path)));
  HF_TRY(program_start(core->config, core->module_path));
  if (check)
    HF_TRY(core_checks_pass(core->config, core->module_path, log_warning, NULL));
  have_server(core, core->config);
  HF_TRY(broker_start(core->config, tls_of(core), &core->broker));
  HF_TRY(core_bridges_init(&core->bridges));
  HF_TRY(core_bridges_apply(&core->bridges, core->config));
  HF_TRY(core_renewal_start(core->config, core->module_path, &core->renewal));
  HF_TRY(audit_open("holdfast-core", AUDIT_AUTO, STDERR_FILENO));
  HF_TRY(secrets_server_start(core->config, core->module_path, &core->secrets));
  core->stamp = stamp_of(core->config);
  core->started_s = time(NULL);
  return core_status_listen(core->config, &core->status_socket);
}

static void loop(struct core *core)
{
  enum { SIGNALS, STATUS, BRIDGES, SERVER, BROKER, POLLED = BROKER + BROKER_POLLED };
  while (!core->stopping) {
    struct pollfd polled[POLLED] = {
      [SIGNALS] = { .fd = core->signals, .events = POLLIN },
      [STATUS] = { .fd = core->status_socket, .events = POLLIN },
      [BRIDGES] = { .fd = core->bridges.subscribed, .events = POLLIN },
      [SERVER] = { .fd = core->server ? core_server_polled(core->server) : -1, .events = POLLIN },
    };
    broker_polled(core->broker, &polled[BROKER]);
    int64_t until = broker_next_tick(core->broker), now = net_now_ms();
    if (core->next_look_ms < until)
      until = core->next_look_ms;
    poll(polled, POLLED, until > now ? (int)(until - now) : 0);
    obey_signals(core);
    broker_tick(core->broker);
    use_server(core);
    if (core_bridges_subscribed(&core->bridges))
      broker_save(core->broker);
    const struct core_status status = { .config = core->config,
                                        .started_s = core->started_s,
                                        .broker = core->broker,
                                        .server = core->server,
                                        .server_cause = &core->server_cause,
                                        .bridges = &core->bridges,
                                        .renewal = core->renewal };
    core_status_serve(core->status_socket, &status);
    look(core);
  }
}

/* Bridges first: what they have acknowledged is with the broker or in their spools. */
static void stop(struct core *core)
{
  hf_notify("STOPPING=1");
  core->secrets = secrets_server_stop(core->secrets);
  core->renewal = core_renewal_stop(core->renewal);
  core_bridges_stop(&core->bridges);
  core->broker = broker_stop(core->broker);
  core->server = core_server_stop(core->server);
  hf_closep(&core->status_socket);
  hf_closep(&core->signals);
  hf_closep(&core->pid_file);
  config_freep(&core->config);
}

/* Whoever waits for us gets the error as it is: see service_process.c. */
static void tell_failure(hf_err e)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf word = HF_BUF(4 * HF_CONTEXT_MAX);
  char line[HF_CONTEXT_MAX + 256];
  hf_err_format(e, line, sizeof(line));
  if (!hf_failed(hf_buf_addf(&word, "STATUS=%s\nX_HOLDFAST_CODE=%s\nX_HOLDFAST_CONTEXT=%s\nX_HOLDFAST_HINT=%s", line,
                             hf_err_name(e), hf_err_context(), hf_err_hint(e))))
    hf_notify(hf_buf_str(&word));
}

hf_err core_run(const char *path, bool check)
{
  struct core core = { .pid_file = -1, .signals = -1, .status_socket = -1, .bridges = CORE_BRIDGES_NONE };
  hf_err e = start(&core, path, check);
  if (hf_failed(e)) {
    const struct hf_err_saved saved = hf_err_save(e);
    tell_failure(e);
    stop(&core);
    return hf_err_restore(&saved);
  }
  hf_log(HF_LOG_INFO, "ready");
  hf_notify("READY=1\nSTATUS=running");
  loop(&core);
  hf_log(HF_LOG_INFO, "stopping");
  stop(&core);
  return HF_OK;
}
