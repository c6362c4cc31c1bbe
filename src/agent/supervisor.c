/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/supervisor.h"

#include "agent/worker.h"
#include "base/log.h"
#include "base/notify.h"
#include "p11/pin.h"
#include "policy/policy.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>

enum { BACKOFF_MIN_MS = 100, BACKOFF_MAX_MS = 10000, STEADY_MS = 30000, SILENCE_MAX_MS = 10000 };

/* What the worker's end is to be followed by. */
enum ending { ENDING_NONE, ENDING_OUTGROWN, ENDING_REPLACE, ENDING_STOP };

struct supervisor {
  struct options_given *given;
  struct options options;
  struct sockets sockets;
  int signals;
  int pin_memory;
  int64_t now_ms; /* when the loop last woke */

  pid_t worker; /* 0: there is none */
  int control;
  enum ending ending;
  int64_t started_ms, heard_ms, kill_ms; /* kill_ms 0: it is not to be killed */
  char hung_in[64];

  int64_t start_ms; /* when to start the next one, if there is none */
  int backoff_ms;
  unsigned long restarts;
  char last_end[256];

  unsigned long accepted; /* by this worker, at its last word */
  int64_t busy_ms;        /* when there last was something to do */
};

static int64_t clock_ms(void)
{
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Starting a worker */

static void child(struct supervisor *s, int control)
{
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  hf_notify_forget();
  for (size_t i = 0; i < s->options.module_env_count; i++)
    putenv(s->options.module_env[i]);
  for (enum socket_kind i = 0; i < SOCKET_KINDS; i++)
    if (s->sockets.list[i].fd >= 0)
      fcntl(s->sockets.list[i].fd, F_SETFD, 0);
  fcntl(control, F_SETFD, 0);
  fcntl(s->pin_memory, F_SETFD, 0);
  char number[16], name[] = "holdfast-agent", argument[] = WORKER_ARGUMENT;
  snprintf(number, sizeof(number), "%d", control);
  /* Not its path: a newer version may be installed there by now, which speaks otherwise. */
  execv("/proc/self/exe", (char *[]){ name, argument, number, NULL });
  _exit(127);
}

static hf_err send_start(const struct supervisor *s, int control)
{
  struct worker_start start = {
    .options = s->options, .pin_memory = s->pin_memory, .supervisor = getpid(), .restarts = s->restarts
  };
  memcpy(start.last_end, s->last_end, sizeof(start.last_end));
  for (enum socket_kind i = 0; i < SOCKET_KINDS; i++) {
    start.fds[i] = s->sockets.list[i].fd;
    memcpy(start.paths[i], s->sockets.list[i].path, sizeof(start.paths[i]));
  }
  HF_CLEANUP(hf_buf_free) struct hf_buf message = HF_BUF(OPTIONS_MESSAGE_MAX);
  HF_TRY(worker_start_pack(&start, &message));
  if (send(control, message.data, message.len, MSG_NOSIGNAL) != (ssize_t)message.len)
    return hf_fail_errno(errno, "telling the worker its options");
  return HF_OK;
}

static hf_err start_worker(struct supervisor *s)
{
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
    return hf_fail_errno(errno, "a socket pair");
  pid_t pid = fork();
  if (pid == 0)
    child(s, pair[1]);
  int error = errno;
  close(pair[1]);
  if (pid < 0) {
    close(pair[0]);
    return hf_fail_errno(error, "a process for the worker");
  }
  s->worker = pid;
  s->control = pair[0];
  s->ending = ENDING_NONE;
  s->started_ms = s->heard_ms = s->busy_ms = s->now_ms;
  s->kill_ms = 0;
  s->accepted = 0;
  s->hung_in[0] = '\0';
  hf_err e = send_start(s, s->control);
  if (hf_failed(e))
    kill(pid, SIGKILL);
  return e;
}

/* Ending one */

/* Asks it to end, and sees to it that it does. */
static void end_worker(struct supervisor *s, enum ending ending)
{
  if (s->ending < ending)
    s->ending = ending;
  if (!s->worker || s->kill_ms)
    return;
  kill(s->worker, SIGTERM);
  s->kill_ms = s->now_ms + WORKER_DRAIN_MS + 1000;
}

static void describe_end(struct supervisor *s, int status)
{
  if (s->hung_in[0])
    snprintf(s->last_end, sizeof(s->last_end), "hung in %s for over %lu s", s->hung_in,
             options_number(&s->options, OPTION_CALL_DEADLINE));
  else if (WIFSIGNALED(status))
    snprintf(s->last_end, sizeof(s->last_end), "was killed by SIG%s", sigabbrev_np(WTERMSIG(status)));
  else
    snprintf(s->last_end, sizeof(s->last_end), "ended with status %d", WEXITSTATUS(status));
}

static void worker_ended(struct supervisor *s, int status)
{
  close(s->control);
  s->control = -1;
  s->worker = 0;
  if (s->ending == ENDING_STOP)
    return;
  s->restarts++;
  s->start_ms = s->now_ms;
  if (s->ending == ENDING_REPLACE)
    return;
  if (s->ending == ENDING_NONE)
    describe_end(s, status);
  bool steady = s->now_ms - s->started_ms > STEADY_MS;
  s->backoff_ms = steady || !s->backoff_ms ? BACKOFF_MIN_MS : s->backoff_ms * 2;
  if (s->backoff_ms > BACKOFF_MAX_MS)
    s->backoff_ms = BACKOFF_MAX_MS;
  s->start_ms += s->backoff_ms;
  hf_log(HF_LOG_ERROR, "the worker %s; another is started in %.1f s", s->last_end, s->backoff_ms / 1000.0);
}

static void reap(struct supervisor *s)
{
  int status;
  for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;)
    if (pid == s->worker)
      worker_ended(s, status);
}

/* What happens */

/* Pages, of which the second number counts the resident ones: proc(5). 0 where it cannot be read. */
static size_t resident_of(pid_t pid)
{
  char path[64];
  unsigned long pages = 0;
  snprintf(path, sizeof(path), "/proc/%d/statm", (int)pid);
  HF_CLEANUP(hf_fclosep) FILE *file = fopen(path, "re");
  return file && fscanf(file, "%*u %lu", &pages) == 1 ? pages * (size_t)sysconf(_SC_PAGESIZE) : 0;
}

static void check_memory(struct supervisor *s)
{
  size_t limit = options_number(&s->options, OPTION_MEMORY_LIMIT), resident = resident_of(s->worker);
  if (limit == 0 || resident <= limit || s->ending != ENDING_NONE)
    return;
  snprintf(s->last_end, sizeof(s->last_end), "outgrew the memory limit: %zu MiB", resident >> 20);
  end_worker(s, ENDING_OUTGROWN);
}

static void hear(struct supervisor *s)
{
  struct worker_report report;
  while (recv(s->control, &report, sizeof(report), MSG_DONTWAIT) == (ssize_t)sizeof(report)) {
    s->heard_ms = s->now_ms;
    if (report.open > 0 || report.accepted != s->accepted)
      s->busy_ms = s->now_ms;
    s->accepted = report.accepted;
    if (report.word == WORKER_READY) {
      hf_log(HF_LOG_INFO, "ready (worker %d)", (int)s->worker);
      hf_notify("READY=1\nSTATUS=Serving");
    } else if (report.word == WORKER_HUNG) {
      snprintf(s->hung_in, sizeof(s->hung_in), "%s", report.what);
    } else {
      hf_notify("WATCHDOG=1");
      check_memory(s);
    }
  }
}

/* A policy that cannot be read leaves the old one in force, and a restart must not stumble over it either. */
static hf_err check_policy(const struct options *options)
{
  HF_CLEANUP(policy_freep) struct policy *policy = NULL;
  return policy_load(options_get(options, OPTION_POLICY), (gid_t)-1, &policy);
}

static hf_err read_again(struct supervisor *s)
{
  struct options options;
  HF_TRY(options_load(s->given, &options));
  hf_err e = check_policy(&options);
  if (hf_failed(e)) {
    options_free(&options);
    return e;
  }
  bool same = options_same_worker(&s->options, &options);
  options_free(&s->options);
  s->options = options;
  char word = WORKER_RELOAD;
  if (!same)
    hf_log(HF_LOG_INFO, "the options changed: the worker is replaced");
  if (same && s->worker && send(s->control, &word, 1, MSG_NOSIGNAL | MSG_DONTWAIT) == 1)
    return HF_OK;
  end_worker(s, ENDING_REPLACE);
  return HF_OK;
}

static hf_err open_pin_memory(int *ret_fd)
{
  int fd = memfd_create("wrong PINs", MFD_CLOEXEC);
  if (fd < 0 || ftruncate(fd, P11_PIN_MEMORY) != 0) {
    hf_err e = hf_fail_errno(errno, "memory for wrong PINs");
    hf_closep(&fd);
    return e;
  }
  *ret_fd = fd;
  return HF_OK;
}

/* Someone says that things have changed: what was wrong may have been set right in the token. */
static void forget_wrong_pins(const struct supervisor *s)
{
  static const uint8_t zero[P11_PIN_MEMORY];
  if (pwrite(s->pin_memory, zero, sizeof(zero), 0) != (ssize_t)sizeof(zero))
    hf_log(HF_LOG_WARNING, "what is known of wrong PINs stays");
}

static void reload(struct supervisor *s)
{
  forget_wrong_pins(s);
  char state[96];
  snprintf(state, sizeof(state), "RELOADING=1\nMONOTONIC_USEC=%lld", (long long)clock_ms() * 1000);
  hf_notify(state);
  hf_err e = read_again(s);
  if (hf_failed(e))
    hf_ignore(hf_log_err(e, "nothing was changed"));
  hf_notify("READY=1");
}

static void on_signals(struct supervisor *s)
{
  struct signalfd_siginfo info;
  while (read(s->signals, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
    if (info.ssi_signo == SIGCHLD) {
      reap(s);
    } else if (info.ssi_signo == SIGHUP) {
      reload(s);
    } else {
      hf_notify("STOPPING=1");
      end_worker(s, ENDING_STOP);
    }
  }
}

static void on_time(struct supervisor *s)
{
  unsigned long idle_exit = s->sockets.activated ? options_number(&s->options, OPTION_IDLE_EXIT) : 0;
  if (idle_exit && s->ending == ENDING_NONE && s->now_ms - s->busy_ms > (int64_t)idle_exit * 1000) {
    hf_log(HF_LOG_INFO, "idle for %lu s: ending", idle_exit);
    end_worker(s, ENDING_STOP);
  }
  if (s->worker && s->now_ms - s->heard_ms > SILENCE_MAX_MS && !s->kill_ms) {
    hf_log(HF_LOG_ERROR, "the worker does not answer");
    s->kill_ms = s->now_ms;
  }
  if (s->worker && s->kill_ms && s->now_ms >= s->kill_ms) {
    kill(s->worker, SIGKILL);
    s->kill_ms = s->now_ms + WORKER_BEAT_MS;
  }
  if (s->worker || s->ending == ENDING_STOP || s->now_ms < s->start_ms)
    return;
  hf_err e = start_worker(s);
  if (hf_failed(e)) {
    hf_ignore(hf_log_err(e, "starting the worker"));
    s->start_ms = s->now_ms + BACKOFF_MAX_MS;
  }
}

static int wait_ms(const struct supervisor *s)
{
  int64_t until = s->worker ? s->now_ms + 2 * WORKER_BEAT_MS : s->start_ms;
  if (s->worker && s->kill_ms && s->kill_ms < until)
    until = s->kill_ms;
  return until > s->now_ms ? (int)(until - s->now_ms) : 0;
}

static hf_err loop(struct supervisor *s)
{
  while (s->worker || s->ending != ENDING_STOP) {
    s->now_ms = clock_ms();
    on_time(s);
    struct pollfd polled[] = { { .fd = s->signals, .events = POLLIN }, { .fd = s->control, .events = POLLIN } };
    if (poll(polled, HF_ARRAY_LEN(polled), wait_ms(s)) < 0 && errno != EINTR)
      return hf_fail_errno(errno, "waiting for the worker");
    s->now_ms = clock_ms();
    /* Its last words come before its end. */
    if (polled[1].revents & POLLIN)
      hear(s);
    else if (polled[1].revents && s->worker)
      poll(NULL, 0, 1);
    on_signals(s);
  }
  return HF_OK;
}

static hf_err open_signals(int *ret_fd)
{
  static const int numbers[] = { SIGTERM, SIGINT, SIGHUP, SIGCHLD };
  sigset_t set;
  sigemptyset(&set);
  for (size_t i = 0; i < HF_ARRAY_LEN(numbers); i++)
    sigaddset(&set, numbers[i]);
  sigprocmask(SIG_BLOCK, &set, NULL);
  signal(SIGPIPE, SIG_IGN);
  int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
  if (fd < 0)
    return hf_fail_errno(errno, "a descriptor for signals");
  *ret_fd = fd;
  return HF_OK;
}

/* A shell's soft limit is low for the sake of select(), which nothing here uses; the worker inherits this. */
static void raise_descriptors(void)
{
  struct rlimit files;
  if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
    files.rlim_cur = files.rlim_max < 65536 ? files.rlim_max : 65536;
    setrlimit(RLIMIT_NOFILE, &files);
  }
}

hf_err supervisor_run(struct options_given *given)
{
  struct supervisor s = { .given = given, .control = -1, .signals = -1, .pin_memory = -1, .busy_ms = clock_ms() };
  HF_TRY(options_load(given, &s.options));
  enum hf_log_level level;
  hf_err e = options_log_level(&s.options, &level);
  if (!hf_failed(e)) {
    hf_log_set_level(level);
    e = check_policy(&s.options);
  }
  raise_descriptors();
  if (!hf_failed(e))
    e = open_signals(&s.signals);
  if (!hf_failed(e))
    e = open_pin_memory(&s.pin_memory);
  if (!hf_failed(e))
    e = sockets_open(&s.options, &s.sockets);
  if (!hf_failed(e)) {
    e = loop(&s);
    sockets_close(&s.sockets);
  }
  hf_closep(&s.signals);
  hf_closep(&s.pin_memory);
  options_free(&s.options);
  return e;
}
