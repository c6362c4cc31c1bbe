/* SPDX-License-Identifier: Apache-2.0 */
#include "base/text.h"
#include "cli/cli.h"

#include <stdint.h>

const char *cli_nearest(const char *given, const char *const *names)
{
  const char *best = NULL;
  size_t best_distance = SIZE_MAX, len = strlen(given);
  for (; *names; names++) {
    size_t d = len >= 3 && strncmp(given, *names, len) == 0 ? 1 : hf_text_distance(given, *names);
    if (d < best_distance) {
      best_distance = d;
      best = *names;
    }
  }
  return best && best_distance <= 1 + strlen(best) / 3 ? best : NULL;
}
