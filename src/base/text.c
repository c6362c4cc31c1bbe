/* SPDX-License-Identifier: Apache-2.0 */
#include "base/text.h"

#include <ctype.h>

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

/* One row a length: the lead byte's range, the least code point that needs this length. */
static const struct utf8_row {
  uint8_t lead_min, lead_max;
  size_t follow;
  uint32_t least;
} utf8_rows[] = {
  { 0x00, 0x7f, 0, 0 },
  { 0xc2, 0xdf, 1, 0x80 },
  { 0xe0, 0xef, 2, 0x800 },
  { 0xf0, 0xf4, 3, 0x10000 },
};

size_t hf_utf8_len(struct hf_slice text)
{
  const uint8_t *at = text.data;
  if (text.len == 0)
    return 0;
  for (size_t i = 0; i < HF_ARRAY_LEN(utf8_rows); i++) {
    const struct utf8_row *row = &utf8_rows[i];
    if (*at < row->lead_min || *at > row->lead_max)
      continue;
    if (row->follow >= text.len)
      return 0;
    uint32_t point = row->follow ? *at & (0x3fu >> row->follow) : *at;
    for (size_t k = 1; k <= row->follow; k++) {
      if ((at[k] & 0xc0) != 0x80)
        return 0;
      point = point << 6 | (at[k] & 0x3f);
    }
    bool surrogate = point >= 0xd800 && point <= 0xdfff;
    return point < row->least || point > 0x10ffff || surrogate ? 0 : row->follow + 1;
  }
  return 0;
}

bool hf_is_utf8(struct hf_slice text)
{
  for (size_t at = 0; at < text.len;) {
    size_t step = hf_utf8_len(hf_slice(text.data + at, text.len - at));
    if (step == 0)
      return false;
    at += step;
  }
  return true;
}

struct hf_slice hf_text_trimmed(const char *text)
{
  while (isspace((unsigned char)*text))
    text++;
  size_t len = strlen(text);
  while (len > 0 && isspace((unsigned char)text[len - 1]))
    len--;
  return hf_slice(text, len);
}

char *hf_text_trim(char *text)
{
  struct hf_slice trimmed = hf_text_trimmed(text);
  char *begin = text + ((const char *)trimmed.data - text);
  begin[trimmed.len] = '\0';
  return begin;
}
