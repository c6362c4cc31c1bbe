/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/commands.h"
#include "cli/key.h"

static const struct kind_row {
  const char *type;
  const char *curve; /* NULL: not this type's */
  enum p11_key_kind kind;
} kinds[] = {
  { "ec", "p256", P11_EC_P256 },
  { "ec", "p384", P11_EC_P384 },
  { "rsa", NULL, P11_RSA },
};

static hf_err parse_bits(const char *text, unsigned *ret_bits)
{
  char *end;
  unsigned long bits = strtoul(text, &end, 10);
  if (*end || bits < 2048 || bits > 4096 || bits % 8)
    return hf_hint(hf_fail(HF_ERR_USAGE, "--bits %s", text), "RSA keys have 2048 to 4096 bits, a multiple of 8.");
  *ret_bits = (unsigned)bits;
  return HF_OK;
}

static hf_err parse_spec(const struct cli_args *args, struct p11_key_spec *spec)
{
  const char *type = cli_get(args, "type"), *curve = cli_get(args, "curve"), *bits = cli_get(args, "bits");
  bool rsa = type && strcmp(type, "rsa") == 0;
  if (rsa && curve)
    return hf_hint(hf_fail(HF_ERR_USAGE, "--curve is not for RSA keys"), "Use --bits.");
  if (!rsa && bits)
    return hf_hint(hf_fail(HF_ERR_USAGE, "--bits is for RSA keys alone"), "Use --curve, or --type rsa.");
  spec->rsa_bits = 2048;
  if (bits)
    HF_TRY(parse_bits(bits, &spec->rsa_bits));
  for (size_t i = 0; i < HF_ARRAY_LEN(kinds); i++)
    if (strcmp(kinds[i].type, type ? type : "ec") == 0 &&
        (!kinds[i].curve || strcmp(kinds[i].curve, curve ? curve : "p256") == 0)) {
      spec->kind = kinds[i].kind;
      return HF_OK;
    }
  return hf_hint(hf_fail(HF_ERR_USAGE, "--type %s --curve %s", type ? type : "ec", curve ? curve : "p256"),
                 "Types are ec (with --curve p256 or p384) and rsa (with --bits).");
}

static hf_err run(const struct cli_args *args)
{
  struct p11_key_spec spec = { .label = cli_get(args, "label") };
  HF_CLEANUP(hf_buf_free) struct hf_buf id = HF_BUF(URI_MAX / 3);
  HF_TRY(parse_spec(args, &spec));
  HF_TRY(cli_key_id(args, &id));
  HF_CLEANUP(cli_login_end) struct cli_login login = { 0 };
  HF_TRY(cli_login(args, NULL, P11_READ_WRITE, &login));
  HF_TRY(cli_key_id_check(login.session, &id));
  spec.id = id.data;
  spec.id_len = id.len;
  CK_OBJECT_HANDLE public_key, private_key;
  HF_TRY(p11_key_generate(login.session, &spec, &public_key, &private_key));
  return cli_key_report(&login, &id, "The key pair has been generated:");
}

static const struct cli_option options[] = {
  { "type", "TYPE", "ec (default) or rsa" },
  { "curve", "CURVE", "p256 (default) or p384" },
  { "bits", "BITS", "size of an RSA key: 2048 (default) to 4096" },
  CLI_KEY_NAME_OPTIONS,
  CLI_TOKEN_OPTION,
  CLI_PIN_OPTIONS,
  CLI_MODULE_OPTIONS,
  CLI_END,
};

const struct cli_command cli_key_generate = {
  .name = "key generate",
  .help = "Generate a key pair in a token",
  .options = options,
  .details = "The private key is made in the token and can never be read out of it.\n",
  .example = "holdfast key generate --token my-token --label my-key --id 01\n",
  .run = run,
};
