/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/check_progress.h"

#include <stdbool.h>
#include <unistd.h>

static bool shown;

void cli_check_begin(const char *code, const char *title, void *arg)
{
  (void)arg;
  if (!isatty(STDERR_FILENO))
    return;
  fprintf(stderr, "\r...    %-*s%s\x1b[K", CLI_CHECK_CODE_WIDTH, code, title);
  fflush(stderr);
  shown = true;
}

void cli_check_end(void)
{
  if (shown)
    fputs("\r\x1b[K", stderr);
  shown = false;
}
