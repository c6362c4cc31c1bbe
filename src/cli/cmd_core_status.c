/* SPDX-License-Identifier: Apache-2.0 */
/* holdfast core status */
#include "cli/commands.h"
#include "cli/configuration.h"
#include "cli/json.h"
#include "gateway/core_status.h"

#include <time.h>

enum { ANSWER_MAX = 1024 * 1024 };

static const char *text(const json_t *object, const char *member)
{
  const char *value = json_string_value(json_object_get(object, member));
  return value ? value : "";
}

static void print_line(const char *name, const char *value)
{
  cli_print_line(name, 15, value);
}

static void format_time(long long when, char *out, size_t size)
{
  time_t t = (time_t)when;
  struct tm parts;
  if (when <= 0 || !localtime_r(&t, &parts) || !strftime(out, size, "%Y-%m-%d %H:%M:%S", &parts))
    snprintf(out, size, "never");
}

static void print_cause(const json_t *cause)
{
  if (!json_is_object(cause))
    return;
  print_line("  cause:", text(cause, "error"));
  if (text(cause, "hint")[0])
    print_line("  hint:", text(cause, "hint"));
}

static void print_broker(const json_t *broker)
{
  char line[512];
  snprintf(line, sizeof(line), "%s on %s:%s (%s)", text(broker, "state"), text(broker, "address"), text(broker, "port"),
           json_is_true(json_object_get(broker, "managed")) ? "managed" : "external");
  print_line("Local broker:", line);
  if (text(broker, "last_end")[0])
    print_line("  last end:", text(broker, "last_end"));
}

static void print_discovery(const json_t *discovery)
{
  char line[128];
  snprintf(line, sizeof(line), "%s, port %s", text(discovery, "state"), text(discovery, "port"));
  print_line("  discovery:", line);
  print_cause(json_object_get(discovery, "cause"));
}

static void print_server(const json_t *server)
{
  char line[512], until[32], renew_at[32];
  if (!json_is_true(json_object_get(server, "enabled")))
    return;
  snprintf(line, sizeof(line), "%s on %s:%s (TLS), %lld things, %lld routes", text(server, "state"),
           text(server, "address"), text(server, "port"), cli_json_number(server, "things"),
           cli_json_number(server, "routes"));
  print_line("Device server:", line);
  print_cause(json_object_get(server, "cause"));
  format_time(cli_json_number(server, "valid_until"), until, sizeof(until));
  format_time(cli_json_number(server, "renew_at"), renew_at, sizeof(renew_at));
  snprintf(line, sizeof(line), "%s, valid until %s, renewed %s", text(server, "certificate"), until,
           cli_json_number(server, "renew_at") ? renew_at : "by whoever issued it");
  if (text(server, "certificate")[0])
    print_line("  certificate:", line);
  print_discovery(json_object_get(server, "discovery"));
}

static void print_flow(const char *name, const json_t *flow)
{
  char line[256];
  const json_t *queue = json_object_get(flow, "queue");
  snprintf(line, sizeof(line), "%lld messages received, %lld acknowledged, %lld waiting (%lld KiB), %lld dropped%s",
           cli_json_number(flow, "received"), cli_json_number(flow, "acknowledged"), cli_json_number(queue, "messages"),
           cli_json_number(queue, "bytes") >> 10, cli_json_number(queue, "dropped") + cli_json_number(flow, "dropped"),
           json_is_true(json_object_get(flow, "refusing")) ? "; the spool is full" : "");
  print_line(name, line);
}

static void print_side(const char *name, const json_t *side)
{
  char since[32], line[128];
  format_time(cli_json_number(side, "since"), since, sizeof(since));
  if (json_is_true(json_object_get(side, "connected")))
    snprintf(line, sizeof(line), "connected since %s (MQTT %s)", since, text(side, "mqtt"));
  else
    snprintf(line, sizeof(line), "not connected since %s; next try in %lld s", since,
             cli_json_number(side, "retry_ms") / 1000);
  print_line(name, line);
  print_cause(json_object_get(side, "cause"));
}

static void print_bridge(const json_t *bridge)
{
  char line[128];
  snprintf(line, sizeof(line), "%s: %s", text(bridge, "title"), text(bridge, "state"));
  print_line("Bridge:", line);
  print_cause(json_object_get(bridge, "cause"));
  if (!json_object_get(bridge, "cloud_side"))
    return;
  print_side("  cloud:", json_object_get(bridge, "cloud_side"));
  print_side("  local:", json_object_get(bridge, "local_side"));
  print_flow("  to cloud:", json_object_get(bridge, "to_cloud"));
  print_flow("  from cloud:", json_object_get(bridge, "from_cloud"));
  print_cause(json_object_get(bridge, "spool"));
  long long rejected = cli_json_number(json_object_get(bridge, "rejected"), "messages");
  snprintf(line, sizeof(line), "%lld messages that the other side would not take", rejected);
  if (rejected)
    print_line("  rejected:", line);
}

static void print_renewal(const json_t *renewal)
{
  char line[128], next[32];
  format_time(cli_json_number(renewal, "next_try"), next, sizeof(next));
  snprintf(line, sizeof(line), "%s; next look %s", text(renewal, "last_result"), next);
  print_line("Renewal:", line);
  print_cause(json_object_get(renewal, "cause"));
}

static hf_err run(const struct cli_args *args)
{
  HF_CLEANUP(config_freep) struct config *config = NULL;
  HF_CLEANUP(hf_buf_free) struct hf_buf answer = HF_BUF(ANSWER_MAX);
  HF_TRY(cli_config_load(args, &config));
  HF_TRY(core_status_ask(config, &answer));
  HF_CLEANUP(json_decrefp) json_t *status = json_loadb((const char *)answer.data, answer.len, 0, NULL);
  if (!json_is_object(status))
    return hf_fail(HF_ERR_PARSE, "what holdfast-core says of itself");
  if (cli_has(args, "json"))
    return cli_json_print(status);
  char line[128], since[32];
  format_time(cli_json_number(status, "started"), since, sizeof(since));
  snprintf(line, sizeof(line), "running, pid %lld, since %s", cli_json_number(status, "pid"), since);
  print_line("holdfast-core:", line);
  print_broker(json_object_get(status, "broker"));
  print_server(json_object_get(status, "server"));
  const json_t *bridge;
  size_t i;
  json_array_foreach (json_object_get(status, "bridges"), i, bridge)
    print_bridge(bridge);
  if (i == 0)
    print_line("Bridges:", "none; 'holdfast connect CLOUD' starts one");
  print_renewal(json_object_get(status, "renewal"));
  return HF_OK;
}

static const struct cli_option options[] = { CLI_JSON_OPTION, CLI_CONFIG_OPTION, CLI_END };

const struct cli_command cli_core_status = {
  .name = "core status",
  .help = "Tell how the running gateway daemon and its bridges are",
  .options = options,
  .example = "holdfast core status --json\n",
  .run = run,
};
