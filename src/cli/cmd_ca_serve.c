/* SPDX-License-Identifier: Apache-2.0 */
/* holdfast ca serve */
#include "base/file.h"
#include "cli/commands.h"

#include <errno.h>
#include <limits.h>

/* Beside this program: installed, or in its build tree. */
static int run(int argc, char **argv)
{
  (void)argc;
  static const char *const places[] = { "holdfast-ca", "../ca/holdfast-ca" };
  char path[PATH_MAX];
  hf_err e = hf_file_beside_program(places, HF_ARRAY_LEN(places), path, sizeof(path));
  if (!hf_failed(e)) {
    execv(path, argv);
    e = hf_fail_errno(errno, "%s", path);
  }
  hf_err_print(stderr, "holdfast", hf_hint(e, "Install the certificate authority's server."));
  return hf_err_status(e);
}

static const struct cli_option options[] = { CLI_END }; /* the server reads its own */

const struct cli_command cli_ca_serve = {
  .name = "ca serve",
  .help = "Run the certificate authority's server in the foreground: see 'holdfast ca serve --help'",
  .options = options,
  .example = "holdfast ca serve\n",
  .run_raw = run,
};
