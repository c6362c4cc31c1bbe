/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the store of secrets holds, and what is asked on its socket: what parses is written again as it was, a request so that it
 * parses to the same. The first byte: which.
 */
#include "secrets/record.h"
#include "secrets/request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void same(hf_err e, const struct hf_buf *again, struct hf_slice bytes)
{
  if (hf_failed(e) || !hf_slice_equal(hf_slice(again->data, again->len), bytes))
    abort();
}

static void fuzz_key(struct hf_slice bytes)
{
  struct key_record key;
  HF_CLEANUP(hf_buf_free) struct hf_buf again = HF_BUF(RECORD_MAX);
  if (!hf_failed(record_take_key(bytes, &key)))
    same(record_add_key(&key, &again), &again, bytes);
}

static void fuzz_head(struct hf_slice bytes)
{
  struct head_record head;
  HF_CLEANUP(hf_buf_free) struct hf_buf again = HF_BUF(RECORD_MAX);
  if (!hf_failed(record_take_head(bytes, &head)))
    same(record_add_head(&head, &again), &again, bytes);
}

static void fuzz_version(struct hf_slice bytes)
{
  struct version_record version;
  HF_CLEANUP(hf_buf_free) struct hf_buf again = HF_BUF(RECORD_MAX);
  if (!hf_failed(record_take_version(bytes, &version)))
    same(record_add_version(&version, &again), &again, bytes);
}

static void fuzz_request(struct hf_slice bytes)
{
  struct secrets_request request, other;
  HF_CLEANUP(hf_buf_free) struct hf_buf again = HF_BUF(SECRETS_REQUEST_MAX);
  if (hf_failed(secrets_request_parse(bytes, &request)))
    return;
  if (hf_failed(secrets_request_add(request.name, request.stage[0] ? request.stage : NULL,
                                    request.has_version ? request.version : NULL, &again)) ||
      hf_failed(secrets_request_parse(hf_slice(again.data, again.len - 1), &other)) ||
      memcmp(&request, &other, sizeof(request)) != 0)
    abort();
}

static const struct {
  uint8_t letter;
  void (*fuzz)(struct hf_slice bytes);
} kinds[] = { { 'k', fuzz_key }, { 'h', fuzz_head }, { 'v', fuzz_version }, { 'r', fuzz_request } };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  for (size_t i = 0; size > 0 && i < HF_ARRAY_LEN(kinds); i++)
    if (kinds[i].letter == data[0])
      kinds[i].fuzz(hf_slice(data + 1, size - 1));
  return 0;
}
