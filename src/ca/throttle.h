/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How often somebody may be wrong. Each failure counts against a name (a device's id, an address); the count falls again
 * with time, and while it is too high nothing is tried for that name at all. A table of fixed size: a crowd of names
 * pushes out those that failed least. Any thread may call.
 */
#ifndef HF_CA_THROTTLE_H
#define HF_CA_THROTTLE_H

#include "base/error.h"
#include "base/cleanup.h"

#include <stdint.h>

struct throttle;

/* burst failures are free; one more is forgiven each interval_ms. */
hf_err throttle_new(unsigned burst, unsigned interval_ms, struct throttle **ret_throttle);
struct throttle *throttle_free(struct throttle *throttle);
HF_DEFINE_CLEANUP(struct throttle, throttle_free)

/* How many milliseconds to wait before another try; 0: now. now_ms: any clock that only goes forward. */
uint64_t throttle_wait(struct throttle *throttle, const char *name, uint64_t now_ms);
void throttle_fail(struct throttle *throttle, const char *name, uint64_t now_ms);

#endif
