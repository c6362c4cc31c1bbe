/* SPDX-License-Identifier: Apache-2.0 */
/* The bridges of holdfast-core: one for each cloud whose <cloud>.bridge.enabled is true. */
#ifndef HF_GATEWAY_CORE_BRIDGES_H
#define HF_GATEWAY_CORE_BRIDGES_H

#include "gateway/bridge.h"

struct core_bridges {
  struct bridge *running[CONFIG_CLOUD_COUNT]; /* by the cloud's index; NULL: none runs */
};

/*
 * Starts, changes and ends bridges until they are as the configuration says. Goes on with the others where one fails, and gives the
 * first failure: CONFIG, CERT_FILE, NOT_FOUND (no certificate yet), and as bridge_start does.
 */
hf_err core_bridges_apply(struct core_bridges *bridges, const struct config *config);

/* Ends them all. */
void core_bridges_stop(struct core_bridges *bridges);

/* The device's id: device.id, else the certificate's CN. Fails as certificate_read does, with CONFIG where there is none. */
hf_err core_device_id(const struct config *config, char *out, size_t size);

#endif
