/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/core_check.h"

#include "gateway/cloud_link.h"
#include "gateway/core_check_private.h"
#include "gateway/mosquitto.h"
#include "gateway/pidfile.h"
#include "gateway/port_owner.h"
#include "identity/certificate.h"
#include "identity/certificate_text.h"
#include "identity/chain.h"

#include <errno.h>
#include <stdarg.h>
#include <sys/stat.h>

void core_check_detail(struct core_checks *checks, const char *fmt, ...)
{
  va_list args;
  va_start(args, fmt);
  vsnprintf(checks->detail, sizeof(checks->detail), fmt, args);
  va_end(args);
}

/* Who uses what */

static bool bridges(const struct core_checks *checks)
{
  for (const struct config_cloud *cloud = config_clouds; cloud->name; cloud++)
    if (config_get_bool(checks->config, cloud->bridge_enabled))
      return true;
  return checks->scope == CORE_CHECK_ALL && config_is_set(checks->config, CONFIG_DEVICE_KEY_URI);
}

static bool serves(const struct core_checks *checks)
{
  return config_get_bool(checks->config, CONFIG_MQTT_SERVER_ENABLED) &&
         config_is_set(checks->config, CONFIG_MQTT_SERVER_KEY_URI);
}

static bool keeps_secrets(const struct core_checks *checks)
{
  return config_is_set(checks->config, CONFIG_SECRETS_KEY_URI);
}

const struct core_principal_row core_principals[PRINCIPAL_COUNT] = {
  [PRINCIPAL_IOT] = { "the device", CONFIG_DEVICE_KEY_URI, bridges },
  [PRINCIPAL_SERVER] = { "the local MQTT server", CONFIG_MQTT_SERVER_KEY_URI, serves },
  [PRINCIPAL_SECRETS] = { "the secrets", CONFIG_SECRETS_KEY_URI, keeps_secrets },
};

const char *core_check_key_of(const struct core_checks *checks, enum core_principal principal)
{
  return config_get(checks->config, core_principals[principal].key);
}

static bool uses_key(const struct core_checks *checks)
{
  return core_principals[checks->principal].is_used(checks);
}

static const char *hsm_uri(const struct core_checks *checks, enum core_principal principal)
{
  const char *key = core_check_key_of(checks, principal);
  return core_principals[principal].is_used(checks) && key && uri_is_pkcs11(key) ? key : NULL;
}

const char *core_check_hsm_uri(const struct core_checks *checks)
{
  const char *uri = NULL;
  for (enum core_principal principal = 0; principal < PRINCIPAL_COUNT && !uri; principal++)
    uri = hsm_uri(checks, principal);
  return uri;
}

static bool uses_hsm(const struct core_checks *checks)
{
  return core_check_hsm_uri(checks);
}

static bool runs_broker(const struct core_checks *checks)
{
  return strcmp(config_get(checks->config, CONFIG_MQTT_BROKER), "managed") == 0;
}

static bool has_warning(const struct core_checks *checks)
{
  return config_warning(checks->config);
}

/* A core that runs has its own ports. */
static bool asks_for_ports(const struct core_checks *checks)
{
  pid_t pid = 0;
  return checks->scope == CORE_CHECK_ALL && runs_broker(checks) && !hf_failed(pidfile_read(checks->config, &pid)) &&
         pid == 0;
}

static bool asks_for_server_port(const struct core_checks *checks)
{
  return asks_for_ports(checks) && config_get_bool(checks->config, CONFIG_MQTT_SERVER_ENABLED);
}

/* The checks that need no HSM */

static hf_err check_configuration(struct core_checks *checks)
{
  HF_TRY(config_usable(checks->config));
  for (enum config_cloud_index i = 0; i < CONFIG_CLOUD_COUNT; i++) {
    HF_CLEANUP(cloud_link_free) struct cloud_link link = { 0 };
    if (!config_get_bool(checks->config, config_clouds[i].bridge_enabled))
      continue;
    HF_TRY(cloud_link_options(&clouds[i], checks->config, "id", &link));
    HF_TRY(cloud_check_mode(checks->config));
  }
  core_check_detail(checks, "%s", config_path(checks->config));
  return HF_OK;
}

static hf_err check_private(struct core_checks *checks)
{
  checks->warned = true;
  return hf_hint(hf_fail(HF_ERR_CONFIG, "%s", config_warning(checks->config)), "A PIN is for its owner alone.");
}

static hf_err check_mosquitto(struct core_checks *checks)
{
  char version[64];
  HF_TRY(mosquitto_version(version, sizeof(version)));
  core_check_detail(checks, "mosquitto %s", version);
  return HF_OK;
}

static hf_err check_certificate(struct core_checks *checks)
{
  char cn[CERTIFICATE_CN_MAX];
  HF_TRY(certificate_read(config_get(checks->config, CONFIG_DEVICE_CERT_PATH), &checks->certificate));
  certificate_cn(checks->certificate, cn);
  core_check_detail(checks, "%s", cn);
  return HF_OK;
}

/* A renewal may mend it, or the clock when the network is there. */
static hf_err check_certificate_time(struct core_checks *checks)
{
  char until[CERTIFICATE_TIME_MAX];
  checks->warned = true;
  HF_TRY(certificate_check_time(checks->certificate, config_get(checks->config, CONFIG_DEVICE_CERT_PATH)));
  certificate_time(X509_get0_notAfter(checks->certificate), until);
  core_check_detail(checks, "valid until %s", until);
  return HF_OK;
}

static hf_err check_ca(const struct core_checks *checks, const struct config_cloud *cloud)
{
  HF_CLEANUP(chain_freep) STACK_OF(X509) *chain = NULL;
  const char *path = config_get(checks->config, cloud->root_cert_path);
  struct stat st;
  if (stat(path, &st) != 0 || access(path, R_OK) != 0)
    return hf_hint(hf_fail_errno(errno, "%s", path), "Set %s to the certificates that the cloud's is checked with.",
                   config_row(cloud->root_cert_path)->key);
  return S_ISDIR(st.st_mode) ? HF_OK : chain_read(path, &chain);
}

static hf_err check_cas(struct core_checks *checks)
{
  for (const struct config_cloud *cloud = config_clouds; cloud->name; cloud++)
    if (config_get_bool(checks->config, cloud->bridge_enabled))
      HF_TRY(check_ca(checks, cloud));
  return HF_OK;
}

static hf_err check_port(const struct core_checks *checks, enum config_key address, enum config_key port)
{
  hf_err e = port_check_free(config_get(checks->config, address), config_get(checks->config, port));
  return e.code == HF_ERR_BUSY ? hf_hint(e, "End it, or choose another %s.", config_row(port)->key) : e;
}

static hf_err check_broker_port(struct core_checks *checks)
{
  return check_port(checks, CONFIG_MQTT_BIND_ADDRESS, CONFIG_MQTT_BIND_PORT);
}

static hf_err check_server_port(struct core_checks *checks)
{
  return check_port(checks, CONFIG_MQTT_SERVER_BIND_ADDRESS, CONFIG_MQTT_SERVER_BIND_PORT);
}

static hf_err check_pair(struct core_checks *checks)
{
  const struct core_principal_key *key = &checks->keys[PRINCIPAL_IOT];
  return certificate_check_key(checks->certificate, config_get(checks->config, CONFIG_DEVICE_CERT_PATH), key->key);
}

/* The table */

static const struct row {
  struct core_check_row shown;
  const char *needs; /* the code of one before it; NULL: none */
  bool (*applies)(const struct core_checks *checks);
  hf_err (*run)(struct core_checks *checks);
  enum core_principal principal;
  enum config_key key; /* what is to blame where it fails; CONFIG_KEY_COUNT: it says so itself */
} rows[] = {
#define GENERAL(code, title, needs, applies, run, key)       \
  {                                                          \
    { code, title }, needs, applies, run, PRINCIPAL_IOT, key \
  }
#define OF_KEY(code, title, needs, run, PRINCIPAL, key)   \
  {                                                       \
    { code, title }, needs, uses_key, run, PRINCIPAL, key \
  }
/* clang-format off */
#define KEY(name, whose, PRINCIPAL, key)                                                                              \
  OF_KEY(name "-key-found", "The key of " whose " is there", "pin-right", core_check_find_key, PRINCIPAL, key),       \
  OF_KEY(name "-key-kind", "The key of " whose " is of a kind and size that serves", name "-key-found",               \
         core_check_kind, PRINCIPAL, key),                                                                            \
  OF_KEY(name "-key-mechanisms", "The token offers what the key of " whose " needs", name "-key-kind",                \
         core_check_mechanisms, PRINCIPAL, key),                                                                      \
  OF_KEY(name "-key-works", "The key of " whose " does its work, by a trial", name "-key-mechanisms",                 \
         core_check_works, PRINCIPAL, key)
  GENERAL("configuration", "The configuration is whole", NULL, NULL, check_configuration, CONFIG_KEY_COUNT),
  GENERAL("configuration-private", "A PIN in it is its owner's alone", NULL, has_warning, check_private,
          CONFIG_KEY_COUNT),
  GENERAL("mosquitto-found", "mosquitto is installed", NULL, runs_broker, check_mosquitto, CONFIG_KEY_COUNT),
  GENERAL("certificate-read", "The device's certificate can be read", "configuration", bridges, check_certificate,
          CONFIG_DEVICE_CERT_PATH),
  GENERAL("certificate-time", "The certificate is valid today", "certificate-read", bridges, check_certificate_time,
          CONFIG_DEVICE_CERT_PATH),
  GENERAL("ca-read", "The certificates that the cloud's is checked with can be read", "configuration", bridges,
          check_cas, CONFIG_KEY_COUNT),
  GENERAL("module-loads", "The PKCS #11 module loads", "configuration", uses_hsm, core_check_module,
          CONFIG_DEVICE_CRYPTOKI_MODULE_PATH),
  GENERAL("token-found", "The token is there", "module-loads", uses_hsm, core_check_token, CONFIG_DEVICE_CRYPTOKI_URI),
  GENERAL("pin-state", "The PIN may be tried", "token-found", uses_hsm, core_check_pin_state, CONFIG_KEY_COUNT),
  GENERAL("pin-right", "The PIN is right", "pin-state", uses_hsm, core_check_pin, CONFIG_DEVICE_CRYPTOKI_PIN),
  KEY("iot", "the device", PRINCIPAL_IOT, CONFIG_DEVICE_KEY_URI),
  GENERAL("certificate-key", "The certificate verifies what the key signs", "iot-key-works", bridges, check_pair,
          CONFIG_DEVICE_CERT_PATH),
  KEY("server", "the local MQTT server", PRINCIPAL_SERVER, CONFIG_MQTT_SERVER_KEY_URI),
  KEY("secrets", "the secrets", PRINCIPAL_SECRETS, CONFIG_SECRETS_KEY_URI),
  GENERAL("broker-port", "The local broker's port is free", NULL, asks_for_ports, check_broker_port,
          CONFIG_MQTT_BIND_PORT),
  GENERAL("server-port", "The local MQTT server's port is free", NULL, asks_for_server_port, check_server_port,
          CONFIG_MQTT_SERVER_BIND_PORT),
};
/* clang-format on */

size_t core_checks_count(void)
{
  return HF_ARRAY_LEN(rows);
}

const struct core_check_row *core_checks_row(size_t i)
{
  return &rows[i].shown;
}

hf_err core_checks_new(const struct config *config, const char *module_path, enum core_check_scope scope,
                       struct core_checks **ret_checks)
{
  HF_CLEANUP(core_checks_freep) struct core_checks *checks = calloc(1, sizeof(*checks));
  if (!checks || !(checks->verdicts = calloc(HF_ARRAY_LEN(rows), sizeof(*checks->verdicts))))
    return hf_fail(HF_ERR_NO_MEMORY, "the checks");
  checks->config = config;
  checks->scope = scope;
  if ((size_t)snprintf(checks->module_path, sizeof(checks->module_path), "%s", module_path) >= PATH_MAX)
    return hf_fail(HF_ERR_LIMIT, "the module's path %.64s...", module_path);
  *ret_checks = HF_TAKE(checks);
  return HF_OK;
}

struct core_checks *core_checks_free(struct core_checks *checks)
{
  if (!checks)
    return NULL;
  for (enum core_principal principal = 0; principal < PRINCIPAL_COUNT; principal++)
    core_check_key_free(&checks->keys[principal]);
  p11_module_unref(checks->module);
  X509_free(checks->certificate);
  free(checks->verdicts);
  free(checks);
  return NULL;
}

/* NULL: nothing; else the title of what did not pass. */
static const char *what_is_missing(const struct core_checks *checks, const char *code)
{
  for (size_t i = 0; code && i < HF_ARRAY_LEN(rows); i++)
    if (strcmp(rows[i].shown.code, code) == 0) {
      enum core_check_verdict verdict = checks->verdicts[i];
      return verdict == CORE_CHECK_FAILED || verdict == CORE_CHECK_SKIPPED ? code : NULL;
    }
  return NULL;
}

/* Where the value that failed is from: in a Greengrass file, nobody would look for it under our own name. */
static hf_err blame(const struct core_checks *checks, const struct row *row, hf_err e)
{
  char where[PATH_MAX];
  if (row->key == CONFIG_KEY_COUNT || !config_greengrass(checks->config) || !config_is_set(checks->config, row->key))
    return e;
  struct hf_err_saved cause = hf_err_save(e);
  config_where(checks->config, row->key, where, sizeof(where));
  return hf_hint(hf_fail(e.code, "%.700s (%.256s)", cause.context, where), "%s", cause.hint);
}

static enum core_check_verdict run(struct core_checks *checks, const struct row *row, struct hf_err_saved *ret_cause)
{
  checks->principal = row->principal;
  checks->warned = false;
  checks->detail[0] = '\0';
  if (row->applies && !row->applies(checks))
    return CORE_CHECK_UNUSED;
  const char *missing = what_is_missing(checks, row->needs);
  if (missing) {
    core_check_detail(checks, "after %s", missing);
    return CORE_CHECK_SKIPPED;
  }
  hf_err e = row->run(checks);
  if (!hf_failed(e))
    return CORE_CHECK_PASSED;
  *ret_cause = hf_err_save(blame(checks, row, e));
  return checks->warned ? CORE_CHECK_WARNED : CORE_CHECK_FAILED;
}

void core_checks_run(struct core_checks *checks, size_t i, struct core_check_result *ret_result)
{
  struct core_check_result result = { .row = &rows[i].shown, .cause = { .error = HF_OK } };
  result.verdict = run(checks, &rows[i], &result.cause);
  checks->verdicts[i] = result.verdict;
  snprintf(result.detail, sizeof(result.detail), "%s", checks->detail);
  *ret_result = result;
}

hf_err core_checks_pass(const struct config *config, const char *module_path, core_check_tell tell, void *arg)
{
  HF_CLEANUP(core_checks_freep) struct core_checks *checks = NULL;
  HF_TRY(core_checks_new(config, module_path, CORE_CHECK_START, &checks));
  for (size_t i = 0; i < HF_ARRAY_LEN(rows); i++) {
    struct core_check_result result;
    core_checks_run(checks, i, &result);
    if (tell)
      tell(&result, arg);
    if (result.verdict == CORE_CHECK_FAILED)
      return hf_err_restore(&result.cause);
  }
  return HF_OK;
}
