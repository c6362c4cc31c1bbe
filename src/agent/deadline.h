/* SPDX-License-Identifier: Apache-2.0 */
/* The watchdog's side of deadline_begin and deadline_end. */
#ifndef HF_AGENT_DEADLINE_H
#define HF_AGENT_DEADLINE_H

#include "agent/agent.h"

/* Calls that may be under way at once; beyond, a call goes unwatched. */
enum { DEADLINE_SLOTS = 8192 };

/* The call that is longest under way, of those over limit_ns: what it is, or NULL. */
const char *deadline_overrun(int64_t limit_ns);

#endif
