/* SPDX-License-Identifier: Apache-2.0 */
/* CONNECT (section 3.1), CONNACK (3.2), DISCONNECT (3.14). */
#ifndef HF_MQTT_CONNECT_H
#define HF_MQTT_CONNECT_H

#include "mqtt/property.h"

struct mqtt_will {
  struct hf_slice topic, payload;
  struct hf_slice properties; /* 5 */
  uint8_t qos;
  bool retain;
};

struct mqtt_connect {
  enum mqtt_version version;
  struct hf_slice client_id;
  struct hf_slice user, password; /* none where data is NULL */
  struct hf_slice properties;     /* 5 */
  const struct mqtt_will *will;   /* NULL: none */
  uint16_t keep_alive_s;
  bool clean; /* clean start; in 3.1.1 clean session */
};

hf_err mqtt_connect_encode(const struct mqtt_connect *connect, struct hf_buf *out);

/* ret_will is what the result's will points to, where there is one. A protocol level other than 4 and 5 fails with PARSE. */
hf_err mqtt_connect_decode(const struct mqtt_packet *packet, struct mqtt_connect *ret_connect,
                           struct mqtt_will *ret_will);

struct mqtt_connack {
  enum mqtt_version version; /* the form of the answer: who knows no 5 answers in the form of 3.1.1 */
  bool session_present;
  uint8_t reason;             /* of 3.1.1, a return code; 0 is good in both */
  struct hf_slice properties; /* 5 */
};

hf_err mqtt_connack_decode(const struct mqtt_packet *packet, enum mqtt_version version,
                           struct mqtt_connack *ret_connack);
hf_err mqtt_connack_encode(const struct mqtt_connack *connack, struct hf_buf *out);

struct mqtt_disconnect {
  uint8_t reason;             /* 5 */
  struct hf_slice properties; /* 5 */
};

hf_err mqtt_disconnect_decode(const struct mqtt_packet *packet, enum mqtt_version version,
                              struct mqtt_disconnect *ret_disconnect);
hf_err mqtt_disconnect_encode(const struct mqtt_disconnect *disconnect, enum mqtt_version version, struct hf_buf *out);

#endif
