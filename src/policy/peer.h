/* SPDX-License-Identifier: Apache-2.0 */
/* Who is at the other end of a UNIX socket, by the kernel's word. */
#ifndef HF_POLICY_PEER_H
#define HF_POLICY_PEER_H

#include "base/error.h"

#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>

enum { PEER_GROUPS_MAX = 256, PEER_UNIT_MAX = 256 };

struct peer {
  uid_t uid;
  gid_t gid;
  pid_t pid;
  gid_t groups[PEER_GROUPS_MAX]; /* supplementary ones, as far as they fit */
  size_t group_count;
  char exe[PATH_MAX];       /* /proc/PID/exe when the connection came; "" where it cannot be read */
  char unit[PEER_UNIT_MAX]; /* the systemd unit by its control group; "" outside one */
  bool exe_known;           /* false: the kernel does not tell us (another user's process), or the process is gone */
  bool unit_known;
};

/* The peer of a connected socket (SO_PEERCRED, SO_PEERGROUPS, /proc). Only uid, gid and pid are certain to be filled in. */
hf_err peer_of_socket(int fd, struct peer *ret_peer);

/* uid alone: one system call. */
hf_err peer_uid_of_socket(int fd, uid_t *ret_uid);

/*
 * A user as "holdfast agent check --as USER" names it: by name or uid, with the groups of the system's database. exe and
 * unit are known to be none.
 */
hf_err peer_of_user(const char *user, struct peer *ret_peer);

/* The innermost unit of a control group's path, as /proc/PID/cgroup has it; "" where there is none. */
void peer_unit_of_cgroup(const char *path, char *out, size_t size);

#endif
