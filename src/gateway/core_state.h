/* SPDX-License-Identifier: Apache-2.0 */
/* What the running holdfast-core says of one cloud's bridge (core_status.h), for commands. */
#ifndef HF_GATEWAY_CORE_STATE_H
#define HF_GATEWAY_CORE_STATE_H

#include "config/cloud.h"

struct core_state {
  bool has_bridge, up;
  uint64_t acknowledged;     /* messages that the cloud has acknowledged since the bridge started */
  struct hf_err_saved cause; /* why it is not up; no error: that is not known yet */
};

/* Fails with NOT_FOUND where no holdfast-core runs, TIMEOUT, PARSE. */
hf_err core_state_ask(const struct config *config, const struct config_cloud *cloud, struct core_state *ret_state);

#endif
