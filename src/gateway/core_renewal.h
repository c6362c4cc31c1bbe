/* SPDX-License-Identifier: Apache-2.0 */
/* The renewal of the device's certificate that runs by itself in holdfast-core: a thread of its own, since a CA may take long. */
#ifndef HF_GATEWAY_CORE_RENEWAL_H
#define HF_GATEWAY_CORE_RENEWAL_H

#include "identity/renewal.h"

struct core_renewal;

/* Looks at once, and then whenever identity/renewal.h says. Reads the configuration anew each time. After program_start. */
hf_err core_renewal_start(const struct config *config, const char *module_path, struct core_renewal **ret_renewal);

/* Looks at once. */
void core_renewal_wake(struct core_renewal *renewal);
void core_renewal_status(struct core_renewal *renewal, struct renewal_status *ret_status);

/*
 * Gives up what it waits for, within about a second; only a trial connection is waited for (TRIAL_TIMEOUT_S). NULL is fine.
 * Returns NULL.
 */
struct core_renewal *core_renewal_stop(struct core_renewal *renewal);

#endif
