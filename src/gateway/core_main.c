/* SPDX-License-Identifier: Apache-2.0 */
/* holdfast-core: the gateway daemon, in the foreground. */
#include "base/secret.h"
#include "gateway/core.h"

static const char program[] = "holdfast-core";

static const char help[] =
    "Usage: holdfast-core [--config FILE] [--check]\n\n"
    "The gateway daemon: the local MQTT broker, a bridge to each cloud that is connected, and the renewal of the\n"
    "device's certificate. Runs in the foreground and logs to standard error; SIGHUP reads the configuration again,\n"
    "SIGTERM ends it. 'holdfast connect' and 'holdfast core start' run it in the background.\n\n"
    "Options:\n"
    "  --config FILE  configuration file (default: $HOLDFAST_CONFIG, then the usual places)\n"
    "  --check        refuse to start where the HSM, a key or the certificate is not as it must be; without it,\n"
    "                 what may come yet is waited for. 'holdfast core run' gives it\n"
    "  --help         show this\n"
    "  --version      show the version\n\n"
    "Example:\n"
    "  holdfast config set mqtt.url broker.example:8883 && holdfast connect mqtt\n";

static int failed(hf_err e)
{
  hf_err_print(stderr, program, e);
  return hf_err_status(e);
}

int main(int argc, char **argv)
{
  const char *path = NULL;
  bool check = false;
  hf_secret_harden_process();
  /* A daemon's standard error is its log; systemd takes it to the journal. */
  setenv("HOLDFAST_LOG", "stderr", 0);
  for (int i = 1; i < argc; i++) {
    if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
      return fputs(help, stdout) < 0;
    if (strcmp(argv[i], "--version") == 0)
      return printf("%s %s\n", program, HF_VERSION) < 0;
    if (strcmp(argv[i], "--check") == 0) {
      check = true;
      continue;
    }
    if (strcmp(argv[i], "--config") != 0 || i + 1 == argc)
      return failed(hf_hint(hf_fail(HF_ERR_USAGE, "%s", argv[i]), "See 'holdfast-core --help'."));
    path = argv[++i];
  }
  hf_err e = core_run(path, check);
  return hf_failed(e) ? failed(e) : 0;
}
