/* SPDX-License-Identifier: Apache-2.0 */
/* How long to wait before trying again: doubled at each failure, with jitter, so that a fleet does not come back all at once. */
#ifndef HF_GATEWAY_BACKOFF_H
#define HF_GATEWAY_BACKOFF_H

#include <stdint.h>

struct backoff {
  int64_t min_ms, max_ms; /* min_ms at least 1 */
  unsigned failures;      /* in a row */
};

/* Counts a failure; the wait is between 3/4 and 5/4 of what doubling gives, within min_ms and max_ms. */
int64_t backoff_next(struct backoff *backoff);

#endif
