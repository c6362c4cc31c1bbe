/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/commands.h"
#include "cli/key.h"
#include "p11/pem.h"

/* How to reach the key stays as the user wrote it; which key is told as exactly as the token can. */
static hf_err exact_uri(const struct cli_login *login, struct hf_buf *out)
{
  static const enum uri_attr kept[] = { URI_PIN_SOURCE, URI_MODULE_NAME, URI_MODULE_PATH };
  HF_CLEANUP(uri_free) struct uri wanted = { 0 }, uri = { 0 };
  HF_CLEANUP(p11_object_free) struct p11_object object = { 0 };
  HF_TRY(uri_copy(&login->uri, &wanted));
  HF_TRY(uri_set(&wanted, URI_TYPE, "private", strlen("private")));
  HF_TRY(cli_object_find(login, &wanted, &object));
  HF_TRY(p11_object_uri(&login->token, &object, &uri));
  for (size_t i = 0; i < HF_ARRAY_LEN(kept); i++)
    if (uri_get(&login->uri, kept[i]))
      HF_TRY(uri_set(&uri, kept[i], uri_get(&login->uri, kept[i]), strlen(uri_get(&login->uri, kept[i]))));
  return uri_format(&uri, out);
}

static hf_err run(const struct cli_args *args)
{
  HF_CLEANUP(cli_login_end) struct cli_login login = { 0 };
  HF_CLEANUP(hf_buf_free) struct hf_buf uri = HF_BUF(4 * URI_MAX), pem = HF_BUF(16 * URI_MAX);
  HF_TRY(cli_login(args, args->operands[0], P11_READ_ONLY, &login));
  HF_TRY(exact_uri(&login, &uri));
  HF_TRY(p11_pem_write(hf_buf_str(&uri), &pem));
  return cli_output(args, hf_slice(pem.data, pem.len));
}

static const struct cli_option options[] = {
  { "out", "FILE", "write it there (default: standard output)" },
  CLI_TOKEN_OPTION,
  CLI_PIN_OPTIONS,
  CLI_MODULE_OPTIONS,
  CLI_END,
};

const struct cli_command cli_key_pem = {
  .name = "key pem",
  .help = "Write a PEM file that stands for a key in a token",
  .operands = "URI",
  .operands_min = 1,
  .operands_max = 1,
  .options = options,
  .details =
      "Programs that know only key files load it through Holdfast's OpenSSL provider. It holds the key's URI, no\n"
      "secret. A pin-source, module-name or module-path of the URI goes into the file, a pin-value does not.\n",
  .example = "holdfast key pem 'pkcs11:token=my-token;object=my-key?pin-source=/etc/holdfast/pin' --out device.pem\n",
  .run = run,
};
