/* SPDX-License-Identifier: Apache-2.0 */
#include "doctor/doctor_report.h"

#include "base/cleanup.h"
#include "base/text.h"

json_t *doctor_report_new(void)
{
  return json_pack("{s:[]}", "checks");
}

static hf_err no_memory(void)
{
  return hf_fail(HF_ERR_NO_MEMORY, "the report");
}

/* What a token says of itself may be no UTF-8: then as Latin-1, which any text is. */
static json_t *text_json(const char *text)
{
  json_t *json = json_string(text);
  if (json)
    return json;
  HF_CLEANUP(hf_buf_free) struct hf_buf wide = HF_BUF(2 * strlen(text) + 1);
  for (const unsigned char *at = (const unsigned char *)text; *at; at++) {
    const uint8_t pair[] = { (uint8_t)(0xC0 | *at >> 6), (uint8_t)(0x80 | (*at & 0x3F)) };
    hf_ignore(*at < 0x80 ? hf_buf_add(&wide, at, 1) : hf_buf_add(&wide, pair, sizeof(pair)));
  }
  return json_string(hf_buf_str(&wide));
}

static hf_err put(json_t *object, const char *name, json_t *value)
{
  return value && json_object_set_new(object, name, value) == 0 ? HF_OK : no_memory();
}

static hf_err put_text(json_t *object, const char *name, const char *text)
{
  return text[0] ? put(object, name, text_json(text)) : HF_OK;
}

static hf_err put_error(json_t *check, const struct hf_err_saved *error)
{
  char line[HF_CONTEXT_MAX + 256];
  if (!hf_failed(error->error))
    return HF_OK;
  hf_ignore(hf_err_restore(error));
  hf_err_format(error->error, line, sizeof(line));
  HF_TRY(put_text(check, "error_code", hf_err_name(error->error)));
  HF_TRY(put_text(check, "error", line));
  return put_text(check, "hint", error->hint);
}

static hf_err put_values(json_t *check, const struct doctor_finding *finding)
{
  json_t *values = json_object();
  if (!finding->value_count) {
    json_decref(values);
    return HF_OK;
  }
  HF_TRY(put(check, "values", values));
  for (size_t i = 0; i < finding->value_count; i++)
    HF_TRY(put(values, finding->values[i].name, json_real(finding->values[i].value)));
  return HF_OK;
}

hf_err doctor_report_add(json_t *report, const struct doctor_finding *finding)
{
  json_t *check = json_object();
  if (json_array_append_new(json_object_get(report, "checks"), check) != 0)
    return no_memory();
  HF_TRY(put_text(check, "code", finding->code));
  HF_TRY(put_text(check, "title", finding->title));
  HF_TRY(put_text(check, "verdict", doctor_verdict_name(finding->verdict)));
  HF_TRY(put_text(check, "detail", finding->detail));
  HF_TRY(put_error(check, &finding->error));
  HF_TRY(put_text(check, "because", finding->because));
  return put_values(check, finding);
}

hf_err doctor_report_end(json_t *report, const struct doctor_summary *summary)
{
  for (enum doctor_verdict verdict = 0; verdict < DOCTOR_VERDICTS; verdict++)
    HF_TRY(put(report, doctor_verdict_name(verdict), json_integer(summary->counts[verdict])));
  return put(report, "healthy", json_boolean(summary->counts[DOCTOR_FAIL] == 0));
}
