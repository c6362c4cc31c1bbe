/* SPDX-License-Identifier: Apache-2.0 */
/* holdfast-ca: the authority's server. */
#include "base/secret.h"
#include "ca/server.h"

#include <getopt.h>

static const char program[] = "holdfast-ca";

static const char usage[] =
    "Usage: holdfast-ca [OPTIONS]\n\n"
    "Serve the certificate authority: EST (RFC 7030), CRL and OCSP.\n\n"
    "Its settings are the ca. keys of the configuration: 'holdfast config list --doc' lists them. 'holdfast ca init'\n"
    "makes the authority. SIGHUP has it read its configuration again.\n\n"
    "Options:\n"
    "  --config FILE  configuration file (default: $HOLDFAST_CONFIG, then the usual places)\n"
    "  --help         show this\n"
    "  --version      show the version\n\n"
    "Example:\n"
    "  holdfast ca init --name 'Plant 7' && holdfast-ca\n";

static int refuse(void)
{
  hf_err e = hf_hint(hf_fail(HF_ERR_USAGE, "an option that it does not have"), "See 'holdfast-ca --help'.");
  hf_err_print(stderr, program, e);
  return hf_err_status(e);
}

int main(int argc, char **argv)
{
  static const struct option options[] = {
    { "config", required_argument, NULL, 'c' },
    { "help", no_argument, NULL, 'h' },
    { "version", no_argument, NULL, 'v' },
    { NULL, 0, NULL, 0 },
  };
  const char *config = NULL;
  hf_secret_harden_process();
  /* A daemon's standard error is its log; systemd takes it to the journal. */
  setenv("HOLDFAST_LOG", "stderr", 0);
  opterr = 0;
  for (int c; (c = getopt_long(argc, argv, "h", options, NULL)) != -1;) {
    if (c == 'c') {
      config = optarg;
    } else if (c == 'h' || c == 'v') {
      if (c == 'h')
        fputs(usage, stdout);
      else
        printf("%s %s\n", program, HF_VERSION);
      return fflush(stdout) == 0 ? 0 : 1;
    } else {
      return refuse();
    }
  }
  if (optind < argc)
    return refuse();
  hf_err e = server_run(config);
  if (hf_failed(e))
    hf_err_print(stderr, program, e);
  return hf_err_status(e);
}
