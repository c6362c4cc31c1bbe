/* SPDX-License-Identifier: Apache-2.0 */
#include "p11/der.h"

enum { LENGTH_BYTES_MAX = 4 };

static hf_err take_length(struct hf_slice *in, size_t *ret_len)
{
  uint8_t first;
  HF_TRY(hf_take_u8(in, &first));
  if (first < 0x80) {
    *ret_len = first;
    return HF_OK;
  }
  size_t count = first & 0x7f, len = 0;
  if (count == 0 || count > LENGTH_BYTES_MAX)
    return hf_fail(HF_ERR_PARSE, "DER length 0x%02x", first);
  for (size_t i = 0; i < count; i++) {
    uint8_t byte;
    HF_TRY(hf_take_u8(in, &byte));
    len = len << 8 | byte;
  }
  *ret_len = len;
  return HF_OK;
}

static hf_err take_any(struct hf_slice *in, uint8_t *ret_tag, struct hf_slice *ret_content)
{
  struct hf_slice rest = *in;
  uint8_t tag = 0;
  size_t len = 0;
  const uint8_t *data = NULL;
  HF_TRY(hf_take_u8(&rest, &tag));
  HF_TRY(take_length(&rest, &len));
  HF_TRY(hf_take(&rest, len, &data));
  *in = rest;
  *ret_tag = tag;
  *ret_content = hf_slice(data, len);
  return HF_OK;
}

hf_err p11_der_take(struct hf_slice *in, uint8_t tag, struct hf_slice *ret_content)
{
  struct hf_slice rest = *in, content;
  uint8_t found;
  HF_TRY(take_any(&rest, &found, &content));
  if (found != tag)
    return hf_fail(HF_ERR_PARSE, "DER tag 0x%02x where 0x%02x is expected", found, tag);
  *in = rest;
  *ret_content = content;
  return HF_OK;
}

hf_err p11_der_skip(struct hf_slice *in)
{
  uint8_t tag;
  struct hf_slice content;
  return take_any(in, &tag, &content);
}

hf_err p11_der_take_unsigned(struct hf_slice *in, struct hf_slice *ret_number)
{
  struct hf_slice number;
  HF_TRY(p11_der_take(in, DER_INTEGER, &number));
  if (number.len == 0 || (number.data[0] & 0x80))
    return hf_fail(HF_ERR_PARSE, "a positive number is expected");
  while (number.len > 1 && number.data[0] == 0) {
    number.data++;
    number.len--;
  }
  *ret_number = number;
  return HF_OK;
}

static hf_err add_header(struct hf_buf *out, uint8_t tag, size_t len)
{
  HF_TRY(hf_buf_add_u8(out, tag));
  if (len < 0x80)
    return hf_buf_add_u8(out, (uint8_t)len);
  uint8_t bytes = 1;
  while (bytes < sizeof(len) && len >> (8 * bytes))
    bytes++;
  HF_TRY(hf_buf_add_u8(out, 0x80 | bytes));
  while (bytes-- > 0)
    HF_TRY(hf_buf_add_u8(out, (uint8_t)(len >> (8 * bytes))));
  return HF_OK;
}

hf_err p11_der_add(struct hf_buf *out, uint8_t tag, const void *content, size_t len)
{
  HF_TRY(add_header(out, tag, len));
  return hf_buf_add(out, content, len);
}

hf_err p11_der_add_unsigned(struct hf_buf *out, const void *number, size_t len)
{
  const uint8_t *bytes = number;
  while (len > 1 && bytes[0] == 0) {
    bytes++;
    len--;
  }
  bool padded = len == 0 || (bytes[0] & 0x80);
  HF_TRY(add_header(out, DER_INTEGER, len + padded));
  if (padded)
    HF_TRY(hf_buf_add_u8(out, 0));
  return hf_buf_add(out, bytes, len);
}
