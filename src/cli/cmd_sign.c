/* SPDX-License-Identifier: Apache-2.0 */
#include "base/file.h"
#include "cli/commands.h"
#include "cli/pin.h"
#include "cli/token.h"
#include "identity/openssl.h"
#include "p11/key.h"

#include <errno.h>
#include <openssl/evp.h>

enum { CHUNK = 64 * 1024, BASE64_MAX = 4 * P11_SIGNATURE_MAX, MESSAGE_MAX = 16 * 1024 * 1024 };

/* One row a scheme: its name, the keys that it is for. A key's first one is its default. */
static const struct scheme_row {
  const char *name;
  CK_KEY_TYPE type;
  enum p11_scheme scheme;
} schemes[] = {
  { "ecdsa", CKK_EC, P11_SIGN_ECDSA },
  { "eddsa", CKK_EC_EDWARDS, P11_SIGN_EDDSA },
  { "pss", CKK_RSA, P11_SIGN_RSA_PSS },
  { "pkcs1", CKK_RSA, P11_SIGN_RSA_PKCS1 },
};

static const char *const hashes[] = { "sha256", "sha384", "sha512", "sha224", "sha1" };

static hf_err find_hash(const struct cli_args *args, const char **ret_name)
{
  const char *name = cli_get(args, "hash");
  for (size_t i = 0; i < HF_ARRAY_LEN(hashes); i++)
    if (strcmp(name ? name : hashes[0], hashes[i]) == 0) {
      *ret_name = hashes[i];
      return HF_OK;
    }
  return hf_hint(hf_fail(HF_ERR_USAGE, "--hash %s", name), "Use sha256, sha384, sha512, sha224 or sha1.");
}

static hf_err find_scheme(const struct cli_args *args, CK_KEY_TYPE type, enum p11_scheme *ret_scheme)
{
  const char *name = cli_get(args, "scheme");
  for (size_t i = 0; i < HF_ARRAY_LEN(schemes); i++)
    if (schemes[i].type == type && (!name || strcmp(name, schemes[i].name) == 0)) {
      *ret_scheme = schemes[i].scheme;
      return HF_OK;
    }
  return hf_hint(hf_fail(HF_ERR_USAGE, "--scheme %s with a key of type %s", name ? name : "", p11_key_type_name(type)),
                 "Use ecdsa for an EC key, eddsa for an Ed25519 key, pss or pkcs1 for an RSA key.");
}

static hf_err digest_stream(FILE *in, const char *path, const char *hash, uint8_t *out, size_t *ret_len)
{
  HF_CLEANUP(openssl_md_ctx_freep) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
  HF_CLEANUP(hf_freep) uint8_t *chunk = malloc(CHUNK);
  if (!chunk || !ctx)
    return hf_fail(HF_ERR_NO_MEMORY, "reading %s", path);
  unsigned len = 0;
  bool good = EVP_DigestInit_ex(ctx, EVP_get_digestbyname(hash), NULL) == 1;
  for (size_t count; good && (count = fread(chunk, 1, CHUNK, in)) > 0;)
    good = EVP_DigestUpdate(ctx, chunk, count) == 1;
  if (ferror(in))
    return hf_fail_errno(errno, "reading %s", path);
  if (!good || EVP_DigestFinal_ex(ctx, out, &len) != 1)
    return hf_fail(HF_ERR_INTERNAL, "%s of %s", hash, path);
  *ret_len = len;
  return HF_OK;
}

static hf_err digest_input(const char *path, const char *hash, uint8_t *out, size_t *ret_len)
{
  if (strcmp(path, "-") == 0)
    return digest_stream(stdin, "standard input", hash, out, ret_len);
  HF_CLEANUP(hf_fclosep) FILE *file = fopen(path, "re");
  if (!file)
    return hf_fail_errno(errno, "reading %s", path);
  return digest_stream(file, path, hash, out, ret_len);
}

/* What the token signs: of a file of any size its hash; for Ed25519, which has none, all of it. */
static hf_err read_input(const struct cli_args *args, struct p11_sign *how, struct hf_buf *out)
{
  const char *path = args->operand_count > 1 ? args->operands[1] : "-";
  if (how->scheme != P11_SIGN_EDDSA) {
    uint8_t hash[EVP_MAX_MD_SIZE];
    HF_TRY(digest_input(path, how->hash, hash, &how->salt_len));
    return hf_buf_add(out, hash, how->salt_len);
  }
  if (cli_has(args, "hash"))
    return hf_hint(hf_fail(HF_ERR_USAGE, "--hash with an Ed25519 key"), "Ed25519 signs the file itself: leave it out.");
  hf_err e = hf_file_read(strcmp(path, "-") == 0 ? "/dev/stdin" : path, out);
  return e.code == HF_ERR_LIMIT
             ? hf_hint(e, "Ed25519 takes the whole file into the token: sign its hash, or use an EC key.")
             : e;
}

static hf_err open_key(const struct cli_args *args, struct p11_key **ret_key)
{
  HF_CLEANUP(p11_module_unrefp) struct p11_module *module = NULL;
  HF_CLEANUP(uri_free) struct uri uri = { 0 };
  HF_CLEANUP(hf_secret_freep) struct hf_secret *pin = NULL;
  struct p11_token token;
  HF_TRY(cli_uri(args, args->operands[0], &uri));
  HF_TRY(cli_module_open(args, &uri, &module));
  HF_TRY(cli_token_find(module, &uri, &token));
  if ((token.flags & CKF_LOGIN_REQUIRED) && !(token.flags & CKF_PROTECTED_AUTHENTICATION_PATH))
    HF_TRY(cli_pin(args, &uri, &pin));
  HF_TRY(p11_token_uri(&token, &uri));
  return p11_key_open(module, &uri, pin, ret_key);
}

static hf_err write_signature(const struct cli_args *args, const struct hf_buf *signature)
{
  uint8_t text[BASE64_MAX];
  struct hf_slice shown = hf_slice(signature->data, signature->len);
  if (cli_has(args, "base64")) {
    int len = EVP_EncodeBlock(text, signature->data, (int)signature->len);
    text[len] = '\n';
    shown = hf_slice(text, (size_t)len + 1);
  }
  if (!cli_has(args, "out") && !cli_has(args, "base64") && isatty(STDOUT_FILENO))
    return hf_hint(hf_fail(HF_ERR_USAGE, "a signature is not for a terminal"), "Give --out FILE, or --base64.");
  return cli_output(args, shown);
}

static hf_err run(const struct cli_args *args)
{
  HF_CLEANUP(p11_key_unrefp) struct p11_key *key = NULL;
  HF_CLEANUP(hf_buf_free) struct hf_buf input = HF_BUF(MESSAGE_MAX), signature = HF_BUF(P11_SIGNATURE_MAX);
  struct p11_sign how = { 0 };
  HF_TRY(find_hash(args, &how.hash));
  HF_TRY(open_key(args, &key));
  HF_TRY(find_scheme(args, p11_key_public(key)->type, &how.scheme));
  HF_TRY(read_input(args, &how, &input));
  HF_TRY(p11_key_sign_der(key, &how, input.data, input.len, &signature));
  return write_signature(args, &signature);
}

static const struct cli_option options[] = {
  { "hash", "NAME", "sha256 (the default), sha384, sha512, sha224 or sha1" },
  { "scheme", "NAME", "ecdsa for an EC key, eddsa for Ed25519; pss (the default) or pkcs1 for an RSA key" },
  { "out", "FILE", "write the signature there (default: standard output)" },
  { "base64", NULL, "write it as one line of base64" },
  CLI_TOKEN_OPTION,
  CLI_PIN_OPTIONS,
  CLI_MODULE_OPTIONS,
  CLI_END,
};

const struct cli_command cli_sign = {
  .name = "sign",
  .help = "Sign a file, or standard input, with a key in a token",
  .operands = "URI [FILE]",
  .operands_min = 1,
  .operands_max = 2,
  .options = options,
  .details =
      "An ECDSA signature is DER, as openssl writes it; a PSS one has a salt as long as the hash. Ed25519 signs the\n"
      "file itself ('openssl pkeyutl -verify -rawin' checks that), of up to 16 MiB.\n",
  .example = "holdfast sign 'pkcs11:token=my-token;object=my-key' firmware.img --out firmware.sig\n"
             "holdfast pubkey 'pkcs11:token=my-token;object=my-key' --out key.pub\n"
             "openssl dgst -sha256 -verify key.pub -signature firmware.sig firmware.img\n",
  .run = run,
};
