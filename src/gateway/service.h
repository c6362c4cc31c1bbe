/* SPDX-License-Identifier: Apache-2.0 */
/* Who starts and stops holdfast-core here: a row each. */
#ifndef HF_GATEWAY_SERVICE_H
#define HF_GATEWAY_SERVICE_H

#include "config/config.h"

#define SERVICE_UNIT "holdfast-core.service"

struct service_manager {
  const char *name; /* "systemd"; "none": holdfast-core is a process of its own, with a log in data.path */

  /* Returns when it is ready; one that runs already is fine. Fails with the one cause why it does not run. */
  hf_err (*start)(const struct config *config);
  /* Returns when it has ended; none that runs is fine. Fails with TIMEOUT. */
  hf_err (*stop)(const struct config *config);
  hf_err (*restart)(const struct config *config);
  /* Has it read the configuration again. Fails with NOT_FOUND where none runs. */
  hf_err (*reload)(const struct config *config);
  hf_err (*is_active)(const struct config *config, bool *ret_active);
  /* At boot, from now on. "none" cannot: nothing is done then. */
  hf_err (*enable)(const struct config *config);
};

/* systemd, where it runs, has our unit, and we are root and use the system's configuration; else "none". */
const struct service_manager *service_manager_find(const struct config *config);

/* Where the log of one that "none" starts is: <data.path>/core.log. */
hf_err service_log_path(const struct config *config, char *out, size_t size);

#endif
