/* SPDX-License-Identifier: Apache-2.0 */
#include "ca/reason.h"

#include "base/cleanup.h"

#include <openssl/x509v3.h>

/* Those that say that a certificate is over; a CA's own reasons and the hold are not ours to give. */
static const struct {
  const char *name;
  int reason;
} reasons[] = {
  { "unspecified", CRL_REASON_UNSPECIFIED },
  { "key-compromise", CRL_REASON_KEY_COMPROMISE },
  { "affiliation-changed", CRL_REASON_AFFILIATION_CHANGED },
  { "superseded", CRL_REASON_SUPERSEDED },
  { "cessation-of-operation", CRL_REASON_CESSATION_OF_OPERATION },
  { "privilege-withdrawn", CRL_REASON_PRIVILEGE_WITHDRAWN },
};

const char *reason_name(int reason)
{
  for (size_t i = 0; i < HF_ARRAY_LEN(reasons); i++)
    if (reasons[i].reason == reason)
      return reasons[i].name;
  return reasons[0].name;
}

hf_err reason_parse(const char *name, int *ret_reason)
{
  for (size_t i = 0; i < HF_ARRAY_LEN(reasons); i++)
    if (strcmp(reasons[i].name, name) == 0) {
      *ret_reason = reasons[i].reason;
      return HF_OK;
    }
  return hf_hint(hf_fail(HF_ERR_USAGE, "there is no reason '%s'", name),
                 "Reasons are unspecified, key-compromise, affiliation-changed, superseded, cessation-of-operation and "
                 "privilege-withdrawn.");
}
