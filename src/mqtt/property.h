/* SPDX-License-Identifier: Apache-2.0 */
/* MQTT 5's properties (section 2.2.2). They stay encoded, without the length in front, so that they can be stored and passed on. */
#ifndef HF_MQTT_PROPERTY_H
#define HF_MQTT_PROPERTY_H

#include "mqtt/packet.h"

enum mqtt_property_id {
  MQTT_PAYLOAD_FORMAT = 0x01,
  MQTT_MESSAGE_EXPIRY = 0x02,
  MQTT_CONTENT_TYPE = 0x03,
  MQTT_RESPONSE_TOPIC = 0x08,
  MQTT_CORRELATION_DATA = 0x09,
  MQTT_SUBSCRIPTION_ID = 0x0b,
  MQTT_SESSION_EXPIRY = 0x11,
  MQTT_ASSIGNED_CLIENT_ID = 0x12,
  MQTT_SERVER_KEEP_ALIVE = 0x13,
  MQTT_AUTH_METHOD = 0x15,
  MQTT_AUTH_DATA = 0x16,
  MQTT_REQUEST_PROBLEM = 0x17,
  MQTT_WILL_DELAY = 0x18,
  MQTT_REQUEST_RESPONSE = 0x19,
  MQTT_RESPONSE_INFORMATION = 0x1a,
  MQTT_SERVER_REFERENCE = 0x1c,
  MQTT_REASON_STRING = 0x1f,
  MQTT_RECEIVE_MAXIMUM = 0x21,
  MQTT_TOPIC_ALIAS_MAXIMUM = 0x22,
  MQTT_TOPIC_ALIAS = 0x23,
  MQTT_MAXIMUM_QOS = 0x24,
  MQTT_RETAIN_AVAILABLE = 0x25,
  MQTT_USER_PROPERTY = 0x26,
  MQTT_MAXIMUM_PACKET_SIZE = 0x27,
  MQTT_WILDCARD_AVAILABLE = 0x28,
  MQTT_SUBSCRIPTION_ID_AVAILABLE = 0x29,
  MQTT_SHARED_AVAILABLE = 0x2a,
  MQTT_PROPERTY_COUNT
};

enum { MQTT_SESSION_FOREVER = 0xffffffff }; /* of MQTT_SESSION_EXPIRY: section 3.1.2.11.2 */

struct mqtt_property {
  uint8_t id;
  uint32_t number;             /* where it is one */
  struct hf_slice text, value; /* where it is a text or bytes; value: of MQTT_USER_PROPERTY, whose name is text */
};

/* Where properties stand: in a packet, or (MQTT_WILL) in CONNECT's will. */
enum { MQTT_WILL = 0 };

/*
 * Takes the properties with their length. Fails with PARSE where one is unknown, stands where it may not, twice, or has a value
 * that it must not have.
 */
hf_err mqtt_properties_take(struct hf_slice *in, unsigned where, struct hf_slice *ret_properties);
hf_err mqtt_properties_add(struct hf_buf *out, struct hf_slice properties);

/* The next of checked properties; false at their end. */
bool mqtt_property_next(struct hf_slice *properties, struct mqtt_property *ret_property);
bool mqtt_property_find(struct hf_slice properties, enum mqtt_property_id id, struct mqtt_property *ret_property);
/* The number, or what stands for it where it is not there. */
uint32_t mqtt_property_number(struct hf_slice properties, enum mqtt_property_id id, uint32_t absent);

hf_err mqtt_property_add(struct hf_buf *out, const struct mqtt_property *property);
hf_err mqtt_property_add_number(struct hf_buf *out, enum mqtt_property_id id, uint32_t number);
hf_err mqtt_property_add_text(struct hf_buf *out, enum mqtt_property_id id, struct hf_slice text);

#endif
