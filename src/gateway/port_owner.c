/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/port_owner.h"

#include "base/cleanup.h"
#include "gateway/net.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <pwd.h>
#include <sys/socket.h>

enum { STATE_LISTEN = 0x0A /* net/tcp_states.h */, LINE_MAX_BYTES = 512, NSS_BUFFER = 16 * 1024 };

struct listener {
  unsigned long inode; /* 0: none */
  uid_t uid;
};

static struct listener find_listener(const char *table, unsigned port)
{
  char line[LINE_MAX_BYTES];
  HF_CLEANUP(hf_fclosep) FILE *file = fopen(table, "re");
  while (file && fgets(line, sizeof(line), file)) {
    unsigned local, state, uid;
    unsigned long inode;
    /* sl local_address rem_address st queues timer retransmits uid timeout inode: proc(5) */
    if (sscanf(line, " %*u: %*[0-9A-Fa-f]:%x %*[0-9A-Fa-f]:%*x %x %*s %*s %*s %u %*u %lu", &local, &state, &uid,
               &inode) == 4 &&
        local == port && state == STATE_LISTEN)
      return (struct listener){ inode, uid };
  }
  return (struct listener){ 0 };
}

static bool has_socket(const char *pid, const char *link)
{
  char path[PATH_MAX], target[64];
  snprintf(path, sizeof(path), "/proc/%s/fd", pid);
  HF_CLEANUP(hf_closedirp) DIR *dir = opendir(path);
  for (const struct dirent *entry; dir && (entry = readdir(dir));) {
    ssize_t n = readlinkat(dirfd(dir), entry->d_name, target, sizeof(target) - 1);
    if (n > 0) {
      target[n] = '\0';
      if (strcmp(target, link) == 0)
        return true;
    }
  }
  return false;
}

static void describe(const char *pid, char *out, size_t size)
{
  char path[PATH_MAX], name[64] = "?";
  snprintf(path, sizeof(path), "/proc/%s/comm", pid);
  HF_CLEANUP(hf_fclosep) FILE *file = fopen(path, "re");
  if (file && fgets(name, sizeof(name), file))
    name[strcspn(name, "\n")] = '\0';
  snprintf(out, size, "process %.16s (%s)", pid, name);
}

/* Whose process it is, is for all to see. */
static void describe_user(uid_t uid, char *out, size_t size)
{
  char buffer[NSS_BUFFER];
  struct passwd entry, *found = NULL;
  if (getpwuid_r(uid, &entry, buffer, sizeof(buffer), &found) == 0 && found)
    snprintf(out, size, "a process of user %s", found->pw_name);
  else
    snprintf(out, size, "a process of user %u", (unsigned)uid);
}

bool port_owner(unsigned port, char *out, size_t size)
{
  struct listener listener = find_listener("/proc/net/tcp", port);
  if (!listener.inode)
    listener = find_listener("/proc/net/tcp6", port);
  if (!listener.inode)
    return false;
  char link[64];
  snprintf(link, sizeof(link), "socket:[%lu]", listener.inode);
  describe_user(listener.uid, out, size);
  HF_CLEANUP(hf_closedirp) DIR *dir = opendir("/proc");
  for (const struct dirent *entry; dir && (entry = readdir(dir));)
    if (isdigit((unsigned char)entry->d_name[0]) && has_socket(entry->d_name, link)) {
      describe(entry->d_name, out, size);
      break;
    }
  return true;
}

static int try_bind(const struct addrinfo *found)
{
  HF_CLEANUP(hf_closep) int fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  int on = 1;
  if (fd < 0)
    return errno;
  /* As the broker does: connections that are closing down do not count. */
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  return bind(fd, found->ai_addr, found->ai_addrlen) == 0 && listen(fd, 1) == 0 ? 0 : errno;
}

hf_err port_check_free(const char *address, const char *port)
{
  struct config_address at = { 0 };
  HF_CLEANUP(net_addrinfo_freep) struct addrinfo *found = NULL;
  snprintf(at.host, sizeof(at.host), "%s", address);
  snprintf(at.port, sizeof(at.port), "%s", port);
  HF_TRY(net_resolve(&at, &found));
  int error = try_bind(found);
  if (error == 0)
    return HF_OK;
  if (error == EADDRNOTAVAIL)
    return hf_fail(HF_ERR_NOT_FOUND, "this machine has no address %s", address);
  if (error != EADDRINUSE)
    return hf_fail_errno(error, "port %s at %s", port, address);
  char who[128] = "another process";
  port_owner((unsigned)strtoul(port, NULL, 10), who, sizeof(who));
  return hf_fail(HF_ERR_BUSY, "port %s at %s, by %s", port, address, who);
}
