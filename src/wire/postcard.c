/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/postcard.h"

#include "base/text.h"

enum { DIGIT_BITS = 7, MORE = 0x80 };

hf_err wire_take_varint(struct hf_slice *in, unsigned bits, uint64_t *ret_value)
{
  struct hf_slice rest = *in;
  uint64_t value = 0;
  for (unsigned shift = 0; shift < bits; shift += DIGIT_BITS) {
    uint8_t byte = 0;
    HF_TRY(hf_take_u8(&rest, &byte));
    uint64_t digit = byte & (MORE - 1);
    if (bits - shift < DIGIT_BITS && digit >> (bits - shift))
      return hf_fail(HF_ERR_PARSE, "a number of more than %u bits", bits);
    value |= digit << shift;
    if (byte & MORE)
      continue;
    if (byte == 0 && shift > 0)
      return hf_fail(HF_ERR_PARSE, "a number with leading zeros");
    *in = rest;
    *ret_value = value;
    return HF_OK;
  }
  return hf_fail(HF_ERR_PARSE, "a number longer than %u bytes", WIRE_VARINT_MAX(bits));
}

hf_err wire_add_varint(struct hf_buf *out, uint64_t value)
{
  uint8_t bytes[WIRE_VARINT_MAX(64)];
  size_t len = 0;
  for (; value >= MORE; value >>= DIGIT_BITS)
    bytes[len++] = (uint8_t)(value | MORE);
  bytes[len++] = (uint8_t)value;
  return hf_buf_add(out, bytes, len);
}

hf_err wire_take_bool(struct hf_slice *in, bool *ret_value)
{
  struct hf_slice rest = *in;
  uint8_t byte = 0;
  HF_TRY(hf_take_u8(&rest, &byte));
  if (byte > 1)
    return hf_fail(HF_ERR_PARSE, "0x%02x where 00 or 01 is expected", byte);
  *in = rest;
  *ret_value = byte;
  return HF_OK;
}

hf_err wire_take_bytes(struct hf_slice *in, struct hf_slice *ret_bytes)
{
  struct hf_slice rest = *in;
  uint64_t len = 0;
  const uint8_t *data = NULL;
  HF_TRY(wire_take_varint(&rest, 64, &len));
  if (len > rest.len)
    return hf_fail(HF_ERR_PARSE, "%llu bytes are announced, %zu are there", (unsigned long long)len, rest.len);
  HF_TRY(hf_take(&rest, (size_t)len, &data));
  *in = rest;
  *ret_bytes = hf_slice(data, (size_t)len);
  return HF_OK;
}

hf_err wire_take_string(struct hf_slice *in, struct hf_slice *ret_text)
{
  struct hf_slice rest = *in, text = { 0 };
  HF_TRY(wire_take_bytes(&rest, &text));
  if (!hf_is_utf8(text))
    return hf_fail(HF_ERR_PARSE, "a string that is not UTF-8");
  *in = rest;
  *ret_text = text;
  return HF_OK;
}

hf_err wire_add_bytes(struct hf_buf *out, struct hf_slice bytes)
{
  HF_TRY(wire_add_varint(out, bytes.len));
  return hf_buf_add(out, bytes.data, bytes.len);
}
