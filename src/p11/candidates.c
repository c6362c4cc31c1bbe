/* SPDX-License-Identifier: Apache-2.0 */
#include "p11/candidates.h"

enum { SHOWN_MAX = 4, OTHER_TEXT = 64 /* bytes of the line that are no URI */ };

hf_err p11_candidates_add(struct p11_candidates *candidates, const struct uri *uri)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf one = HF_BUF(URI_ATTR_COUNT * 3 * URI_MAX);
  candidates->count++;
  HF_TRY(uri_format(uri, &one));
  size_t room = candidates->text.max - candidates->text.len;
  candidates->cut = candidates->cut || candidates->count > SHOWN_MAX || one.len + OTHER_TEXT > room;
  if (candidates->cut)
    return HF_OK;
  HF_TRY(hf_buf_add_str(&candidates->text, candidates->text.len ? ", " : ""));
  return hf_buf_add(&candidates->text, one.data, one.len);
}

hf_err p11_candidates_fail(struct p11_candidates *candidates, enum hf_code code, const char *what)
{
  const char *text = hf_buf_str(&candidates->text);
  return hf_fail(code, "%zu %s: %s%s", candidates->count, what, text ? text : "", candidates->cut ? ", ..." : "");
}

void p11_candidates_free(struct p11_candidates *candidates)
{
  hf_buf_free(&candidates->text);
}
