/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/server_material.h"

#include "base/file.h"
#include "base/log.h"
#include "gateway/pidfile.h"
#include "gateway/server_certificate.h"
#include "identity/program.h"
#include "identity/tls_identity.h"
#include "p11/pem.h"
#include "uri/uri.h"

#include <openssl/err.h>

static void ctx_freep(SSL_CTX **ctx)
{
  SSL_CTX_free(*ctx);
  *ctx = NULL;
}

/* The group */

hf_err server_group_load(const struct config *config, struct group **ret_group)
{
  return group_load(config_get(config, CONFIG_MQTT_SERVER_THINGS_PATH),
                    config_get(config, CONFIG_MQTT_SERVER_ROUTES_PATH), ret_group);
}

uint64_t server_group_stamp(const struct config *config)
{
  const char *things = config_get(config, CONFIG_MQTT_SERVER_THINGS_PATH);
  const char *routes = config_get(config, CONFIG_MQTT_SERVER_ROUTES_PATH);
  return (things ? hf_file_stamp(things) : 0) * 31 + (routes ? hf_file_stamp(routes) : 0);
}

/* Written only where it changes: its stamp tells mosquitto's reader. */
static hf_err write_changed(const char *path, struct hf_slice text, mode_t mode)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf before = HF_BUF(GROUP_FILE_MAX);
  if (!hf_failed(hf_file_read(path, &before)) && hf_slice_equal(hf_slice(before.data, before.len), text))
    return HF_OK;
  HF_TRY(hf_dir_make_above(path, 0755));
  return hf_file_write(path, text.data, text.len, mode);
}

static hf_err write_group(const struct group *group, const char *path)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf text = HF_BUF(2 * GROUP_FILE_MAX);
  HF_TRY(group_format(group, &text));
  return write_changed(path, hf_slice(text.data, text.len), 0600);
}

hf_err server_material_base(const struct config *config, struct broker_tls *ret_tls)
{
  struct broker_tls tls = { .listens = false };
  HF_CLEANUP(group_freep) struct group *empty = NULL;
  HF_TRY(program_admission(tls.module_path, sizeof(tls.module_path)));
  HF_TRY(core_run_file(config, "mosquitto.group", tls.group_path, sizeof(tls.group_path)));
  if (access(tls.group_path, F_OK) != 0) {
    HF_TRY(group_new(&empty));
    HF_TRY(write_group(empty, tls.group_path));
  }
  *ret_tls = tls;
  return HF_OK;
}

/* The key, as mosquitto takes it */

/* Module, PIN and all else are found as in this program: by the environment that program_start sets, and the configuration. */
static hf_err write_openssl_conf(const struct config *config, struct broker_tls *tls)
{
  char provider[PATH_MAX];
  HF_CLEANUP(hf_buf_free) struct hf_buf text = HF_BUF(4 * PATH_MAX);
  HF_TRY(program_provider(provider, sizeof(provider)));
  HF_TRY(core_run_file(config, "openssl.cnf", tls->openssl_conf, sizeof(tls->openssl_conf)));
  HF_TRY(hf_buf_addf(&text,
                     "# Written by holdfast-core.\nopenssl_conf = init\n[init]\nproviders = providers\n[providers]\n"
                     "default = default_section\nholdfast = holdfast_section\n[default_section]\nactivate = 1\n"
                     "[holdfast_section]\nmodule = %s\nactivate = 1\n",
                     provider));
  return write_changed(tls->openssl_conf, hf_slice(text.data, text.len), 0600);
}

static hf_err write_key(const struct config *config, const char *where, struct broker_tls *tls)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf pem = HF_BUF(16 * URI_MAX);
  HF_TRY(write_openssl_conf(config, tls));
  if (!uri_is_pkcs11(where)) {
    snprintf(tls->key_path, sizeof(tls->key_path), "%s", where);
    return HF_OK;
  }
  HF_TRY(core_run_file(config, "mosquitto-key.pem", tls->key_path, sizeof(tls->key_path)));
  HF_TRY(p11_pem_write(where, &pem));
  return write_changed(tls->key_path, hf_slice(pem.data, pem.len), 0600);
}

/* TLS */

static hf_err clients_authority(const struct config *config, char *out, size_t size)
{
  HF_CLEANUP(chain_freep) STACK_OF(X509) *chain = NULL;
  const char *set = config_get(config, CONFIG_MQTT_SERVER_CLIENT_CA_PATH);
  if (!set)
    return group_authority_path(config, out, size);
  HF_TRY(chain_read(set, &chain));
  return (size_t)snprintf(out, size, "%s", set) < size ? HF_OK : hf_fail(HF_ERR_LIMIT, "the path %.64s...", set);
}

static hf_err make_ctx(const struct server_certificate *certificate, const char *client_ca, SSL_CTX **ret_ctx)
{
  ERR_clear_error();
  HF_CLEANUP(ctx_freep) SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
  if (!ctx)
    return openssl_fail(HF_ERR_NO_MEMORY, "TLS", "");
  SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
  SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET);
  SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_num_tickets(ctx, 0);
  SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
  if (SSL_CTX_load_verify_locations(ctx, client_ca, NULL) != 1)
    return openssl_fail(HF_ERR_CERT_FILE, "the clients' authority ", client_ca);
  HF_TRY(tls_identity_use(ctx, certificate->chain, certificate->key, certificate->path));
  *ret_ctx = HF_TAKE(ctx);
  return HF_OK;
}

static hf_err make_roots(const struct config *config, const struct server_certificate *certificate,
                         STACK_OF(X509) * *ret_roots)
{
  if (certificate->renew_at)
    return group_authority_read(config, ret_roots);
  HF_CLEANUP(chain_freep) STACK_OF(X509) *roots = sk_X509_new_null();
  X509 *last = sk_X509_value(certificate->chain, sk_X509_num(certificate->chain) - 1);
  if (!roots || sk_X509_push(roots, last) <= 0)
    return hf_fail(HF_ERR_NO_MEMORY, "a chain");
  X509_up_ref(last);
  *ret_roots = HF_TAKE(roots);
  return HF_OK;
}

static hf_err fill_tls(const struct config *config, const struct server_certificate *certificate,
                       struct broker_tls *tls)
{
  HF_TRY(clients_authority(config, tls->client_ca_path, sizeof(tls->client_ca_path)));
  HF_TRY(write_key(config, certificate->key_where, tls));
  snprintf(tls->cert_path, sizeof(tls->cert_path), "%s", certificate->path);
  snprintf(tls->address, sizeof(tls->address), "%s", config_get(config, CONFIG_MQTT_SERVER_BIND_ADDRESS));
  snprintf(tls->port, sizeof(tls->port), "%s", config_get(config, CONFIG_MQTT_SERVER_BIND_PORT));
  return HF_OK;
}

/* What mosquitto reads again at SIGHUP, and what it does not. */
static void stamp(struct broker_tls *tls)
{
  const char *const files[] = { tls->cert_path, tls->key_path, tls->group_path };
  tls->client_ca_stamp = hf_file_stamp(tls->client_ca_path);
  tls->stamp = 0;
  for (size_t i = 0; i < HF_ARRAY_LEN(files); i++)
    tls->stamp = tls->stamp * 31 + hf_file_stamp(files[i]);
  tls->listens = true;
}

static hf_err make(const struct config *config, int64_t now, struct server_certificate *certificate,
                   struct server_material *m)
{
  char data[PATH_MAX];
  HF_TRY(config_data_path(config, data, sizeof(data)));
  HF_TRY(hf_dir_make(data));
  HF_TRY(server_material_base(config, &m->tls));
  HF_TRY(server_group_load(config, &m->group));
  HF_TRY(server_certificate_ensure(config, now, certificate));
  m->until = certificate->until;
  m->renew_at = certificate->renew_at;
  HF_TRY(fill_tls(config, certificate, &m->tls));
  HF_TRY(make_roots(config, certificate, &m->roots));
  HF_TRY(make_ctx(certificate, m->tls.client_ca_path, &m->ctx));
  HF_TRY(write_group(m->group, m->tls.group_path));
  stamp(&m->tls);
  return HF_OK;
}

hf_err server_material_make(const struct config *config, int64_t now, struct server_material *ret_material)
{
  HF_CLEANUP(server_certificate_free) struct server_certificate certificate = { 0 };
  HF_CLEANUP(server_material_free) struct server_material m = { .ctx = NULL };
  HF_TRY(make(config, now, &certificate, &m));
  *ret_material = m;
  m = (struct server_material){ .ctx = NULL };
  return HF_OK;
}

void server_material_free(struct server_material *material)
{
  SSL_CTX_free(material->ctx);
  chain_freep(&material->roots);
  group_free(material->group);
  *material = (struct server_material){ .ctx = NULL };
}
