/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/commands.h"
#include "cli/key.h"
#include "identity/openssl.h"
#include "p11/public.h"

#include <openssl/pem.h>

hf_err cli_public_pem(const struct p11_public *key, struct hf_buf *out)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf der = HF_BUF(CLI_PEM_MAX);
  HF_TRY(p11_public_to_spki(key, &der));
  HF_CLEANUP(openssl_bio_freep) BIO *pem = BIO_new(BIO_s_mem());
  if (!pem || PEM_write_bio(pem, PEM_STRING_PUBLIC, "", der.data, (long)der.len) == 0)
    return hf_fail(HF_ERR_NO_MEMORY, "writing a public key");
  char *text = NULL;
  long len = BIO_get_mem_data(pem, &text);
  return hf_buf_add(out, text, (size_t)len);
}

/* Without type= the private key is meant; a public key or certificate serves as well. */
static hf_err find_public(const struct cli_login *login, struct p11_public *key)
{
  HF_CLEANUP(uri_free) struct uri wanted = { 0 };
  HF_CLEANUP(p11_object_free) struct p11_object object = { 0 };
  HF_TRY(uri_copy(&login->uri, &wanted));
  if (!uri_get(&wanted, URI_TYPE))
    HF_TRY(uri_set(&wanted, URI_TYPE, "private", strlen("private")));
  HF_TRY(cli_object_find(login, &wanted, &object));
  return object.object_class == CKO_PRIVATE_KEY ? p11_public_find(login->session, &object, key)
                                                : p11_public_read(login->session, &object, key);
}

static hf_err run(const struct cli_args *args)
{
  HF_CLEANUP(cli_login_end) struct cli_login login = { 0 };
  HF_CLEANUP(p11_public_free) struct p11_public key;
  HF_CLEANUP(hf_buf_free) struct hf_buf pem = HF_BUF(CLI_PEM_MAX);
  p11_public_init(&key);
  HF_TRY(cli_login(args, args->operands[0], P11_READ_ONLY, &login));
  HF_TRY(find_public(&login, &key));
  HF_TRY(cli_public_pem(&key, &pem));
  return cli_output(args, hf_slice(pem.data, pem.len));
}

static const struct cli_option options[] = {
  { "out", "FILE", "write it there (default: standard output)" },
  CLI_TOKEN_OPTION,
  CLI_PIN_OPTIONS,
  CLI_MODULE_OPTIONS,
  CLI_END,
};

const struct cli_command cli_pubkey = {
  .name = "pubkey",
  .help = "Print the public half of a key as PEM",
  .operands = "URI",
  .operands_min = 1,
  .operands_max = 1,
  .options = options,
  .details = "The PEM is a SubjectPublicKeyInfo, as openssl and everyone else reads it.\n",
  .example = "holdfast pubkey 'pkcs11:token=my-token;object=my-key' --out device.pub\n",
  .run = run,
};
