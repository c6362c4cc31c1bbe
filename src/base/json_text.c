/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json_text.h"

#include "base/text.h"

hf_err hf_json_add_text(struct hf_buf *out, const char *text)
{
  if (!text)
    return hf_buf_add_str(out, "null");
  HF_TRY(hf_buf_add_u8(out, '"'));
  const unsigned char *at = (const unsigned char *)text, *end = at + strlen(text);
  while (at < end) {
    size_t len = hf_utf8_len(hf_slice(at, (size_t)(end - at)));
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

hf_err hf_json_add_member(struct hf_buf *out, const char *name, const char *text)
{
  if (!text)
    return HF_OK;
  HF_TRY(add_name(out, name));
  return hf_json_add_text(out, text);
}

hf_err hf_json_add_number(struct hf_buf *out, const char *name, double value)
{
  HF_TRY(add_name(out, name));
  return hf_buf_addf(out, "%.15g", value);
}
