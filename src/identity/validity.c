/* SPDX-License-Identifier: Apache-2.0 */
#include "identity/validity.h"

#include <time.h>

static bool to_unix(const ASN1_TIME *when, int64_t *ret_seconds)
{
  struct tm tm;
  if (ASN1_TIME_to_tm(when, &tm) != 1)
    return false;
  *ret_seconds = timegm(&tm);
  return true;
}

hf_err validity_of(const X509 *certificate, struct validity *ret_validity)
{
  struct validity validity;
  if (!to_unix(X509_get0_notBefore(certificate), &validity.from) ||
      !to_unix(X509_get0_notAfter(certificate), &validity.until))
    return hf_fail(HF_ERR_CERT_INVALID, "the times of its validity cannot be read");
  *ret_validity = validity;
  return HF_OK;
}

uint64_t validity_margin_s(const struct validity *validity, uint64_t minimum_s)
{
  uint64_t lifetime = validity->until > validity->from ? (uint64_t)(validity->until - validity->from) : 0;
  return minimum_s && minimum_s < lifetime ? minimum_s : lifetime / 3;
}

enum validity_status validity_at(const struct validity *validity, uint64_t minimum_s, int64_t now)
{
  if (now < validity->from)
    return VALIDITY_NOT_YET;
  if (now >= validity->until)
    return VALIDITY_EXPIRED;
  return (uint64_t)(validity->until - now) <= validity_margin_s(validity, minimum_s) ? VALIDITY_EXPIRES_SOON
                                                                                     : VALIDITY_VALID;
}

const char *validity_status_name(enum validity_status status)
{
  static const char *const names[VALIDITY_COUNT] = {
    [VALIDITY_NOT_YET] = "NOT YET VALID",
    [VALIDITY_VALID] = "VALID",
    [VALIDITY_EXPIRES_SOON] = "EXPIRES SOON",
    [VALIDITY_EXPIRED] = "EXPIRED",
  };
  return names[status];
}

bool validity_needs_renewal(const struct validity *validity, uint64_t minimum_s, int64_t now)
{
  enum validity_status status = validity_at(validity, minimum_s, now);
  return status == VALIDITY_EXPIRES_SOON || status == VALIDITY_EXPIRED;
}

void validity_time_text(int64_t when, char out[VALIDITY_TIME_MAX])
{
  time_t t = (time_t)when;
  struct tm tm;
  if (!gmtime_r(&t, &tm) || strftime(out, VALIDITY_TIME_MAX, "%Y-%m-%d %H:%M:%S UTC", &tm) == 0)
    snprintf(out, VALIDITY_TIME_MAX, "?");
}
