/* SPDX-License-Identifier: Apache-2.0 */
#include "ca/authority.h"

#include "identity/certificate.h"
#include "identity/chain.h"
#include "identity/key.h"

#include <limits.h>
#include <openssl/bn.h>
#include <openssl/err.h>
#include <stdatomic.h>
#include <time.h>

struct counted {
  struct authority authority; /* first: it is what the outside holds */
  atomic_uint references;
};

static hf_err put(char *out, size_t size, const char *first, const char *rest)
{
  int len = snprintf(out, size, "%s%s", first, rest);
  return len >= 0 && (size_t)len < size ? HF_OK : hf_fail(HF_ERR_LIMIT, "%.64s...%s", first, rest);
}

hf_err authority_path(const struct config *config, char *out, size_t size)
{
  char data[PATH_MAX];
  const char *set = config_get(config, CONFIG_CA_PATH);
  if (set)
    return put(out, size, set, "");
  HF_TRY(config_data_path(config, data, sizeof(data)));
  return put(out, size, data, "/ca");
}

hf_err authority_cert_path(const struct config *config, char *out, size_t size)
{
  char path[PATH_MAX];
  const char *set = config_get(config, CONFIG_CA_CERT_PATH);
  if (set)
    return put(out, size, set, "");
  HF_TRY(authority_path(config, path, sizeof(path)));
  return put(out, size, path, "/ca.pem");
}

static hf_err load_chain(const struct config *config, struct authority *authority)
{
  char path[PATH_MAX];
  HF_TRY(authority_cert_path(config, path, sizeof(path)));
  hf_err e = chain_read(path, &authority->chain);
  if (e.code == HF_ERR_NOT_FOUND)
    return hf_hint(e, "Make it with 'holdfast ca init', or bring it in with 'holdfast ca init --import FILE'.");
  HF_TRY(e);
  HF_TRY(chain_check(authority->chain, path));
  authority->certificate = sk_X509_value(authority->chain, 0);
  if (X509_check_ca((X509 *)(uintptr_t)authority->certificate) != 1)
    return hf_hint(hf_fail(HF_ERR_CERT_INVALID, "%s is not the certificate of an authority (CA:TRUE)", path),
                   "Have one issued with basicConstraints CA:TRUE.");
  return HF_OK;
}

static hf_err load_key(const struct config *config, struct authority *authority)
{
  const char *uri;
  HF_TRY(config_require(config, CONFIG_CA_KEY_URI, &uri));
  HF_TRY(identity_key_load(uri, &authority->key));
  bool own = X509_check_private_key(authority->certificate, authority->key) == 1;
  ERR_clear_error();
  return own ? HF_OK : hf_fail(HF_ERR_KEY_MISMATCH, "ca.cert_path and ca.key_uri");
}

static hf_err load_settings(const struct config *config, struct authority *authority)
{
  const char *crl_url = config_get(config, CONFIG_CA_CRL_URL), *ocsp_url = config_get(config, CONFIG_CA_OCSP_URL);
  authority->device_lifetime_s = config_get_number(config, CONFIG_CA_VALIDITY_DEVICE);
  authority->manual = strcmp(config_get(config, CONFIG_CA_APPROVAL), "manual") == 0;
  HF_TRY(put(authority->crl_url, sizeof(authority->crl_url), crl_url ? crl_url : "", ""));
  return put(authority->ocsp_url, sizeof(authority->ocsp_url), ocsp_url ? ocsp_url : "", "");
}

hf_err authority_open(const struct config *config, struct registry *registry, struct authority **ret_authority)
{
  struct counted *counted = calloc(1, sizeof(*counted));
  if (!counted)
    return hf_fail(HF_ERR_NO_MEMORY, "the authority");
  counted->references = 1;
  HF_CLEANUP(authority_unrefp) struct authority *authority = &counted->authority;
  authority->registry = registry;
  HF_TRY(load_chain(config, authority));
  HF_TRY(load_key(config, authority));
  HF_TRY(load_settings(config, authority));
  *ret_authority = HF_TAKE(authority);
  return HF_OK;
}

struct authority *authority_ref(struct authority *authority)
{
  atomic_fetch_add(&((struct counted *)authority)->references, 1);
  return authority;
}

struct authority *authority_unref(struct authority *authority)
{
  if (!authority || atomic_fetch_sub(&((struct counted *)authority)->references, 1) > 1)
    return NULL;
  EVP_PKEY_free(authority->key);
  chain_freep(&authority->chain);
  free(authority);
  return NULL;
}

static struct issue_options options_of(const struct authority *authority, const struct authority_order *order)
{
  return (struct issue_options){
    .purpose = order->purpose,
    .names = order->names,
    .lifetime_s = order->lifetime_s,
    .path_length = -1,
    .ocsp_url = authority->ocsp_url[0] ? authority->ocsp_url : NULL,
    .crl_url = authority->crl_url[0] ? authority->crl_url : NULL,
  };
}

hf_err authority_issue(const struct authority *authority, X509_REQ *request, const struct authority_order *order,
                       X509 **ret_certificate)
{
  struct issue_options options = options_of(authority, order);
  return issue_from_request(&options, request, authority->certificate, authority->key, ret_certificate);
}

hf_err authority_issue_key(const struct authority *authority, EVP_PKEY *public_key, const struct authority_order *order,
                           X509 **ret_certificate)
{
  struct issue_options options = options_of(authority, order);
  return issue_certificate(&options, public_key, authority->certificate, authority->key, ret_certificate);
}

/* Certificates as the registry keeps them */

hf_err authority_serial(const X509 *certificate, struct registry_serial *ret_serial)
{
  const ASN1_INTEGER *number = X509_get0_serialNumber(certificate);
  BIGNUM *value = ASN1_INTEGER_to_BN(number, NULL);
  struct registry_serial serial = { .len = 0 };
  int len = value ? BN_num_bytes(value) : 0;
  bool fits = len > 0 && len <= REGISTRY_SERIAL_MAX && !BN_is_negative(value);
  if (fits)
    serial.len = (uint8_t)BN_bn2bin(value, serial.bytes);
  BN_free(value);
  ERR_clear_error();
  if (!fits)
    return hf_fail(HF_ERR_CERT_INVALID, "its serial number is not 1 to %d bytes", REGISTRY_SERIAL_MAX);
  *ret_serial = serial;
  return HF_OK;
}

hf_err authority_time(const ASN1_TIME *when, int64_t *ret_time)
{
  struct tm tm;
  if (ASN1_TIME_to_tm(when, &tm) != 1)
    return openssl_fail(HF_ERR_CERT_INVALID, "a time in it", "");
  *ret_time = (int64_t)timegm(&tm);
  return HF_OK;
}

static hf_err add_der(const X509 *certificate, struct hf_buf *der)
{
  int len = i2d_X509(certificate, NULL);
  uint8_t *room;
  if (len <= 0)
    return openssl_fail(HF_ERR_INTERNAL, "a certificate's DER", "");
  HF_TRY(hf_buf_reserve(der, (size_t)len, &room));
  i2d_X509(certificate, &room);
  hf_buf_commit(der, (size_t)len);
  return HF_OK;
}

hf_err authority_describe(const X509 *certificate, enum registry_kind kind, struct hf_buf *der,
                          struct registry_certificate *ret_certificate)
{
  struct registry_certificate described = { .kind = kind, .issued = (int64_t)time(NULL) };
  size_t before = der->len;
  char cn[CERTIFICATE_CN_MAX];
  HF_TRY(authority_serial(certificate, &described.serial));
  HF_TRY(authority_time(X509_get0_notBefore(certificate), &described.not_before));
  HF_TRY(authority_time(X509_get0_notAfter(certificate), &described.not_after));
  certificate_cn(certificate, cn);
  snprintf(described.device, sizeof(described.device), "%.*s", REGISTRY_ID_MAX, cn);
  HF_TRY(add_der(certificate, der));
  described.der = hf_slice(der->data + before, der->len - before);
  *ret_certificate = described;
  return HF_OK;
}

hf_err authority_record(struct registry *registry, const X509 *certificate, enum registry_kind kind)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf der = HF_BUF(REGISTRY_DER_MAX);
  struct registry_certificate described;
  HF_TRY(authority_describe(certificate, kind, &der, &described));
  return registry_certificate_add(registry, &described);
}
