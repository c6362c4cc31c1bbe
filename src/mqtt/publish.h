/* SPDX-License-Identifier: Apache-2.0 */
/* PUBLISH (section 3.3) and its four answers (sections 3.4 to 3.7). */
#ifndef HF_MQTT_PUBLISH_H
#define HF_MQTT_PUBLISH_H

#include "mqtt/property.h"

struct mqtt_publish {
  struct hf_slice topic; /* may be empty where a topic alias stands for it */
  struct hf_slice properties, payload;
  uint16_t packet_id; /* 0 with QoS 0 */
  uint8_t qos;
  bool retain, dup;
};

hf_err mqtt_publish_decode(const struct mqtt_packet *packet, enum mqtt_version version,
                           struct mqtt_publish *ret_publish);

/* 3.1.1 knows no properties: they are left out. */
hf_err mqtt_publish_encode(const struct mqtt_publish *publish, enum mqtt_version version, struct hf_buf *out);

/* How many bytes that makes. */
size_t mqtt_publish_size(const struct mqtt_publish *publish, enum mqtt_version version);

/* PUBACK, PUBREC, PUBREL, PUBCOMP. */
struct mqtt_ack {
  uint16_t packet_id;
  uint8_t reason;             /* 5; see reason.h */
  struct hf_slice properties; /* 5 */
};

hf_err mqtt_ack_decode(const struct mqtt_packet *packet, enum mqtt_version version, struct mqtt_ack *ret_ack);
hf_err mqtt_ack_encode(enum mqtt_type type, const struct mqtt_ack *ack, enum mqtt_version version, struct hf_buf *out);

#endif
