/* SPDX-License-Identifier: Apache-2.0 */
/* Certificates and requests from anywhere: what is read is written and read again to the same, and put into words. */
#include "identity/certificate.h"
#include "identity/certificate_text.h"
#include "identity/chain.h"
#include "identity/request.h"
#include "identity/validity.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void describe_names(const GENERAL_NAMES *names)
{
  for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
    HF_CLEANUP(hf_buf_free) struct hf_buf text = HF_BUF(CERTIFICATE_TEXT_MAX);
    hf_ignore(certificate_alt_name_text(sk_GENERAL_NAME_value(names, i), &text));
  }
}

static void describe(const X509 *certificate)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf text = HF_BUF(4 * CERTIFICATE_TEXT_MAX);
  HF_CLEANUP(profile_alt_names_freep)
  GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
  char cn[CERTIFICATE_CN_MAX], when[CERTIFICATE_TIME_MAX];
  struct validity validity;
  certificate_cn(certificate, cn);
  certificate_time(X509_get0_notAfter(certificate), when);
  hf_ignore(certificate_name_text(X509_get_subject_name(certificate), &text));
  hf_ignore(certificate_serial_text(certificate, &text));
  hf_ignore(certificate_thumbprint_text(certificate, EVP_sha256(), &text));
  if (!hf_failed(validity_of(certificate, &validity)))
    validity_needs_renewal(&validity, 0, 0);
  describe_names(names);
}

static void check_chain(struct hf_slice text)
{
  HF_CLEANUP(chain_freep) STACK_OF(X509) *chain = NULL, *again = NULL;
  HF_CLEANUP(hf_buf_free) struct hf_buf pem = HF_BUF(2 * CHAIN_FILE_MAX);
  if (hf_failed(chain_parse(text, "it", &chain)))
    return;
  if (hf_failed(chain_pem(chain, &pem)))
    abort();
  if (pem.len > CHAIN_FILE_MAX)
    return;
  if (hf_failed(chain_parse(hf_slice(pem.data, pem.len), "it", &again)) || sk_X509_num(again) != sk_X509_num(chain))
    abort();
  for (int i = 0; i < sk_X509_num(chain); i++)
    describe(sk_X509_value(chain, i));
  hf_ignore(chain_check(chain, "it"));
}

static void check_request(struct hf_slice text)
{
  HF_CLEANUP(openssl_req_freep) X509_REQ *request = NULL, *again = NULL;
  HF_CLEANUP(hf_buf_free) struct hf_buf der = HF_BUF(REQUEST_MAX);
  HF_CLEANUP(profile_alt_names_freep) GENERAL_NAMES *names = NULL;
  if (hf_failed(request_parse(text, "it", &request)))
    return;
  if (hf_failed(request_der(request, &der)) || hf_failed(request_parse(hf_slice(der.data, der.len), "it", &again)))
    abort();
  if (!hf_failed(request_alt_names(request, &names)))
    describe_names(names);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  check_chain(hf_slice(data, size));
  check_request(hf_slice(data, size));
  return 0;
}
