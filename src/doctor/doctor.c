/* SPDX-License-Identifier: Apache-2.0 */
#include "doctor/doctor_private.h"

#include "gateway/net.h"
#include "p11/key.h"

#include <assert.h>
#include <stdarg.h>

/* In this order, which is that of their needs. docs/doctor.md has them, too. */
static const struct doctor_check checks[] = {
  { "config.file", "Configuration", NULL, NULL, doctor_config_file },
  { "config.permissions", "Who may read and change it", "config.file", NULL, doctor_config_permissions },
  { "config.device", "What a device needs", "config.file", NULL, doctor_config_device },
  { "clock", "Clock", NULL, NULL, doctor_clock },
  { "data.directory", "Data directory", "config.file", NULL, doctor_data_directory },
  { "run.directory", "Runtime directory", "config.file", NULL, doctor_run_directory },
  { "pin.source", "Where the PIN is", "config.file", doctor_has_pin_source, doctor_pin_source },
  { "agent.policy", "Key agent's policy", NULL, doctor_has_policy, doctor_agent_policy },
  { "agent.socket", "Key agent", "config.file", doctor_uses_agent, doctor_agent_socket },
  { "module.load", "PKCS #11 module", "config.file agent.socket", NULL, doctor_module_load },
  { "module.slots", "Slots", "module.load", NULL, doctor_module_slots },
  { "provider.load", "OpenSSL provider", "module.load", NULL, doctor_provider_load },
  { "token.find", "Token", "module.slots", NULL, doctor_token_find },
  { "token.pin", "PIN", "token.find pin.source", NULL, doctor_token_pin },
  { "key.find", "Key", "config.device token.pin", NULL, doctor_key_find },
  { "key.kind", "Type and size of the key", "key.find", NULL, doctor_key_kind },
  { "token.mechanisms", "What the token does with it", "key.find", NULL, doctor_token_mechanisms },
  { "key.openssl", "The key by OpenSSL", "key.find provider.load", NULL, doctor_key_openssl },
  { "cert.file", "Certificate", "config.file", NULL, doctor_cert_file },
  { "cert.device", "Whose certificate it is", "cert.file", NULL, doctor_cert_device },
  { "cert.validity", "When it is valid", "cert.file", NULL, doctor_cert_validity },
  { "cert.renewal", "Renewal", "cert.validity", NULL, doctor_cert_renewal },
  { "cert.chain", "Chain of the certificate", "cert.file", NULL, doctor_cert_chain },
  { "cert.key", "Key of the certificate", "cert.file key.openssl", NULL, doctor_cert_key },
  { "key.signature", "A signature, verified", "key.openssl", NULL, doctor_key_signature },
  { "tls.loopback", "TLS with itself", "cert.key key.signature", NULL, doctor_tls_loopback },
  { "token.rate", "Signatures a second", "key.signature", NULL, doctor_token_rate },
  { "broker.program", "mosquitto", "config.file", doctor_has_own_broker, doctor_broker_program },
  { "broker.port", "Port of the local broker", "config.file", doctor_has_own_broker, doctor_broker_port },
  { "broker.answer", "Local broker", "config.file", doctor_has_other_broker, doctor_broker_answers },
  { "core", "holdfast-core", "config.file", NULL, doctor_core },
  { "proxy", "Proxy", "config.file", doctor_has_proxy, doctor_proxy },
  { "est", "EST server", "config.file proxy", doctor_has_est, doctor_est },
  { "update.key", "Key of updates", "config.file", doctor_has_update_key, doctor_update_key },
};

static const struct doctor_check cloud_checks[] = {
  { "config", "What its connection needs", "config.device cert.file", NULL, doctor_cloud_config },
  { "dns", "Its address", ".config proxy", NULL, doctor_cloud_dns },
  { "tcp", "TCP", ".dns", NULL, doctor_cloud_tcp },
  { "tls", "TLS with the key", ".tcp cert.key key.signature", NULL, doctor_cloud_tls },
  { "mqtt", "MQTT", ".tls", NULL, doctor_cloud_mqtt },
};

static_assert(sizeof(checks) / sizeof(checks[0]) +
                      CONFIG_CLOUD_COUNT * sizeof(cloud_checks) / sizeof(cloud_checks[0]) <=
                  DOCTOR_FINDINGS_MAX,
              "each finding has its place");

const char *doctor_verdict_name(enum doctor_verdict verdict)
{
  static const char *const names[DOCTOR_VERDICTS] = {
    [DOCTOR_OK] = "ok", [DOCTOR_WARN] = "warn", [DOCTOR_FAIL] = "fail", [DOCTOR_SKIP] = "skip"
  };
  return names[verdict];
}

void doctor_detail(struct doctor *d, const char *fmt, ...)
{
  va_list args;
  va_start(args, fmt);
  vsnprintf(d->finding->detail, sizeof(d->finding->detail), fmt, args);
  va_end(args);
}

void doctor_value(struct doctor *d, const char *name, double value)
{
  if (d->finding->value_count < DOCTOR_VALUES_MAX)
    d->finding->values[d->finding->value_count++] = (struct doctor_value){ name, value };
}

void doctor_warn(struct doctor *d, hf_err e)
{
  if (d->finding->verdict != DOCTOR_OK || !hf_failed(e))
    return;
  d->finding->verdict = DOCTOR_WARN;
  d->finding->error = hf_err_save(e);
}

void doctor_skip(struct doctor *d, const char *because)
{
  d->finding->verdict = DOCTOR_SKIP;
  snprintf(d->finding->because, sizeof(d->finding->because), "%s", because);
}

static const struct doctor_finding *find(const struct doctor *d, const char *code)
{
  for (size_t i = 0; i < d->count; i++)
    if (strcmp(d->findings[i].code, code) == 0)
      return &d->findings[i];
  return NULL;
}

bool doctor_passed(const struct doctor *d, const char *code)
{
  const struct doctor_finding *finding = find(d, code);
  return finding && (finding->verdict == DOCTOR_OK || finding->verdict == DOCTOR_WARN);
}

static void code_of(const struct doctor *d, const char *name, size_t len, char out[DOCTOR_CODE_MAX])
{
  bool of_cloud = name[0] == '.' && d->cloud;
  snprintf(out, DOCTOR_CODE_MAX, "%s%.*s", of_cloud ? d->cloud->cloud->config->name : "", (int)len, name);
}

/* The first of its needs that was not met, or what kept that from being looked at; one that does not apply here is none. */
const char *doctor_missing(const struct doctor *d, const char *needs)
{
  for (const char *at = needs; at && *at; at += strcspn(at, " "), at += strspn(at, " ")) {
    char code[DOCTOR_CODE_MAX];
    code_of(d, at, strcspn(at, " "), code);
    const struct doctor_finding *finding = find(d, code);
    if (finding && finding->verdict == DOCTOR_FAIL)
      return finding->code;
    if (finding && finding->verdict == DOCTOR_SKIP)
      return finding->because;
  }
  return NULL;
}

struct doctor_finding *doctor_begin(struct doctor *d, const char *code, const char *title)
{
  d->finding = &d->findings[d->count];
  snprintf(d->finding->code, sizeof(d->finding->code), "%s", code);
  d->finding->title = title;
  return d->finding;
}

/* Only now it is one of those before: a check does not need itself. */
void doctor_end(struct doctor *d, struct doctor_summary *summary)
{
  d->count++;
  summary->counts[d->finding->verdict]++;
  d->options->reporter->end(d->finding, d->options->reporter->arg);
}

static void look(struct doctor *d, const struct doctor_check *check)
{
  const char *missing = doctor_missing(d, check->needs);
  if (missing) {
    doctor_skip(d, missing);
    return;
  }
  d->options->reporter->begin(d->finding->code, check->title, d->options->reporter->arg);
  hf_err e = check->run(d);
  if (!hf_failed(e))
    return;
  d->finding->verdict = DOCTOR_FAIL;
  d->finding->error = hf_err_save(e);
}

static void run_check(struct doctor *d, const struct doctor_check *check, struct doctor_summary *summary)
{
  char name[DOCTOR_CODE_MAX], code[DOCTOR_CODE_MAX];
  if (check->applies && !(d->config && check->applies(d)))
    return;
  snprintf(name, sizeof(name), "%s%s", d->cloud ? "." : "", check->code);
  code_of(d, name, strlen(name), code);
  doctor_begin(d, code, check->title);
  look(d, check);
  doctor_end(d, summary);
}

static void run_cloud(struct doctor *d, const struct cloud *cloud, struct doctor_summary *summary)
{
  struct doctor_cloud way = { .cloud = cloud };
  d->cloud = &way;
  for (size_t i = 0; i < HF_ARRAY_LEN(cloud_checks); i++)
    run_check(d, &cloud_checks[i], summary);
  d->cloud = NULL;
  net_addrinfo_freep(&way.found);
  cloud_link_free(&way.link);
}

static void run_clouds(struct doctor *d, const struct cloud *only, struct doctor_summary *summary)
{
  for (size_t i = 0; d->config && i < CONFIG_CLOUD_COUNT; i++)
    if (only ? &clouds[i] == only : config_is_set(d->config, clouds[i].config->url))
      run_cloud(d, &clouds[i], summary);
}

static void release(struct doctor *d)
{
  chain_freep(&d->chain);
  EVP_PKEY_free(d->tls_key);
  p11_key_unref(d->key);
  p11_session_close(d->session);
  p11_module_unref(d->module);
  uri_free(&d->uri);
  config_free(d->config);
  free(d);
}

hf_err doctor_run(const struct doctor_options *options, struct doctor_summary *ret_summary)
{
  const struct cloud *only = NULL;
  struct doctor_summary summary = { { 0 } };
  if (options->cloud)
    HF_TRY(cloud_find(options->cloud, &only));
  struct doctor *d = calloc(1, sizeof(*d));
  if (!d)
    return hf_fail(HF_ERR_NO_MEMORY, "the checks");
  d->options = options;
  for (size_t i = 0; i < HF_ARRAY_LEN(checks); i++)
    run_check(d, &checks[i], &summary);
  doctor_run_start(d, &summary);
  run_clouds(d, only, &summary);
  release(d);
  *ret_summary = summary;
  return HF_OK;
}
