/* SPDX-License-Identifier: Apache-2.0 */
/* What a URI that names several things could mean, as URIs within an error's one line. Inside src/p11 only. */
#ifndef HF_P11_CANDIDATES_H
#define HF_P11_CANDIDATES_H

#include "uri/uri.h"

/* As many as have room; start it with P11_CANDIDATES, end it with p11_candidates_free. */
struct p11_candidates {
  size_t count;
  bool cut; /* some had no room */
  struct hf_buf text;
};

#define P11_CANDIDATES ((struct p11_candidates){ .text = HF_BUF(HF_CONTEXT_MAX) })

hf_err p11_candidates_add(struct p11_candidates *candidates, const struct uri *uri);
/* "5 tokens: URI, URI, ..." as an error of this code. */
hf_err p11_candidates_fail(struct p11_candidates *candidates, enum hf_code code, const char *what);
void p11_candidates_free(struct p11_candidates *candidates);

#endif
