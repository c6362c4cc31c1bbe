/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/beside.h"

#include "base/file.h"

#include <errno.h>
#include <limits.h>

int cli_become(const char *program, const char *folder, const char *what, char **argv)
{
  char built[PATH_MAX], path[PATH_MAX];
  snprintf(built, sizeof(built), "%s%s", folder, program);
  const char *const places[] = { program, built };
  hf_err e = hf_file_beside_program(places, HF_ARRAY_LEN(places), path, sizeof(path));
  if (!hf_failed(e)) {
    execv(path, argv);
    e = hf_fail_errno(errno, "%s", path);
  }
  hf_err_print(stderr, "holdfast", hf_hint(e, "Install %s.", what));
  return hf_err_status(e);
}
