/* SPDX-License-Identifier: Apache-2.0 */
/* A new certificate and key, tried on this device's clouds before they are taken. */
#ifndef HF_GATEWAY_TRIAL_H
#define HF_GATEWAY_TRIAL_H

#include "config/config.h"
#include "identity/observer.h"

struct trial_options {
  unsigned timeout_s; /* for each cloud; 0: TRIAL_TIMEOUT_S */
  const struct observer *observer;
};

enum { TRIAL_TIMEOUT_S = 30 };

/*
 * Connects by MQTT as the bridge does, to each cloud whose bridge is enabled, or, where none is, to each that is configured; a
 * bridge that runs is cut off for that moment, its session stays. *ret_tried: there is one at least. For renew.h's try_connect;
 * arg: struct trial_options. Fails as link_open does, naming the cloud.
 */
hf_err trial_connect(const struct config *candidate, bool *ret_tried, void *arg);

#endif
