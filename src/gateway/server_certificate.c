/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/server_certificate.h"

#include "base/log.h"
#include "identity/certificate.h"
#include "identity/host_names.h"
#include "identity/issue.h"
#include "identity/key.h"
#include "identity/validity.h"

#include <openssl/err.h>
#include <openssl/rand.h>

enum { AUTHORITY_DAYS = 3650 };

static hf_err path_below_data(const struct config *config, enum config_key key, const char *name, char *out,
                              size_t size)
{
  char data[PATH_MAX];
  const char *set = config_get(config, key);
  HF_TRY(config_data_path(config, data, sizeof(data)));
  int len = set ? snprintf(out, size, "%s", set) : snprintf(out, size, "%s/%s", data, name);
  return len >= 0 && (size_t)len < size ? HF_OK : hf_fail(HF_ERR_LIMIT, "the path %.64s...", set ? set : data);
}

/* The group's authority */

hf_err group_authority_path(const struct config *config, char *out, size_t size)
{
  return path_below_data(config, CONFIG_MQTT_SERVER_CA_CERT_PATH, "group-ca.pem", out, size);
}

hf_err group_authority_read(const struct config *config, STACK_OF(X509) * *ret_chain)
{
  char path[PATH_MAX];
  HF_TRY(group_authority_path(config, path, sizeof(path)));
  hf_err e = chain_read(path, ret_chain);
  return e.code == HF_ERR_NOT_FOUND ? hf_hint(e, "Make the group's authority: 'holdfast core create-group-ca'.") : e;
}

static hf_err write_one(const char *path, X509 *certificate, const STACK_OF(X509) * above)
{
  HF_CLEANUP(chain_freep)
  STACK_OF(X509) *chain = above ? X509_chain_up_ref((STACK_OF(X509) *)(uintptr_t)above) : sk_X509_new_null();
  if (!chain || sk_X509_unshift(chain, certificate) <= 0)
    return hf_fail(HF_ERR_NO_MEMORY, "a chain");
  X509_up_ref(certificate);
  return chain_write(path, chain);
}

hf_err group_authority_create(const struct config *config, EVP_PKEY *key, const char *name)
{
  const struct profile_names names = { .common_name = name };
  const struct issue_options options = {
    .purpose = PROFILE_CA, .names = &names, .lifetime_s = (uint64_t)AUTHORITY_DAYS * 86400, .path_length = 0
  };
  HF_CLEANUP(openssl_x509_freep) X509 *certificate = NULL;
  char path[PATH_MAX];
  HF_TRY(group_authority_path(config, path, sizeof(path)));
  if (access(path, F_OK) == 0)
    return hf_hint(hf_fail(HF_ERR_EXISTS, "the group has an authority: %s", path),
                   "Devices trust it. To begin anew, move the file away first.");
  HF_TRY(issue_self_signed(&options, key, &certificate));
  return write_one(path, certificate, NULL);
}

/* The server's key */

/* In the token, or with a file's: in either way, what TLS will do. */
static hf_err check_signs(EVP_PKEY *key, EVP_PKEY *public_key, const char *of)
{
  uint8_t message[32], signature[1024];
  size_t len = sizeof(signature);
  const EVP_MD *digest = identity_key_digest(public_key);
  const char *hash = digest ? EVP_MD_get0_name(digest) : NULL;
  HF_CLEANUP(openssl_md_ctx_freep) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
  HF_CLEANUP(openssl_md_ctx_freep) EVP_MD_CTX *check = EVP_MD_CTX_new();
  ERR_clear_error();
  if (!ctx || !check || RAND_bytes(message, sizeof(message)) != 1 ||
      EVP_DigestSignInit_ex(ctx, NULL, hash, NULL, NULL, key, NULL) != 1 ||
      EVP_DigestSign(ctx, signature, &len, message, sizeof(message)) != 1)
    return openssl_fail(HF_ERR_FUNCTION_FAILED, "signing with the local server's key", "");
  if (EVP_DigestVerifyInit_ex(check, NULL, hash, NULL, NULL, public_key, NULL) != 1 ||
      EVP_DigestVerify(check, signature, len, message, sizeof(message)) != 1)
    return openssl_fail(HF_ERR_KEY_MISMATCH, of, "");
  return HF_OK;
}

static hf_err load_key(const struct config *config, struct server_certificate *c)
{
  c->key_where = config_get(config, CONFIG_MQTT_SERVER_KEY_URI);
  if (!c->key_where)
    HF_TRY(config_require(config, CONFIG_DEVICE_KEY_URI, &c->key_where));
  return identity_key_load_any(c->key_where, "the local server's key", &c->key);
}

/* Its certificate */

static bool is_issued_by(const X509 *certificate, const STACK_OF(X509) * authority)
{
  X509 *leaf = (X509 *)(uintptr_t)certificate;
  bool ours = authority && X509_verify(leaf, X509_get0_pubkey(sk_X509_value(authority, 0))) == 1;
  ERR_clear_error();
  return ours;
}

/* When a third of its life is left; what it was dated back by is no life. */
static int64_t renewal_time(const struct validity *validity)
{
  int64_t lifetime = validity->until - validity->from - ISSUE_BACKDATE_S;
  return validity->until - (lifetime > 0 ? lifetime : validity->until - validity->from) / 3;
}

static hf_err issue_new(const struct config *config, const STACK_OF(X509) * authority,
                        const struct profile_names *names, struct server_certificate *c)
{
  const char *uri;
  HF_CLEANUP(openssl_pkey_freep) EVP_PKEY *ca_key = NULL;
  HF_CLEANUP(openssl_x509_freep) X509 *certificate = NULL;
  const struct issue_options options = { .purpose = PROFILE_SERVER,
                                         .names = names,
                                         .lifetime_s = config_get_number(config, CONFIG_MQTT_SERVER_VALIDITY) };
  HF_TRY(config_require(config, CONFIG_MQTT_SERVER_CA_KEY_URI, &uri));
  HF_TRY(identity_key_load_any(uri, "the key of the group's authority", &ca_key));
  HF_TRY(issue_certificate(&options, c->key, sk_X509_value(authority, 0), ca_key, &certificate));
  HF_TRY(write_one(c->path, certificate, authority));
  hf_log(HF_LOG_INFO, "the local server has a new certificate: %s", c->path);
  return HF_OK;
}

/* One that is there and need not be replaced. */
static bool is_good(const struct server_certificate *c, const struct profile_names *names, int64_t now)
{
  struct validity validity;
  const X509 *leaf = sk_X509_value(c->chain, 0);
  return !hf_failed(certificate_check_pair(leaf, c->path, c->key)) && host_names_match(leaf, names) &&
         !hf_failed(validity_of(leaf, &validity)) && renewal_time(&validity) > now;
}

static hf_err check_foreign(const struct server_certificate *c, const struct validity *validity, int64_t now)
{
  HF_TRY(certificate_check_pair(sk_X509_value(c->chain, 0), c->path, c->key));
  if (now < validity->until)
    return HF_OK;
  return hf_hint(hf_fail(HF_ERR_CERT_INVALID, "%s has expired", c->path),
                 "Have a new one issued; or unset mqtt.server.cert_path, and the group's authority issues it.");
}

static hf_err read_chain(struct server_certificate *c)
{
  chain_freep(&c->chain);
  hf_err e = chain_read(c->path, &c->chain);
  return e.code == HF_ERR_NOT_FOUND ? HF_OK : e;
}

static hf_err read_names(const struct config *config, struct host_names *names)
{
  const struct host_names_options options = { .set = config_get(config, CONFIG_MQTT_SERVER_NAMES),
                                              .key = config_row(CONFIG_MQTT_SERVER_NAMES)->key,
                                              .common_name = "holdfast-core",
                                              .addresses = true };
  return host_names_read(&options, names);
}

/* One that the authority issued, or is to issue. */
static hf_err ensure_own(const struct config *config, const STACK_OF(X509) * authority, int64_t now,
                         struct server_certificate *c)
{
  struct host_names names;
  struct validity validity;
  HF_TRY(read_names(config, &names));
  if (!c->chain || !is_good(c, &names.names, now)) {
    HF_TRY(issue_new(config, authority, &names.names, c));
    HF_TRY(read_chain(c));
  }
  HF_TRY(validity_of(sk_X509_value(c->chain, 0), &validity));
  c->until = validity.until;
  c->renew_at = renewal_time(&validity);
  return HF_OK;
}

static hf_err find_certificate(const struct config *config, int64_t now, struct server_certificate *c)
{
  HF_CLEANUP(chain_freep) STACK_OF(X509) *authority = NULL;
  struct validity validity;
  HF_TRY(path_below_data(config, CONFIG_MQTT_SERVER_CERT_PATH, "mqtt-server.pem", c->path, sizeof(c->path)));
  HF_TRY(read_chain(c));
  hf_err e = group_authority_read(config, &authority);
  if (!c->chain || is_issued_by(sk_X509_value(c->chain, 0), authority)) {
    HF_TRY(e);
    return ensure_own(config, authority, now, c);
  }
  HF_TRY(validity_of(sk_X509_value(c->chain, 0), &validity));
  HF_TRY(check_foreign(c, &validity, now));
  c->until = validity.until;
  return HF_OK;
}

hf_err server_certificate_ensure(const struct config *config, int64_t now, struct server_certificate *ret_certificate)
{
  HF_CLEANUP(server_certificate_free) struct server_certificate c = { 0 };
  HF_TRY(load_key(config, &c));
  HF_TRY(find_certificate(config, now, &c));
  HF_TRY(check_signs(c.key, X509_get0_pubkey(sk_X509_value(c.chain, 0)), c.path));
  *ret_certificate = c;
  c = (struct server_certificate){ 0 };
  return HF_OK;
}

void server_certificate_free(struct server_certificate *certificate)
{
  EVP_PKEY_free(certificate->key);
  chain_freep(&certificate->chain);
  *certificate = (struct server_certificate){ 0 };
}
