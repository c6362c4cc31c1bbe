/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/pidfile.h"

#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/file.h>
#include <time.h>

enum { NUMBER_MAX = 32, TRIES = 10, PAUSE_NS = 20000000 };

hf_err core_run_file(const struct config *config, const char *name, char *out, size_t size)
{
  char dir[PATH_MAX];
  HF_TRY(config_run_path(config, dir, sizeof(dir)));
  int len = snprintf(out, size, "%s/%s", dir, name);
  return len >= 0 && (size_t)len < size ? HF_OK : hf_fail(HF_ERR_LIMIT, "the path %.64s.../%s", dir, name);
}

static pid_t read_number(int fd)
{
  char text[NUMBER_MAX] = "";
  ssize_t n = pread(fd, text, sizeof(text) - 1, 0);
  return n > 0 ? (pid_t)strtol(text, NULL, 10) : 0;
}

static hf_err taken(const char *path)
{
  HF_CLEANUP(hf_closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
  return hf_hint(
      hf_fail(HF_ERR_BUSY, "holdfast-core runs already, as process %d (%s)", fd >= 0 ? (int)read_number(fd) : 0, path),
      "End it first ('holdfast core stop'), or choose another run.path.");
}

hf_err pidfile_take(const struct config *config, int *ret_fd)
{
  char path[PATH_MAX], text[NUMBER_MAX];
  int fd = -1;
  HF_TRY(core_run_file(config, "core.pid", path, sizeof(path)));
  HF_TRY(hf_dir_make_above(path, 0755));
  hf_err e = hf_file_lock(path, &fd);
  /* Someone who looks whether we run has it for a moment. */
  for (int i = 0; e.code == HF_ERR_BUSY && i < TRIES; i++) {
    nanosleep(&(struct timespec){ .tv_nsec = PAUSE_NS }, NULL);
    e = hf_file_lock(path, &fd);
  }
  if (e.code == HF_ERR_BUSY)
    return taken(path);
  HF_TRY(e);
  int len = snprintf(text, sizeof(text), "%d\n", (int)getpid());
  if (ftruncate(fd, 0) != 0 || pwrite(fd, text, (size_t)len, 0) != len) {
    e = hf_fail_errno(errno, "writing %s", path);
    close(fd);
    return e;
  }
  *ret_fd = fd;
  return HF_OK;
}

hf_err pidfile_read(const struct config *config, pid_t *ret_pid)
{
  char path[PATH_MAX];
  HF_TRY(core_run_file(config, "core.pid", path, sizeof(path)));
  HF_CLEANUP(hf_closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0 && errno != ENOENT)
    return hf_fail_errno(errno, "%s", path);
  bool runs = fd >= 0 && flock(fd, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
  *ret_pid = runs ? read_number(fd) : 0;
  return HF_OK;
}
