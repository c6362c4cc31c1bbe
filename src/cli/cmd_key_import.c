/* SPDX-License-Identifier: Apache-2.0 */
#include "base/file.h"
#include "cli/commands.h"
#include "cli/key.h"
#include "cli/keyfile.h"
#include "cli/pin.h"

static hf_err ask_passphrase(enum cli_key_form form, struct hf_secret **ret_passphrase)
{
  if (form != CLI_KEY_ENCRYPTED || !isatty(STDIN_FILENO))
    return HF_OK;
  return cli_ask_secret(stderr, "Passphrase of the key file: ", ret_passphrase);
}

static hf_err read_key(const struct cli_args *args, EVP_PKEY **ret_key)
{
  const char *path = args->operands[0], *source = cli_get(args, "file-pin-source");
  HF_CLEANUP(hf_buf_free) struct hf_buf pem = HF_BUF(CLI_KEY_FILE_MAX);
  HF_CLEANUP(hf_secret_freep) struct hf_secret *passphrase = NULL;
  enum cli_key_form form;
  HF_TRY(cli_key_file_read(path, &pem, &form));
  if (form == CLI_KEY_NONE)
    return hf_fail(HF_ERR_KEY_FILE, "%s holds no private key in PEM", path);
  if (source)
    HF_TRY(hf_pin_source_read(source, &passphrase));
  else
    HF_TRY(ask_passphrase(form, &passphrase));
  return cli_key_decode(path, &pem, passphrase, ret_key);
}

static hf_err run(const struct cli_args *args)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf id = HF_BUF(URI_MAX / 3);
  HF_CLEANUP(cli_pkey_freep) EVP_PKEY *key = NULL;
  HF_TRY(cli_key_id(args, &id));
  HF_TRY(read_key(args, &key));
  HF_CLEANUP(cli_login_end) struct cli_login login = { 0 };
  HF_TRY(cli_login(args, NULL, P11_READ_WRITE, &login));
  HF_TRY(cli_key_id_check(login.session, &id));
  const char *label = cli_get(args, "label");
  struct cli_key_name name = { label ? label : "", id.data, id.len };
  HF_TRY(cli_key_store(login.session, key, &name, CLI_KEY_PUBLIC | CLI_KEY_DERIVES));
  return cli_key_report(&login, &id, "The key pair has been imported:");
}

static const struct cli_option options[] = {
  { "file-pin-source", "SRC", "where the passphrase of an encrypted key file is: a file, env:NAME or credential:NAME" },
  CLI_KEY_NAME_OPTIONS,
  CLI_TOKEN_OPTION,
  CLI_PIN_OPTIONS,
  CLI_MODULE_OPTIONS,
  CLI_END,
};

const struct cli_command cli_key_import = {
  .name = "key import",
  .help = "Import a private key from a PEM file or pipe",
  .operands = "FILE",
  .operands_min = 1,
  .operands_max = 1,
  .options = options,
  .details =
      "FILE holds an RSA, EC or Edwards-curve key, PKCS#8 or traditional, maybe encrypted; what follows it (a\n"
      "certificate) is left alone. '-' is standard input. Delete the file afterwards: until then, the key is not in\n"
      "the token alone.\n",
  .example = "holdfast key import device.key --token my-token --label my-key --id 01\n",
  .run = run,
};
