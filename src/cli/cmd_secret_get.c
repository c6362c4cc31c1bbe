/* SPDX-License-Identifier: Apache-2.0 */
/* holdfast secret get */
#include "base/file.h"
#include "cli/commands.h"
#include "cli/secret.h"
#include "secrets/answer.h"

/* A secret: never as open as other output. */
static hf_err put_out(const struct cli_args *args, struct hf_slice data)
{
  const char *path = cli_get(args, "out");
  return path && strcmp(path, "-") != 0 ? hf_file_write(path, data.data, data.len, 0600) : cli_output(args, data);
}

static hf_err show(const struct cli_args *args, const struct secrets_value *value)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf text = HF_BUF(SECRETS_ANSWER_MAX);
  if (!cli_has(args, "json"))
    return put_out(args, hf_slice(hf_secret_data(value->value), hf_secret_len(value->value)));
  HF_TRY(secrets_answer_add(value, &text));
  return put_out(args, hf_slice(text.data, text.len));
}

static hf_err direct(const struct cli_args *args, const char *name, const uint8_t *version)
{
  HF_CLEANUP(cli_secrets_close) struct cli_secrets secrets = { 0 };
  HF_CLEANUP(secrets_value_free) struct secrets_value value = { 0 };
  HF_TRY(cli_secrets_open(args, false, &secrets));
  HF_TRY(secrets_get(secrets.secrets, name, cli_get(args, "stage"), version, &value));
  return show(args, &value);
}

static hf_err run(const struct cli_args *args)
{
  const char *name = cli_operand(args, 0), *version = cli_get(args, "version-id");
  uint8_t id[SECRETS_ID_BYTES];
  HF_TRY(secrets_name_check(name));
  if (version && cli_has(args, "stage"))
    return hf_fail(HF_ERR_USAGE, "--stage or --version-id, not both");
  if (version)
    HF_TRY(secrets_id_parse(version, id));
  return direct(args, name, version ? id : NULL);
}

static const struct cli_option options[] = {
  { "stage", "LABEL", "the version with this label (default: AWSCURRENT)" },
  { "version-id", "ID", "this version" },
  { "out", "FILE", "write it there (0600) in place of standard output" },
  CLI_JSON_OPTION,
  CLI_MODULE_OPTIONS,
  CLI_END,
};

const struct cli_command cli_secret_get = {
  .name = "secret get",
  .help = "Read a secret",
  .operands = "NAME",
  .operands_min = 1,
  .operands_max = 1,
  .options = options,
  .details =
      "The value comes out as it was put, without a newline after it. --json gives its version and labels, too, and\n"
      "the value as text, or in base64 where it is none.\n",
  .example = "holdfast secret get plc/password\n"
             "holdfast secret get plc/certificate --stage AWSPREVIOUS --out plc.p12\n",
  .run = run,
};
