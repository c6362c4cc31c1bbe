/* SPDX-License-Identifier: Apache-2.0 */
/* What parses must format, parse again and format to the same; nothing may crash or leak. */
#include "uri/uri.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_round_trip(const struct uri *uri)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf once = HF_BUF(1 << 20), twice = HF_BUF(1 << 20);
  if (hf_failed(uri_format(uri, &once)))
    abort();
  HF_CLEANUP(uri_free) struct uri again = { 0 };
  if (hf_failed(uri_parse(hf_buf_str(&once), &again))) {
    /* Encoding may make it longer than a URI may be; nothing else. */
    if (once.len <= URI_MAX)
      abort();
    return;
  }
  if (hf_failed(uri_format(&again, &twice)) ||
      !hf_slice_equal(hf_slice(once.data, once.len), hf_slice(twice.data, twice.len)))
    abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf text = HF_BUF(1 << 20), shown = HF_BUF(1 << 20);
  if (hf_failed(hf_buf_add(&text, data, size)))
    return 0;
  hf_ignore(uri_redact(hf_buf_str(&text), &shown));
  HF_CLEANUP(uri_free) struct uri uri = { 0 };
  if (!hf_failed(uri_parse(hf_buf_str(&text), &uri)))
    check_round_trip(&uri);
  return 0;
}
