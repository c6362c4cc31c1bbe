/* SPDX-License-Identifier: Apache-2.0 */
/* The device's certificate, its chain, and both in TLS. */
#include "doctor/doctor_private.h"

#include "identity/journal.h"
#include "identity/loopback.h"
#include "identity/validity.h"

#include <openssl/prov_ssl.h>
#include <time.h>

static X509 *leaf(const struct doctor *d)
{
  return sk_X509_value(d->chain, 0);
}

hf_err doctor_cert_file(struct doctor *d)
{
  if (uri_is_pkcs11(d->cert_path) && !doctor_passed(d, "provider.load")) {
    doctor_skip(d, "provider.load");
    return HF_OK;
  }
  hf_err e = chain_read(d->cert_path, &d->chain);
  if (e.code == HF_ERR_NOT_FOUND)
    return hf_hint(e, "Get one: 'holdfast cert enroll', or 'holdfast cert create'; or correct device.cert_path.");
  HF_TRY(e);
  doctor_detail(d, "%s, %d in it", d->cert_path, sk_X509_num(d->chain));
  return HF_OK;
}

/* Whether all the clouds that are configured, and there are some, know it whatever its CN. */
static bool any_name_will_do(const struct doctor *d)
{
  bool some = false;
  for (size_t i = 0; i < CONFIG_CLOUD_COUNT; i++) {
    if (!config_is_set(d->config, clouds[i].config->url))
      continue;
    if (!clouds[i].any_cn)
      return false;
    some = true;
  }
  return some;
}

hf_err doctor_cert_device(struct doctor *d)
{
  HF_TRY(certificate_device_id(d->config, d->device_id));
  doctor_detail(d, "%s", d->device_id);
  return any_name_will_do(d) ? HF_OK : certificate_check_name(leaf(d), d->cert_path, d->device_id);
}

hf_err doctor_cert_validity(struct doctor *d)
{
  struct validity validity;
  char until[VALIDITY_TIME_MAX];
  HF_TRY(validity_of(leaf(d), &validity));
  HF_TRY(certificate_check_time(leaf(d), d->cert_path));
  validity_time_text(validity.until, until);
  doctor_detail(d, "until %s", until);
  doctor_value(d, "days_left", (double)(validity.until - (int64_t)time(NULL)) / 86400);
  return HF_OK;
}

/* Read alone: whoever uses the key next finishes or undoes it. */
static hf_err check_journal(const struct config *config)
{
  struct journal_paths paths;
  HF_CLEANUP(journal_free) struct journal journal = JOURNAL_INIT;
  if (hf_failed(journal_paths(config, &paths))) /* a certificate in the token is not renewed */
    return HF_OK;
  HF_TRY(journal_read(paths.journal, &journal));
  if (journal.stage == JOURNAL_IDLE)
    return HF_OK;
  return hf_hint(hf_fail(HF_ERR_BUSY, "a renewal is under way, or was cut (%s)", paths.journal),
                 "'holdfast cert renew --if-needed' finishes or undoes one that was cut.");
}

hf_err doctor_cert_renewal(struct doctor *d)
{
  struct validity validity;
  uint64_t minimum = config_get_number(d->config, CONFIG_CERTIFICATE_VALIDITY_MINIMUM_DURATION);
  char due[VALIDITY_TIME_MAX];
  HF_TRY(validity_of(leaf(d), &validity));
  validity_time_text(validity.until - (int64_t)validity_margin_s(&validity, minimum), due);
  doctor_detail(d, "due on %s", due);
  if (validity_needs_renewal(&validity, minimum, (int64_t)time(NULL)))
    doctor_warn(d, hf_hint(hf_fail(HF_ERR_CERT_INVALID, "renewal is due since %s", due),
                           "'holdfast cert renew' renews it; holdfast-core does by itself, while it runs."));
  doctor_warn(d, check_journal(d->config));
  return HF_OK;
}

static hf_err check_ca_times(const struct doctor *d)
{
  for (int i = 1; i < sk_X509_num(d->chain); i++) {
    char name[CERTIFICATE_CN_MAX], where[PATH_MAX + CERTIFICATE_CN_MAX + 8];
    certificate_cn(sk_X509_value(d->chain, i), name);
    snprintf(where, sizeof(where), "%s: '%s'", d->cert_path, name);
    HF_TRY(certificate_check_time(sk_X509_value(d->chain, i), where));
  }
  return HF_OK;
}

hf_err doctor_cert_chain(struct doctor *d)
{
  char last[CERTIFICATE_CN_MAX];
  HF_TRY(chain_check(d->chain, d->cert_path));
  HF_TRY(check_ca_times(d));
  int count = sk_X509_num(d->chain);
  certificate_cn(sk_X509_value(d->chain, count - 1), last);
  if (count > 1)
    doctor_detail(d, "%d certificates, up to '%s'", count, last);
  else
    doctor_detail(d, "%s",
                  X509_self_signed(leaf(d), 0) == 1 ? "self-signed"
                                                    : "the certificate alone: its CA is the cloud's to know");
  return HF_OK;
}

hf_err doctor_cert_key(struct doctor *d)
{
  HF_TRY(certificate_check_pair(leaf(d), d->cert_path, d->tls_key));
  doctor_detail(d, "it is the device's");
  return HF_OK;
}

hf_err doctor_tls_loopback(struct doctor *d)
{
  hf_err e = loopback_handshake(d->chain, d->tls_key, d->cert_path, TLS1_2_VERSION);
  HF_TRY(e);
  e = loopback_handshake(d->chain, d->tls_key, d->cert_path, TLS1_3_VERSION);
  doctor_detail(d, "%s", hf_failed(e) ? "TLS 1.2" : "TLS 1.2 and 1.3");
  doctor_warn(d, e);
  return HF_OK;
}
