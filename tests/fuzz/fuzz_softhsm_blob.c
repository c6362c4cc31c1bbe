/* SPDX-License-Identifier: Apache-2.0 */
/* A blob that the PIN opens holds a key of one size. */
#include "softhsm/crypto.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  HF_CLEANUP(hf_secret_freep) struct hf_secret *key = NULL;
  if (!hf_failed(softhsm_blob_open(hf_slice(data, size), hf_slice("1234", 4), "user PIN", &key)) &&
      hf_secret_len(key) != SOFTHSM_KEY_BYTES)
    abort();
  return 0;
}
