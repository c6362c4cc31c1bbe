/* SPDX-License-Identifier: Apache-2.0 */
/* What the store of secrets holds: a record that parses is written again as it was. The first byte: which record. */
#include "secrets/record.h"

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

static const struct {
  uint8_t letter;
  void (*fuzz)(struct hf_slice bytes);
} kinds[] = { { 'k', fuzz_key }, { 'h', fuzz_head }, { 'v', fuzz_version } };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  for (size_t i = 0; size > 0 && i < HF_ARRAY_LEN(kinds); i++)
    if (kinds[i].letter == data[0])
      kinds[i].fuzz(hf_slice(data + 1, size - 1));
  return 0;
}
