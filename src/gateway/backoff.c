/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/backoff.h"

#include <sys/random.h>

static int64_t clamp(int64_t value, int64_t min, int64_t max)
{
  return value < min ? min : value > max ? max : value;
}

/* min_ms doubled so many times, or max_ms where that is less. */
static int64_t doubled(const struct backoff *backoff, unsigned times)
{
  int64_t base = backoff->min_ms;
  for (unsigned i = 0; i < times && base < backoff->max_ms; i++)
    base = base > backoff->max_ms / 2 ? backoff->max_ms : 2 * base;
  return base < backoff->max_ms ? base : backoff->max_ms;
}

int64_t backoff_next(struct backoff *backoff)
{
  int64_t base = doubled(backoff, backoff->failures++);
  uint32_t random = UINT32_MAX / 2;
  /* Without random numbers there is no jitter. */
  if (getrandom(&random, sizeof(random), GRND_NONBLOCK) != sizeof(random))
    random = UINT32_MAX / 2;
  int64_t jittered = base - base / 4 + (int64_t)((double)random / UINT32_MAX * (double)base / 2);
  return clamp(jittered, backoff->min_ms, backoff->max_ms);
}
