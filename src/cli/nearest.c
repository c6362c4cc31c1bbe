/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

#include <stdint.h>

enum { NAME_MAX_LEN = 63 };

static size_t min3(size_t a, size_t b, size_t c)
{
  size_t least = a < b ? a : b;
  return least < c ? least : c;
}

/* Levenshtein's: insertions, deletions and replacements that lead from a to b. */
static size_t distance(const char *a, const char *b)
{
  size_t row[NAME_MAX_LEN + 1], len = strnlen(b, NAME_MAX_LEN);
  for (size_t j = 0; j <= len; j++)
    row[j] = j;
  for (size_t i = 0; a[i] && i < NAME_MAX_LEN; i++) {
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

const char *cli_nearest(const char *given, const char *const *names)
{
  const char *best = NULL;
  size_t best_distance = SIZE_MAX, len = strlen(given);
  for (; *names; names++) {
    size_t d = len >= 3 && strncmp(given, *names, len) == 0 ? 1 : distance(given, *names);
    if (d < best_distance) {
      best_distance = d;
      best = *names;
    }
  }
  return best && best_distance <= 1 + strlen(best) / 3 ? best : NULL;
}
