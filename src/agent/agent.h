/* SPDX-License-Identifier: Apache-2.0 */
/* What the worker's parts share, and the rules of a connection. */
#ifndef HF_AGENT_AGENT_H
#define HF_AGENT_AGENT_H

#include "policy/audit.h"
#include "agent/keyring.h"
#include "agent/metrics.h"

struct agent {
  struct keyring *keyring;
  struct policy *policy;
  struct metrics *metrics;
  const struct options *options;
  const struct worker_start *start; /* what the supervisor told */
};

/*
 * A socket's service: called on a thread of its own for each accepted connection, which it serves to its end and does not
 * close. Receive and send time-outs are set on fd already; the quota a peer is kept by the listener.
 */
typedef void (*agent_serve_fn)(struct agent *agent, int fd, const struct peer *peer);

void sign_socket_serve(struct agent *agent, int fd, const struct peer *peer);
void p11_socket_serve(struct agent *agent, int fd, const struct peer *peer);
void metrics_socket_serve(struct agent *agent, int fd, const struct peer *peer);

/*
 * The deadline of a call into the module: between begin and end the watchdog looks on; a call that takes longer than its
 * deadline ends the worker, and the supervisor starts another. what is static. Cheap: no system call but the clock's.
 */
struct deadline {
  unsigned slot;
};
struct deadline deadline_begin(const char *what);
void deadline_end(struct deadline deadline);

static inline void deadline_endp(struct deadline *deadline)
{
  deadline_end(*deadline);
}

#endif
