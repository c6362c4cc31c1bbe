/* SPDX-License-Identifier: Apache-2.0 */
/* SUBSCRIBE, SUBACK, UNSUBSCRIBE, UNSUBACK (sections 3.8 to 3.11). */
#ifndef HF_MQTT_SUBSCRIBE_H
#define HF_MQTT_SUBSCRIBE_H

#include "mqtt/property.h"

/* When a subscription brings the retained messages (section 3.8.3.1). */
enum mqtt_retain_handling { MQTT_RETAINED_ALWAYS, MQTT_RETAINED_IF_NEW, MQTT_RETAINED_NEVER };

struct mqtt_subscription {
  struct hf_slice filter;
  uint8_t qos;
  bool no_local, retain_as_published;        /* 5 */
  enum mqtt_retain_handling retain_handling; /* 5 */
};

/* SUBSCRIBE and UNSUBSCRIBE. */
struct mqtt_subscribe {
  uint16_t packet_id;
  struct hf_slice properties; /* 5 */
  struct hf_slice filters;    /* what mqtt_subscription_add made; of UNSUBSCRIBE, mqtt_bytes_add */
};

hf_err mqtt_subscription_add(struct hf_buf *filters, const struct mqtt_subscription *subscription,
                             enum mqtt_version version);
hf_err mqtt_subscription_take(struct hf_slice *filters, enum mqtt_version version,
                              struct mqtt_subscription *ret_subscription);

/* type: MQTT_SUBSCRIBE or MQTT_UNSUBSCRIBE. Decoding checks that there is a filter, but not yet what it is: take them. */
hf_err mqtt_subscribe_encode(enum mqtt_type type, const struct mqtt_subscribe *subscribe, enum mqtt_version version,
                             struct hf_buf *out);
hf_err mqtt_subscribe_decode(const struct mqtt_packet *packet, enum mqtt_version version,
                             struct mqtt_subscribe *ret_subscribe);

/* SUBACK and UNSUBACK. */
struct mqtt_suback {
  uint16_t packet_id;
  struct hf_slice properties; /* 5 */
  struct hf_slice reasons;    /* a byte for each filter: the granted QoS, or 0x80 and above; none in 3.1.1's UNSUBACK */
};

hf_err mqtt_suback_encode(enum mqtt_type type, const struct mqtt_suback *suback, enum mqtt_version version,
                          struct hf_buf *out);
hf_err mqtt_suback_decode(const struct mqtt_packet *packet, enum mqtt_version version, struct mqtt_suback *ret_suback);

#endif
