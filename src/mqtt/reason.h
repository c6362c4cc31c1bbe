/* SPDX-License-Identifier: Apache-2.0 */
/* What the other side's codes say, in words. */
#ifndef HF_MQTT_REASON_H
#define HF_MQTT_REASON_H

#include "mqtt/packet.h"

/* Section 2.4. From MQTT_REFUSED on, a code says that something failed. */
enum mqtt_reason {
  MQTT_SUCCESS = 0x00,
  MQTT_REFUSED = 0x80,
  MQTT_MALFORMED_PACKET = 0x81,
  MQTT_PROTOCOL_ERROR = 0x82,
  MQTT_UNSUPPORTED_VERSION = 0x84,
  MQTT_NOT_AUTHORIZED = 0x87,
  MQTT_KEEP_ALIVE_TIMEOUT = 0x8d,
  MQTT_PACKET_ID_NOT_FOUND = 0x92,
  MQTT_PACKET_TOO_LARGE = 0x95,
  MQTT_QUOTA_EXCEEDED = 0x97,
};

/* CONNACK's return code of 3.1.1 for a version that the broker does not speak (3.1.1, section 3.2.2.3). */
enum { MQTT_3_1_1_BAD_VERSION = 1 };

/* "not authorized"; never NULL. */
const char *mqtt_reason_text(uint8_t reason);

/* The same for CONNACK in the form of that version. */
const char *mqtt_connack_text(enum mqtt_version version, uint8_t reason);

#endif
