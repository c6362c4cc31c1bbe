/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/secret.h"

#include "cli/token.h"

#include <limits.h>
#include <time.h>

hf_err cli_secrets_open(const struct cli_args *args, bool create, struct cli_secrets *ret_secrets)
{
  HF_CLEANUP(cli_secrets_close) struct cli_secrets secrets = { 0 };
  char module[PATH_MAX];
  HF_TRY(cli_config_load(args, &secrets.config));
  HF_TRY(cli_module_path(args, module, sizeof(module)));
  HF_TRY(secrets_open(secrets.config, module, create, &secrets.secrets));
  *ret_secrets = secrets;
  secrets = (struct cli_secrets){ 0 };
  return HF_OK;
}

void cli_secrets_close(struct cli_secrets *secrets)
{
  secrets->secrets = secrets_close(secrets->secrets);
  secrets->config = config_free(secrets->config);
}

void cli_secret_time(int64_t when, char out[CLI_SECRET_TIME_MAX])
{
  time_t time = (time_t)when;
  struct tm tm;
  if (!gmtime_r(&time, &tm) || strftime(out, CLI_SECRET_TIME_MAX, "%Y-%m-%d %H:%M:%S UTC", &tm) == 0)
    snprintf(out, CLI_SECRET_TIME_MAX, "%lld", (long long)when);
}

static void warn_unchecked(const struct secrets_made *made)
{
  char line[HF_CONTEXT_MAX + 256];
  if (!hf_failed(made->unchecked.error))
    return;
  hf_ignore(hf_err_restore(&made->unchecked));
  hf_err_format(made->unchecked.error, line, sizeof(line));
  fputs("holdfast: note: kept without asking the HSM whether it still has the key: ", stderr);
  cli_print_text(stderr, line, strlen(line));
  fputc('\n', stderr);
}

hf_err cli_secret_report(const struct cli_args *args, const char *name, const struct secrets_made *made)
{
  char version[SECRETS_ID_TEXT];
  bool checked = !hf_failed(made->unchecked.error);
  secrets_id_format(made->version, version);
  warn_unchecked(made);
  if (!cli_has(args, "json")) {
    printf("Secret %s has version %s, its key wrapped by %s.\n", name, version, wrap_method_name(made->method));
    return HF_OK;
  }
  HF_CLEANUP(json_decrefp) json_t *json = json_object();
  HF_TRY(cli_json_set(json, "name", name));
  HF_TRY(cli_json_set(json, "version", version));
  HF_TRY(cli_json_set(json, "method", wrap_method_name(made->method)));
  HF_TRY(cli_json_set_new(json, "checked", json_boolean(checked)));
  return cli_json_print(json);
}

json_t *cli_secret_stages(const struct secrets_info *info, const uint8_t *version)
{
  json_t *list = json_array();
  for (size_t i = 0; list && i < info->stage_count; i++)
    if (memcmp(info->stages[i].version, version, SECRETS_ID_BYTES) == 0)
      json_array_append_new(list, json_string(info->stages[i].label));
  return list;
}
