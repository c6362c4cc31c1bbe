/* SPDX-License-Identifier: Apache-2.0 */
/* Words that people type. */
#ifndef HF_BASE_TEXT_H
#define HF_BASE_TEXT_H

#include <stddef.h>

enum { HF_TEXT_DISTANCE_MAX = 63 }; /* bytes of each text that are looked at */

/* Levenshtein's distance: how many insertions, deletions and replacements of a byte lead from a to b. */
size_t hf_text_distance(const char *a, const char *b);

#endif
