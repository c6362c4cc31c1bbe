/* SPDX-License-Identifier: Apache-2.0 */
/* One MQTT connection, for publishing. */
#ifndef HF_GATEWAY_MQTT_H
#define HF_GATEWAY_MQTT_H

#include "gateway/tls.h"

struct mqtt;

struct mqtt_options {
  struct tls_identity identity;
  struct tls_server server;
  const char *client_id;
  unsigned timeout_s; /* for each call */
};

/* MQTT 5; or 3.1.1 where the broker does not speak 5. Fails with MQTT, TLS, TIMEOUT. */
hf_err mqtt_connect(const struct mqtt_options *options, struct mqtt **ret_mqtt);

/* "5" or "3.1.1". */
const char *mqtt_version(const struct mqtt *mqtt);

/* With quality of service 1; returns when the broker has acknowledged it. 3.1.1 has no way to say that it was refused. */
hf_err mqtt_publish(struct mqtt *mqtt, const char *topic, const char *payload);

/* Says good-bye where it is connected. NULL is fine. */
struct mqtt *mqtt_free(struct mqtt *mqtt);

static inline void mqtt_freep(struct mqtt **mqtt)
{
  *mqtt = mqtt_free(*mqtt);
}

#endif
