/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/agent_status.h"
#include "cli/beside.h"
#include "cli/commands.h"

#include <errno.h>
#include <signal.h>
#include <time.h>

/* holdfast agent run */

static int run_agent(int argc, char **argv)
{
  (void)argc;
  return cli_become("holdfast-agent", "../agent/", "the key agent", argv);
}

/* holdfast agent status */

static void print_line(const char *name, const char *text)
{
  cli_print_line(name, 13, text);
}

static void print_text(const json_t *status, const char *name, const char *member)
{
  const char *text = json_string_value(json_object_get(status, member));
  if (text)
    print_line(name, text);
}

static void print_worker(const json_t *status)
{
  char text[256], since[32];
  time_t started = (time_t)cli_json_number(status, "worker_started");
  struct tm parts;
  strftime(since, sizeof(since), "%Y-%m-%d %H:%M:%S", localtime_r(&started, &parts));
  snprintf(text, sizeof(text), "pid %lld since %s, %lld MiB, started again %lld times",
           cli_json_number(status, "worker_pid"), since, cli_json_number(status, "worker_resident_bytes") >> 20,
           cli_json_number(status, "worker_restarts"));
  print_line("Worker:", text);
  print_text(status, "Last end:", "worker_last_end");
  snprintf(text, sizeof(text), "%lld, %lld signatures, %lld denied, %lld failed; %lld connections open",
           cli_json_number(status, "requests"), cli_json_number(status, "signatures"),
           cli_json_number(status, "requests_denied"), cli_json_number(status, "requests_failed"),
           cli_json_number(status, "connections_open"));
  print_line("Requests:", text);
}

static void print_tokens(const json_t *status)
{
  print_text(status, "Tokens:", "tokens_error");
  const json_t *tokens = json_object_get(status, "tokens"), *token;
  size_t i;
  json_array_foreach (tokens, i, token) {
    char text[512];
    const char *label = json_string_value(json_object_get(token, "label"));
    const char *serial = json_string_value(json_object_get(token, "serial"));
    const char *state = json_string_value(json_object_get(token, "state"));
    snprintf(text, sizeof(text), "%s (serial %s): %s", label ? label : "", serial ? serial : "", state ? state : "");
    print_line(i ? "" : "Tokens:", text);
  }
  if (tokens && json_array_size(tokens) == 0)
    print_line("Tokens:", "none");
}

static hf_err run_status(const struct cli_args *args)
{
  HF_CLEANUP(json_decrefp) json_t *status = NULL;
  HF_TRY(cli_agent_ask(args, &status));
  if (cli_has(args, "json"))
    return cli_json_print(status);
  char text[64];
  snprintf(text, sizeof(text), "running, pid %lld", cli_json_number(status, "pid"));
  print_line("Key agent:", text);
  print_worker(status);
  print_text(status, "Module:", "module");
  print_text(status, "Policy:", "policy");
  const json_t *path;
  const char *kind, *name = "Sockets:";
  json_object_foreach (json_object_get(status, "sockets"), kind, path) {
    char line[256];
    snprintf(line, sizeof(line), "%s (%s)", json_string_value(path), kind);
    print_line(name, line);
    name = "";
  }
  print_tokens(status);
  return HF_OK;
}

/* holdfast agent reload */

/* A number out of an answer is looked at before it gets a signal. */
static hf_err check_is_agent(pid_t pid)
{
  char path[64], name[32] = "";
  snprintf(path, sizeof(path), "/proc/%d/comm", (int)pid);
  HF_CLEANUP(hf_fclosep) FILE *file = fopen(path, "re");
  if (pid > 1 && file && fgets(name, sizeof(name), file) && strcmp(name, "holdfast-agent\n") == 0)
    return HF_OK;
  return hf_hint(hf_fail(HF_ERR_NOT_FOUND, "process %d is no key agent", (int)pid), "Is it in a container of its own?");
}

static hf_err run_reload(const struct cli_args *args)
{
  HF_CLEANUP(json_decrefp) json_t *status = NULL;
  HF_TRY(cli_agent_ask(args, &status));
  pid_t pid = (pid_t)cli_json_number(status, "pid");
  HF_TRY(check_is_agent(pid));
  if (kill(pid, SIGHUP) != 0)
    return hf_fail_errno(errno, "telling process %d", (int)pid);
  puts("The key agent reads its policy and options again; its log tells of what is wrong with them.");
  return HF_OK;
}

static const struct cli_option run_options[] = { CLI_END }; /* the agent reads its own */
static const struct cli_option status_options[] = { CLI_JSON_OPTION, CLI_METRICS_SOCKET_OPTION, CLI_END };
static const struct cli_option reload_options[] = { CLI_METRICS_SOCKET_OPTION, CLI_END };

const struct cli_command cli_agent_run = {
  .name = "agent run",
  .help = "Run the key agent in the foreground: see 'holdfast agent run --help'",
  .options = run_options,
  .example = "holdfast agent run --module-path /usr/lib/softhsm/libsofthsm2.so --pin-source /etc/holdfast/pin\n",
  .run_raw = run_agent,
};

const struct cli_command cli_agent_status = {
  .name = "agent status",
  .help = "Tell how the running key agent and its tokens are",
  .options = status_options,
  .example = "holdfast agent status --json\n",
  .run = run_status,
};

const struct cli_command cli_agent_reload = {
  .name = "agent reload",
  .help = "Have the running key agent read its policy and options again",
  .options = reload_options,
  .example = "holdfast agent reload\n",
  .run = run_reload,
};
