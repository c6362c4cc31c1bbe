/* SPDX-License-Identifier: Apache-2.0 */
#include "secrets/request.h"

#include "base/json_text.h"

#include <jansson.h>

static hf_err not_a_request(const char *what)
{
  return hf_hint(hf_fail(HF_ERR_PARSE, "%s", what),
                 "A request is a line like {\"get\": \"NAME\", \"stage\": \"" SECRETS_CURRENT "\"}.");
}

static hf_err take_get(const char *text, struct secrets_request *request)
{
  HF_TRY(secrets_name_check(text));
  snprintf(request->name, sizeof(request->name), "%s", text);
  return HF_OK;
}

static hf_err take_stage(const char *text, struct secrets_request *request)
{
  HF_TRY(secrets_stage_check(text));
  snprintf(request->stage, sizeof(request->stage), "%s", text);
  return HF_OK;
}

static hf_err take_version(const char *text, struct secrets_request *request)
{
  request->has_version = true;
  return secrets_id_parse(text, request->version);
}

static const struct {
  const char *name;
  hf_err (*take)(const char *text, struct secrets_request *request);
} members[] = { { "get", take_get }, { "stage", take_stage }, { "version", take_version } };

static hf_err take_member(const char *name, const json_t *value, struct secrets_request *request)
{
  const char *text = json_string_value(value);
  for (size_t i = 0; i < HF_ARRAY_LEN(members); i++)
    if (strcmp(members[i].name, name) == 0)
      return text && strlen(text) == json_string_length(value) ? members[i].take(text, request)
                                                               : not_a_request("a member that is no text");
  return not_a_request("an unknown member");
}

hf_err secrets_request_parse(struct hf_slice line, struct secrets_request *ret_request)
{
  struct secrets_request request;
  memset(&request, 0, sizeof(request));
  if (line.len > SECRETS_REQUEST_MAX)
    return not_a_request("a line that is too long");
  HF_CLEANUP(json_decrefp) json_t *json = json_loadb((const char *)line.data, line.len, JSON_REJECT_DUPLICATES, NULL);
  if (!json_is_object(json))
    return not_a_request("what is no JSON object");
  const char *name;
  json_t *value;
  json_object_foreach (json, name, value)
    HF_TRY(take_member(name, value, &request));
  if (!request.name[0])
    return not_a_request("nothing is asked for");
  if (request.stage[0] && request.has_version)
    return not_a_request("a label and a version");
  *ret_request = request;
  return HF_OK;
}

hf_err secrets_request_add(const char *name, const char *stage, const uint8_t *version, struct hf_buf *out)
{
  char id[SECRETS_ID_TEXT];
  if (version)
    secrets_id_format(version, id);
  HF_TRY(hf_buf_add_u8(out, '{'));
  HF_TRY(hf_json_add_member(out, "get", name));
  HF_TRY(hf_json_add_member(out, "stage", stage));
  HF_TRY(hf_json_add_member(out, "version", version ? id : NULL));
  return hf_buf_add_str(out, "}\n");
}
