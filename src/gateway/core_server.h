/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the local MQTT server for devices needs while holdfast-core runs: its certificate, issued and renewed in time, the group's
 * files, and the discovery. In threads of its own, since a token may take long.
 */
#ifndef HF_GATEWAY_CORE_SERVER_H
#define HF_GATEWAY_CORE_SERVER_H

#include "gateway/broker_config.h"

struct core_server;

/*
 * Looks once, before it returns; what is wrong then is in the status, and tried again. After program_start. Fails with NO_MEMORY, and
 * where mosquitto's module is missing.
 */
hf_err core_server_start(const struct config *config, struct core_server **ret_server);

/* Looks at once: the configuration or the group has changed. */
void core_server_wake(struct core_server *server);

/* For the loop: readable where core_server_take has something new. */
int core_server_polled(const struct core_server *server);

/* What the broker is to have, which may be what it has. True where there was a look since this was asked last. */
bool core_server_take(struct core_server *server, struct broker_tls *ret_tls);

struct core_server_status {
  struct hf_err_saved cause; /* of the last look; what was there before goes on */
  int64_t until, renew_at;   /* of the certificate; 0: there is none; not ours to renew */
  char cert_path[PATH_MAX];
  size_t things, routes;
  bool discovers; /* the discovery listens */
  struct hf_err_saved discovery_cause;
};
void core_server_status(struct core_server *server, struct core_server_status *ret_status);

/* NULL is fine. Returns NULL. */
struct core_server *core_server_stop(struct core_server *server);

#endif
