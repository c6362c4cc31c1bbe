/* SPDX-License-Identifier: Apache-2.0 */
/* What the local broker is told: mosquitto.conf(5). */
#ifndef HF_GATEWAY_BROKER_CONFIG_H
#define HF_GATEWAY_BROKER_CONFIG_H

#include "base/buf.h"
#include "config/address.h"
#include "config/config.h"

#include <limits.h>
#include <stdint.h>

/* The listener for devices. All but a listener that is not wanted is there as long as the local server is enabled. */
struct broker_tls {
  bool listens; /* there is all that it needs */
  char address[CONFIG_HOST_MAX + 1], port[6];
  char cert_path[PATH_MAX], key_path[PATH_MAX], client_ca_path[PATH_MAX];
  char openssl_conf[PATH_MAX];                      /* by which mosquitto finds a key in a token */
  char module_path[PATH_MAX], group_path[PATH_MAX]; /* what knows the devices, and from what file */
  uint64_t client_ca_stamp;                         /* it is read at the start alone */
  uint64_t stamp;                                   /* of the other files: they are read again at SIGHUP */
};

/* Appends it. tls NULL: there is no local server. Fails with CONFIG where mqtt.bind.address is not of this machine alone. */
hf_err broker_config_add(const struct config *config, const char *data_dir, const struct broker_tls *tls,
                         struct hf_buf *out);

/* Whether what is new can be taken up by a running broker: all but where and how it listens, and where it keeps its data. */
bool broker_config_reloads(const char *old, const char *new);

#endif
