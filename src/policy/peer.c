/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/peer.h"

#include "base/buf.h"
#include "base/cleanup.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sys/socket.h>
#include <sys/syscall.h>

/* Linux 6.5; older headers do not have it. */
#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77
#endif

enum { CGROUP_FILE_MAX = 8192, NSS_BUFFER = 16 * 1024 };

static hf_err credentials(int fd, struct ucred *ret_credentials)
{
  socklen_t len = sizeof(*ret_credentials);
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, ret_credentials, &len) != 0)
    return hf_fail_errno(errno, "asking who is at the other end of the socket");
  return HF_OK;
}

hf_err peer_uid_of_socket(int fd, uid_t *ret_uid)
{
  struct ucred who;
  HF_TRY(credentials(fd, &who));
  *ret_uid = who.uid;
  return HF_OK;
}

static void read_groups(int fd, struct peer *peer)
{
  socklen_t len = sizeof(peer->groups);
  if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, peer->groups, &len) == 0)
    peer->group_count = len / sizeof(gid_t);
}

static bool is_unit(const char *name, size_t len)
{
  static const char *const suffixes[] = { ".service", ".scope" };
  for (size_t i = 0; i < HF_ARRAY_LEN(suffixes); i++) {
    size_t n = strlen(suffixes[i]);
    if (len > n && memcmp(name + len - n, suffixes[i], n) == 0)
      return true;
  }
  return false;
}

void peer_unit_of_cgroup(const char *path, char *out, size_t size)
{
  out[0] = '\0';
  while (*path) {
    path += strspn(path, "/");
    size_t len = strcspn(path, "/");
    if (is_unit(path, len) && len < size)
      snprintf(out, size, "%.*s", (int)len, path);
    path += len;
  }
}

/* The unified hierarchy's line is "0::PATH", systemd's own in the older ones "N:name=systemd:PATH". */
static bool unit_of_lines(char *lines, char *out, size_t size)
{
  char *next = NULL;
  for (char *line = strtok_r(lines, "\n", &next); line; line = strtok_r(NULL, "\n", &next)) {
    char *path = strstr(line, "::");
    path = path ? path + 2 : strstr(line, ":name=systemd:");
    if (!path)
      continue;
    peer_unit_of_cgroup(path, out, size);
    if (out[0])
      return true;
  }
  return true;
}

static bool read_unit(pid_t pid, char *out, size_t size)
{
  char path[64], lines[CGROUP_FILE_MAX];
  snprintf(path, sizeof(path), "/proc/%d/cgroup", (int)pid);
  HF_CLEANUP(hf_closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
  ssize_t len = fd < 0 ? -1 : read(fd, lines, sizeof(lines) - 1);
  if (len < 0)
    return false;
  lines[len] = '\0';
  return unit_of_lines(lines, out, size);
}

static bool read_exe(pid_t pid, char *out, size_t size)
{
  char path[64];
  snprintf(path, sizeof(path), "/proc/%d/exe", (int)pid);
  ssize_t len = readlink(path, out, size - 1);
  if (len < 0 || (size_t)len >= size - 1) {
    out[0] = '\0';
    return false;
  }
  out[len] = '\0';
  return true;
}

/* Whether the process is still the one that connected, so that its number has not passed to another meanwhile. */
static bool still_there(int pidfd)
{
  return pidfd < 0 || syscall(SYS_pidfd_send_signal, pidfd, 0, NULL, 0) == 0 || errno == EPERM;
}

static void read_process(int fd, struct peer *peer)
{
  int number = -1;
  socklen_t len = sizeof(number);
  if (getsockopt(fd, SOL_SOCKET, SO_PEERPIDFD, &number, &len) != 0)
    number = -1;
  HF_CLEANUP(hf_closep) int pidfd = number;
  peer->exe_known = read_exe(peer->pid, peer->exe, sizeof(peer->exe));
  peer->unit_known = read_unit(peer->pid, peer->unit, sizeof(peer->unit));
  if (still_there(pidfd))
    return;
  peer->exe_known = peer->unit_known = false;
  peer->exe[0] = peer->unit[0] = '\0';
}

hf_err peer_of_socket(int fd, struct peer *ret_peer)
{
  struct ucred who;
  HF_TRY(credentials(fd, &who));
  *ret_peer = (struct peer){ .uid = who.uid, .gid = who.gid, .pid = who.pid };
  read_groups(fd, ret_peer);
  if (who.pid > 0)
    read_process(fd, ret_peer);
  return HF_OK;
}

static bool all_digits(const char *text)
{
  size_t n = strspn(text, "0123456789");
  return n > 0 && n < 10 && text[n] == '\0';
}

hf_err peer_of_user(const char *user, struct peer *ret_peer)
{
  char buffer[NSS_BUFFER];
  struct passwd entry, *found = NULL;
  int error = getpwnam_r(user, &entry, buffer, sizeof(buffer), &found);
  if (!found && all_digits(user))
    error = getpwuid_r((uid_t)strtoul(user, NULL, 10), &entry, buffer, sizeof(buffer), &found);
  if (!found && !all_digits(user))
    return hf_hint(error ? hf_fail_errno(error, "the user %s", user) : hf_fail(HF_ERR_NOT_FOUND, "the user %s", user),
                   "'getent passwd' lists the users of this system.");
  /* A number without a name is a user all the same: a container's, say. */
  struct peer peer = { .uid = (uid_t)strtoul(user, NULL, 10), .gid = (gid_t)-1, .exe_known = true, .unit_known = true };
  if (found) {
    peer.uid = entry.pw_uid;
    peer.gid = entry.pw_gid;
    int count = PEER_GROUPS_MAX;
    getgrouplist(entry.pw_name, entry.pw_gid, peer.groups, &count);
    peer.group_count = count < PEER_GROUPS_MAX ? (size_t)count : PEER_GROUPS_MAX;
  }
  *ret_peer = peer;
  return HF_OK;
}
