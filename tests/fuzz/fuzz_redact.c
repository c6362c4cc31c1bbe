/* SPDX-License-Identifier: Apache-2.0 */
/* Whatever surrounds a known secret or a private key, it is not in what comes out. */
#include "doctor/redact.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char secret[] = "13579";

static void check_none(const struct hf_buf *out, const char *text)
{
  if (out->len && memmem(out->data, out->len, text, strlen(text)))
    abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  HF_CLEANUP(redactor_freep) struct redactor *redactor = NULL;
  HF_CLEANUP(hf_buf_free) struct hf_buf out = HF_BUF(1 << 24);
  if (hf_failed(redactor_new(&redactor)) || hf_failed(redactor_add(redactor, secret, strlen(secret))) ||
      hf_failed(redactor_text(redactor, hf_slice(data, size), &out)))
    return 0;
  check_none(&out, secret);
  check_none(&out, "-----BEGIN PRIVATE KEY-----");
  return 0;
}
