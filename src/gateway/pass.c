/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/pass.h"

static bool belongs_to_message(uint8_t id)
{
  static const uint8_t ids[] = { MQTT_PAYLOAD_FORMAT, MQTT_MESSAGE_EXPIRY,   MQTT_CONTENT_TYPE,
                                 MQTT_RESPONSE_TOPIC, MQTT_CORRELATION_DATA, MQTT_USER_PROPERTY };
  return memchr(ids, id, sizeof(ids));
}

hf_err pass_properties(struct hf_slice properties, struct hf_buf *out)
{
  struct mqtt_property property;
  while (mqtt_property_next(&properties, &property))
    if (belongs_to_message(property.id))
      HF_TRY(mqtt_property_add(out, &property));
  return HF_OK;
}

hf_err pass_expiry(struct hf_slice properties, int64_t waited_s, struct hf_buf *out, bool *ret_expired)
{
  bool expired = false;
  struct mqtt_property property;
  while (mqtt_property_next(&properties, &property)) {
    if (property.id == MQTT_MESSAGE_EXPIRY) {
      expired = waited_s >= property.number;
      property.number = expired ? 0 : property.number - (uint32_t)waited_s;
    }
    HF_TRY(mqtt_property_add(out, &property));
  }
  *ret_expired = expired;
  return HF_OK;
}
