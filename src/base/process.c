/* SPDX-License-Identifier: Apache-2.0 */
#include "base/process.h"

#include "base/cleanup.h"
#include "base/notify.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

enum { CHILD_ERROR = STDERR_FILENO + 1, READ_CHUNK = 4096 };

static void restore_signals(void)
{
  sigset_t none;
  sigemptyset(&none);
  for (int number = 1; number < NSIG; number++)
    signal(number, SIG_DFL);
  sigprocmask(SIG_SETMASK, &none, NULL);
}

/* error: written to where exec fails; it closes with exec. Only what a child of many threads may call. */
static void child(const struct hf_spawn *spawn, char **env, pid_t parent, int error)
{
  if (spawn->ends_with_us && (prctl(PR_SET_PDEATHSIG, SIGTERM) != 0 || getppid() != parent))
    _exit(127);
  if (spawn->new_session)
    setsid();
  restore_signals();
  /* out and error may be among the first three themselves. */
  int out = fcntl(spawn->out, F_DUPFD_CLOEXEC, CHILD_ERROR + 1), null = open("/dev/null", O_RDONLY | O_CLOEXEC);
  error = fcntl(error, F_DUPFD_CLOEXEC, CHILD_ERROR + 1);
  dup2(null, STDIN_FILENO);
  dup2(out, STDOUT_FILENO);
  dup2(out, STDERR_FILENO);
  dup3(error, CHILD_ERROR, O_CLOEXEC);
  close_range(CHILD_ERROR + 1, UINT_MAX, 0);
  execvpe(spawn->argv[0], (char *const *)(uintptr_t)spawn->argv, env);
  int why = errno;
  _exit(write(CHILD_ERROR, &why, sizeof(why)) == (ssize_t)sizeof(why) ? 127 : 126);
}

static int read_error(int fd)
{
  int why = 0;
  ssize_t n;
  do
    n = read(fd, &why, sizeof(why));
  while (n < 0 && errno == EINTR);
  return n == (ssize_t)sizeof(why) ? why : 0;
}

static bool is_added(const char *entry, const char *const *added)
{
  size_t name_len = strcspn(entry, "=") + 1;
  for (; added && *added; added++)
    if (strncmp(entry, *added, name_len) == 0)
      return true;
  return false;
}

/*
 * Our own environment with what is added, in place of what has its name, and without systemd's words to us: mosquitto would say that
 * it is ready in our place. Only the array is the caller's.
 */
static hf_err make_env(const char *const *added, char ***ret_env)
{
  size_t count = 1, n = 0;
  for (char **entry = environ; entry && *entry; entry++)
    count++;
  for (const char *const *entry = added; entry && *entry; entry++)
    count++;
  char **env = calloc(count, sizeof(*env));
  if (!env)
    return hf_fail(HF_ERR_NO_MEMORY, "the environment");
  for (char **entry = environ; entry && *entry; entry++)
    if (!is_added(*entry, added) && !hf_notify_is_for_us(*entry))
      env[n++] = *entry;
  for (const char *const *entry = added; entry && *entry; entry++)
    env[n++] = (char *)(uintptr_t)*entry;
  *ret_env = env;
  return HF_OK;
}

hf_err hf_process_start(const struct hf_spawn *spawn, pid_t *ret_pid)
{
  int pair[2];
  pid_t us = getpid();
  HF_CLEANUP(hf_freep) char **env = NULL;
  HF_TRY(make_env(spawn->add_env, &env));
  if (pipe2(pair, O_CLOEXEC) != 0)
    return hf_fail_errno(errno, "a pipe");
  pid_t pid = fork();
  if (pid == 0)
    child(spawn, env, us, pair[1]);
  int why = pid < 0 ? errno : 0;
  close(pair[1]);
  if (pid > 0)
    why = read_error(pair[0]);
  close(pair[0]);
  if (why == 0) {
    *ret_pid = pid;
    return HF_OK;
  }
  while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
    ;
  return hf_fail_errno(why, "%s", spawn->argv[0]);
}

static int64_t now_ms(void)
{
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Up to the end of what it prints. */
static hf_err listen_to(int fd, const char *name, int64_t deadline_ms, struct hf_buf *out)
{
  for (;;) {
    struct pollfd polled = { .fd = fd, .events = POLLIN };
    int64_t left = deadline_ms - now_ms();
    int ready = left > 0 ? poll(&polled, 1, left > INT_MAX ? INT_MAX : (int)left) : 0;
    if (ready < 0 && errno == EINTR)
      continue;
    if (ready == 0)
      return hf_fail(HF_ERR_TIMEOUT, "%s", name);
    uint8_t chunk[READ_CHUNK];
    ssize_t n = read(fd, chunk, sizeof(chunk));
    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0)
      return hf_fail_errno(errno, "reading from %s", name);
    if (n == 0)
      return HF_OK;
    HF_TRY(hf_buf_add(out, chunk, (size_t)n));
  }
}

static int exit_status(int status)
{
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

hf_err hf_process_wait(pid_t pid, const char *name, unsigned timeout_s, int *ret_status)
{
  int64_t deadline_ms = now_ms() + (int64_t)timeout_s * 1000;
  HF_CLEANUP(hf_closep) int pid_fd = (int)syscall(SYS_pidfd_open, pid, 0);
  struct pollfd polled = { .fd = pid_fd, .events = POLLIN };
  int status = 0, ready = 0;
  if (pid_fd < 0)
    return hf_fail_errno(errno, "watching %s", name);
  for (int64_t left; ready <= 0 && (left = deadline_ms - now_ms()) > 0;)
    ready = poll(&polled, 1, left > INT_MAX ? INT_MAX : (int)left);
  if (ready <= 0)
    kill(pid, SIGKILL);
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
    ;
  if (ready <= 0)
    return hf_fail(HF_ERR_TIMEOUT, "%s did not end within %u s", name, timeout_s);
  *ret_status = exit_status(status);
  return HF_OK;
}

hf_err hf_process_run(const char *const *argv, unsigned timeout_s, struct hf_buf *out, int *ret_status)
{
  int pair[2], status = 0;
  pid_t pid;
  if (pipe2(pair, O_CLOEXEC) != 0)
    return hf_fail_errno(errno, "a pipe");
  const struct hf_spawn spawn = { .argv = argv, .out = pair[1] };
  hf_err e = hf_process_start(&spawn, &pid);
  close(pair[1]);
  if (!hf_failed(e)) {
    e = listen_to(pair[0], argv[0], now_ms() + (int64_t)timeout_s * 1000, out);
    if (hf_failed(e))
      kill(pid, SIGKILL);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
      ;
  }
  close(pair[0]);
  HF_TRY(e);
  *ret_status = exit_status(status);
  return HF_OK;
}
