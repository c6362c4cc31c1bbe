/* SPDX-License-Identifier: Apache-2.0 */
/* holdfast connect */
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
static void print_wait(const char *text, unsigned attempt, unsigned attempts, void *arg)
{
  (void)arg;
  if (!isatty(STDOUT_FILENO))
    return;
  fputs("\r\033[K", stdout);
  cli_print_text(stdout, text, strlen(text));
  printf("... (%u of %u) ", attempt + 1, attempts);
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

static void json_wait(const char *text, unsigned attempt, unsigned attempts, void *arg)
{
  (void)text;
  (void)attempt;
  (void)attempts;
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

static hf_err connect_json(const struct config *config, const struct gateway_connect_options *options)
{
  HF_CLEANUP(cli_json_freep) json_t *report = json_object();
  HF_TRY(cli_json_set_new(report, "config", json_object()));
  HF_TRY(cli_json_set_new(report, "checks", json_array()));
  const struct gateway_reporter reporter = { json_fact, json_begin, json_wait, json_end, report };
  hf_err e = gateway_connect(config, options, &reporter);
  HF_TRY(cli_json_set_new(report, "connected", json_boolean(!hf_failed(e))));
  HF_TRY(cli_json_print(report));
  return e;
}

static hf_err connect_text(const struct config *config, const struct gateway_connect_options *options)
{
  const struct gateway_reporter reporter = { print_fact, print_begin, print_wait, print_end, NULL };
  printf("%s %s with config:\n", options->test ? "Testing the connection to" : "Connecting to",
         options->cloud->config->title);
  return gateway_connect(config, options, &reporter);
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

/* The one that is named; else the one that is configured, if that is one. */
static hf_err choose_cloud(const struct cli_args *args, const struct config *config, const struct cloud **ret_cloud)
{
  const struct cloud *found = &clouds[CONFIG_CLOUD_MQTT];
  size_t count = 0;
  if (args->operand_count)
    return cloud_find(args->operands[0], ret_cloud);
  for (size_t i = 0; i < CONFIG_CLOUD_COUNT; i++)
    if (config_get(config, clouds[i].config->url)) {
      found = &clouds[i];
      count++;
    }
  if (count > 1)
    return hf_hint(hf_fail(HF_ERR_USAGE, "which cloud? %zu are configured", count), "Name one: c8y, aws, az or mqtt.");
  *ret_cloud = found;
  return HF_OK;
}

/* After a renewal that was cut has been finished or undone: certificate and key belong together then. */
static hf_err load_config(const struct cli_args *args, struct config **ret_config)
{
  HF_CLEANUP(config_freep) struct config *config = NULL;
  bool changed = false;
  HF_TRY(cli_config_load(args, &config));
  HF_TRY(transaction_recover(config, &changed));
  if (changed) {
    config = config_free(config);
    HF_TRY(cli_config_load(args, &config));
  }
  *ret_config = HF_TAKE(config);
  return HF_OK;
}

static hf_err run(const struct cli_args *args)
{
  char module_path[PATH_MAX];
  struct gateway_connect_options options = { .module_path = module_path, .test = cli_has(args, "test") };
  HF_TRY(parse_timeout(args, &options.timeout_s));
  HF_CLEANUP(config_freep) struct config *config = NULL;
  HF_TRY(load_config(args, &config));
  HF_TRY(choose_cloud(args, config, &options.cloud));
  HF_TRY(cli_module_path(args, module_path, sizeof(module_path)));
  HF_TRY(program_start(config, module_path));
  signal(SIGPIPE, SIG_IGN);
  return cli_has(args, "json") ? connect_json(config, &options) : connect_text(config, &options);
}

static const struct cli_option options[] = {
  CLI_MODULE_OPTIONS,
  CLI_JSON_OPTION,
  { "test", NULL, "only verify, and change nothing" },
  { "timeout", "SECONDS", "how long each check may wait for the network (default: 10)" },
  CLI_END,
};

const struct cli_command cli_connect = {
  .name = "connect",
  .help = "Connect to the cloud with the key in the HSM, and check each step on the way",
  .operands = "[c8y|aws|az|mqtt]",
  .operands_max = 1,
  .options = options,
  .details =
      "Needs mqtt.url, mqtt.root_cert_path, device.cert_path and device.key_uri (see 'holdfast config'). Publishes "
      "one\n"
      "message to mqtt.connect_topic and waits until the broker has acknowledged it. A client that is connected with\n"
      "the same id is disconnected by the broker.\n",
  .example = "holdfast config set mqtt.url broker.example:8883\n"
             "holdfast config set device.key_uri 'pkcs11:token=my-token;object=my-key;type=private'\n"
             "holdfast connect\n",
  .run = run,
};
