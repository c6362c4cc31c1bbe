/* SPDX-License-Identifier: Apache-2.0 */
/* All that the local MQTT server for devices is made of, out of the configuration: files for mosquitto, TLS for the discovery. */
#ifndef HF_GATEWAY_SERVER_MATERIAL_H
#define HF_GATEWAY_SERVER_MATERIAL_H

#include "config/group.h"
#include "gateway/broker_config.h"
#include "identity/chain.h"

#include <openssl/ssl.h>

/* Start with {0}, end with server_material_free. */
struct server_material {
  struct broker_tls tls;
  struct group *group;
  SSL_CTX *ctx;            /* asks for a device's certificate, and takes none of another authority */
  STACK_OF(X509) * roots;  /* what a device checks the server with */
  int64_t until, renew_at; /* the certificate; renew_at 0: somebody else's to renew */
};

/* Of mqtt.server.things_path and routes_path; without either, an empty one. */
hf_err server_group_load(const struct config *config, struct group **ret_group);

/* A number that changes with the group's files. Cheap. */
uint64_t server_group_stamp(const struct config *config);

/*
 * What mosquitto cannot start without, even where the rest is missing: its module, and a file with the group, an empty one
 * where there is none yet. tls.listens is false. Signs nothing.
 */
hf_err server_material_base(const struct config *config, struct broker_tls *ret_tls);

/*
 * All of it; may issue a certificate, and signs in the token: it may take long. Fails as server_certificate_ensure and group_load
 * do; and with NOT_FOUND, CERT_FILE for the clients' authority. What mosquitto has is as it was then.
 */
hf_err server_material_make(const struct config *config, int64_t now, struct server_material *ret_material);
void server_material_free(struct server_material *material);

#endif
