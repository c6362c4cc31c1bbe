/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The frame of MQTT's control packets, and what their fields are made of: OASIS MQTT 3.1.1 and 5.0, whose sections are named
 * here (those of 5.0, which are 3.1.1's as well unless said).
 *
 * Decoding leaves all bytes where they are: slices point into what was decoded. It refuses what the standard calls malformed
 * with PARSE. Encoding appends to a buffer; it fails with LIMIT past the buffer's end or MQTT_PACKET_MAX, and may then leave a
 * part of the packet in the buffer. Texts that it is given must be well-formed.
 */
#ifndef HF_MQTT_PACKET_H
#define HF_MQTT_PACKET_H

#include "base/buf.h"

enum mqtt_version { MQTT_3_1_1 = 4, MQTT_5 = 5 }; /* as CONNECT names them: section 3.1.2.2 */

/* Section 2.1.2. */
enum mqtt_type {
  MQTT_CONNECT = 1,
  MQTT_CONNACK,
  MQTT_PUBLISH,
  MQTT_PUBACK,
  MQTT_PUBREC,
  MQTT_PUBREL,
  MQTT_PUBCOMP,
  MQTT_SUBSCRIBE,
  MQTT_SUBACK,
  MQTT_UNSUBSCRIBE,
  MQTT_UNSUBACK,
  MQTT_PINGREQ,
  MQTT_PINGRESP,
  MQTT_DISCONNECT,
  MQTT_AUTH,
  MQTT_TYPE_COUNT
};

enum {
  MQTT_VARINT_MAX = 268435455, /* section 1.5.5 */
  MQTT_HEADER_MAX = 5,
  MQTT_PACKET_MAX = MQTT_HEADER_MAX + MQTT_VARINT_MAX,
  MQTT_TEXT_MAX = 65535
};

struct mqtt_packet {
  enum mqtt_type type;
  uint8_t flags; /* the lower half of the first byte */
  struct hf_slice body;
};

/* "PUBLISH"; "?" for what is no type. */
const char *mqtt_type_name(unsigned type);

/*
 * Takes one packet off the front of in, which may hold a part of one, or several. *ret_whole is false where bytes are
 * missing yet; then nothing was taken. Fails with PARSE on what begins no packet, with LIMIT on a packet of more than max bytes.
 */
hf_err mqtt_packet_take(struct hf_slice *in, size_t max, bool *ret_whole, struct mqtt_packet *ret_packet);

hf_err mqtt_packet_add(struct hf_buf *out, enum mqtt_type type, uint8_t flags, struct hf_slice body);

/* The first byte and the length of what follows. */
hf_err mqtt_header_add(struct hf_buf *out, enum mqtt_type type, uint8_t flags, size_t body_len);

/* A variable byte integer (section 1.5.5). */
size_t mqtt_varint_len(size_t value);
hf_err mqtt_varint_add(struct hf_buf *out, size_t value);
hf_err mqtt_varint_take(struct hf_slice *in, uint32_t *ret_value);

/* Bytes with two bytes of length in front (section 1.5.6); a text is also UTF-8 without U+0000 (section 1.5.4). */
hf_err mqtt_bytes_add(struct hf_buf *out, struct hf_slice bytes);
hf_err mqtt_bytes_take(struct hf_slice *in, struct hf_slice *ret_bytes);
hf_err mqtt_text_take(struct hf_slice *in, struct hf_slice *ret_text);
bool mqtt_is_text(struct hf_slice bytes);

/* A packet identifier: never 0 (section 2.2.1). */
hf_err mqtt_packet_id_take(struct hf_slice *in, uint16_t *ret_packet_id);

static inline struct hf_slice mqtt_text(const char *text)
{
  return hf_slice(text, text ? strlen(text) : 0);
}

#endif
