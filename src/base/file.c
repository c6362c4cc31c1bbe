/* SPDX-License-Identifier: Apache-2.0 */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/auxv.h>
#include <sys/file.h>
#include <sys/stat.h>

/* What is written aside is called so, and six characters of mkostemp's after it. */
#define ASIDE ".aside-"
enum { ASIDE_RANDOM = 6 };

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

static void parent_of(const char *path, char out[PATH_MAX])
{
  snprintf(out, PATH_MAX, "%s", path);
  char *slash = strrchr(out, '/');
  if (slash)
    slash[slash == out ? 1 : 0] = '\0';
  else
    snprintf(out, PATH_MAX, ".");
}

static hf_err sync_parent(const char *path)
{
  char parent[PATH_MAX];
  parent_of(path, parent);
  HF_CLEANUP(hf_closep) int fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0 || fsync(fd) != 0)
    return hf_fail_errno(errno, "syncing the directory of %s", path);
  return HF_OK;
}

/*
 * By its descriptor: the directory's owner may put another file in the path's place. Where everyone may write, what lies
 * there says nothing of whose it should be.
 */
static hf_err give_owner(int fd, const char *path)
{
  char parent[PATH_MAX];
  struct stat dir, old, own;
  if (geteuid() != 0)
    return HF_OK;
  parent_of(path, parent);
  if (stat(parent, &dir) != 0 || fstat(fd, &own) != 0)
    return hf_fail_errno(errno, "%s", parent);
  bool replaces = lstat(path, &old) == 0 && old.st_ino != own.st_ino && S_ISREG(old.st_mode) && old.st_nlink == 1;
  if ((dir.st_mode & S_IWOTH) || (!replaces && dir.st_uid == 0))
    return HF_OK;
  const struct stat *like = replaces ? &old : &dir;
  if (like->st_uid == own.st_uid && like->st_gid == own.st_gid)
    return HF_OK;
  return fchown(fd, like->st_uid, like->st_gid) == 0 ? HF_OK : hf_fail_errno(errno, "the owner of %s", path);
}

/* The new file's mode, owner and content. */
static hf_err fill(int fd, const char *path, const void *data, size_t len, mode_t mode)
{
  HF_TRY(fchmod(fd, mode) == 0 ? HF_OK : hf_fail_errno(errno, "%s", path));
  HF_TRY(give_owner(fd, path));
  return write_all(fd, path, data, len);
}

hf_err hf_file_write(const char *path, const void *data, size_t len, mode_t mode)
{
  char aside[PATH_MAX];
  if ((size_t)snprintf(aside, sizeof(aside), "%s" ASIDE "XXXXXX", path) >= sizeof(aside))
    return hf_fail(HF_ERR_LIMIT, "the path %s", path);
  HF_CLEANUP(hf_closep) int fd = mkostemp(aside, O_CLOEXEC);
  if (fd < 0)
    return hf_fail_errno(errno, "%s", path);
  hf_err e = fill(fd, path, data, len, mode);
  if (!hf_failed(e) && rename(aside, path) != 0)
    e = hf_fail_errno(errno, "%s", path);
  if (hf_failed(e)) {
    unlink(aside);
    return e;
  }
  return sync_parent(path);
}

void hf_file_tidy(const char *path)
{
  char parent[PATH_MAX], prefix[PATH_MAX];
  const char *slash = strrchr(path, '/');
  parent_of(path, parent);
  snprintf(prefix, sizeof(prefix), "%s" ASIDE, slash ? slash + 1 : path);
  HF_CLEANUP(hf_closedirp) DIR *dir = opendir(parent);
  for (struct dirent *entry; dir && (entry = readdir(dir));)
    if (strncmp(entry->d_name, prefix, strlen(prefix)) == 0 && strlen(entry->d_name) == strlen(prefix) + ASIDE_RANDOM)
      unlinkat(dirfd(dir), entry->d_name, 0);
}

hf_err hf_file_create(const char *path, const void *data, size_t len, mode_t mode)
{
  HF_CLEANUP(hf_closep) int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
  if (fd < 0)
    return hf_fail_errno(errno, "making %s", path);
  hf_err e = fill(fd, path, data, len, mode);
  if (hf_failed(e)) {
    unlink(path);
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
  HF_CLEANUP(hf_closep) int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NOFOLLOW, S_IRUSR | S_IWUSR);
  if (fd < 0)
    return hf_fail_errno(errno, "%s", path);
  HF_TRY(give_owner(fd, path));
  if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
    *ret_fd = fd;
    fd = -1;
    return HF_OK;
  }
  int error = errno;
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

hf_err hf_pin_source_path(const char *source, char *out, size_t size)
{
  char path[PATH_MAX];
  const char *text;
  bool file = strncmp(source, "env:", 4) != 0 && strncmp(source, "credential:", 11) != 0;
  if (!file)
    return hf_hint(hf_fail(HF_ERR_USAGE, "pin-source %s is no file that can be written", source), "Name a file.");
  HF_TRY(pin_source_open(source, path, sizeof(path), &text));
  return (size_t)snprintf(out, size, "%s", path) < size ? HF_OK : hf_fail(HF_ERR_LIMIT, "pin-source %s", source);
}

uint64_t hf_file_stamp(const char *path)
{
  struct stat st;
  if (stat(path, &st) != 0)
    return 0;
  const uint64_t parts[] = { (uint64_t)st.st_ino, (uint64_t)st.st_size, (uint64_t)st.st_mtim.tv_sec,
                             (uint64_t)st.st_mtim.tv_nsec, (uint64_t)st.st_ctim.tv_nsec };
  uint64_t stamp = 1;
  for (size_t i = 0; i < HF_ARRAY_LEN(parts); i++)
    stamp = (stamp ^ parts[i]) * 0x100000001b3;
  return stamp ? stamp : 1;
}

uint64_t hf_pin_source_stamp(const char *source)
{
  char path[PATH_MAX];
  const char *text;
  if (hf_failed(pin_source_open(source, path, sizeof(path), &text)) || text)
    return 0;
  return hf_file_stamp(path);
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
