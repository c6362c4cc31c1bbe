/* SPDX-License-Identifier: Apache-2.0 */
#include "base/text.h"

static size_t min3(size_t a, size_t b, size_t c)
{
  size_t least = a < b ? a : b;
  return least < c ? least : c;
}

/* One row of the matrix at a time. */
size_t hf_text_distance(const char *a, const char *b)
{
  size_t row[HF_TEXT_DISTANCE_MAX + 1], len = strnlen(b, HF_TEXT_DISTANCE_MAX);
  for (size_t j = 0; j <= len; j++)
    row[j] = j;
  for (size_t i = 0; a[i] && i < HF_TEXT_DISTANCE_MAX; i++) {
    size_t diagonal = row[0];
    row[0] = i + 1;
    for (size_t j = 0; j < len; j++) {
      size_t above = row[j + 1];
      row[j + 1] = min3(above + 1, row[j] + 1, diagonal + (a[i] != b[j]));
      diagonal = above;
    }
  }
  return row[len];
}
