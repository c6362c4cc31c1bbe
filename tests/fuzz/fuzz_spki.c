/* SPDX-License-Identifier: Apache-2.0 */
/* A SubjectPublicKeyInfo that reads must write, read again, and be the same key; a certificate as well. */
#include "p11/public.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_round_trip(const struct p11_public *key)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf der = HF_BUF(1 << 20);
  HF_CLEANUP(p11_public_free) struct p11_public again;
  p11_public_init(&again);
  if (hf_failed(p11_public_to_spki(key, &der)) ||
      hf_failed(p11_public_from_spki(hf_slice(der.data, der.len), &again)) || !p11_public_equal(key, &again) ||
      p11_public_bits(key) != p11_public_bits(&again))
    abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  hf_err (*const readers[])(struct hf_slice, struct p11_public *) = { p11_public_from_spki, p11_public_from_cert };
  for (size_t i = 0; i < HF_ARRAY_LEN(readers); i++) {
    HF_CLEANUP(p11_public_free) struct p11_public key;
    p11_public_init(&key);
    if (!hf_failed(readers[i](hf_slice(data, size), &key)))
      check_round_trip(&key);
  }
  return 0;
}
