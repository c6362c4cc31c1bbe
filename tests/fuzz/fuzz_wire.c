/* SPDX-License-Identifier: Apache-2.0 */
/* What decodes must encode, decode again and encode to the same; nothing may crash or leak, in either direction. */
#include "wire/frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_direction(struct hf_slice data, enum wire_direction direction)
{
  HF_CLEANUP(wire_frame_free) struct wire_frame frame = { 0 }, again = { 0 };
  HF_CLEANUP(hf_buf_free) struct hf_buf once = HF_BUF(WIRE_RESPONSE_MAX), twice = HF_BUF(WIRE_RESPONSE_MAX);
  if (hf_failed(wire_frame_decode(data, direction, &frame)))
    return;
  /* A missing pin is written as None. */
  if (hf_failed(wire_frame_encode(&frame, &once)) || once.len > data.len + 1)
    abort();
  if (hf_failed(wire_frame_decode(hf_slice(once.data, once.len), direction, &again)) ||
      hf_failed(wire_frame_encode(&again, &twice)) ||
      !hf_slice_equal(hf_slice(once.data, once.len), hf_slice(twice.data, twice.len)))
    abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  check_direction(hf_slice(data, size), WIRE_DIRECTION_REQUEST);
  check_direction(hf_slice(data, size), WIRE_DIRECTION_RESPONSE);
  return 0;
}
