/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The same work by several contenders, on 1, 2 and 4 threads. They take turns in short slices, so that a drift of the machine's
 * speed meets all alike; figures are medians, ratios are taken within a round: on one thread of the processor's time, for other
 * programs take their part of the clock's; on several of the clock's, for a thread that waits for another one counts, too.
 */
#ifndef HF_BENCH_CONTEST_H
#define HF_BENCH_CONTEST_H

enum { CONTEST_THREADS = 4, CONTEST_MAX = 3 };

struct contender {
  const char *name;
  void (*once)(void *arg);     /* the work; NULL: it cannot */
  void *args[CONTEST_THREADS]; /* a thread's own */
};

/* The first of them is what the others are measured by. */
void contest_heading(const char *what, const struct contender *contenders, int count);
void contest_run(const char *what, const struct contender *contenders, int count);

#endif
