/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/sockets.h"

#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>

enum { SYSTEMD_FIRST_FD = 3, SYSTEMD_FDS_MAX = 16, BACKLOG = SOMAXCONN, NSS_BUFFER = 16 * 1024 };

static const struct {
  const char *name;
  enum option option;
} rows[SOCKET_KINDS] = {
  [SOCKET_SIGNING] = { "signing", OPTION_SOCKET_PATH },
  [SOCKET_PKCS11] = { "pkcs11", OPTION_PKCS11_SOCKET },
  [SOCKET_METRICS] = { "metrics", OPTION_METRICS_SOCKET },
};

const char *socket_kind_name(enum socket_kind kind)
{
  return rows[kind].name;
}

hf_err sockets_group(const struct options *options, gid_t *ret_group)
{
  const char *name = options_get(options, OPTION_SOCKET_GROUP);
  if (!name) {
    *ret_group = getegid();
    return HF_OK;
  }
  char buffer[NSS_BUFFER];
  struct group entry, *found = NULL;
  if (getgrnam_r(name, &entry, buffer, sizeof(buffer), &found) == 0 && found) {
    *ret_group = entry.gr_gid;
    return HF_OK;
  }
  char *end;
  unsigned long number = strtoul(name, &end, 10);
  if (*end || name[0] < '0' || name[0] > '9' || number >= (gid_t)-1)
    return hf_hint(hf_fail(HF_ERR_USAGE, "--socket-group: there is no group '%s'", name),
                   "'getent group' lists the groups.");
  *ret_group = (gid_t)number;
  return HF_OK;
}

/* What systemd passed */

static void path_of_socket(int fd, char *out, size_t size)
{
  struct sockaddr_un at = { 0 };
  socklen_t len = sizeof(at);
  out[0] = '\0';
  if (getsockname(fd, (struct sockaddr *)&at, &len) == 0 && at.sun_family == AF_UNIX && at.sun_path[0])
    snprintf(out, size, "%.*s", (int)sizeof(at.sun_path) - 1, at.sun_path);
}

static bool is_listener(int fd)
{
  int listens = 0, domain = 0;
  socklen_t len = sizeof(int);
  return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &len) == 0 && listens &&
         getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) == 0 && domain == AF_UNIX;
}

static enum socket_kind kind_of(const struct options *options, const struct sockets *sockets, const char *name,
                                const char *path)
{
  for (enum socket_kind i = 0; i < SOCKET_KINDS; i++)
    if (strcmp(rows[i].name, name) == 0)
      return i;
  for (enum socket_kind i = 0; i < SOCKET_KINDS; i++)
    if (path[0] && strcmp(options_get(options, rows[i].option), path) == 0)
      return i;
  enum socket_kind i = 0;
  while (i < SOCKET_KINDS && sockets->list[i].fd >= 0)
    i++;
  return i;
}

static hf_err take_one(const struct options *options, int fd, const char *name, struct sockets *sockets)
{
  char path[sizeof(sockets->list[0].path)];
  path_of_socket(fd, path, sizeof(path));
  if (!is_listener(fd))
    return hf_hint(hf_fail(HF_ERR_CONFIG, "what systemd passed as '%s' is no listening UNIX stream socket", name),
                   "Write ListenStream= with a path, and Accept=no, in the socket unit.");
  enum socket_kind kind = kind_of(options, sockets, name, path);
  if (kind == SOCKET_KINDS || sockets->list[kind].fd >= 0)
    return hf_hint(hf_fail(HF_ERR_CONFIG, "systemd passed more sockets than the agent has uses for: '%s'", name),
                   "Name them by FileDescriptorName=signing, pkcs11 or metrics.");
  fcntl(fd, F_SETFD, FD_CLOEXEC);
  sockets->list[kind].fd = fd;
  snprintf(sockets->list[kind].path, sizeof(sockets->list[kind].path), "%s", path);
  hf_log(HF_LOG_INFO, "%s socket from systemd: %s", rows[kind].name, path);
  return HF_OK;
}

static hf_err take_from_systemd(const struct options *options, struct sockets *sockets)
{
  const char *pid = getenv("LISTEN_PID"), *count_text = getenv("LISTEN_FDS"), *names = getenv("LISTEN_FDNAMES");
  if (!pid || !count_text || strtol(pid, NULL, 10) != getpid())
    return HF_OK;
  long count = strtol(count_text, NULL, 10);
  if (count <= 0 || count > SYSTEMD_FDS_MAX)
    return hf_fail(HF_ERR_CONFIG, "LISTEN_FDS=%s", count_text);
  for (int i = 0; i < (int)count; i++) {
    char name[64];
    size_t len = names ? strcspn(names, ":") : 0;
    snprintf(name, sizeof(name), "%.*s", (int)len, names ? names : "");
    HF_TRY(take_one(options, SYSTEMD_FIRST_FD + i, name, sockets));
    names = names && names[len] ? names + len + 1 : NULL;
  }
  sockets->activated = true;
  return HF_OK;
}

/* What we make ourselves */

static hf_err taken(const char *path)
{
  return hf_hint(hf_fail(HF_ERR_CONFIG, "another agent serves %s", path),
                 "End that one first, or choose another path.");
}

static hf_err take_lock(const char *path, int *ret_fd)
{
  char lock[PATH_MAX];
  snprintf(lock, sizeof(lock), "%s.lock", path);
  int fd = open(lock, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0)
    return hf_fail_errno(errno, "%s", lock);
  if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
    *ret_fd = fd;
    return HF_OK;
  }
  int error = errno;
  close(fd);
  return error == EWOULDBLOCK ? taken(path) : hf_fail_errno(error, "locking %s", lock);
}

/* Nobody listens there any more: it goes. With the lock held, nobody can begin to meanwhile. */
static hf_err remove_stale(const struct sockaddr_un *at)
{
  struct stat status;
  if (lstat(at->sun_path, &status) != 0)
    return HF_OK;
  if (!S_ISSOCK(status.st_mode))
    return hf_hint(hf_fail(HF_ERR_CONFIG, "%s is there and is no socket", at->sun_path),
                   "Move it away, or choose another path.");
  HF_CLEANUP(hf_closep) int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (probe < 0)
    return hf_fail_errno(errno, "%s", at->sun_path);
  int error = connect(probe, (const struct sockaddr *)at, sizeof(*at)) == 0 ? 0 : errno;
  if (error == EACCES)
    return hf_fail_errno(error, "%s", at->sun_path);
  if (error != ECONNREFUSED)
    return taken(at->sun_path);
  hf_log(HF_LOG_WARNING, "removing the stale socket %s", at->sun_path);
  return unlink(at->sun_path) == 0 ? HF_OK : hf_fail_errno(errno, "removing the stale socket %s", at->sun_path);
}

static hf_err bind_and_listen(int fd, const struct sockaddr_un *at, gid_t group)
{
  /* Nobody gets in before group and mode are set. */
  mode_t old = umask(0177);
  int failed = bind(fd, (const struct sockaddr *)at, sizeof(*at)) != 0 ? errno : 0;
  umask(old);
  if (failed)
    return hf_fail_errno(failed, "the socket %s", at->sun_path);
  if ((group != getegid() && chown(at->sun_path, (uid_t)-1, group) != 0) || chmod(at->sun_path, 0660) != 0 ||
      listen(fd, BACKLOG) != 0) {
    failed = errno;
    unlink(at->sun_path);
    return hf_fail_errno(failed, "the socket %s for group %u", at->sun_path, (unsigned)group);
  }
  return HF_OK;
}

static hf_err make_one(const char *path, gid_t group, struct agent_socket *ret_socket)
{
  struct sockaddr_un at = { .sun_family = AF_UNIX };
  if ((size_t)snprintf(at.sun_path, sizeof(at.sun_path), "%s", path) >= sizeof(at.sun_path))
    return hf_fail(HF_ERR_LIMIT, "the socket's path %s is longer than %zu bytes", path, sizeof(at.sun_path) - 1);
  HF_TRY(hf_dir_make_above(path, 0755));
  int lock = -1;
  HF_TRY(take_lock(path, &lock));
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  hf_err e = fd < 0 ? hf_fail_errno(errno, "a socket") : remove_stale(&at);
  if (!hf_failed(e))
    e = bind_and_listen(fd, &at, group);
  if (hf_failed(e)) {
    if (fd >= 0)
      close(fd);
    close(lock);
    return e;
  }
  *ret_socket = (struct agent_socket){ .fd = fd, .lock_fd = lock };
  memcpy(ret_socket->path, at.sun_path, sizeof(at.sun_path));
  hf_log(HF_LOG_INFO, "listening on %s", path);
  return HF_OK;
}

static hf_err make_missing(const struct options *options, struct sockets *sockets)
{
  gid_t group;
  HF_TRY(sockets_group(options, &group));
  for (enum socket_kind i = 0; i < SOCKET_KINDS; i++) {
    enum option option = rows[i].option;
    const char *path = options_get(options, option);
    if (sockets->list[i].fd >= 0 || strcmp(path, "none") == 0 || (sockets->activated && !options->given[option]))
      continue;
    hf_err e = make_one(path, group, &sockets->list[i]);
    if (e.code == HF_ERR_PERMISSION && i != SOCKET_SIGNING && !options->given[option])
      hf_log(HF_LOG_WARNING, "no %s socket: %s", rows[i].name, hf_err_context());
    else
      HF_TRY(e);
  }
  return HF_OK;
}

hf_err sockets_open(const struct options *options, struct sockets *ret_sockets)
{
  struct sockets sockets = { .activated = false };
  for (enum socket_kind i = 0; i < SOCKET_KINDS; i++)
    sockets.list[i] = (struct agent_socket){ .fd = -1, .lock_fd = -1 };
  hf_err e = take_from_systemd(options, &sockets);
  if (!hf_failed(e))
    e = make_missing(options, &sockets);
  if (hf_failed(e)) {
    sockets_close(&sockets);
    return e;
  }
  *ret_sockets = sockets;
  return HF_OK;
}

void sockets_close(struct sockets *sockets)
{
  for (enum socket_kind i = 0; i < SOCKET_KINDS; i++) {
    struct agent_socket *socket = &sockets->list[i];
    if (socket->fd >= 0)
      close(socket->fd);
    if (socket->lock_fd >= 0) {
      unlink(socket->path);
      close(socket->lock_fd);
    }
    *socket = (struct agent_socket){ .fd = -1, .lock_fd = -1 };
  }
}
