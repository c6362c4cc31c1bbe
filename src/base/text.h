/* SPDX-License-Identifier: Apache-2.0 */
/* Texts: words that people type, UTF-8. */
#ifndef HF_BASE_TEXT_H
#define HF_BASE_TEXT_H

#include "base/buf.h"

enum { HF_TEXT_DISTANCE_MAX = 63 }; /* bytes of each text that are looked at */

/* Levenshtein's distance: how many insertions, deletions and replacements of a byte lead from a to b. */
size_t hf_text_distance(const char *a, const char *b);

/* The length of the UTF-8 character at the front (RFC 3629); 0 where there is none, or what stands there is not UTF-8. */
size_t hf_utf8_len(struct hf_slice text);

bool hf_is_utf8(struct hf_slice text);

/* What is between the blanks at both ends; a view into text. */
struct hf_slice hf_text_trimmed(const char *text);
/* The same by cutting text, which the result points into. */
char *hf_text_trim(char *text);

#endif
