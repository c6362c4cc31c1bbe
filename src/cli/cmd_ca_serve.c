/* SPDX-License-Identifier: Apache-2.0 */
/* holdfast ca serve */
#include "cli/beside.h"
#include "cli/commands.h"

static int run(int argc, char **argv)
{
  (void)argc;
  return cli_become("holdfast-ca", "../ca/", "the certificate authority's server", argv);
}

static const struct cli_option options[] = { CLI_END }; /* the server reads its own */

const struct cli_command cli_ca_serve = {
  .name = "ca serve",
  .help = "Run the certificate authority's server in the foreground: see 'holdfast ca serve --help'",
  .options = options,
  .example = "holdfast ca serve\n",
  .run_raw = run,
};
