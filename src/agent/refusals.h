/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connections that are refused, politely: the client has its answer at once, and its own words are read away for a moment,
 * since closing over them would take the answer back. Used by the listener's thread alone.
 */
#ifndef HF_AGENT_REFUSALS_H
#define HF_AGENT_REFUSALS_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { REFUSALS_MAX = 32 };

struct refusals {
  struct pollfd polled[REFUSALS_MAX]; /* the first count of them */
  int64_t until_ms[REFUSALS_MAX];
  size_t count;
};

/* Owns fd from here on. as_frame: the client speaks the signing protocol, and gets its Error frame. */
void refusals_add(struct refusals *refusals, int fd, bool as_frame);

/* Reads away what came (revents are poll's), closes those that are done or late. */
void refusals_turn(struct refusals *refusals);

/* Answers and closes: where there is no descriptor to spare for politeness. */
void refusals_now(int fd, bool as_frame);

#endif
