/* SPDX-License-Identifier: Apache-2.0 */
/* The renewal of the device's certificate that runs by itself in holdfast-core: a thread of its own, since a CA may take long. */
#ifndef HF_GATEWAY_CORE_RENEWAL_H
#define HF_GATEWAY_CORE_RENEWAL_H

#include "config/config.h"

struct core_renewal_status {
  int64_t last_try_s, next_try_s; /* since the epoch; 0: not yet */
  int64_t until_s;                /* when the certificate ends, as the last look found; 0: not known */
  const char *last_result;        /* "none yet", "not due", "renewed", "failed", "the clock is wrong"; static */
  struct hf_err_saved cause;      /* of "failed" */
};

struct core_renewal;

/*
 * Looks at once, then every hour whether it is due (identity/validity.h) and renews it; after a failure again in a minute, then twice
 * as long each time up to six hours. Reads the configuration anew each time. After program_start.
 */
hf_err core_renewal_start(const struct config *config, const char *module_path, struct core_renewal **ret_renewal);

/* Looks at once. */
void core_renewal_wake(struct core_renewal *renewal);
void core_renewal_status(struct core_renewal *renewal, struct core_renewal_status *ret_status);

/* Gives up what it waits for, within a second or what a CA's connection takes. NULL is fine. Returns NULL. */
struct core_renewal *core_renewal_stop(struct core_renewal *renewal);

/* How long to wait after so many failures in a row; in seconds. */
unsigned core_renewal_pause(unsigned failures);

#endif
