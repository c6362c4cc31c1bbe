/* SPDX-License-Identifier: Apache-2.0 */
/* What the local broker is told: mosquitto.conf(5). */
#ifndef HF_GATEWAY_BROKER_CONFIG_H
#define HF_GATEWAY_BROKER_CONFIG_H

#include "base/buf.h"
#include "config/config.h"

/* Appends it. Fails with CONFIG where mqtt.bind.address is not of this machine alone. */
hf_err broker_config_add(const struct config *config, const char *data_dir, struct hf_buf *out);

/* Whether what is new can be taken up by a running broker: all but where it listens and keeps its data. */
bool broker_config_reloads(const char *old, const char *new);

#endif
