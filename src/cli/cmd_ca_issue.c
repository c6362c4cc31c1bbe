/* SPDX-License-Identifier: Apache-2.0 */
/* holdfast ca issue */
#include "base/file.h"
#include "ca/grant.h"
#include "cli/authority.h"
#include "cli/commands.h"
#include "cli/device.h"
#include "identity/request.h"

enum { DAYS_MAX = 36500, SECONDS_A_DAY = 86400 };

static hf_err read_request(const char *path, X509_REQ **ret_request)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf text = HF_BUF(REQUEST_MAX);
  HF_CLEANUP(openssl_req_freep) X509_REQ *request = NULL;
  HF_CLEANUP(answer_free) struct answer answer = ANSWER_INIT;
  HF_TRY(hf_file_read(strcmp(path, "-") == 0 ? "/dev/stdin" : path, &text));
  HF_TRY(request_parse(hf_slice(text.data, text.len), path, &request));
  if (!grant_check_key(request, &answer))
    return hf_hint(hf_fail(HF_ERR_CERT_REQUEST, "%s: %s", path, answer.text), "Have it made anew with a better key.");
  *ret_request = HF_TAKE(request);
  return HF_OK;
}

/* The request's own names, or, with --san, its CN and these. */
static hf_err read_names(const struct cli_args *args, X509_REQ *request, char cn[REGISTRY_ID_MAX + 1],
                         struct cli_names *names)
{
  const char *san = cli_get(args, "san");
  if (!grant_request_cn(request, cn))
    return hf_hint(hf_fail(HF_ERR_CERT_REQUEST, "its subject has not one common name (CN)"),
                   "Have it made anew with the device's id as its CN.");
  HF_TRY(cli_ca_check_id(cn));
  names->names.common_name = cn;
  return san ? cli_names_cut(san, names) : HF_OK;
}

static hf_err read_lifetime(const struct cli_args *args, const struct authority *authority, uint64_t *ret_lifetime_s)
{
  const char *text = cli_get(args, "days");
  char *end = NULL;
  unsigned long days = text ? strtoul(text, &end, 10) : 0;
  if (text && (text[0] < '0' || text[0] > '9' || *end || days < 1 || days > DAYS_MAX))
    return hf_fail(HF_ERR_USAGE, "--days must be 1 to %d", DAYS_MAX);
  *ret_lifetime_s = text ? days * SECONDS_A_DAY : authority->device_lifetime_s;
  return HF_OK;
}

/* Recorded before it is shown. */
static hf_err issue(const struct cli_args *args, const struct cli_ca *ca, X509_REQ *request, struct hf_buf *pem)
{
  HF_CLEANUP(openssl_x509_freep) X509 *certificate = NULL;
  HF_CLEANUP(hf_buf_free) struct hf_buf der = HF_BUF(REGISTRY_DER_MAX);
  struct registry_certificate described;
  HF_CLEANUP(cli_names_end) struct cli_names names = { .list = NULL };
  char cn[REGISTRY_ID_MAX + 1];
  bool server = cli_has(args, "server");
  struct authority_order order = { .purpose = server ? PROFILE_SERVER : PROFILE_CLIENT };
  HF_TRY(read_names(args, request, cn, &names));
  HF_TRY(read_lifetime(args, ca->authority, &order.lifetime_s));
  order.names = cli_has(args, "san") ? &names.names : NULL;
  HF_TRY(authority_issue(ca->authority, request, &order, &certificate));
  HF_TRY(authority_describe(certificate, server ? REGISTRY_SERVER : REGISTRY_DEVICE, &der, &described));
  HF_TRY(registry_certificate_add(ca->registry, &described));
  return cli_ca_pem(described.der, pem);
}

static hf_err run(const struct cli_args *args)
{
  HF_CLEANUP(cli_ca_close) struct cli_ca ca = { 0 };
  HF_CLEANUP(openssl_req_freep) X509_REQ *request = NULL;
  HF_CLEANUP(hf_buf_free) struct hf_buf pem = HF_BUF(2 * REGISTRY_DER_MAX);
  HF_TRY(cli_ca_open(args, CLI_CA_KEY, &ca));
  HF_TRY(read_request(cli_operand(args, 0), &request));
  HF_TRY(issue(args, &ca, request, &pem));
  return cli_output(args, hf_slice(pem.data, pem.len));
}

static const struct cli_option options[] = {
  { "days", "DAYS", "how long it is valid (default: ca.validity.device)" },
  { "san", "NAMES", "alternative names in place of the request's: DNS:NAME,IP:ADDRESS,..." },
  { "server", NULL, "for a TLS server, in place of a device" },
  { "out", "FILE", "write the certificate there in place of standard output" },
  CLI_MODULE_OPTIONS,
  CLI_END,
};

const struct cli_command cli_ca_issue = {
  .name = "ca issue",
  .help = "Issue a certificate for a request by hand",
  .operands = "CSR-FILE",
  .operands_min = 1,
  .operands_max = 1,
  .options = options,
  .details =
      "PEM or DER; '-' is standard input. Its subject and, without --san, its alternative names are taken as they\n"
      "are: look at them first ('openssl req -noout -text -in FILE').\n",
  .example = "holdfast ca issue broker.csr --server --san DNS:broker.example,IP:192.0.2.1 --out broker.pem\n",
  .run = run,
};
