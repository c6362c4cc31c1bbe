/* SPDX-License-Identifier: Apache-2.0 */
/* An object that parses has attributes that can be read, each once. The key is that of the token that the seeds come from. */
#include "softhsm/object.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t key[32] = { 0x7c, 0x11, 0xbd, 0x08, 0x8a, 0x86, 0x45, 0xb8, 0xe0, 0xfd, 0x03,
                                 0x1e, 0x37, 0x1f, 0x9e, 0xbc, 0xd4, 0xf2, 0x49, 0x6e, 0x79, 0x61,
                                 0x2f, 0xed, 0x22, 0x55, 0xd6, 0xaf, 0x4d, 0x30, 0x1f, 0xb3 };

static unsigned sum;

static void read_all(const CK_ATTRIBUTE *attrs, size_t count, bool nested)
{
  for (size_t i = 0; i < count; i++) {
    const uint8_t *bytes = attrs[i].pValue;
    bool map = !nested && (attrs[i].type == CKA_WRAP_TEMPLATE || attrs[i].type == CKA_UNWRAP_TEMPLATE);
    if (attrs[i].ulValueLen && !bytes)
      abort();
    for (size_t at = 0; !map && at < attrs[i].ulValueLen; at++)
      sum += bytes[at];
    for (size_t other = 0; other < i; other++)
      if (attrs[other].type == attrs[i].type)
        abort();
  }
}

static void parse(const uint8_t *data, size_t size, const uint8_t *with)
{
  HF_CLEANUP(softhsm_object_free) struct softhsm_object object = { .count = 0 };
  if (!hf_failed(softhsm_object_parse(hf_slice(data, size), with, &object)))
    read_all(object.attrs, object.count, false);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  parse(data, size, NULL);
  parse(data, size, key);
  return 0;
}
