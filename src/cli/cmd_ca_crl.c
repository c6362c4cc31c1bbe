/* SPDX-License-Identifier: Apache-2.0 */
/* holdfast ca crl */
#include "ca/crl.h"
#include "cli/authority.h"
#include "cli/commands.h"

#include <openssl/pem.h>

static hf_err to_pem(const struct hf_buf *der, struct hf_buf *out)
{
  HF_CLEANUP(openssl_bio_freep) BIO *bio = BIO_new(BIO_s_mem());
  char *text = NULL;
  if (!bio || PEM_write_bio(bio, PEM_STRING_X509_CRL, "", der->data, (long)der->len) <= 0)
    return openssl_fail(HF_ERR_NO_MEMORY, "the CRL", "");
  long len = BIO_get_mem_data(bio, &text);
  return hf_buf_add(out, text, (size_t)len);
}

static hf_err run(const struct cli_args *args)
{
  HF_CLEANUP(cli_ca_close) struct cli_ca ca = { 0 };
  HF_CLEANUP(hf_buf_free) struct hf_buf der = HF_BUF(REGISTRY_CRL_MAX), pem = HF_BUF(2u * REGISTRY_CRL_MAX);
  HF_TRY(cli_ca_open(args, CLI_CA_KEY, &ca));
  HF_TRY(crl_current(ca.authority, &der));
  if (cli_has(args, "der"))
    return cli_output(args, hf_slice(der.data, der.len));
  HF_TRY(to_pem(&der, &pem));
  return cli_output(args, hf_slice(pem.data, pem.len));
}

static const struct cli_option options[] = {
  { "der", NULL, "DER in place of PEM" },
  { "out", "FILE", "write it there in place of standard output" },
  CLI_MODULE_OPTIONS,
  CLI_END,
};

const struct cli_command cli_ca_crl = {
  .name = "ca crl",
  .help = "Write the list of revoked certificates (CRL), a new one where something was revoked since the last",
  .options = options,
  .example = "holdfast ca crl --out crl.pem\n",
  .run = run,
};
