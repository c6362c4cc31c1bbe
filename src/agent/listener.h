/* SPDX-License-Identifier: Apache-2.0 */
/* Accepting connections: a thread each, quotas, and what to do when descriptors run out. */
#ifndef HF_AGENT_LISTENER_H
#define HF_AGENT_LISTENER_H

#include "agent/agent.h"
#include "agent/sockets.h"

struct listener;

/* Keeps agent and the descriptors; limits are agent->options'. */
hf_err listener_new(struct agent *agent, const int fds[SOCKET_KINDS], struct listener **ret_listener);

/*
 * Accepts until a byte or the end of control calls: on_control is asked what to do about it, and false ends the loop.
 * SIGTERM ends it too; it must be blocked in all threads.
 */
hf_err listener_run(struct listener *listener, int control, bool (*on_control)(void *context), void *context);

/* Ends: no more requests are read, those under way are answered. Waits at most timeout_ms; false: some are left. */
bool listener_drain(struct listener *listener, int timeout_ms);

/* Moves on while the loop runs: what the watchdog looks at. */
unsigned long listener_turns(const struct listener *listener);

#endif
