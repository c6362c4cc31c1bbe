/* SPDX-License-Identifier: Apache-2.0 */
/* holdfast config get|set|unset|list */
#include "cli/commands.h"
#include "cli/configuration.h"
#include "cli/json.h"
#include "cli/pin.h"
#include "uri/uri.h"

enum { VALUE_MAX = 64 * 1024 };

#define FILES                                                                                               \
  "The file: --config, else $HOLDFAST_CONFIG, else /etc/holdfast/config.json for root; another user's is\n" \
  "~/.config/holdfast/config.json, or root's where they have none. 'holdfast config list --doc' tells of each key.\n"

static const char files[] = FILES;
static const char set_details[] = "Of a PIN or password, VALUE may be - : it is then read from standard input.\n" FILES;

/* What may be shown of a value: a PIN is replaced by ***, alone or within a URI. NULL where there is no value. */
static hf_err shown_value(const struct config *config, enum config_key key, struct hf_buf *out, const char **ret_shown)
{
  const char *value = config_get(config, key);
  const char *shown = value && config_is_secret(key) ? "***" : value;
  if (value && config_row(key)->type == CONFIG_TYPE_URI) {
    HF_TRY(uri_redact(value, out));
    shown = hf_buf_str(out);
    if (!shown)
      return hf_fail(HF_ERR_NO_MEMORY, "%s", config_row(key)->key);
  }
  *ret_shown = shown;
  return HF_OK;
}

static hf_err run_get(const struct cli_args *args)
{
  enum config_key key;
  HF_TRY(config_key_find(args->operands[0], &key));
  HF_CLEANUP(config_freep) struct config *config = NULL;
  HF_TRY(cli_config_load(args, &config));
  HF_CLEANUP(hf_buf_free) struct hf_buf text = HF_BUF(2 * URI_MAX);
  const char *shown;
  HF_TRY(shown_value(config, key, &text, &shown));
  if (!shown)
    return hf_hint(hf_fail(HF_ERR_NOT_FOUND, "%s is not set in %s", config_row(key)->key, config_path(config)),
                   "Set it: 'holdfast config set %s VALUE'.", config_row(key)->key);
  if (cli_has(args, "show-secret"))
    shown = config_get(config, key);
  else if (config_is_secret(key))
    return hf_hint(hf_fail(HF_ERR_USAGE, "%s is a secret", config_row(key)->key),
                   "To see it all the same: --show-secret.");
  puts(shown);
  return HF_OK;
}

/* "-" stands for standard input, where the value is a secret: an argument can be seen by other users. */
static hf_err read_value(const struct cli_args *args, enum config_key key, struct hf_buf *out)
{
  char *value = args->operands[1];
  HF_CLEANUP(hf_secret_freep) struct hf_secret *secret = NULL;
  if (!config_is_secret(key))
    return hf_buf_add_str(out, value);
  if (strcmp(value, "-") != 0) {
    hf_err e = hf_buf_add_str(out, value);
    hf_wipe(value, strlen(value));
    return e;
  }
  HF_TRY(cli_secret_from_input(config_row(key)->key, &secret));
  return hf_buf_add(out, hf_secret_data(secret), hf_secret_len(secret));
}

static hf_err run_set(const struct cli_args *args)
{
  enum config_key key;
  HF_TRY(config_key_find(args->operands[0], &key));
  HF_CLEANUP(hf_buf_free) struct hf_buf value = HF_BUF(VALUE_MAX);
  HF_TRY(read_value(args, key, &value));
  HF_CLEANUP(config_freep) struct config *config = NULL, *saved = NULL;
  HF_TRY(config_open(cli_get(args, "config"), &config));
  HF_TRY(config_set(config, key, hf_buf_str(&value)));
  HF_TRY(config_save(config));
  return cli_config_load(args, &saved);
}

static hf_err run_unset(const struct cli_args *args)
{
  enum config_key key;
  HF_TRY(config_key_find(args->operands[0], &key));
  HF_CLEANUP(config_freep) struct config *config = NULL;
  HF_TRY(config_open(cli_get(args, "config"), &config));
  if (!config_is_set(config, key))
    return HF_OK;
  HF_TRY(config_unset(config, key));
  return config_save(config);
}

/* One key of a listing; out is the JSON array, or NULL. */
typedef hf_err (*list_fn)(const struct config *config, enum config_key key, const char *shown, json_t *out);

static hf_err list_plain(const struct config *config, enum config_key key, const char *shown, json_t *out)
{
  (void)config;
  (void)out;
  if (shown)
    printf("%s=%s\n", config_row(key)->key, shown);
  return HF_OK;
}

static hf_err list_doc(const struct config *config, enum config_key key, const char *shown, json_t *out)
{
  (void)out;
  const struct config_row *row = config_row(key);
  printf("%s\n    %s.\n    Type: %s%s%s%s. Default: %s.\n", row->key, row->help, config_type_name(row->type),
         row->choices ? " (" : "", row->choices ? row->choices : "", row->choices ? ")" : "",
         row->default_value ? row->default_value : "none");
  if (shown && config_is_set(config, key))
    printf("    Set to: %s\n", shown);
  return HF_OK;
}

static hf_err list_json(const struct config *config, enum config_key key, const char *shown, json_t *out)
{
  const struct config_row *row = config_row(key);
  return cli_json_append_new(out, json_pack("{s:s, s:s?, s:b, s:s, s:s?, s:s}", "key", row->key, "value", shown, "set",
                                            (int)config_is_set(config, key), "type", config_type_name(row->type),
                                            "default", row->default_value, "help", row->help));
}

static hf_err for_each(const struct config *config, list_fn fn, json_t *out)
{
  for (enum config_key key = 0; key < CONFIG_KEY_COUNT; key++) {
    HF_CLEANUP(hf_buf_free) struct hf_buf text = HF_BUF(2 * URI_MAX);
    const char *shown;
    HF_TRY(shown_value(config, key, &text, &shown));
    HF_TRY(fn(config, key, shown, out));
  }
  return HF_OK;
}

static hf_err run_list(const struct cli_args *args)
{
  if (cli_has(args, "json") && cli_has(args, "doc"))
    return hf_fail(HF_ERR_USAGE, "--json and --doc exclude each other");
  HF_CLEANUP(config_freep) struct config *config = NULL;
  HF_TRY(cli_config_load(args, &config));
  if (!cli_has(args, "json"))
    return for_each(config, cli_has(args, "doc") ? list_doc : list_plain, NULL);
  HF_CLEANUP(json_decrefp) json_t *rows = json_array();
  HF_TRY(for_each(config, list_json, rows));
  return cli_json_print(rows);
}

static const struct cli_option get_options[] = {
  CLI_CONFIG_OPTION,
  { "show-secret", NULL, "print a PIN, too" },
  CLI_END,
};

static const struct cli_option change_options[] = { CLI_CONFIG_OPTION, CLI_END };

static const struct cli_option list_options[] = {
  CLI_CONFIG_OPTION,
  CLI_JSON_OPTION,
  { "doc", NULL, "tell of each key, set or not: what it is for, its type and default" },
  CLI_END,
};

const struct cli_command cli_config_get = {
  .name = "config get",
  .help = "Print the value of a configuration key, or its default",
  .operands = "KEY",
  .operands_min = 1,
  .operands_max = 1,
  .options = get_options,
  .details = files,
  .example = "holdfast config get mqtt.url\n",
  .run = run_get,
};

const struct cli_command cli_config_set = {
  .name = "config set",
  .help = "Set a configuration key",
  .operands = "KEY VALUE",
  .operands_min = 2,
  .operands_max = 2,
  .options = change_options,
  .details = set_details,
  .example = "holdfast config set mqtt.url broker.example:8883\n"
             "systemd-ask-password | holdfast config set proxy.password -\n",
  .run = run_set,
};

const struct cli_command cli_config_unset = {
  .name = "config unset",
  .help = "Take a configuration key back to its default",
  .operands = "KEY",
  .operands_min = 1,
  .operands_max = 1,
  .options = change_options,
  .details = files,
  .example = "holdfast config unset mqtt.url\n",
  .run = run_unset,
};

const struct cli_command cli_config_list = {
  .name = "config list",
  .help = "Print all configuration keys that have a value",
  .options = list_options,
  .details = files,
  .example = "holdfast config list --doc\n",
  .run = run_list,
};
