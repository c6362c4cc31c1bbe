/* SPDX-License-Identifier: Apache-2.0 */
/* holdfast secret put */
#include "base/file.h"
#include "cli/commands.h"
#include "cli/pin.h"
#include "cli/secret.h"

enum { STAGE_LIST_MAX = SECRETS_STAGES_MAX * (SECRETS_STAGE_MAX + 1) };

static hf_err read_file(const char *path, struct hf_buf *value)
{
  hf_err e = hf_file_read(path, value);
  return e.code == HF_ERR_LIMIT ? secrets_value_check(SECRETS_VALUE_MAX + 1) : e;
}

/* On a terminal a line, with its echo off. */
static hf_err ask(const char *name, struct hf_buf *value)
{
  HF_CLEANUP(hf_secret_freep) struct hf_secret *typed = NULL;
  char prompt[SECRETS_NAME_MAX + 32];
  snprintf(prompt, sizeof(prompt), "Value of %s: ", name);
  HF_TRY(cli_ask_secret(stderr, prompt, &typed));
  return hf_buf_add(value, hf_secret_data(typed), hf_secret_len(typed));
}

static hf_err read_value(const struct cli_args *args, struct hf_buf *value)
{
  const char *path = cli_get(args, "file");
  if (!path && isatty(STDIN_FILENO))
    HF_TRY(ask(cli_operand(args, 0), value));
  else
    HF_TRY(read_file(path ? path : "/dev/stdin", value));
  return secrets_value_check(value->len);
}

struct stages {
  char text[STAGE_LIST_MAX];
  const char *list[SECRETS_STAGES_MAX];
  size_t count;
};

static hf_err cut_stages(const struct cli_args *args, struct stages *stages)
{
  const char *given = cli_get(args, "stage");
  if (given && (size_t)snprintf(stages->text, sizeof(stages->text), "%s", given) >= sizeof(stages->text))
    return hf_fail(HF_ERR_LIMIT, "--stage of %zu bytes", strlen(given));
  char *rest = given ? stages->text : NULL;
  for (char *one = strsep(&rest, ","); one; one = strsep(&rest, ",")) {
    if (stages->count == SECRETS_STAGES_MAX)
      return hf_fail(HF_ERR_LIMIT, "--stage with more than %d labels", SECRETS_STAGES_MAX);
    stages->list[stages->count++] = one;
  }
  return HF_OK;
}

static hf_err run(const struct cli_args *args)
{
  HF_CLEANUP(cli_secrets_close) struct cli_secrets secrets = { 0 };
  HF_CLEANUP(hf_buf_free) struct hf_buf value = HF_BUF(SECRETS_VALUE_MAX);
  struct stages stages = { .count = 0 };
  struct secrets_made made;
  const char *name = cli_operand(args, 0);
  HF_TRY(secrets_name_check(name));
  HF_TRY(cut_stages(args, &stages));
  HF_TRY(read_value(args, &value));
  HF_TRY(cli_secrets_open(args, true, &secrets));
  const struct secrets_new new = { .name = name,
                                   .value = hf_slice(value.data, value.len),
                                   .stages = stages.count ? stages.list : NULL,
                                   .stage_count = stages.count };
  HF_TRY(secrets_put(secrets.secrets, &new, &made));
  return cli_secret_report(args, name, &made);
}

static const struct cli_option options[] = {
  { "file", "FILE", "read the value from there (default: standard input)" },
  { "stage", "LABELS", "labels that the new version gets, with commas (default: AWSCURRENT)" },
  CLI_JSON_OPTION,
  CLI_MODULE_OPTIONS,
  CLI_END,
};

const struct cli_command cli_secret_put = {
  .name = "secret put",
  .help = "Keep a secret, sealed under a key in the HSM",
  .operands = "NAME",
  .operands_min = 1,
  .operands_max = 1,
  .options = options,
  .details =
      "The value is taken as it is, 1 byte to 64 KiB; on a terminal it is asked for. The new version gets the label\n"
      "AWSCURRENT, and the one that had it becomes AWSPREVIOUS; a version without any label is deleted. The key is\n"
      "secrets.key_uri's, else the device's: RSA, or EC that derives. Its PIN is needed for the first secret alone.\n",
  .example = "printf %s \"$PASSWORD\" | holdfast secret put plc/password\n"
             "holdfast secret put plc/certificate --file plc.p12\n",
  .run = run,
};
