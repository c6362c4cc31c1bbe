/* SPDX-License-Identifier: Apache-2.0 */
/* Who is at the other end of a UNIX socket, by the kernel's word. */
#ifndef HF_AGENT_PEER_H
#define HF_AGENT_PEER_H

#include "base/error.h"

#include <limits.h>
#include <sys/types.h>

enum { PEER_GROUPS_MAX = 256, PEER_UNIT_MAX = 256 };

struct peer {
  uid_t uid;
  gid_t gid;
  pid_t pid;
  gid_t groups[PEER_GROUPS_MAX]; /* supplementary ones, as far as they fit */
  size_t group_count;
  char exe[PATH_MAX];         /* /proc/PID/exe when the connection came; "" where it cannot be read */
  char unit[PEER_UNIT_MAX];   /* the systemd unit by its control group; "" outside one */
};

/* The peer of a connected socket (SO_PEERCRED, SO_PEERGROUPS, /proc). Only uid, gid and pid are certain to be filled in. */
hf_err peer_of_socket(int fd, struct peer *ret_peer);

/* A user as "holdfast agent check --as USER" names it: by name or uid, with the groups of the system's database. */
hf_err peer_of_user(const char *user, struct peer *ret_peer);

#endif
