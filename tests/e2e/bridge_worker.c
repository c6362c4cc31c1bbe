/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A bridge by itself, for the end-to-end tests and the bench: bridge_worker CONFIG-FILE NAME=VALUE... The configuration is for the
 * HSM alone; "-" is none, and then the cloud is reached without TLS. Commands on standard input, a line each: "status" prints one line of
 * NAME=VALUE; "reload NAME=VALUE..." changes options; its end, or "stop", stops the bridge.
 */
#include "gateway/bridge.h"
#include "identity/program.h"

#include <ctype.h>
#include <limits.h>
#include <signal.h>

enum { LINE_MAX_BYTES = 16 << 10 };

static struct values {
  char local_port[8], cloud_port[8], cloud_host[64], root[512], cert[512], key[512], spool[512], topics[8192],
      window[8], min_ms[16], max_ms[16], size[24], overflow[24], durability[16], version[4], keepalive[8],
      local_keepalive[8], client[64], proxy_port[6], payload_max[16], qos_max[4];
} values = {
  .cloud_host = "localhost",
  .window = "1000",
  .min_ms = "100",
  .max_ms = "1000",
  .size = "67108864",
  .overflow = "refuse-newest",
  .durability = "power",
  .version = "5",
  .keepalive = "60",
  .local_keepalive = "60",
  .client = "device",
  .payload_max = "0",
  .qos_max = "0",
};

static const struct value_row {
  const char *name;
  size_t offset, size;
} rows[] = {
#define ROW(name)                                                            \
  {                                                                          \
#name, offsetof(struct values, name), sizeof(((struct values *)0)->name) \
  }
  ROW(local_port),
  ROW(cloud_port),
  ROW(cloud_host),
  ROW(root),
  ROW(cert),
  ROW(key),
  ROW(spool),
  ROW(topics),
  ROW(window),
  ROW(min_ms),
  ROW(max_ms),
  ROW(size),
  ROW(overflow),
  ROW(durability),
  ROW(version),
  ROW(keepalive),
  ROW(local_keepalive),
  ROW(client),
  ROW(proxy_port),
  ROW(payload_max),
  ROW(qos_max),
#undef ROW
};

static void set(const char *text)
{
  const char *equals = strchr(text, '=');
  for (size_t i = 0; equals && i < HF_ARRAY_LEN(rows); i++)
    if (strlen(rows[i].name) == (size_t)(equals - text) && strncmp(rows[i].name, text, (size_t)(equals - text)) == 0) {
      snprintf((char *)&values + rows[i].offset, rows[i].size, "%s", equals + 1);
      return;
    }
  fprintf(stderr, "bridge_worker: %s\n", text);
  exit(2);
}

static unsigned number(const char *text)
{
  return (unsigned)strtoul(text, NULL, 10);
}

static struct link_options link_to(const char *host, const char *port, const char *keepalive)
{
  struct link_options options = { .version = MQTT_5, .client_id = values.client, .keepalive_s = number(keepalive) };
  snprintf(options.dial.address.host, sizeof(options.dial.address.host), "%s", host);
  snprintf(options.dial.address.port, sizeof(options.dial.address.port), "%s", port);
  options.dial.url_key = "mqtt.url";
  options.dial.root_key = "mqtt.root_cert_path";
  return options;
}

static struct bridge_options options_now(struct proxy *proxy)
{
  struct link_options cloud = link_to(values.cloud_host, values.cloud_port, values.keepalive);
  cloud.version = values.version[0] == '5' ? MQTT_5 : MQTT_3_1_1;
  cloud.dial.tls = values.root[0];
  cloud.dial.identity.root_path = values.root;
  cloud.dial.identity.cert_path = values.cert[0] ? values.cert : NULL;
  cloud.dial.key_uri = values.key;
  if (values.proxy_port[0]) {
    *proxy = (struct proxy){ .address = { .host = "localhost" } };
    snprintf(proxy->address.port, sizeof(proxy->address.port), "%s", values.proxy_port);
    cloud.dial.proxy = proxy;
  }
  return (struct bridge_options){
    .name = "test",
    .device_id = values.client,
    .topics = values.topics,
    .links = { [BRIDGE_LOCAL] = link_to("127.0.0.1", values.local_port, values.local_keepalive),
               [BRIDGE_CLOUD] = cloud },
    .limits = { .payload_max = number(values.payload_max), .qos_max = number(values.qos_max) },
    .window = number(values.window),
    .reconnect_min_ms = number(values.min_ms),
    .reconnect_max_ms = number(values.max_ms),
    .spool_dir = values.spool,
    .spool = { .max_size = strtoull(values.size, NULL, 10),
               .overflow = strcmp(values.overflow, "drop-oldest") == 0 ? SPOOL_DROP_OLDEST : SPOOL_REFUSE_NEWEST,
               .durability = strcmp(values.durability, "power") == 0 ? SPOOL_POWER : SPOOL_PROCESS },
  };
}

static void print_side(const char *name, const struct bridge_side_status *side)
{
  char cause[HF_CONTEXT_MAX + 256] = "";
  if (hf_failed(side->cause.error))
    hf_err_format(hf_err_restore(&side->cause), cause, sizeof(cause));
  for (char *at = cause; *at; at++)
    if (isspace((unsigned char)*at))
      *at = '_';
  printf("%s.connected=%d %s.version=%d %s.failures=%u %s.retry_ms=%lld %s.cause=%s ", name, side->connected, name,
         side->version, name, side->failures, name, (long long)side->retry_ms, name, cause);
}

static void print_flow(const char *name, const struct bridge_flow_status *flow)
{
  const struct {
    const char *name;
    uint64_t value;
  } counts[] = { { "received", flow->received },         { "sent", flow->sent },
                 { "acknowledged", flow->acknowledged }, { "rejected", flow->rejected },
                 { "expired", flow->expired },           { "dropped", flow->dropped },
                 { "unmatched", flow->unmatched },       { "repeated", flow->repeated },
                 { "in_flight", flow->in_flight },       { "refusing", flow->refusing },
                 { "queued", flow->queue.messages },     { "queue_dropped", flow->queue.dropped },
                 { "bytes", flow->queue.bytes } };
  for (size_t i = 0; i < HF_ARRAY_LEN(counts); i++)
    printf("%s.%s=%llu ", name, counts[i].name, (unsigned long long)counts[i].value);
}

static void print_status(struct bridge *bridge)
{
  struct bridge_status status;
  bridge_status(bridge, &status);
  print_side("local", &status.sides[BRIDGE_LOCAL]);
  print_side("cloud", &status.sides[BRIDGE_CLOUD]);
  print_flow("out", &status.flows[SPOOL_OUT]);
  print_flow("in", &status.flows[SPOOL_IN]);
  printf("rejected.messages=%llu spool.cause=%s\n", (unsigned long long)status.rejected.messages,
         hf_err_name(status.spool_cause.error));
  fflush(stdout);
}

static hf_err reload(struct bridge *bridge, char *words)
{
  struct proxy proxy;
  for (char *rest = NULL, *word = strtok_r(words, "\t\n", &rest); word; word = strtok_r(NULL, "\t\n", &rest))
    set(word);
  struct bridge_options options = options_now(&proxy);
  return bridge_reload(bridge, &options);
}

static hf_err serve(struct bridge *bridge)
{
  static char line[LINE_MAX_BYTES];
  while (fgets(line, sizeof(line), stdin) && strcmp(line, "stop\n") != 0) {
    if (strcmp(line, "status\n") == 0)
      print_status(bridge);
    else if (strncmp(line, "reload", 6) == 0)
      HF_TRY(reload(bridge, line + 6));
  }
  return HF_OK;
}

static hf_err start_hsm(const char *path, struct config **config)
{
  char module[PATH_MAX];
  if (strcmp(path, "-") == 0)
    return HF_OK;
  HF_TRY(config_load(path, config));
  HF_TRY(program_module(*config, NULL, module, sizeof(module)));
  return program_start(*config, module);
}

static hf_err run(int argc, char **argv)
{
  HF_CLEANUP(config_freep) struct config *config = NULL;
  HF_CLEANUP(bridge_stopp) struct bridge *bridge = NULL;
  struct proxy proxy;
  for (int i = 2; i < argc; i++)
    set(argv[i]);
  HF_TRY(start_hsm(argv[1], &config));
  struct bridge_options options = options_now(&proxy);
  HF_TRY(bridge_start(&options, &bridge));
  printf("started\n");
  fflush(stdout);
  return serve(bridge);
}

int main(int argc, char **argv)
{
  signal(SIGPIPE, SIG_IGN);
  hf_err e = argc > 1 ? run(argc, argv) : hf_fail(HF_ERR_USAGE, "bridge_worker CONFIG-FILE NAME=VALUE...");
  if (hf_failed(e))
    hf_err_print(stderr, "bridge_worker", e);
  return hf_err_status(e);
}
