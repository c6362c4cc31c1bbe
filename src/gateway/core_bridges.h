/* SPDX-License-Identifier: Apache-2.0 */
/* The bridges of holdfast-core: one for each cloud whose <cloud>.bridge.enabled is true. */
#ifndef HF_GATEWAY_CORE_BRIDGES_H
#define HF_GATEWAY_CORE_BRIDGES_H

#include "gateway/bridge.h"

struct core_bridges {
  /* By the cloud's index. */
  struct bridge *running[CONFIG_CLOUD_COUNT];     /* NULL: none runs */
  struct hf_err_saved causes[CONFIG_CLOUD_COUNT]; /* why, though it should */
  int64_t retry_ms;
  int subscribed; /* an eventfd: a bridge has subscribed at the local broker, which should put that on disk */
};

#define CORE_BRIDGES_NONE ((struct core_bridges){ .subscribed = -1 })

hf_err core_bridges_init(struct core_bridges *bridges);

/* Whether one has subscribed since this was asked last. */
bool core_bridges_subscribed(struct core_bridges *bridges);

/*
 * Starts, changes and ends bridges until they are as the configuration says. Goes on with the others where one fails, and gives the
 * first failure: CONFIG, CERT_FILE, NOT_FOUND (no certificate yet). What its disk keeps from starting (a damaged spool, a full
 * disk) is logged and noted in causes, and is no failure.
 */
hf_err core_bridges_apply(struct core_bridges *bridges, const struct config *config);

/* Tries those again that do not run though they should. Cheap: for each turn of a loop. */
void core_bridges_retry(struct core_bridges *bridges, const struct config *config);

/* Ends them all. */
void core_bridges_stop(struct core_bridges *bridges);

/* Where a cloud's spool is: <data.path>/spool/<cloud>. */
hf_err core_spool_dir(const struct config *config, const struct config_cloud *cloud, char *out, size_t size);

#endif
