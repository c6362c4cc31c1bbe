/* SPDX-License-Identifier: Apache-2.0 */
#include "secrets/answer.h"

#include "base/json_text.h"
#include "base/text.h"

#include <openssl/evp.h>

static bool is_text(struct hf_slice value)
{
  return hf_is_utf8(value) && !memchr(value.data, '\0', value.len);
}

static hf_err add_value(struct hf_slice bytes, struct hf_buf *out)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf text = HF_BUF(2 * SECRETS_VALUE_MAX);
  uint8_t *room;
  if (is_text(bytes)) {
    HF_TRY(hf_buf_add(&text, bytes.data, bytes.len));
    return hf_json_add_member(out, "value", hf_buf_str(&text));
  }
  HF_TRY(hf_buf_reserve(&text, 4 * (bytes.len + 2) / 3 + 1, &room));
  hf_buf_commit(&text, (size_t)EVP_EncodeBlock(room, bytes.data, (int)bytes.len));
  return hf_json_add_member(out, "value_base64", hf_buf_str(&text));
}

static hf_err add_stages(const struct secrets_value *value, struct hf_buf *out)
{
  bool any = false;
  HF_TRY(hf_buf_add_str(out, ",\"stages\":["));
  for (size_t i = 0; i < value->info.stage_count; i++) {
    const struct secrets_stage *stage = &value->info.stages[i];
    if (memcmp(stage->version, value->version, SECRETS_ID_BYTES) != 0)
      continue;
    HF_TRY(hf_buf_add_str(out, any ? "," : ""));
    HF_TRY(hf_json_add_text(out, stage->label));
    any = true;
  }
  return hf_buf_add_u8(out, ']');
}

hf_err secrets_answer_add(const struct secrets_value *value, struct hf_buf *out)
{
  char version[SECRETS_ID_TEXT];
  secrets_id_format(value->version, version);
  HF_TRY(hf_buf_add_u8(out, '{'));
  HF_TRY(hf_json_add_member(out, "name", value->info.name));
  HF_TRY(hf_json_add_member(out, "version", version));
  HF_TRY(add_stages(value, out));
  HF_TRY(hf_json_add_number(out, "created", (double)value->created));
  HF_TRY(add_value(hf_slice(hf_secret_data(value->value), hf_secret_len(value->value)), out));
  return hf_buf_add_str(out, "}\n");
}

hf_err secrets_answer_add_error(hf_err e, struct hf_buf *out)
{
  char line[HF_CONTEXT_MAX + 256];
  hf_err_format(e, line, sizeof(line));
  HF_TRY(hf_buf_add_u8(out, '{'));
  HF_TRY(hf_json_add_member(out, "error", hf_err_name(e)));
  HF_TRY(hf_json_add_member(out, "message", line));
  HF_TRY(hf_json_add_member(out, "context", hf_err_context()));
  HF_TRY(hf_json_add_member(out, "hint", hf_err_hint(e)));
  return hf_buf_add_str(out, "}\n");
}
