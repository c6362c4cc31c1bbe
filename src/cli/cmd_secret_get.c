/* SPDX-License-Identifier: Apache-2.0 */
/* holdfast secret get */
#include "base/file.h"
#include "cli/commands.h"
#include "cli/secret.h"
#include "secrets/answer.h"
#include "secrets/client.h"

#include <limits.h>
#include <malloc.h>
#include <openssl/evp.h>

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

/* By the socket */

/* What jansson copied of a value goes without a trace. */
static void wipe_and_free(void *memory)
{
  if (memory)
    hf_wipe(memory, malloc_usable_size(memory));
  free(memory);
}

static const char *member(const json_t *object, const char *name)
{
  return json_string_value(json_object_get(object, name));
}

static hf_err told_error(const json_t *answer)
{
  enum hf_code code = HF_ERR_INTERNAL;
  const char *name = member(answer, "error"), *context = member(answer, "context"), *hint = member(answer, "hint");
  if (!name || !context || !hint || !hf_code_find(name, &code))
    return hf_fail(HF_ERR_PARSE, "the answer of the socket of secrets");
  return hf_hint(hf_fail(code, "%s", context), "%s", hint);
}

static hf_err decode(const char *base64, struct hf_buf *out)
{
  size_t len = strlen(base64), pad = 0;
  uint8_t *room;
  while (pad < 2 && pad < len && base64[len - 1 - pad] == '=')
    pad++;
  HF_TRY(hf_buf_reserve(out, len, &room));
  int decoded = EVP_DecodeBlock(room, (const unsigned char *)base64, (int)len);
  if (decoded < (int)pad)
    return hf_fail(HF_ERR_PARSE, "the answer of the socket of secrets");
  hf_buf_commit(out, (size_t)decoded - pad);
  return HF_OK;
}

static hf_err show_answer(const struct cli_args *args, const struct hf_buf *answer)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf value = HF_BUF(2 * SECRETS_VALUE_MAX);
  json_set_alloc_funcs(malloc, wipe_and_free);
  HF_CLEANUP(json_decrefp) json_t *json = json_loadb((const char *)answer->data, answer->len, 0, NULL);
  const char *text = member(json, "value"), *base64 = member(json, "value_base64");
  if (!text && !base64)
    return told_error(json);
  if (cli_has(args, "json"))
    return put_out(args, hf_slice(answer->data, answer->len));
  if (text)
    return put_out(args, hf_slice(text, strlen(text)));
  HF_TRY(decode(base64, &value));
  return put_out(args, hf_slice(value.data, value.len));
}

static bool exists(const char *path)
{
  return access(path, F_OK) == 0;
}

/*
 * --socket; else, for whoever is not root, the socket of their own gateway or the system's, where there is one. A program that
 * may read a secret cannot read the configuration as a rule.
 */
static bool find_socket(const struct cli_args *args, char *out, size_t size)
{
  HF_CLEANUP(config_freep) struct config *config = NULL;
  const char *given = cli_get(args, "socket");
  if (given)
    return (size_t)snprintf(out, size, "%s", given) < size;
  if (geteuid() == 0)
    return false;
  if (!hf_failed(config_load(cli_get(args, "config"), &config)) && !hf_failed(secrets_socket_path(config, out, size)) &&
      exists(out))
    return true;
  snprintf(out, size, "%s/secrets.sock", CONFIG_SYSTEM_RUN);
  return !cli_get(args, "config") && exists(out);
}

static hf_err run(const struct cli_args *args)
{
  const char *name = cli_operand(args, 0), *version = cli_get(args, "version-id");
  uint8_t id[SECRETS_ID_BYTES];
  char socket[PATH_MAX];
  HF_TRY(secrets_name_check(name));
  if (version && cli_has(args, "stage"))
    return hf_fail(HF_ERR_USAGE, "--stage or --version-id, not both");
  if (version)
    HF_TRY(secrets_id_parse(version, id));
  if (!find_socket(args, socket, sizeof(socket)))
    return direct(args, name, version ? id : NULL);
  HF_CLEANUP(hf_buf_free) struct hf_buf answer = HF_BUF(SECRETS_ANSWER_MAX);
  HF_TRY(secrets_ask(socket, name, cli_get(args, "stage"), version ? id : NULL, &answer));
  return show_answer(args, &answer);
}

static const struct cli_option options[] = {
  { "stage", "LABEL", "the version with this label (default: AWSCURRENT)" },
  { "version-id", "ID", "this version" },
  { "out", "FILE", "write it there (0600) in place of standard output" },
  { "socket", "PATH", "ask holdfast-core there (default for all but root: its socket, where there is one)" },
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
      "the value as text, or in base64 where it is none. Root reads it with the key in the HSM; others ask "
      "holdfast-core, as\n"
      "far as its policy lets them (docs/secrets.md).\n",
  .example = "holdfast secret get plc/password\n"
             "holdfast secret get plc/certificate --stage AWSPREVIOUS --out plc.p12\n",
  .run = run,
};
