/* SPDX-License-Identifier: Apache-2.0 */
/* The listening sockets: made by us, or handed over by systemd. */
#ifndef HF_AGENT_SOCKETS_H
#define HF_AGENT_SOCKETS_H

#include "agent/options.h"

#include <sys/un.h>

enum socket_kind { SOCKET_SIGNING, SOCKET_PKCS11, SOCKET_METRICS, SOCKET_KINDS };

const char *socket_kind_name(enum socket_kind kind); /* "signing", "pkcs11", "metrics": also FileDescriptorName= */

struct agent_socket {
  int fd;      /* -1: there is none */
  int lock_fd; /* PATH.lock, as tedge-p11-server has it: who holds it owns PATH */
  char path[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
};

struct sockets {
  struct agent_socket list[SOCKET_KINDS];
  bool activated; /* by systemd: then we make only what an option names */
};

/*
 * Takes what systemd passed (sd_listen_fds(3); by name, else by path, else in order), makes the rest: mode 0660, of
 * --socket-group. A stale socket is replaced; one where somebody answers is an error. A default place that only root
 * may use is passed over with a warning, but for the signing socket's.
 */
hf_err sockets_open(const struct options *options, struct sockets *ret_sockets);

/* Closes all; removes those that we made. */
void sockets_close(struct sockets *sockets);

/* --socket-group as a number; the agent's own where it is not given. */
hf_err sockets_group(const struct options *options, gid_t *ret_group);

#endif
