/* SPDX-License-Identifier: Apache-2.0 */
/* holdfast secret rotate */
#include "cli/commands.h"
#include "cli/secret.h"

#include <openssl/evp.h>

enum { BYTES_DEFAULT = 32, BYTES_MIN = 16, BYTES_MAX = 1024, TEXT_MAX = 4 * (BYTES_MAX + 2) / 3 + 4 };

static hf_err read_bytes(const struct cli_args *args, size_t *ret_bytes)
{
  const char *text = cli_get(args, "bytes");
  char *end = NULL;
  unsigned long bytes = text ? strtoul(text, &end, 10) : BYTES_DEFAULT;
  if (text && (text[0] < '0' || text[0] > '9' || *end || bytes < BYTES_MIN || bytes > BYTES_MAX))
    return hf_fail(HF_ERR_USAGE, "--bytes must be %d to %d", BYTES_MIN, BYTES_MAX);
  *ret_bytes = bytes;
  return HF_OK;
}

/* base64url without padding (RFC 4648, section 5): no program stumbles over it. */
static hf_err make_value(size_t bytes, struct hf_buf *out)
{
  uint8_t random[BYTES_MAX], *room;
  HF_TRY(hf_buf_reserve(out, TEXT_MAX, &room));
  HF_TRY(seal_random(random, bytes));
  size_t len = (size_t)EVP_EncodeBlock(room, random, (int)bytes);
  hf_wipe(random, sizeof(random));
  while (len > 0 && room[len - 1] == '=')
    len--;
  for (size_t i = 0; i < len; i++)
    room[i] = room[i] == '+' ? '-' : room[i] == '/' ? '_' : room[i];
  hf_buf_commit(out, len);
  return HF_OK;
}

static hf_err run(const struct cli_args *args)
{
  HF_CLEANUP(cli_secrets_close) struct cli_secrets secrets = { 0 };
  HF_CLEANUP(hf_buf_free) struct hf_buf value = HF_BUF(TEXT_MAX);
  struct secrets_info info;
  struct secrets_made made;
  const char *name = cli_operand(args, 0);
  size_t bytes = 0;
  HF_TRY(read_bytes(args, &bytes));
  HF_TRY(secrets_name_check(name));
  HF_TRY(cli_secrets_open(args, false, &secrets));
  HF_TRY(secrets_info(secrets.secrets, name, &info));
  HF_TRY(make_value(bytes, &value));
  const struct secrets_new new = { .name = name, .value = hf_slice(value.data, value.len) };
  HF_TRY(secrets_put(secrets.secrets, &new, &made));
  return cli_secret_report(args, name, &made);
}

static const struct cli_option options[] = {
  { "bytes", "N", "of randomness: 16 to 1024 (default: 32)" },
  CLI_JSON_OPTION,
  CLI_MODULE_OPTIONS,
  CLI_END,
};

const struct cli_command cli_secret_rotate = {
  .name = "secret rotate",
  .help = "Give a secret a new, random value",
  .operands = "NAME",
  .operands_min = 1,
  .operands_max = 1,
  .options = options,
  .details =
      "The value is random bytes as base64url text. It becomes AWSCURRENT, and the one before AWSPREVIOUS, so that\n"
      "who uses the old value can still read it. It is not shown: 'holdfast secret get' does that.\n",
  .example = "holdfast secret rotate plc/password\n",
  .run = run,
};
