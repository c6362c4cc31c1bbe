/* SPDX-License-Identifier: Apache-2.0 */
/* An EST server's answers: whatever comes, nothing may crash or leak. */
#include "identity/est_answer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_attributes(struct hf_slice body, EVP_PKEY *key)
{
  struct est_attributes attributes;
  char missing[512];
  if (hf_failed(est_attributes_parse(body, &attributes)))
    return;
  est_attributes_missing(&attributes, key, NULL, 0, missing, sizeof(missing));
  if (attributes.extension_count > EST_EXTENSIONS_MAX || strlen(missing) >= sizeof(missing))
    abort();
}

static void check_certificates(struct hf_slice body, EVP_PKEY *key)
{
  HF_CLEANUP(chain_freep) STACK_OF(X509) *certificates = NULL;
  X509 *leaf = NULL;
  if (hf_failed(est_certificates_parse(body, &certificates)))
    return;
  if (sk_X509_num(certificates) < 1 || sk_X509_num(certificates) > CHAIN_MAX)
    abort();
  hf_ignore(est_certificates_leaf(certificates, key, &leaf));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  static EVP_PKEY *key;
  if (!key)
    key = EVP_EC_gen("P-256");
  HF_CLEANUP(hf_buf_free) struct hf_buf header = HF_BUF(1 << 20);
  if (!key || hf_failed(hf_buf_add(&header, data, size)))
    return 0;
  est_content_type_is(hf_buf_str(&header), "application/pkcs7-mime");
  struct hf_slice body = hf_slice(data, size);
  check_certificates(body, key);
  check_attributes(body, key);
  return 0;
}
