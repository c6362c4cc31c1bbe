/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/worker.h"

#include "agent/deadline.h"
#include "agent/listener.h"
#include "base/log.h"
#include "p11/pin.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>

enum { WATCH_MS = 200, STALLED_TURNS_MS = 3000, MESSAGE_MAX = OPTIONS_MESSAGE_MAX + 4096 };

struct worker {
  int control;
  struct worker_start start;
  struct agent agent;
  struct listener *listener;
};

/* The first packet */

static hf_err pack_text(const char *text, struct hf_buf *out)
{
  HF_TRY(hf_buf_add_u32(out, (uint32_t)strlen(text)));
  return hf_buf_add_str(out, text);
}

hf_err worker_start_pack(const struct worker_start *start, struct hf_buf *out)
{
  for (enum socket_kind i = 0; i < SOCKET_KINDS; i++) {
    HF_TRY(hf_buf_add_u32(out, (uint32_t)start->fds[i]));
    HF_TRY(pack_text(start->paths[i], out));
  }
  HF_TRY(hf_buf_add_u32(out, (uint32_t)start->pin_memory));
  HF_TRY(hf_buf_add_u32(out, (uint32_t)start->supervisor));
  HF_TRY(hf_buf_add_u64(out, start->restarts));
  HF_TRY(pack_text(start->last_end, out));
  return options_pack(&start->options, out);
}

static hf_err take_text(struct hf_slice *in, char *out, size_t size)
{
  uint32_t len;
  const uint8_t *data;
  HF_TRY(hf_take_u32(in, &len));
  HF_TRY(hf_take(in, len, &data));
  snprintf(out, size, "%.*s", (int)len, (const char *)data);
  return HF_OK;
}

hf_err worker_start_unpack(struct hf_slice in, struct worker_start *ret_start)
{
  struct worker_start start = { 0 };
  uint32_t number;
  uint64_t restarts;
  for (enum socket_kind i = 0; i < SOCKET_KINDS; i++) {
    HF_TRY(hf_take_u32(&in, &number));
    start.fds[i] = (int)number;
    HF_TRY(take_text(&in, start.paths[i], sizeof(start.paths[i])));
  }
  HF_TRY(hf_take_u32(&in, &number));
  start.pin_memory = (int)number;
  HF_TRY(hf_take_u32(&in, &number));
  start.supervisor = (pid_t)number;
  HF_TRY(hf_take_u64(&in, &restarts));
  start.restarts = restarts;
  HF_TRY(take_text(&in, start.last_end, sizeof(start.last_end)));
  HF_TRY(options_unpack(&in, &start.options));
  *ret_start = start;
  return HF_OK;
}

static hf_err receive_start(int control, struct worker_start *ret_start)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf message = HF_BUF(MESSAGE_MAX);
  uint8_t *room;
  HF_TRY(hf_buf_reserve(&message, MESSAGE_MAX, &room));
  ssize_t len = recv(control, room, MESSAGE_MAX, 0);
  if (len <= 0)
    return hf_fail_errno(len < 0 ? errno : EPIPE, "the supervisor's first message");
  hf_buf_commit(&message, (size_t)len);
  return worker_start_unpack(hf_slice(message.data, message.len), ret_start);
}

/* The watchdog */

static void report(struct worker *worker, enum worker_word word, const char *what)
{
  struct worker_report report = { .word = word,
                                  .open = metrics_open(worker->agent.metrics),
                                  .accepted = metrics_get(worker->agent.metrics, METRIC_CONNECTIONS) };
  snprintf(report.what, sizeof(report.what), "%s", what);
  /* A supervisor that is gone shows as the end of control. */
  if (send(worker->control, &report, sizeof(report), MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
    return;
}

/* Takes no lock that a call into the module could hold, and allocates nothing. */
static void *watch(void *arg)
{
  struct worker *worker = arg;
  int64_t limit_ns = (int64_t)options_number(worker->agent.options, OPTION_CALL_DEADLINE) * 1000000000;
  unsigned long turns = listener_turns(worker->listener);
  unsigned since_beat_ms = 0, stalled_ms = 0;
  for (;;) {
    poll(NULL, 0, WATCH_MS);
    const char *what = limit_ns ? deadline_overrun(limit_ns) : NULL;
    if (what) {
      report(worker, WORKER_HUNG, what);
      _exit(WORKER_HUNG_STATUS);
    }
    since_beat_ms += WATCH_MS;
    stalled_ms = turns == listener_turns(worker->listener) ? stalled_ms + WATCH_MS : 0;
    turns = listener_turns(worker->listener);
    if (since_beat_ms < WORKER_BEAT_MS || stalled_ms > STALLED_TURNS_MS)
      continue;
    report(worker, WORKER_ALIVE, "");
    since_beat_ms = 0;
  }
  return NULL;
}

/* So that a wrong path or PIN is told when the agent starts, not when the first client comes; and that one need not wait. */
static void *warm_up(void *arg)
{
  struct worker *worker = arg;
  HF_CLEANUP(hf_freep) struct keyring_token *tokens = NULL;
  size_t count = 0;
  hf_err e = keyring_tokens(worker->agent.keyring, &tokens, &count);
  if (hf_failed(e))
    hf_ignore(hf_log_err(e, "the HSM is not ready"));
  for (size_t i = 0; i < count; i++)
    hf_log(HF_LOG_INFO, "token '%s': %s", tokens[i].token.label, tokens[i].state);
  return NULL;
}

static hf_err start_thread(void *(*body)(void *), void *arg)
{
  pthread_t thread;
  int error = pthread_create(&thread, NULL, body, arg);
  if (error)
    return hf_fail_errno(error, "a thread");
  pthread_detach(thread);
  return HF_OK;
}

/* Setting up */

static hf_err open_policy(const struct worker_start *start, struct policy **ret_policy)
{
  gid_t group;
  struct policy *policy;
  HF_TRY(sockets_group(&start->options, &group));
  HF_TRY(policy_load(options_get(&start->options, OPTION_POLICY), group, &policy));
  /* A socket of systemd's has the group that its unit names. */
  struct stat status;
  for (enum socket_kind i = 0; i < SOCKET_KINDS; i++)
    if (start->fds[i] >= 0 && i != SOCKET_METRICS && stat(start->paths[i], &status) == 0 && (status.st_mode & S_IWGRP))
      policy_add_group(policy, status.st_gid);
  *ret_policy = policy;
  return HF_OK;
}

static hf_err open_keyring(const struct options *options, struct keyring **ret_keyring)
{
  const struct keyring_options keyring = {
    .module_path = options_get(options, OPTION_MODULE_PATH),
    .pin_source = options_get(options, OPTION_PIN_SOURCE),
    .pin = options->pin,
    .uri = options_get(options, OPTION_URI),
  };
  return keyring_open(&keyring, ret_keyring);
}

static hf_err share_pin_memory(int fd)
{
  void *memory = mmap(NULL, P11_PIN_MEMORY, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  close(fd);
  if (memory == MAP_FAILED)
    return hf_fail_errno(errno, "memory for wrong PINs");
  p11_pin_share(memory);
  return HF_OK;
}

static hf_err set_up(struct worker *worker)
{
  struct agent *agent = &worker->agent;
  const struct options *options = &worker->start.options;
  enum hf_log_level level;
  enum audit_target target;
  HF_TRY(options_log_level(options, &level));
  hf_log_set_level(level);
  HF_TRY(audit_target_parse(options_get(options, OPTION_AUDIT), &target));
  HF_TRY(audit_open("holdfast-agent", target, STDERR_FILENO));
  agent->options = options;
  agent->start = &worker->start;
  HF_TRY(metrics_new(&agent->metrics));
  metrics_set_restarts(agent->metrics, worker->start.restarts);
  HF_TRY(share_pin_memory(worker->start.pin_memory));
  HF_TRY(open_policy(&worker->start, &agent->policy));
  HF_TRY(open_keyring(options, &agent->keyring));
  return listener_new(agent, worker->start.fds, &worker->listener);
}

static void block_signals(void)
{
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &set, NULL);
  /* A terminal sends these to the supervisor, too, whose business they are. */
  signal(SIGINT, SIG_IGN);
  signal(SIGHUP, SIG_IGN);
  signal(SIGPIPE, SIG_IGN);
}

static bool on_control(void *context)
{
  struct worker *worker = context;
  char word;
  ssize_t n = recv(worker->control, &word, 1, MSG_DONTWAIT);
  if (n <= 0)
    return n < 0 && (errno == EAGAIN || errno == EINTR);
  hf_err e = policy_reload(worker->agent.policy);
  if (hf_failed(e))
    hf_ignore(hf_log_err(e, "the policy stays as it was"));
  else
    hf_log(HF_LOG_INFO, "the policy was read again");
  return true;
}

static hf_err run(struct worker *worker)
{
  HF_TRY(receive_start(worker->control, &worker->start));
  for (enum socket_kind i = 0; i < SOCKET_KINDS; i++)
    if (worker->start.fds[i] >= 0)
      fcntl(worker->start.fds[i], F_SETFD, FD_CLOEXEC);
  HF_TRY(set_up(worker));
  HF_TRY(start_thread(watch, worker));
  HF_TRY(start_thread(warm_up, worker));
  report(worker, WORKER_READY, "");
  HF_TRY(listener_run(worker->listener, worker->control, on_control, worker));
  if (!listener_drain(worker->listener, WORKER_DRAIN_MS))
    hf_log(HF_LOG_WARNING, "ending with requests under way");
  return HF_OK;
}

int worker_main(int control)
{
  static struct worker worker;
  worker.control = control;
  fcntl(control, F_SETFD, FD_CLOEXEC);
  block_signals();
  hf_err e = run(&worker);
  if (hf_failed(e))
    hf_ignore(hf_log_err(e, "the worker ends"));
  /* No exit handlers: a vendor's might hang or crash, and nothing of ours is left to write. */
  _exit(hf_err_status(e));
}
