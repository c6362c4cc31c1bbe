/* SPDX-License-Identifier: Apache-2.0 */
/* A group that parses is written as a text that parses to the same, and its routes are of its things. */
#include "config/group.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_routes(const struct group *group)
{
  for (size_t i = 0; i < group_route_count(group); i++) {
    const struct group_route *route = group_route(group, i);
    if (group_has(group, route->target) != group_may_subscribe(group, route->target, route->topic))
      abort();
    group_may_publish(group, route->source, "a/b/c");
    group_may_receive(group, route->target, "a/b/c");
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  HF_CLEANUP(group_freep) struct group *group = NULL, *again = NULL;
  HF_CLEANUP(hf_buf_free) struct hf_buf text = HF_BUF(1 << 24), second = HF_BUF(1 << 24);
  if (hf_failed(group_new(&group)) || hf_failed(group_new(&again)) ||
      hf_failed(group_parse(hf_slice(data, size), "group", group)))
    return 0;
  check_routes(group);
  if (hf_failed(group_format(group, &text)) || hf_failed(group_parse(hf_slice(text.data, text.len), "group", again)) ||
      hf_failed(group_format(again, &second)) ||
      !hf_slice_equal(hf_slice(text.data, text.len), hf_slice(second.data, second.len)))
    abort();
  return 0;
}
