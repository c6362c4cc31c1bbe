/* SPDX-License-Identifier: Apache-2.0 */
/* holdfast connect, disconnect, reconnect */
#include "cli/commands.h"
#include "cli/configuration.h"
#include "cli/json.h"
#include "cli/token.h"
#include "gateway/connect.h"
#include "identity/program.h"
#include "identity/transaction.h"

#include <limits.h>
#include <signal.h>

enum { TIMEOUT_DEFAULT_S = 10, TIMEOUT_MAX_S = 600 };

/* On a terminal each check is a line that ends when it passes, so that one sees what is waited for. */
static void print_fact(const char *name, const char *value, void *arg)
{
  (void)arg;
  printf("\t%s: ", name);
  cli_print_text(stdout, value, strlen(value));
  putchar('\n');
}

static void print_begin(const char *text, void *arg)
{
  (void)arg;
  cli_print_text(stdout, text, strlen(text));
  fputs("... ", stdout);
  fflush(stdout);
}

static void print_end(const char *text, hf_err e, const char *detail, void *arg)
{
  (void)text;
  (void)arg;
  fputs(hf_failed(e) ? "✗" : "✓", stdout);
  if (!hf_failed(e) && detail[0]) {
    fputs(" (", stdout);
    cli_print_text(stdout, detail, strlen(detail));
    putchar(')');
  }
  putchar('\n');
  fflush(stdout);
}

/* What is waited for, on a terminal alone: a line that the next one overwrites. */
static void print_wait(const char *text, const char *progress, void *arg)
{
  (void)arg;
  if (!isatty(STDOUT_FILENO))
    return;
  fputs("\r\033[K", stdout);
  cli_print_text(stdout, text, strlen(text));
  printf("... (%s) ", progress);
  fflush(stdout);
}

static void json_fact(const char *name, const char *value, void *arg)
{
  hf_ignore(cli_json_set(json_object_get(arg, "config"), name, value));
}

static void json_begin(const char *text, void *arg)
{
  (void)text;
  (void)arg;
}

static void json_wait(const char *text, const char *progress, void *arg)
{
  (void)text;
  (void)progress;
  (void)arg;
}

/* Formatting an error leaves it as it is, so main can still print it. */
static hf_err json_check(const char *text, hf_err e, const char *detail, json_t *check)
{
  HF_TRY(cli_json_set(check, "check", text));
  HF_TRY(cli_json_set_new(check, "ok", json_boolean(!hf_failed(e))));
  if (!hf_failed(e))
    return cli_json_set(check, "detail", detail);
  char line[HF_CONTEXT_MAX + 256];
  hf_err_format(e, line, sizeof(line));
  HF_TRY(cli_json_set(check, "code", hf_err_name(e)));
  HF_TRY(cli_json_set(check, "error", line));
  return cli_json_set(check, "hint", hf_err_hint(e));
}

static void json_end(const char *text, hf_err e, const char *detail, void *arg)
{
  json_t *check = json_object();
  hf_ignore(json_check(text, e, detail, check));
  hf_ignore(cli_json_append_new(json_object_get(arg, "checks"), check));
}

typedef hf_err (*gateway_fn)(const struct config *config, const struct gateway_connect_options *options,
                             const struct gateway_reporter *reporter);

/* What is done, to whom it is told, and under which names. */
struct deed {
  gateway_fn run;
  const char *title, *after; /* around the cloud's name, before the first line; title NULL: none */
  const char *result;        /* whether it succeeded, in JSON */
  bool is_half;              /* another follows: its JSON is the whole's, unless this one fails */
};

static const struct deed connecting = { gateway_connect, "Connecting to ", " with config:", "connected", false };
static const struct deed testing = { gateway_connect, "Testing the connection to ", " with config:", "connected",
                                     false };
static const struct deed disconnecting = { gateway_disconnect, NULL, "", "disconnected", false };
static const struct deed disconnecting_first = { gateway_disconnect, NULL, "", "disconnected", true };

static hf_err do_json(const struct deed *deed, const struct config *config,
                      const struct gateway_connect_options *options)
{
  HF_CLEANUP(json_decrefp) json_t *report = json_object();
  HF_TRY(cli_json_set_new(report, "config", json_object()));
  HF_TRY(cli_json_set_new(report, "checks", json_array()));
  const struct gateway_reporter reporter = { json_fact, json_begin, json_wait, json_end, report };
  hf_err e = deed->run(config, options, &reporter);
  HF_TRY(cli_json_set_new(report, deed->result, json_boolean(!hf_failed(e))));
  if (hf_failed(e) || !deed->is_half)
    HF_TRY(cli_json_print(report));
  return e;
}

static hf_err do_text(const struct deed *deed, const struct config *config,
                      const struct gateway_connect_options *options)
{
  const struct gateway_reporter reporter = { print_fact, print_begin, print_wait, print_end, NULL };
  if (deed->title)
    printf("%s%s%s\n", deed->title, options->cloud->config->title, deed->after);
  return deed->run(config, options, &reporter);
}

static hf_err parse_timeout(const struct cli_args *args, unsigned *ret_timeout_s)
{
  const char *text = cli_get(args, "timeout");
  char *end = NULL;
  unsigned long value = text ? strtoul(text, &end, 10) : TIMEOUT_DEFAULT_S;
  if (text && (text[0] < '0' || text[0] > '9' || *end || value < 1 || value > TIMEOUT_MAX_S))
    return hf_fail(HF_ERR_USAGE, "--timeout must be 1 to %d seconds", TIMEOUT_MAX_S);
  *ret_timeout_s = (unsigned)value;
  return HF_OK;
}

static bool has_address(const struct config *config, const struct config_cloud *cloud)
{
  return config_get(config, cloud->url);
}

static bool has_bridge(const struct config *config, const struct config_cloud *cloud)
{
  return config_get_bool(config, cloud->bridge_enabled);
}

/* The one that is named; else the only one that is so, or, where none is, any MQTT broker. */
static hf_err choose_cloud(const struct cli_args *args, const struct config *config,
                           bool (*is_so)(const struct config *, const struct config_cloud *),
                           const struct cloud **ret_cloud)
{
  const struct cloud *found = &clouds[CONFIG_CLOUD_MQTT];
  size_t count = 0;
  if (args->operand_count)
    return cloud_find(args->operands[0], ret_cloud);
  for (size_t i = 0; i < CONFIG_CLOUD_COUNT; i++)
    if (is_so(config, clouds[i].config)) {
      found = &clouds[i];
      count++;
    }
  if (count > 1)
    return hf_hint(
        hf_fail(HF_ERR_USAGE, "which cloud? %zu are %s", count, is_so == has_bridge ? "connected" : "configured"),
        "Name one: c8y, aws, az or mqtt.");
  *ret_cloud = found;
  return HF_OK;
}

/* After a renewal that was cut has been finished or undone: certificate and key belong together then. */
static hf_err load_config(const struct cli_args *args, struct config **ret_config)
{
  HF_CLEANUP(config_freep) struct config *config = NULL;
  HF_TRY(cli_config_load(args, &config));
  HF_TRY(transaction_refresh(&config));
  *ret_config = HF_TAKE(config);
  return HF_OK;
}

static hf_err do_it(const struct cli_args *args, const struct deed *deed, const struct config *config,
                    const struct gateway_connect_options *options)
{
  signal(SIGPIPE, SIG_IGN);
  return cli_has(args, "json") ? do_json(deed, config, options) : do_text(deed, config, options);
}

/* only: the cloud that it was disconnected from; NULL: by the arguments. */
static hf_err connect_to(const struct cli_args *args, const struct cloud *only, bool test)
{
  char module_path[PATH_MAX];
  struct gateway_connect_options options = { .module_path = module_path, .cloud = only, .test = test };
  HF_TRY(parse_timeout(args, &options.timeout_s));
  HF_CLEANUP(config_freep) struct config *config = NULL;
  HF_TRY(load_config(args, &config));
  if (!only)
    HF_TRY(choose_cloud(args, config, has_address, &options.cloud));
  HF_TRY(cli_module_path(args, module_path, sizeof(module_path)));
  HF_TRY(program_start(config, module_path));
  return do_it(args, test ? &testing : &connecting, config, &options);
}

static hf_err run(const struct cli_args *args)
{
  return connect_to(args, NULL, cli_has(args, "test"));
}

static hf_err disconnect(const struct cli_args *args, bool keep_core, const struct cloud **ret_cloud)
{
  struct gateway_connect_options options = { .keep_core = keep_core };
  HF_CLEANUP(config_freep) struct config *config = NULL;
  HF_TRY(parse_timeout(args, &options.timeout_s));
  HF_TRY(cli_config_load(args, &config));
  HF_TRY(choose_cloud(args, config, has_bridge, &options.cloud));
  *ret_cloud = options.cloud;
  return do_it(args, keep_core ? &disconnecting_first : &disconnecting, config, &options);
}

static hf_err run_disconnect(const struct cli_args *args)
{
  const struct cloud *cloud;
  return disconnect(args, false, &cloud);
}

/* The local broker and the other clouds' bridges go on meanwhile. */
static hf_err run_reconnect(const struct cli_args *args)
{
  const struct cloud *cloud;
  HF_TRY(disconnect(args, true, &cloud));
  return connect_to(args, cloud, false);
}

#define TIMEOUT_OPTION                                                             \
  {                                                                                \
    "timeout", "SECONDS", "how long each step may wait for somebody (default: 10)" \
  }

static const struct cli_option connect_options[] = {
  CLI_MODULE_OPTIONS, CLI_JSON_OPTION, { "test", NULL, "only verify, and change nothing" }, TIMEOUT_OPTION, CLI_END,
};

static const struct cli_option disconnect_options[] = { CLI_CONFIG_OPTION, CLI_JSON_OPTION, TIMEOUT_OPTION, CLI_END };
static const struct cli_option reconnect_options[] = { CLI_MODULE_OPTIONS, CLI_JSON_OPTION, TIMEOUT_OPTION, CLI_END };

const struct cli_command cli_connect = {
  .name = "connect",
  .help = "Connect to a cloud with the key in the HSM, and check each step on the way",
  .operands = "[c8y|aws|az|mqtt]",
  .operands_max = 1,
  .options = connect_options,
  .details =
      "Checks certificate, key, network and TLS, makes the device known to the cloud (Cumulocity), starts\n"
      "holdfast-core, the gateway daemon, where it does not run, enables its bridge to the cloud, and asks the cloud\n"
      "through local broker and bridge. Needs CLOUD.url, CLOUD.root_cert_path, device.cert_path and device.key_uri.\n"
      "Without a name, the only cloud with a url is meant. Where a step fails, all is as it was before.\n",
  .example = "holdfast config set c8y.url tenant.cumulocity.com\n"
             "holdfast connect c8y\n"
             "holdfast connect c8y --test\n",
  .run = run,
};

const struct cli_command cli_disconnect = {
  .name = "disconnect",
  .help = "Take the bridge to a cloud away",
  .operands = "[c8y|aws|az|mqtt]",
  .operands_max = 1,
  .options = disconnect_options,
  .details =
      "What the bridge has not sent yet stays on disk for the next one. holdfast-core ends with its last bridge.\n",
  .example = "holdfast disconnect c8y\n",
  .run = run_disconnect,
};

const struct cli_command cli_reconnect = {
  .name = "reconnect",
  .help = "Take the bridge to a cloud away and connect anew",
  .operands = "[c8y|aws|az|mqtt]",
  .operands_max = 1,
  .options = reconnect_options,
  .example = "holdfast reconnect c8y\n",
  .run = run_reconnect,
};
