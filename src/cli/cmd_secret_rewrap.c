/* SPDX-License-Identifier: Apache-2.0 */
/* holdfast secret rewrap */
#include "cli/commands.h"
#include "cli/secret.h"

struct adoption {
  const struct cli_args *args;
  const char *uri;
};

static hf_err adopt(void *arg)
{
  const struct adoption *adoption = arg;
  HF_CLEANUP(config_freep) struct config *config = NULL;
  HF_TRY(config_open(cli_get(adoption->args, "config"), &config));
  const char *now = config_get(config, CONFIG_SECRETS_KEY_URI);
  if (now && strcmp(now, adoption->uri) == 0)
    return HF_OK;
  HF_TRY(config_set(config, CONFIG_SECRETS_KEY_URI, adoption->uri));
  return config_save(config);
}

static void progress(uint64_t done, uint64_t total, void *arg)
{
  (void)arg;
  if (isatty(STDERR_FILENO))
    fprintf(stderr, "\r%llu of %llu versions\x1b[K%s", (unsigned long long)done, (unsigned long long)total,
            done == total ? "\n" : "");
}

static hf_err report(const struct cli_args *args, const char *uri, uint64_t moved)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf shown = HF_BUF(4 * URI_MAX);
  HF_TRY(uri_redact(uri, &shown));
  if (!cli_has(args, "json")) {
    printf("The secrets are under %s; %llu versions were moved.\n", hf_buf_str(&shown), (unsigned long long)moved);
    return HF_OK;
  }
  HF_CLEANUP(json_decrefp) json_t *json = json_object();
  HF_TRY(cli_json_set(json, "key", hf_buf_str(&shown)));
  HF_TRY(cli_json_set_new(json, "moved", json_integer((json_int_t)moved)));
  return cli_json_print(json);
}

static hf_err run(const struct cli_args *args)
{
  HF_CLEANUP(cli_secrets_close) struct cli_secrets secrets = { 0 };
  uint64_t moved = 0;
  const char *uri = cli_get(args, "key");
  HF_TRY(cli_secrets_open(args, false, &secrets));
  if (!uri)
    HF_TRY(secrets_key_uri(secrets.config, &uri));
  struct adoption adoption = { args, uri };
  const struct secrets_move move = { uri, adopt, progress, &adoption };
  HF_TRY(secrets_rewrap(secrets.secrets, &move, &moved));
  return report(args, uri, moved);
}

static const struct cli_option options[] = {
  { "key", "URI", "the new key (default: the one that is configured)" },
  CLI_JSON_OPTION,
  CLI_MODULE_OPTIONS,
  CLI_END,
};

const struct cli_command cli_secret_rewrap = {
  .name = "secret rewrap",
  .help = "Move all secrets to another key",
  .options = options,
  .details =
      "Needs both keys, and their PIN. Each data key is wrapped by the new key, too; then secrets.key_uri is set, and\n"
      "what the old key wrapped is dropped. Cut at any point, all secrets can be read, and the same command goes on.\n"
      "Values are not decrypted.\n",
  .example = "holdfast secret rewrap --key 'pkcs11:token=device;object=secrets-2;type=private'\n",
  .run = run,
};
