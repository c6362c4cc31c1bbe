/* SPDX-License-Identifier: Apache-2.0 */
/* The authority's registry out of any bytes, and a device's request; the first byte chooses. */
#include "ca/grant.h"
#include "ca/registry_record.h"
#include "identity/est_answer.h"
#include "identity/request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void take_device(struct hf_slice bytes)
{
  struct registry_device device;
  if (hf_failed(record_take_device(bytes, &device)))
    return;
  HF_CLEANUP(hf_buf_free) struct hf_buf again = HF_BUF(RECORD_MAX);
  if (hf_failed(record_add_device(&device, &again)) || !hf_slice_equal(bytes, hf_slice(again.data, again.len)))
    abort();
}

static void take_certificate(struct hf_slice bytes)
{
  struct registry_certificate certificate;
  if (hf_failed(record_take_certificate(bytes, &certificate)))
    return;
  if (certificate.der.len &&
      (certificate.der.data < bytes.data || certificate.der.data + certificate.der.len > bytes.data + bytes.len))
    abort();
}

static void take_request(struct hf_slice bytes)
{
  struct registry_request request;
  hf_ignore(record_take_request(bytes, &request));
}

/* As grant() does it. */
static void take_body(struct hf_slice bytes)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf der = HF_BUF(GRANT_BODY_MAX);
  HF_CLEANUP(openssl_req_freep) X509_REQ *request = NULL;
  HF_CLEANUP(answer_free) struct answer answer = ANSWER_INIT;
  if (hf_failed(est_base64_decode(bytes, &der)) ||
      hf_failed(request_parse(hf_slice(der.data, der.len), "it", &request)))
    return;
  if (grant_check_key(request, &answer) && grant_check_subject(request, "device-1", &answer))
    grant_check_alt_names(request, "device-1", "DNS:a,IP:192.0.2.1", &answer);
}

/* A record's checksum is in the way of its parser: it is set right first. */
static void take_record(void (*take)(struct hf_slice bytes), struct hf_slice fields)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf record = HF_BUF(RECORD_MAX);
  take(fields);
  if (fields.len == 0 || hf_failed(hf_buf_add(&record, fields.data, fields.len)) || hf_failed(record_end(&record)))
    return;
  take(hf_slice(record.data, record.len));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  static void (*const takers[])(struct hf_slice bytes) = { take_device, take_certificate, take_request };
  if (size == 0)
    return 0;
  struct hf_slice rest = { data + 1, size - 1 };
  size_t choice = data[0] % (HF_ARRAY_LEN(takers) + 1);
  if (choice < HF_ARRAY_LEN(takers))
    take_record(takers[choice], rest);
  else
    take_body(rest);
  return 0;
}
