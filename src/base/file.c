/* SPDX-License-Identifier: Apache-2.0 */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/auxv.h>
#include <sys/file.h>
#include <sys/stat.h>

enum { READ_CHUNK = 16 * 1024, PIN_FILE_MAX = 4096, PIN_MAX = 255 };

static hf_err read_all(int fd, const char *path, struct hf_buf *out)
{
  for (;;) {
    uint8_t chunk[READ_CHUNK];
    ssize_t n = read(fd, chunk, sizeof(chunk));
    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0)
      return hf_fail_errno(errno, "reading %s", path);
    if (n == 0)
      return HF_OK;
    hf_err e = hf_buf_add(out, chunk, (size_t)n);
    hf_wipe(chunk, (size_t)n);
    if (e.code == HF_ERR_LIMIT)
      return hf_fail(HF_ERR_LIMIT, "%s is larger than %zu bytes", path, out->max);
    HF_TRY(e);
  }
}

hf_err hf_file_read(const char *path, struct hf_buf *out)
{
  HF_CLEANUP(hf_closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
  if (fd < 0)
    return hf_fail_errno(errno, "%s", path);
  return read_all(fd, path, out);
}

static hf_err write_all(int fd, const char *path, const uint8_t *data, size_t len)
{
  while (len > 0) {
    ssize_t n = write(fd, data, len);
    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0)
      return hf_fail_errno(errno, "writing %s", path);
    data += n;
    len -= (size_t)n;
  }
  return fsync(fd) == 0 ? HF_OK : hf_fail_errno(errno, "writing %s", path);
}

static hf_err sync_parent(const char *path)
{
  char parent[PATH_MAX];
  snprintf(parent, sizeof(parent), "%s", path);
  char *slash = strrchr(parent, '/');
  if (slash)
    slash[slash == parent ? 1 : 0] = '\0';
  HF_CLEANUP(hf_closep) int fd = open(slash ? parent : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0 || fsync(fd) != 0)
    return hf_fail_errno(errno, "syncing the directory of %s", path);
  return HF_OK;
}

hf_err hf_file_write(const char *path, const void *data, size_t len, mode_t mode)
{
  char aside[PATH_MAX];
  if ((size_t)snprintf(aside, sizeof(aside), "%s.XXXXXX", path) >= sizeof(aside))
    return hf_fail(HF_ERR_LIMIT, "the path %s", path);
  HF_CLEANUP(hf_closep) int fd = mkostemp(aside, O_CLOEXEC);
  if (fd < 0)
    return hf_fail_errno(errno, "%s", path);
  hf_err e = fchmod(fd, mode) == 0 ? write_all(fd, path, data, len) : hf_fail_errno(errno, "%s", path);
  if (!hf_failed(e) && rename(aside, path) != 0)
    e = hf_fail_errno(errno, "%s", path);
  if (hf_failed(e)) {
    unlink(aside);
    return e;
  }
  return sync_parent(path);
}

hf_err hf_file_rename(const char *from, const char *to)
{
  if (rename(from, to) != 0)
    return hf_fail_errno(errno, "renaming %s to %s", from, to);
  return sync_parent(to);
}

hf_err hf_file_remove(const char *path)
{
  if (unlink(path) != 0)
    return errno == ENOENT ? HF_OK : hf_fail_errno(errno, "removing %s", path);
  return sync_parent(path);
}

hf_err hf_file_lock(const char *path, int *ret_fd)
{
  int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOCTTY, S_IRUSR | S_IWUSR);
  if (fd < 0)
    return hf_fail_errno(errno, "%s", path);
  if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
    *ret_fd = fd;
    return HF_OK;
  }
  int error = errno;
  close(fd);
  return error == EWOULDBLOCK ? hf_fail(HF_ERR_BUSY, "%s is locked by another program", path)
                              : hf_fail_errno(error, "locking %s", path);
}

hf_err hf_dir_make(const char *path)
{
  char partial[PATH_MAX];
  if ((size_t)snprintf(partial, sizeof(partial), "%s", path) >= sizeof(partial))
    return hf_fail(HF_ERR_LIMIT, "the path %s", path);
  for (char *p = partial + 1;; p++) {
    if (*p != '/' && *p != '\0')
      continue;
    char kept = *p;
    *p = '\0';
    if (mkdir(partial, 0700) != 0 && errno != EEXIST)
      return hf_fail_errno(errno, "making the directory %s", partial);
    *p = kept;
    if (!kept)
      return HF_OK;
  }
}

hf_err hf_dir_make_above(const char *path, mode_t mode)
{
  char partial[PATH_MAX];
  if ((size_t)snprintf(partial, sizeof(partial), "%s", path) >= sizeof(partial))
    return hf_fail(HF_ERR_LIMIT, "the path %s", path);
  for (char *p = partial[0] ? strchr(partial + 1, '/') : NULL; p; p = strchr(p + 1, '/')) {
    *p = '\0';
    if (mkdir(partial, mode) != 0 && errno != EEXIST)
      return hf_fail_errno(errno, "making the directory %s", partial);
    *p = '/';
  }
  return HF_OK;
}

/* Where a source leads: text is the PIN itself (env:), or path is to be read. */
static hf_err pin_source_open(const char *source, char *path, size_t size, const char **ret_text)
{
  static const char env[] = "env:", credential[] = "credential:", file[] = "file:";
  *ret_text = NULL;
  if (strncmp(source, env, sizeof(env) - 1) == 0) {
    *ret_text = getenv(source + sizeof(env) - 1);
    return *ret_text ? HF_OK
                     : hf_fail(HF_ERR_PIN_MISSING, "the environment variable of pin-source %s is not set", source);
  }
  if (strncmp(source, credential, sizeof(credential) - 1) == 0) {
    const char *dir = getenv("CREDENTIALS_DIRECTORY");
    if (!dir)
      return hf_fail(HF_ERR_PIN_MISSING, "pin-source %s, but $CREDENTIALS_DIRECTORY is not set", source);
    snprintf(path, size, "%s/%s", dir, source + sizeof(credential) - 1);
    return HF_OK;
  }
  if (strncmp(source, file, sizeof(file) - 1) == 0) {
    source += sizeof(file) - 1;
    if (strncmp(source, "///", 3) == 0)
      source += 2;
  }
  if ((size_t)snprintf(path, size, "%s", source) >= size)
    return hf_fail(HF_ERR_LIMIT, "pin-source %s", source);
  return HF_OK;
}

hf_err hf_pin_source_read(const char *source, struct hf_secret **ret_pin)
{
  char path[PATH_MAX];
  const char *text;
  HF_TRY(pin_source_open(source, path, sizeof(path), &text));
  HF_CLEANUP(hf_buf_free) struct hf_buf content = HF_BUF(PIN_FILE_MAX);
  if (!text) {
    HF_TRY(hf_file_read(path, &content));
    text = hf_buf_str(&content);
    if (!text)
      return hf_fail(HF_ERR_NO_MEMORY, "reading pin-source %s", source);
  }
  size_t len = strcspn(text, "\r\n");
  if (len == 0 || len > PIN_MAX)
    return hf_fail(HF_ERR_PIN_LEN_RANGE, "pin-source %s holds %s", source, len ? "a line over 255 bytes" : "no PIN");
  return hf_secret_new(text, len, ret_pin);
}

uint64_t hf_pin_source_stamp(const char *source)
{
  char path[PATH_MAX];
  const char *text;
  struct stat st;
  if (hf_failed(pin_source_open(source, path, sizeof(path), &text)) || text || stat(path, &st) != 0)
    return 0;
  const uint64_t parts[] = { (uint64_t)st.st_ino, (uint64_t)st.st_size, (uint64_t)st.st_mtim.tv_sec,
                             (uint64_t)st.st_mtim.tv_nsec, (uint64_t)st.st_ctim.tv_nsec };
  uint64_t stamp = 1;
  for (size_t i = 0; i < HF_ARRAY_LEN(parts); i++)
    stamp = (stamp ^ parts[i]) * 0x100000001b3;
  return stamp ? stamp : 1;
}

/* Without /proc (a bare chroot), the name that the kernel was given tells. */
static bool own_path(char out[PATH_MAX])
{
  return realpath("/proc/self/exe", out) || realpath((const char *)getauxval(AT_EXECFN), out);
}

hf_err hf_file_beside_program(const char *const *places, size_t count, char *out, size_t size)
{
  char self[PATH_MAX];
  if (!own_path(self))
    return hf_fail(HF_ERR_NOT_FOUND, "this program's own path");
  *(strrchr(self, '/') + 1) = '\0';
  for (size_t i = 0; i < count; i++) {
    char path[2 * PATH_MAX], real[PATH_MAX];
    snprintf(path, sizeof(path), "%s%s", self, places[i]);
    if (realpath(path, real) && (size_t)snprintf(out, size, "%s", real) < size)
      return HF_OK;
  }
  return hf_fail(HF_ERR_NOT_FOUND, "%s%s", self, places[0]);
}
