/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/backoff.h"

#include <sys/random.h>

enum { DOUBLINGS_MAX = 30 };

static int64_t clamp(int64_t value, int64_t min, int64_t max)
{
  return value < min ? min : value > max ? max : value;
}

int64_t backoff_next(struct backoff *backoff)
{
  unsigned doublings = backoff->failures < DOUBLINGS_MAX ? backoff->failures++ : DOUBLINGS_MAX;
  int64_t base = backoff->min_ms << doublings;
  if (base >> doublings != backoff->min_ms || base > backoff->max_ms)
    base = backoff->max_ms;
  uint32_t random = UINT32_MAX / 2;
  /* Without random numbers there is no jitter. */
  if (getrandom(&random, sizeof(random), GRND_NONBLOCK) != sizeof(random))
    random = UINT32_MAX / 2;
  int64_t jittered = base - base / 4 + (int64_t)((double)random / UINT32_MAX * (double)(base / 2));
  return clamp(jittered, backoff->min_ms, backoff->max_ms);
}
