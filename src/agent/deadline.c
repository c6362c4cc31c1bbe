/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/deadline.h"

#include <stdatomic.h>
#include <stdint.h>
#include <time.h>

enum { NO_SLOT = DEADLINE_SLOTS };

/* since is 0 while free. what is written by the owner alone, before since. */
static struct {
  _Atomic int64_t since;
  _Atomic(const char *) what;
} calls[DEADLINE_SLOTS];

static atomic_uint used;             /* slots beyond were never taken */
static _Thread_local unsigned usual; /* the slot that this thread had last */

static int64_t now_ns(void)
{
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

struct deadline deadline_begin(const char *what)
{
  int64_t now = now_ns();
  for (unsigned i = 0; i < DEADLINE_SLOTS; i++) {
    unsigned slot = (usual + i) % DEADLINE_SLOTS;
    int64_t idle = 0;
    if (atomic_load_explicit(&calls[slot].since, memory_order_relaxed) != 0 ||
        !atomic_compare_exchange_strong(&calls[slot].since, &idle, now))
      continue;
    atomic_store(&calls[slot].what, what);
    unsigned seen = atomic_load(&used);
    while (seen <= slot && !atomic_compare_exchange_weak(&used, &seen, slot + 1))
      ;
    usual = slot;
    return (struct deadline){ slot };
  }
  return (struct deadline){ NO_SLOT };
}

void deadline_end(struct deadline deadline)
{
  if (deadline.slot < DEADLINE_SLOTS)
    atomic_store(&calls[deadline.slot].since, 0);
}

const char *deadline_overrun(int64_t limit_ns)
{
  int64_t oldest = now_ns() - limit_ns;
  const char *what = NULL;
  unsigned count = atomic_load(&used);
  for (unsigned i = 0; i < count; i++) {
    int64_t since = atomic_load(&calls[i].since);
    if (since != 0 && since < oldest) {
      oldest = since;
      what = atomic_load(&calls[i].what);
      if (!what)
        what = "a call";
    }
  }
  return what;
}
