/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/broker_child.h"

#include "base/cleanup.h"
#include "base/file.h"
#include "base/log.h"
#include "base/process.h"
#include "gateway/net.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>

enum { END_MS = 10000, PAUSE_MS = 20, NUMBERS_MAX = 64 };

/* The number in the file, so that no other process is taken for it: with the time when it began, in ticks since boot. */

static bool began(pid_t pid, unsigned long long *ret_ticks)
{
  char path[64], line[1024] = "";
  snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
  HF_CLEANUP(hf_fclosep) FILE *file = fopen(path, "re");
  /* Its name, the second field, may hold anything; the time is the 22nd: proc(5). */
  const char *rest = file && fgets(line, sizeof(line), file) ? strrchr(line, ')') : NULL;
  return rest && sscanf(rest, ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu",
                        ret_ticks) == 1;
}

static hf_err write_number(const char *path, pid_t pid)
{
  char text[NUMBERS_MAX];
  unsigned long long ticks = 0;
  began(pid, &ticks);
  int len = snprintf(text, sizeof(text), "%d %llu\n", (int)pid, ticks);
  return hf_file_write(path, text, (size_t)len, 0644);
}

/* 0 where it does not run any more. */
static pid_t read_number(const char *path)
{
  int pid = 0;
  unsigned long long then = 0, now = 0;
  HF_CLEANUP(hf_fclosep) FILE *file = fopen(path, "re");
  if (!file || fscanf(file, "%d %llu", &pid, &then) != 2 || pid <= 1)
    return 0;
  return began(pid, &now) && then == now ? pid : 0;
}

hf_err broker_child_end_leftover(const char *pid_path)
{
  static const struct {
    int number, wait_ms;
  } steps[] = { { SIGTERM, END_MS }, { SIGKILL, END_MS } };
  pid_t pid = read_number(pid_path);
  if (pid)
    hf_log(HF_LOG_WARNING, "a broker that was left behind, process %d, is ended", (int)pid);
  for (size_t i = 0; i < HF_ARRAY_LEN(steps); i++) {
    if (pid && kill(pid, steps[i].number) != 0 && errno != ESRCH)
      return hf_fail_errno(errno, "ending the broker that was left behind, process %d", (int)pid);
    if (pid)
      kill(pid, SIGCONT); /* one that is stopped could not obey */
    for (int waited = 0; pid && waited < steps[i].wait_ms; waited += PAUSE_MS) {
      poll(NULL, 0, PAUSE_MS);
      pid = read_number(pid_path);
    }
  }
  if (pid)
    return hf_fail(HF_ERR_TIMEOUT, "the broker that was left behind, process %d, does not end", (int)pid);
  unlink(pid_path);
  return HF_OK;
}

/* Starting. Debian has it in a folder that is not in everyone's $PATH. */
const char *broker_child_program(void)
{
  static const char *const places[] = { "/usr/sbin/mosquitto", "/usr/local/sbin/mosquitto",
                                        "/usr/local/bin/mosquitto" };
  for (size_t i = 0; i < HF_ARRAY_LEN(places); i++)
    if (access(places[i], X_OK) == 0)
      return places[i];
  return "mosquitto";
}

static hf_err start(const char *config_path, const char *openssl_conf, int out, pid_t *ret_pid)
{
  char conf[PATH_MAX + 16];
  const char *const argv[] = { broker_child_program(), "-c", config_path, NULL }, *const env[] = { conf, NULL };
  const struct hf_spawn spawn = {
    .argv = argv, .add_env = openssl_conf ? env : NULL, .out = out, .ends_with_us = true, .new_session = true
  };
  snprintf(conf, sizeof(conf), "OPENSSL_CONF=%s", openssl_conf ? openssl_conf : "");
  hf_err e = hf_process_start(&spawn, ret_pid);
  if (e.code != HF_ERR_NOT_FOUND)
    return e;
  return hf_hint(hf_fail(HF_ERR_NOT_FOUND, "mosquitto, the local MQTT broker"),
                 "Install it ('apt-get install mosquitto'), or set mqtt.broker to external and use another broker.");
}

hf_err broker_child_start(const char *config_path, const char *pid_path, const char *openssl_conf,
                          struct broker_child *ret_child)
{
  int pair[2];
  struct broker_child child = BROKER_NO_CHILD;
  if (pipe2(pair, O_CLOEXEC | O_NONBLOCK) != 0)
    return hf_fail_errno(errno, "a pipe");
  /* Its end blocks, or its log would be cut where we are slow. */
  fcntl(pair[1], F_SETFL, 0);
  hf_err e = start(config_path, openssl_conf, pair[1], &child.pid);
  close(pair[1]);
  if (hf_failed(e)) {
    close(pair[0]);
    return e;
  }
  child.log_fd = pair[0];
  child.pid_fd = (int)syscall(SYS_pidfd_open, child.pid, 0);
  e = child.pid_fd >= 0 ? write_number(pid_path, child.pid) : hf_fail_errno(errno, "watching mosquitto");
  if (hf_failed(e)) {
    broker_child_end(&child);
    return e;
  }
  *ret_child = child;
  return HF_OK;
}

/* Its log */

static void pass_on(struct broker_child *child)
{
  static const struct {
    const char *begins;
    enum hf_log_level level;
  } rows[] = { { "Error", HF_LOG_ERROR }, { "Warning", HF_LOG_WARNING }, { "", HF_LOG_INFO } };
  size_t i = 0;
  child->line[child->line_len] = '\0';
  child->line_len = 0;
  while (strncmp(child->line, rows[i].begins, strlen(rows[i].begins)) != 0)
    i++;
  hf_log(rows[i].level, "mosquitto: %s", child->line);
  if (rows[i].level == HF_LOG_ERROR)
    memcpy(child->last_error, child->line, sizeof(child->last_error));
}

void broker_child_log(struct broker_child *child)
{
  char chunk[4096];
  for (ssize_t n; child->log_fd >= 0 && (n = read(child->log_fd, chunk, sizeof(chunk))) > 0;)
    for (ssize_t i = 0; i < n; i++) {
      if (chunk[i] != '\n')
        child->line[child->line_len++] = chunk[i];
      if (child->line_len > 0 && (chunk[i] == '\n' || child->line_len == sizeof(child->line) - 1))
        pass_on(child);
    }
}

/* Its end */

static void forget(struct broker_child *child)
{
  hf_closep(&child->pid_fd);
  hf_closep(&child->log_fd);
  *child = BROKER_NO_CHILD;
}

bool broker_child_ended(struct broker_child *child, char *out, size_t size)
{
  int status;
  if (!child->pid || waitpid(child->pid, &status, WNOHANG) != child->pid)
    return false;
  broker_child_log(child);
  const char *said = child->last_error;
  if (WIFSIGNALED(status))
    snprintf(out, size, "was killed by SIG%s", sigabbrev_np(WTERMSIG(status)));
  else
    snprintf(out, size, "ended with status %d%s%s", WEXITSTATUS(status), said[0] ? ": " : "", said);
  forget(child);
  return true;
}

void broker_child_end(struct broker_child *child)
{
  if (!child->pid)
    return;
  kill(child->pid, SIGTERM);
  int64_t deadline = net_now_ms() + END_MS;
  pid_t pid;
  while ((pid = waitpid(child->pid, NULL, WNOHANG)) == 0 && net_now_ms() < deadline) {
    /* It may wait for us to read. */
    broker_child_log(child);
    poll(NULL, 0, PAUSE_MS);
  }
  if (pid == 0) {
    kill(child->pid, SIGKILL);
    waitpid(child->pid, NULL, 0);
  }
  broker_child_log(child);
  forget(child);
}
