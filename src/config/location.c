/* SPDX-License-Identifier: Apache-2.0 */
#include "config/location.h"

#include "base/file.h"
#include "config/config.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/file.h>
#include <sys/stat.h>

/* False where the user has no home. */
static bool own_file(char *out, size_t size)
{
  const char *xdg = getenv("XDG_CONFIG_HOME");
  const char *home = getenv("HOME");
  int n = 0;
  if (xdg && xdg[0] == '/')
    n = snprintf(out, size, "%s/holdfast/config.json", xdg);
  else if (home && home[0] == '/')
    n = snprintf(out, size, "%s/.config/holdfast/config.json", home);
  return n > 0 && (size_t)n < size;
}

static const char *default_file(char *own, size_t size)
{
  if (geteuid() == 0 || !own_file(own, size))
    return CONFIG_SYSTEM_FILE;
  return access(own, F_OK) != 0 && access(CONFIG_SYSTEM_FILE, F_OK) == 0 ? CONFIG_SYSTEM_FILE : own;
}

hf_err location_find(const char *path, char **ret_path, bool *ret_named)
{
  char own[PATH_MAX];
  bool named = path;
  if (!path)
    path = getenv("HOLDFAST_CONFIG");
  if (!path || !path[0])
    path = default_file(own, sizeof(own));
  /* Where a link leads: the file is replaced by a rename. */
  char *found = realpath(path, NULL);
  if (!found)
    found = strdup(path);
  if (!found)
    return hf_fail(HF_ERR_NO_MEMORY, "the configuration's path");
  *ret_path = found;
  *ret_named = named;
  return HF_OK;
}

static hf_err parent_of(const char *path, char *out, size_t size)
{
  const char *slash = strrchr(path, '/');
  int n =
      !slash ? snprintf(out, size, ".") : snprintf(out, size, "%.*s", slash == path ? 1 : (int)(slash - path), path);
  return n >= 0 && (size_t)n < size ? HF_OK : hf_fail(HF_ERR_LIMIT, "the path %s", path);
}

hf_err location_lock(const char *path, int *ret_fd)
{
  char parent[PATH_MAX];
  HF_TRY(parent_of(path, parent, sizeof(parent)));
  HF_TRY(hf_dir_make(parent));
  int fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0)
    return hf_fail_errno(errno, "%s", parent);
  while (flock(fd, LOCK_EX) != 0)
    if (errno != EINTR) {
      int error = errno;
      close(fd);
      return hf_fail_errno(error, "locking %s", parent);
    }
  *ret_fd = fd;
  return HF_OK;
}

hf_err location_write(const char *path, const void *data, size_t len)
{
  struct stat st;
  bool exists = stat(path, &st) == 0;
  mode_t mode = exists ? (st.st_mode & (S_IRUSR | S_IWUSR | S_IRGRP | S_IWGRP)) : (S_IRUSR | S_IWUSR);
  HF_TRY(hf_file_write(path, data, len, mode));
  if (exists && geteuid() != 0 && (st.st_uid != geteuid() || st.st_gid != getegid()) &&
      chown(path, st.st_uid, st.st_gid) != 0)
    return hf_fail_errno(errno, "keeping the owner of %s", path);
  return HF_OK;
}
