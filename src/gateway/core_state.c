/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/core_state.h"

#include "gateway/core_status.h"

#include <jansson.h>

enum { DOCUMENT_MAX = 1 << 20 };

static const char *text_of(const json_t *object, const char *name)
{
  const char *text = json_string_value(json_object_get(object, name));
  return text ? text : "";
}

static const json_t *find_bridge(const json_t *document, const char *name)
{
  size_t i;
  json_t *bridge;
  json_array_foreach (json_object_get(document, "bridges"), i, bridge)
    if (strcmp(text_of(bridge, "cloud"), name) == 0)
      return bridge;
  return NULL;
}

/* The cloud's side first: it is what a person asks about. */
static struct hf_err_saved find_cause(const json_t *bridge)
{
  const json_t *const causes[] = { json_object_get(json_object_get(bridge, "cloud_side"), "cause"),
                                   json_object_get(json_object_get(bridge, "local_side"), "cause"),
                                   json_object_get(bridge, "spool") };
  for (size_t i = 0; i < HF_ARRAY_LEN(causes); i++) {
    enum hf_code code = HF_ERR_OK;
    if (json_is_object(causes[i]) && hf_code_find(text_of(causes[i], "code"), &code) && code != HF_ERR_OK)
      return hf_err_save(hf_hint(hf_fail(code, "%s", text_of(causes[i], "context")), "%s", text_of(causes[i], "hint")));
  }
  return (struct hf_err_saved){ .error = HF_OK };
}

hf_err core_state_ask(const struct config *config, const struct config_cloud *cloud, struct core_state *ret_state)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf text = HF_BUF(DOCUMENT_MAX);
  HF_TRY(core_status_ask(config, &text));
  HF_CLEANUP(json_decrefp) json_t *document = json_loadb((const char *)text.data, text.len, 0, NULL);
  if (!json_is_object(document))
    return hf_fail(HF_ERR_PARSE, "what holdfast-core says of itself");
  const json_t *bridge = find_bridge(document, cloud->name);
  const json_t *acknowledged = json_object_get(json_object_get(bridge, "to_cloud"), "acknowledged");
  ret_state->has_bridge = bridge != NULL;
  ret_state->up = strcmp(text_of(bridge, "state"), "up") == 0;
  ret_state->acknowledged = (uint64_t)json_integer_value(acknowledged);
  ret_state->cause = find_cause(bridge);
  return HF_OK;
}
