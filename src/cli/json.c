/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/json.h"

static hf_err no_memory(void)
{
  return hf_fail(HF_ERR_NO_MEMORY, "writing JSON");
}

hf_err cli_json_set_new(json_t *object, const char *name, json_t *value)
{
  return value && json_object_set_new(object, name, value) == 0 ? HF_OK : no_memory();
}

hf_err cli_json_append_new(json_t *array, json_t *value)
{
  return value && json_array_append_new(array, value) == 0 ? HF_OK : no_memory();
}

hf_err cli_json_set(json_t *object, const char *name, const char *text)
{
  json_t *value = json_string(text);
  if (value)
    return cli_json_set_new(object, name, value);
  HF_CLEANUP(hf_buf_free) struct hf_buf hex = HF_BUF(1 << 20);
  HF_TRY(hf_buf_add_str(&hex, "hex:"));
  HF_TRY(hf_buf_add_hex(&hex, text, strlen(text)));
  return cli_json_set_new(object, name, json_string(hf_buf_str(&hex)));
}

long long cli_json_number(const json_t *object, const char *name)
{
  return (long long)json_number_value(json_object_get(object, name));
}

hf_err cli_json_print(const json_t *value)
{
  if (json_dumpf(value, stdout, JSON_INDENT(2)) != 0)
    return hf_fail(HF_ERR_IO, "writing to standard output");
  fputc('\n', stdout);
  return HF_OK;
}
