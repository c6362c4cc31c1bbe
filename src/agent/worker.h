/* SPDX-License-Identifier: Apache-2.0 */
/* The worker, and what it and the supervisor say to each other: packets on a socket pair. */
#ifndef HF_AGENT_WORKER_H
#define HF_AGENT_WORKER_H

#include "agent/sockets.h"

#include <sys/types.h>

#define WORKER_ARGUMENT "--internal-worker"

/* The first packet, from the supervisor. */
struct worker_start {
  struct options options;
  int fds[SOCKET_KINDS]; /* inherited; -1: none */
  char paths[SOCKET_KINDS][sizeof(((struct agent_socket *)NULL)->path)];
  int pin_memory; /* see p11_pin_share: what one worker has seen to be wrong, the next one does not try */
  pid_t supervisor;
  unsigned long restarts;
  char last_end[256]; /* of the worker before; "" for the first */
};

hf_err worker_start_pack(const struct worker_start *start, struct hf_buf *out);
hf_err worker_start_unpack(struct hf_slice in, struct worker_start *ret_start);

/* What goes on then. */
enum { WORKER_RELOAD = 'R' }; /* to the worker, one byte: read the policy again */

enum worker_word { WORKER_READY = 'r', WORKER_ALIVE = 'a', WORKER_HUNG = 'h' };

struct worker_report {
  enum worker_word word;
  unsigned long open;     /* connections */
  unsigned long accepted; /* in all */
  char what[64];          /* HUNG: the call */
};

enum { WORKER_BEAT_MS = 1000, WORKER_DRAIN_MS = 5000, WORKER_HUNG_STATUS = 75 };

/* The worker's main. */
int worker_main(int control);

#endif
