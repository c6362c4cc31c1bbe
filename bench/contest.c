/* SPDX-License-Identifier: Apache-2.0 */
#include "contest.h"

#include "p11_rig.h"

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

enum { ROUNDS = 9 };

static const double slice_seconds = 0.12;

struct worker {
  void (*once)(void *arg);
  void *arg;
  atomic_bool *stop;
  unsigned long count;
  double processor_seconds;
};

static double processor_now(void)
{
  struct timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void *work(void *arg)
{
  struct worker *w = arg;
  double start = processor_now();
  for (w->count = 0; !atomic_load_explicit(w->stop, memory_order_relaxed); w->count++)
    w->once(w->arg);
  w->processor_seconds = processor_now() - start;
  return NULL;
}

/* So many a second, and a second of the processor. */
struct rate {
  double wall, processor;
};

static struct rate rate(const struct contender *contender, int threads)
{
  atomic_bool stop = false;
  pthread_t ids[CONTEST_THREADS];
  struct worker workers[CONTEST_THREADS];
  double start = rig_now();
  for (int i = 0; i < threads; i++) {
    workers[i] = (struct worker){ contender->once, contender->args[i], &stop, 0, 0 };
    pthread_create(&ids[i], NULL, work, &workers[i]);
  }
  struct timespec pause = { 0, (long)(slice_seconds * 1e9) };
  nanosleep(&pause, NULL);
  stop = true;
  double count = 0, seconds = 0;
  for (int i = 0; i < threads; i++) {
    pthread_join(ids[i], NULL);
    count += (double)workers[i].count;
    seconds += workers[i].processor_seconds;
  }
  return (struct rate){ count / (rig_now() - start), count / seconds };
}

void contest_heading(const char *what, const struct contender *contenders, int count)
{
  printf("%-12s %7s %11s", what, "threads", contenders[0].name);
  for (int c = 1; c < count; c++)
    printf(" %11s %7s %7s", contenders[c].name, "/first", "/1");
  printf("\n");
}

static void report(const char *what, int threads, const struct contender *contenders, int count,
                   struct rate rates[CONTEST_MAX][ROUNDS], double single[CONTEST_MAX])
{
  double walls[ROUNDS], ratios[CONTEST_MAX][ROUNDS], medians[CONTEST_MAX] = { 0 };
  for (int c = 0; c < count; c++) {
    for (int r = 0; r < ROUNDS; r++) {
      walls[r] = rates[c][r].wall;
      ratios[c][r] = threads == 1 ? rates[c][r].processor / rates[0][r].processor : rates[c][r].wall / rates[0][r].wall;
    }
    medians[c] = rig_median(walls, ROUNDS);
    if (threads == 1)
      single[c] = medians[c];
  }
  printf("%-12s %7d %11.0f", what, threads, medians[0]);
  for (int c = 1; c < count; c++) {
    if (contenders[c].once)
      printf(" %11.0f %7.2f %7.2f", medians[c], rig_median(ratios[c], ROUNDS), medians[c] / single[c]);
    else
      printf(" %11s %7s %7s", "-", "-", "-");
  }
  printf("\n");
  fflush(stdout);
}

void contest_run(const char *what, const struct contender *contenders, int count)
{
  struct rate rates[CONTEST_MAX][ROUNDS] = { { { 0, 0 } } };
  double single[CONTEST_MAX] = { 0 };
  for (int threads = 1; threads <= CONTEST_THREADS; threads *= 2) {
    for (int r = -1; r < ROUNDS; r++) /* the first warms up */
      for (int c = 0; c < count; c++) {
        struct rate value = contenders[c].once ? rate(&contenders[c], threads) : (struct rate){ 0, 0 };
        if (r >= 0)
          rates[c][r] = value;
      }
    report(what, threads, contenders, count, rates, single);
  }
}
