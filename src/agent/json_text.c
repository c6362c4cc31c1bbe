/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/json_text.h"

/* The length of the UTF-8 character at text; 0 where it is none (RFC 3629). */
static size_t character(const unsigned char *text)
{
  static const struct {
    unsigned char low, high;   /* of the first byte */
    unsigned char low2, high2; /* of the second */
    size_t len;
  } rows[] = {
    { 0xC2, 0xDF, 0x80, 0xBF, 2 }, { 0xE0, 0xE0, 0xA0, 0xBF, 3 }, { 0xE1, 0xEC, 0x80, 0xBF, 3 },
    { 0xED, 0xED, 0x80, 0x9F, 3 }, { 0xEE, 0xEF, 0x80, 0xBF, 3 }, { 0xF0, 0xF0, 0x90, 0xBF, 4 },
    { 0xF1, 0xF3, 0x80, 0xBF, 4 }, { 0xF4, 0xF4, 0x80, 0x8F, 4 },
  };
  if (text[0] < 0x80)
    return 1;
  for (size_t i = 0; i < HF_ARRAY_LEN(rows); i++) {
    if (text[0] < rows[i].low || text[0] > rows[i].high)
      continue;
    if (text[1] < rows[i].low2 || text[1] > rows[i].high2)
      return 0;
    for (size_t k = 2; k < rows[i].len; k++)
      if ((text[k] & 0xC0) != 0x80)
        return 0;
    return rows[i].len;
  }
  return 0;
}

hf_err json_add_text(struct hf_buf *out, const char *text)
{
  if (!text)
    return hf_buf_add_str(out, "null");
  HF_TRY(hf_buf_add_u8(out, '"'));
  for (const unsigned char *at = (const unsigned char *)text; *at;) {
    size_t len = character(at);
    if (len == 0)
      HF_TRY(hf_buf_add_str(out, "\\ufffd"));
    else if (*at < 0x20 || *at == 0x7F)
      HF_TRY(hf_buf_addf(out, "\\u%04x", *at));
    else if (*at == '"' || *at == '\\')
      HF_TRY(hf_buf_addf(out, "\\%c", *at));
    else
      HF_TRY(hf_buf_add(out, at, len));
    at += len ? len : 1;
  }
  return hf_buf_add_u8(out, '"');
}

static hf_err add_name(struct hf_buf *out, const char *name)
{
  uint8_t last = out->len ? out->data[out->len - 1] : '{';
  return hf_buf_addf(out, "%s\"%s\":", last == '{' || last == '[' ? "" : ",", name);
}

hf_err json_add_member(struct hf_buf *out, const char *name, const char *text)
{
  if (!text)
    return HF_OK;
  HF_TRY(add_name(out, name));
  return json_add_text(out, text);
}

hf_err json_add_number(struct hf_buf *out, const char *name, double value)
{
  HF_TRY(add_name(out, name));
  return hf_buf_addf(out, "%.15g", value);
}
