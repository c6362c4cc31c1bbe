/* SPDX-License-Identifier: Apache-2.0 */
#include "identity/certificate.h"

#include "identity/certificate_text.h"
#include "identity/chain.h"
#include "identity/key.h"
#include "identity/proof.h"

#include <openssl/err.h>

hf_err certificate_read(const char *where, X509 **ret_certificate)
{
  HF_CLEANUP(chain_freep) STACK_OF(X509) *chain = NULL;
  hf_err e = chain_read(where, &chain);
  if (e.code == HF_ERR_NOT_FOUND)
    return hf_hint(e, "Put the device's certificate there, or set device.cert_path to where it is.");
  HF_TRY(e);
  *ret_certificate = sk_X509_shift(chain);
  return HF_OK;
}

void certificate_cn(const X509 *certificate, char out[CERTIFICATE_CN_MAX])
{
  out[0] = '\0';
  const X509_NAME *subject = X509_get_subject_name(certificate);
  int at = X509_NAME_get_index_by_NID((X509_NAME *)subject, NID_commonName, -1);
  if (at < 0)
    return;
  unsigned char *text = NULL;
  int len = ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
  /* A NUL in it could make two names look alike. */
  if (len > 0 && len < CERTIFICATE_CN_MAX && !memchr(text, '\0', (size_t)len))
    snprintf(out, CERTIFICATE_CN_MAX, "%.*s", len, (const char *)text);
  OPENSSL_free(text);
}

hf_err certificate_device_id(const struct config *config, char out[CERTIFICATE_CN_MAX])
{
  const char *id = config_get(config, CONFIG_DEVICE_ID);
  char cn[CERTIFICATE_CN_MAX];
  HF_CLEANUP(certificate_freep) X509 *certificate = NULL;
  if (!id) {
    HF_TRY(certificate_read(config_get(config, CONFIG_DEVICE_CERT_PATH), &certificate));
    certificate_cn(certificate, cn);
    id = cn;
  }
  if (!id[0])
    return hf_hint(hf_fail(HF_ERR_CONFIG, "the device has no id: device.id is not set, and its certificate has no CN"),
                   "Set it: 'holdfast config set device.id NAME'.");
  return (size_t)snprintf(out, CERTIFICATE_CN_MAX, "%s", id) < CERTIFICATE_CN_MAX
             ? HF_OK
             : hf_fail(HF_ERR_LIMIT, "the device's id %s", id);
}

hf_err certificate_check_time(const X509 *certificate, const char *path)
{
  char when[CERTIFICATE_TIME_MAX];
  if (X509_cmp_current_time(X509_get0_notBefore(certificate)) >= 0) {
    certificate_time(X509_get0_notBefore(certificate), when);
    return hf_hint(hf_fail(HF_ERR_CERT_INVALID, "%s is valid from %s", path, when), "Check the device's clock.");
  }
  if (X509_cmp_current_time(X509_get0_notAfter(certificate)) <= 0) {
    certificate_time(X509_get0_notAfter(certificate), when);
    return hf_hint(hf_fail(HF_ERR_CERT_INVALID, "%s expired on %s", path, when),
                   "Have it renewed; and check the device's clock.");
  }
  return HF_OK;
}

hf_err certificate_check_name(const X509 *certificate, const char *path, const char *device_id)
{
  char cn[CERTIFICATE_CN_MAX];
  certificate_cn(certificate, cn);
  if (!cn[0])
    return hf_hint(hf_fail(HF_ERR_CERT_INVALID, "%s has no common name (CN)", path),
                   "The cloud knows the device by its certificate's CN: have one issued with it.");
  if (strcmp(cn, device_id) != 0)
    return hf_hint(hf_fail(HF_ERR_CERT_INVALID, "%s is for '%s', but device.id is '%s'", path, cn, device_id),
                   "Have a certificate issued for this device, or correct device.id.");
  return HF_OK;
}

hf_err certificate_check(const X509 *certificate, const char *path, const char *device_id)
{
  HF_TRY(certificate_check_time(certificate, path));
  return certificate_check_name(certificate, path, device_id);
}

static hf_err no_public_key(const char *path)
{
  ERR_clear_error();
  return hf_hint(hf_fail(HF_ERR_CERT_INVALID, "OpenSSL cannot use the public key in %s", path),
                 "If $OPENSSL_CONF names providers, it must name and activate 'default', too.");
}

hf_err certificate_check_key(X509 *certificate, const char *path, struct p11_key *key)
{
  EVP_PKEY *public_key = X509_get0_pubkey(certificate);
  return public_key ? proof_check(public_key, path, key) : no_public_key(path);
}

hf_err certificate_check_pair(const X509 *certificate, const char *path, EVP_PKEY *key)
{
  EVP_PKEY *public_key = X509_get0_pubkey(certificate);
  if (!public_key)
    return no_public_key(path);
  bool same = EVP_PKEY_eq(public_key, key) == 1;
  ERR_clear_error();
  if (same)
    return HF_OK;
  char ours[IDENTITY_KEY_TEXT_MAX], its[IDENTITY_KEY_TEXT_MAX];
  identity_key_describe(key, ours, sizeof(ours));
  identity_key_describe(public_key, its, sizeof(its));
  return hf_fail(HF_ERR_KEY_MISMATCH, "%s is for another key (%s) than the one in the HSM (%s)", path, its, ours);
}
