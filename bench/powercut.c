/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A power cut, simulated. Preloaded into a program that writes a file "data.mdb", it keeps a second file, "data.mdb.synced", with what
 * a disk is sure to have: what was written before the last successful fdatasync or fsync, or through a descriptor that syncs each
 * write. After the program's death the second takes the first one's place.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

enum { FDS_MAX = 1024, RANGES_MAX = 1 << 16, COPY_BYTES = 1 << 16 };

static struct watched {
  bool on, synced_writes;
} watched[FDS_MAX];

static struct range {
  off_t at;
  size_t len;
} ranges[RANGES_MAX];
static size_t range_count;
static int shadow = -1;

EXPORT int open(const char *path, int flags, ...);
EXPORT int open64(const char *path, int flags, ...);
EXPORT int close(int fd);
EXPORT ssize_t pwrite(int fd, const void *data, size_t len, off_t at);
EXPORT ssize_t pwrite64(int fd, const void *data, size_t len, off_t at);
EXPORT ssize_t writev(int fd, const struct iovec *parts, int count);
EXPORT int fdatasync(int fd);
EXPORT int fsync(int fd);

static void *real(const char *name)
{
  void *found = dlsym(RTLD_NEXT, name);
  if (!found)
    abort();
  return found;
}

static ssize_t real_pwrite(int fd, const void *data, size_t len, off_t at)
{
  ssize_t (*call)(int, const void *, size_t, off_t);
  *(void **)&call = real("pwrite64");
  return call(fd, data, len, at);
}

static void copy(int fd, off_t at, size_t len)
{
  static char bytes[COPY_BYTES];
  while (len > 0) {
    ssize_t n = pread(fd, bytes, len < sizeof(bytes) ? len : sizeof(bytes), at);
    if (n <= 0 || real_pwrite(shadow, bytes, (size_t)n, at) != n)
      return;
    at += n;
    len -= (size_t)n;
  }
}

/* What is there at the beginning was there before. */
static void begin_shadow(const char *path, int fd)
{
  char name[4096];
  struct stat st;
  int (*call)(const char *, int, ...);
  *(void **)&call = real("open64");
  snprintf(name, sizeof(name), "%s.synced", path);
  shadow = call(name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (shadow >= 0 && fstat(fd, &st) == 0)
    copy(fd, 0, (size_t)st.st_size);
}

static void watch(const char *path, int flags, int fd)
{
  size_t len = strlen(path);
  static const char name[] = "/data.mdb", making[] = "/making/data.mdb";
  if (fd < 0 || fd >= FDS_MAX || len < sizeof(making) || strcmp(path + len - (sizeof(name) - 1), name) != 0 ||
      strcmp(path + len - (sizeof(making) - 1), making) == 0 || (flags & O_ACCMODE) == O_RDONLY)
    return;
  if (shadow < 0)
    begin_shadow(path, fd);
  watched[fd] = (struct watched){ true, flags & O_DSYNC };
}

static int open_it(const char *path, int flags, mode_t mode)
{
  int (*call)(const char *, int, ...);
  *(void **)&call = real("open64");
  int fd = call(path, flags, mode);
  watch(path, flags, fd);
  return fd;
}

int open(const char *path, int flags, ...)
{
  va_list args;
  va_start(args, flags);
  mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(args, mode_t) : 0;
  va_end(args);
  return open_it(path, flags, mode);
}

int open64(const char *path, int flags, ...)
{
  va_list args;
  va_start(args, flags);
  mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(args, mode_t) : 0;
  va_end(args);
  return open_it(path, flags, mode);
}

int close(int fd)
{
  int (*call)(int);
  *(void **)&call = real("close");
  if (fd >= 0 && fd < FDS_MAX)
    watched[fd].on = false;
  return call(fd);
}

static void written(int fd, off_t at, ssize_t len)
{
  if (fd < 0 || fd >= FDS_MAX || !watched[fd].on || len <= 0)
    return;
  if (range_count == RANGES_MAX)
    abort();
  ranges[range_count++] = (struct range){ at, (size_t)len };
}

ssize_t pwrite64(int fd, const void *data, size_t len, off_t at)
{
  ssize_t n = real_pwrite(fd, data, len, at);
  /* LMDB writes its meta pages through a descriptor that cannot be read. */
  if (n > 0 && fd >= 0 && fd < FDS_MAX && watched[fd].on && watched[fd].synced_writes)
    real_pwrite(shadow, data, (size_t)n, at);
  else
    written(fd, at, n);
  return n;
}

ssize_t pwrite(int fd, const void *data, size_t len, off_t at)
{
  return pwrite64(fd, data, len, at);
}

ssize_t writev(int fd, const struct iovec *parts, int count)
{
  ssize_t (*call)(int, const struct iovec *, int);
  *(void **)&call = real("writev");
  off_t at = fd >= 0 && fd < FDS_MAX && watched[fd].on ? lseek(fd, 0, SEEK_CUR) : 0;
  ssize_t n = call(fd, parts, count);
  written(fd, at, n);
  return n;
}

static int sync_it(const char *name, int fd)
{
  int (*call)(int);
  *(void **)&call = real(name);
  int rc = call(fd);
  if (rc != 0 || fd < 0 || fd >= FDS_MAX || !watched[fd].on)
    return rc;
  for (size_t i = 0; i < range_count; i++)
    copy(fd, ranges[i].at, ranges[i].len);
  range_count = 0;
  return rc;
}

int fdatasync(int fd)
{
  return sync_it("fdatasync", fd);
}

int fsync(int fd)
{
  return sync_it("fsync", fd);
}
