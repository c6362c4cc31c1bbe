/* SPDX-License-Identifier: Apache-2.0 */
/* holdfast-agent: the supervisor, or, by an internal argument, its worker. */
#include "agent/supervisor.h"
#include "agent/worker.h"

static int run(int argc, char **argv)
{
  struct options_given given;
  hf_err e = options_given_take(argc, argv, &given);
  if (!hf_failed(e)) {
    e = supervisor_run(&given);
    options_given_free(&given);
  }
  if (hf_failed(e))
    hf_err_print(stderr, "holdfast-agent", e);
  return hf_err_status(e);
}

int main(int argc, char **argv)
{
  hf_secret_harden_process();
  /* A daemon's standard error is its log; systemd takes it to the journal. */
  setenv("HOLDFAST_LOG", "stderr", 0);
  if (argc == 3 && strcmp(argv[1], WORKER_ARGUMENT) == 0)
    return worker_main((int)strtol(argv[2], NULL, 10));
  for (int i = 1; i < argc; i++) {
    if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
      options_help(stdout);
      return 0;
    }
    if (strcmp(argv[i], "--version") == 0) {
      printf("holdfast-agent %s\n", HF_VERSION);
      return 0;
    }
  }
  return run(argc, argv);
}
