/* SPDX-License-Identifier: Apache-2.0 */
/* holdfast cert upload: Cumulocity's REST, GET /tenant/currentTenant and POST /tenant/tenants/ID/trusted-certificates. */
#include "base/file.h"
#include "cli/certificate.h"
#include "cli/commands.h"
#include "cli/json.h"
#include "cli/pin.h"
#include "config/address.h"
#include "identity/certificate.h"
#include "identity/http.h"

#include <ctype.h>

enum { URL_MAX = 512, USER_MAX = 256, TENANT_MAX = 64, ANSWER_MAX = 1024 * 1024 };

struct upload {
  struct cli_device device;
  struct http *http;
  const char *url_key;
  char host[CONFIG_HOST_MAX + 16]; /* "host[:port]" */
  char user[USER_MAX];
  struct hf_secret *password;
  char tenant[TENANT_MAX];
  STACK_OF(X509) * chain;
  char name[CERTIFICATE_CN_MAX];
  bool known; /* it was there already */
};

static void upload_end(struct upload *upload)
{
  chain_freep(&upload->chain);
  hf_secret_free(upload->password);
  http_free(upload->http);
  cli_device_end(&upload->device);
}

/* c8y.http, else the host of c8y.url, whose port is MQTT's. */
static hf_err find_host(struct upload *upload)
{
  const struct config *config = upload->device.config;
  const char *http = config_get(config, CONFIG_C8Y_HTTP), *url = config_get(config, CONFIG_C8Y_URL);
  struct config_address address;
  upload->url_key = config_row(http ? CONFIG_C8Y_HTTP : CONFIG_C8Y_URL)->key;
  if (!http && !url)
    return hf_hint(hf_fail(HF_ERR_CONFIG, "c8y.url is not set in %s", config_path(config)),
                   "Set it: 'holdfast config set c8y.url TENANT.cumulocity.com'.");
  if (!config_address_parse(http ? http : url, "443", &address))
    return hf_fail(HF_ERR_CONFIG, "%s", upload->url_key);
  if (!http)
    snprintf(address.port, sizeof(address.port), "443");
  config_address_format(&address, upload->host, sizeof(upload->host));
  return HF_OK;
}

static hf_err find_user(const struct cli_args *args, struct upload *upload)
{
  const char *user = cli_get(args, "user");
  if (!user)
    user = getenv("C8Y_USER");
  if (!user || !user[0])
    return cli_ask_line("Cumulocity user: ", "--user", upload->user, sizeof(upload->user));
  if ((size_t)snprintf(upload->user, sizeof(upload->user), "%s", user) >= sizeof(upload->user))
    return hf_fail(HF_ERR_LIMIT, "--user");
  return HF_OK;
}

static hf_err find_password(const struct cli_args *args, struct upload *upload)
{
  const char *source = cli_get(args, "password-source");
  char title[USER_MAX + 32];
  if (!source && getenv("C8Y_PASSWORD"))
    source = "env:C8Y_PASSWORD";
  if (source)
    return hf_pin_source_read(source, &upload->password);
  snprintf(title, sizeof(title), "Password of %s", upload->user);
  return cli_secret_from_input(title, &upload->password);
}

/* Like "t12345678": it becomes part of a path. */
static bool is_tenant(const char *text)
{
  size_t len = text ? strlen(text) : 0;
  for (size_t i = 0; i < len; i++)
    if (!isalnum((unsigned char)text[i]) && text[i] != '-' && text[i] != '_' && text[i] != '.')
      return false;
  return len > 0 && len < TENANT_MAX && text[0] != '.';
}

static hf_err perform(struct upload *upload, struct http_request *request, struct http_response *response)
{
  request->accept = "application/json";
  request->user = upload->user;
  request->password = upload->password;
  return http_perform(upload->http, request, response);
}

static hf_err refused(const struct http_request *request, const struct http_response *response)
{
  hf_err e = http_refused(request, response);
  if (response->status == 401)
    return hf_hint(e, "Check user and password; a user of several tenants is written TENANT/USER.");
  if (response->status == 403)
    return hf_hint(e, "The user needs the permission 'Tenant management ADMIN' or 'Trusted certificates CREATE'.");
  if (response->status == 422)
    return hf_hint(
        e, "Cumulocity takes CA certificates, which a device's self-signed one is, too: name the CA's by --cert.");
  return e;
}

static hf_err find_tenant(struct upload *upload)
{
  char url[URL_MAX];
  snprintf(url, sizeof(url), "https://%s/tenant/currentTenant", upload->host);
  struct http_request request = { .url = url };
  HF_CLEANUP(http_response_free) struct http_response response = { .body = HF_BUF(ANSWER_MAX) };
  HF_TRY(perform(upload, &request, &response));
  if (response.status != 200)
    return refused(&request, &response);
  HF_CLEANUP(json_decrefp)
  json_t *answer = json_loadb((const char *)response.body.data, response.body.len, 0, NULL);
  const char *name = json_string_value(json_object_get(answer, "name"));
  if (!is_tenant(name))
    return hf_hint(hf_fail(HF_ERR_HTTP, "%s: its answer names no tenant", upload->host),
                   "Check that %s is a Cumulocity tenant.", upload->url_key);
  snprintf(upload->tenant, sizeof(upload->tenant), "%s", name);
  return HF_OK;
}

/* The certificate alone: a chain is not one trusted certificate. */
static hf_err encode(const struct upload *upload, char **ret_body)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf pem = HF_BUF(CHAIN_FILE_MAX);
  HF_CLEANUP(json_decrefp) json_t *body = json_object();
  STACK_OF(X509) *one = sk_X509_new_null();
  bool pushed = one && sk_X509_push(one, sk_X509_value(upload->chain, 0)) > 0;
  hf_err e = pushed ? chain_pem(one, &pem) : hf_fail(HF_ERR_NO_MEMORY, "the certificate");
  sk_X509_free(one);
  HF_TRY(e);
  HF_TRY(cli_json_set_new(body, "autoRegistrationEnabled", json_true()));
  HF_TRY(cli_json_set(body, "certInPemFormat", hf_buf_str(&pem)));
  HF_TRY(cli_json_set(body, "name", upload->name));
  HF_TRY(cli_json_set(body, "status", "ENABLED"));
  *ret_body = json_dumps(body, JSON_COMPACT);
  return *ret_body ? HF_OK : hf_fail(HF_ERR_NO_MEMORY, "the certificate");
}

static hf_err post(struct upload *upload)
{
  char url[URL_MAX];
  HF_CLEANUP(hf_freep) char *body = NULL;
  HF_CLEANUP(http_response_free) struct http_response response = { .body = HF_BUF(ANSWER_MAX) };
  snprintf(url, sizeof(url), "https://%s/tenant/tenants/%s/trusted-certificates", upload->host, upload->tenant);
  HF_TRY(encode(upload, &body));
  struct http_request request = { .url = url,
                                  .body = hf_slice(body, strlen(body)),
                                  .content_type = "application/json" };
  HF_TRY(perform(upload, &request, &response));
  upload->known = response.status == 409;
  return upload->known || response.status == 200 || response.status == 201 ? HF_OK : refused(&request, &response);
}

static hf_err find_certificate(const struct cli_args *args, struct upload *upload)
{
  const char *given = cli_get(args, "cert"), *id = config_get(upload->device.config, CONFIG_DEVICE_ID);
  HF_TRY(
      cli_certificate_read(given ? given : config_get(upload->device.config, CONFIG_DEVICE_CERT_PATH), &upload->chain));
  certificate_cn(sk_X509_value(upload->chain, 0), upload->name);
  if (!given && id)
    snprintf(upload->name, sizeof(upload->name), "%s", id);
  return HF_OK;
}

static hf_err open_http(struct upload *upload)
{
  const struct config *config = upload->device.config;
  const struct http_options options = { .root_path = config_get(config, CONFIG_C8Y_ROOT_CERT_PATH),
                                        .root_key = config_row(CONFIG_C8Y_ROOT_CERT_PATH)->key,
                                        .url_key = upload->url_key,
                                        .config = config };
  return http_new(&options, &upload->http);
}

static hf_err report(const struct cli_args *args, const struct upload *upload)
{
  if (!cli_has(args, "json")) {
    printf("%s: %s '%s' %s a trusted certificate of the tenant %s.\n", upload->host,
           cli_has(args, "cert") ? "the certificate" : "the device's certificate", upload->name,
           upload->known ? "was already" : "is now", upload->tenant);
    return HF_OK;
  }
  HF_CLEANUP(json_decrefp) json_t *object = json_object();
  HF_TRY(cli_json_set(object, "host", upload->host));
  HF_TRY(cli_json_set(object, "tenant", upload->tenant));
  HF_TRY(cli_json_set(object, "name", upload->name));
  HF_TRY(cli_json_set_new(object, "was_there", json_boolean(upload->known)));
  return cli_json_print(object);
}

static hf_err run(const struct cli_args *args)
{
  HF_CLEANUP(upload_end) struct upload upload = { 0 };
  if (strcmp(cli_operand(args, 0), "c8y") != 0)
    return hf_hint(hf_fail(HF_ERR_USAGE, "there is no cloud '%s' to upload to", cli_operand(args, 0)),
                   "Only Cumulocity takes certificates by upload: 'holdfast cert upload c8y'.");
  HF_TRY(cli_device_start(args, &upload.device));
  HF_TRY(find_host(&upload));
  HF_TRY(find_certificate(args, &upload));
  HF_TRY(find_user(args, &upload));
  HF_TRY(find_password(args, &upload));
  HF_TRY(open_http(&upload));
  fprintf(stderr, "Asking %s for its tenant...\n", upload.host);
  HF_TRY(find_tenant(&upload));
  fprintf(stderr, "Uploading the certificate to the tenant %s...\n", upload.tenant);
  HF_TRY(post(&upload));
  return report(args, &upload);
}

static const struct cli_option options[] = {
  { "user", "USER", "who may manage the tenant's certificates (default: $C8Y_USER, else asked for)" },
  { "password-source", "SRC",
    "where the password is: a file, env:NAME or credential:NAME (default: $C8Y_PASSWORD, else asked for)" },
  { "cert", "FILE", "another certificate, such as the CA's (default: device.cert_path)" },
  CLI_JSON_OPTION,
  CLI_MODULE_OPTIONS,
  CLI_END,
};

const struct cli_command cli_cert_upload = {
  .name = "cert upload",
  .help = "Make the device's certificate known to Cumulocity, as one that it trusts",
  .operands = "c8y",
  .operands_min = 1,
  .operands_max = 1,
  .options = options,
  .details = "Needs c8y.url, or c8y.http where the REST server is elsewhere; c8y.root_cert_path and proxy.* count. A "
             "password\n"
             "that is neither there nor in the environment is read from standard input. One that is trusted already is "
             "fine.\n",
  .example = "holdfast cert upload c8y --user admin@example.com\n",
  .run = run,
};
