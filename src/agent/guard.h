/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The module as one client may see it: a PKCS #11 function list that logs in by itself, shows what policy lets the client
 * list, asks policy before it does anything with a key, and comes back after a lost session. docs/agent-pkcs11.md tells
 * what it does otherwise than the module behind it.
 *
 * One client a thread: the list works on the client that this thread has begun.
 */
#ifndef HF_AGENT_GUARD_H
#define HF_AGENT_GUARD_H

#include "agent/agent.h"

hf_err guard_begin(struct agent *agent, const struct peer *peer);
/* Closes what the client left open. */
void guard_end(void);

CK_FUNCTION_LIST *guard_functions(void);

/* Closes the idle sessions that clients of all threads have left: while one is logged in, no SO can be. */
void guard_pools_reset(void);

#endif
