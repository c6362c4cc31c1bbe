/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/service_process.h"

#include "base/file.h"
#include "base/log.h"
#include "base/process.h"
#include "gateway/net.h"
#include "gateway/pidfile.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

enum {
  START_TIMEOUT_MS = 60000,
  STOP_TIMEOUT_MS = 20000,
  POLL_MS = 50,
  LOG_KEPT = 1 << 20, /* a larger one becomes core.log.1 at the next start */
  WORD_MAX = 4096
};

hf_err service_log_path(const struct config *config, char *out, size_t size)
{
  char dir[PATH_MAX];
  HF_TRY(config_data_path(config, dir, sizeof(dir)));
  int len = snprintf(out, size, "%s/core.log", dir);
  return len >= 0 && (size_t)len < size ? HF_OK : hf_fail(HF_ERR_LIMIT, "the path %.64s.../core.log", dir);
}

static hf_err open_log(const struct config *config, int *ret_fd)
{
  char path[PATH_MAX], before[PATH_MAX + 8];
  struct stat st;
  HF_TRY(service_log_path(config, path, sizeof(path)));
  HF_TRY(hf_dir_make_above(path, 0700));
  snprintf(before, sizeof(before), "%s.1", path);
  if (stat(path, &st) == 0 && st.st_size > LOG_KEPT && rename(path, before) != 0)
    return hf_fail_errno(errno, "%s", before);
  int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0)
    return hf_fail_errno(errno, "%s", path);
  *ret_fd = fd;
  return HF_OK;
}

/* Waiting for its first word, as systemd would: by $NOTIFY_SOCKET (sd_notify(3)) */

struct ear {
  struct sockaddr_un at;
  int fd;
  char env[sizeof(((struct sockaddr_un *)NULL)->sun_path) + 16];
};

static void ear_close(struct ear *ear)
{
  hf_closep(&ear->fd);
  if (ear->at.sun_path[0])
    unlink(ear->at.sun_path);
}

static hf_err ear_open(const struct config *config, struct ear *ear)
{
  char name[64];
  ear->at.sun_family = AF_UNIX;
  snprintf(name, sizeof(name), "start-%d.sock", (int)getpid());
  HF_TRY(core_run_file(config, name, ear->at.sun_path, sizeof(ear->at.sun_path)));
  HF_TRY(hf_dir_make_above(ear->at.sun_path, 0755));
  unlink(ear->at.sun_path);
  mode_t old = umask(0177);
  ear->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  int bad = ear->fd < 0 || bind(ear->fd, (const struct sockaddr *)&ear->at, sizeof(ear->at)) != 0 ? errno : 0;
  umask(old);
  if (bad)
    return hf_fail_errno(bad, "the socket %s", ear->at.sun_path);
  snprintf(ear->env, sizeof(ear->env), "NOTIFY_SOCKET=%s", ear->at.sun_path);
  return HF_OK;
}

/* The value of a line NAME=value; false where there is none. */
static bool value_of(const char *word, const char *name, char *out, size_t size)
{
  size_t len = strlen(name);
  for (const char *line = word; *line; line += strcspn(line, "\n"), line += *line == '\n')
    if (strncmp(line, name, len) == 0 && line[len] == '=') {
      snprintf(out, size, "%.*s", (int)strcspn(line + len + 1, "\n"), line + len + 1);
      return true;
    }
  return false;
}

/* Its error as it had it; see core_tell_failure. */
static hf_err told_failure(const char *word)
{
  char code[64] = "", context[HF_CONTEXT_MAX] = "", hint[256] = "";
  value_of(word, "X_HOLDFAST_CODE", code, sizeof(code));
  value_of(word, "X_HOLDFAST_CONTEXT", context, sizeof(context));
  value_of(word, "X_HOLDFAST_HINT", hint, sizeof(hint));
  enum hf_code found = HF_ERR_OK;
  return hf_code_find(code, &found) && found ? hf_hint(hf_fail(found, "%s", context), "%s", hint) : HF_OK;
}

/* *ret_ready: it is; else the error, if it has told one. */
static hf_err hear(struct ear *ear, bool *ret_ready)
{
  char word[WORD_MAX];
  *ret_ready = false;
  for (ssize_t n; (n = recv(ear->fd, word, sizeof(word) - 1, 0)) > 0;) {
    word[n] = '\0';
    char value[8];
    HF_TRY(told_failure(word));
    if (value_of(word, "READY", value, sizeof(value)))
      *ret_ready = true;
  }
  return HF_OK;
}

static hf_err ended(const struct config *config, int status)
{
  char log[PATH_MAX] = "";
  hf_ignore(service_log_path(config, log, sizeof(log)));
  hf_err e = WIFSIGNALED(status)
                 ? hf_fail(HF_ERR_SERVICE, "holdfast-core was killed by SIG%s", sigabbrev_np(WTERMSIG(status)))
                 : hf_fail(HF_ERR_SERVICE, "holdfast-core ended with status %d", WEXITSTATUS(status));
  return hf_hint(e, "Its log is %s.", log);
}

static hf_err await_ready(const struct config *config, struct ear *ear, pid_t pid)
{
  int64_t deadline = net_now_ms() + START_TIMEOUT_MS;
  while (net_now_ms() < deadline) {
    struct pollfd polled = { .fd = ear->fd, .events = POLLIN };
    poll(&polled, 1, POLL_MS);
    int status;
    bool ready, over = waitpid(pid, &status, WNOHANG) == pid;
    HF_TRY(hear(ear, &ready));
    if (ready && !over)
      return HF_OK;
    if (over)
      return ended(config, status);
  }
  kill(pid, SIGTERM);
  return hf_fail(HF_ERR_TIMEOUT, "holdfast-core is not ready after %d s", START_TIMEOUT_MS / 1000);
}

static hf_err spawn(const struct config *config, const char *notify_env, pid_t *ret_pid)
{
  static const char *const places[] = { "holdfast-core", "../gateway/holdfast-core" };
  char program[PATH_MAX];
  hf_err e = hf_file_beside_program(places, HF_ARRAY_LEN(places), program, sizeof(program));
  if (hf_failed(e))
    return hf_hint(e, "Install the gateway daemon.");
  const char *const argv[] = { program, "--config", config_path(config), NULL };
  const char *const env[] = { notify_env, "HOLDFAST_LOG=stderr", NULL };
  HF_CLEANUP(hf_closep) int log = -1;
  HF_TRY(open_log(config, &log));
  const struct hf_spawn options = { .argv = argv, .add_env = env, .out = log, .new_session = true };
  return hf_process_start(&options, ret_pid);
}

/* The verbs */

hf_err service_process_is_active(const struct config *config, bool *ret_active)
{
  pid_t pid;
  HF_TRY(pidfile_read(config, &pid));
  *ret_active = pid != 0;
  return HF_OK;
}

hf_err service_process_start(const struct config *config)
{
  pid_t pid;
  HF_TRY(pidfile_read(config, &pid));
  if (pid != 0)
    return HF_OK;
  HF_CLEANUP(ear_close) struct ear ear = { .fd = -1 };
  HF_TRY(ear_open(config, &ear));
  HF_TRY(spawn(config, ear.env, &pid));
  return await_ready(config, &ear, pid);
}

/* The number in a file is looked at before it gets a signal. */
static hf_err signal_core(pid_t pid, int number)
{
  char path[64], name[32] = "";
  snprintf(path, sizeof(path), "/proc/%d/comm", (int)pid);
  HF_CLEANUP(hf_fclosep) FILE *file = fopen(path, "re");
  if (pid <= 1 || !file || !fgets(name, sizeof(name), file) || strcmp(name, "holdfast-core\n") != 0)
    return hf_hint(hf_fail(HF_ERR_NOT_FOUND, "process %d is no holdfast-core", (int)pid),
                   "Is it in a container of its own?");
  return kill(pid, number) == 0 ? HF_OK : hf_fail_errno(errno, "process %d", (int)pid);
}

hf_err service_process_stop(const struct config *config)
{
  pid_t pid;
  HF_TRY(pidfile_read(config, &pid));
  if (pid == 0)
    return HF_OK;
  HF_TRY(signal_core(pid, SIGTERM));
  for (int64_t deadline = net_now_ms() + STOP_TIMEOUT_MS; net_now_ms() < deadline; poll(NULL, 0, POLL_MS)) {
    pid_t now;
    HF_TRY(pidfile_read(config, &now));
    if (now != pid)
      return HF_OK;
  }
  return hf_hint(hf_fail(HF_ERR_TIMEOUT, "holdfast-core, process %d, does not end", (int)pid), "Kill it: 'kill -9 %d'.",
                 (int)pid);
}

hf_err service_process_restart(const struct config *config)
{
  HF_TRY(service_process_stop(config));
  return service_process_start(config);
}

hf_err service_process_reload(const struct config *config)
{
  pid_t pid;
  HF_TRY(pidfile_read(config, &pid));
  if (pid == 0)
    return hf_hint(hf_fail(HF_ERR_NOT_FOUND, "no holdfast-core runs"), "Start it: 'holdfast core start'.");
  return signal_core(pid, SIGHUP);
}

hf_err service_process_enable(const struct config *config)
{
  (void)config;
  return HF_OK;
}
