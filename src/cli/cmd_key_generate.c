/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/commands.h"
#include "cli/key.h"

static hf_err run(const struct cli_args *args)
{
  struct p11_key_spec spec = { .label = cli_get(args, "label") };
  HF_CLEANUP(hf_buf_free) struct hf_buf id = HF_BUF(URI_MAX / 3);
  HF_TRY(cli_key_kind(args, &spec));
  HF_TRY(cli_key_id(args, &id));
  HF_CLEANUP(cli_login_end) struct cli_login login = { 0 };
  HF_TRY(cli_login(args, NULL, P11_READ_WRITE, &login));
  HF_TRY(cli_key_id_check(login.session, &id));
  spec.id = id.data;
  spec.id_len = id.len;
  HF_TRY(cli_key_generate_pair(args, &login, &spec));
  return cli_key_report(&login, &id, "The key pair has been generated:");
}

static const struct cli_option options[] = {
  CLI_KEY_KIND_OPTIONS, CLI_KEY_NAME_OPTIONS, CLI_TOKEN_OPTION, CLI_PIN_OPTIONS,
  CLI_SO_PIN_OPTIONS,   CLI_MODULE_OPTIONS,   CLI_END,
};

const struct cli_command cli_key_generate = {
  .name = "key generate",
  .help = "Generate a key pair in a token",
  .options = options,
  .details = "The private key is made in the token and can never be read out of it. Where the token lets its SO alone "
             "make keys (a\n"
             "YubiKey, whose SO PIN is the management key), give --so-pin-source, and --id for the key's place.\n",
  .example = "holdfast key generate --token my-token --label my-key --id 01\n",
  .run = run,
};
