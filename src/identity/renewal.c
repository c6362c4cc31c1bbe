/* SPDX-License-Identifier: Apache-2.0 */
#include "identity/renewal.h"

#include "base/log.h"
#include "identity/chain.h"
#include "identity/validity.h"

#include <time.h>

static const char *const names[RENEWAL_RESULT_COUNT] = {
  [RENEWAL_NONE_YET] = "none yet", [RENEWAL_NO_CERTIFICATE] = "no certificate",
  [RENEWAL_NOT_DUE] = "not due",   [RENEWAL_RENEWED] = "renewed",
  [RENEWAL_FAILED] = "failed",     [RENEWAL_BUSY] = "busy",
  [RENEWAL_CLOCK] = "clock",
};

const char *renewal_result_name(enum renewal_result result)
{
  return names[result];
}

int64_t renewal_pause_s(unsigned failures, int64_t left_s)
{
  int64_t pause = RENEWAL_PAUSE_MIN_S;
  for (unsigned i = 1; i < failures && pause < RENEWAL_PAUSE_MAX_S; i++)
    pause *= 2;
  if (pause > RENEWAL_PAUSE_MAX_S)
    pause = RENEWAL_PAUSE_MAX_S;
  /* With nothing left there is no hurry any more. */
  if (left_s > 0 && pause > left_s / 10)
    pause = left_s / 10;
  return pause < RENEWAL_PAUSE_MIN_S ? RENEWAL_PAUSE_MIN_S : pause;
}

static hf_err read_validity(const struct config *config, struct validity *ret_validity)
{
  HF_CLEANUP(chain_freep) STACK_OF(X509) *chain = NULL;
  HF_TRY(chain_read(config_get(config, CONFIG_DEVICE_CERT_PATH), &chain));
  return validity_of(sk_X509_value(chain, 0), ret_validity);
}

/* When it is going to be due, or an hour from now: the configuration, the certificate and the clock may be others by then. */
static int64_t next_look(const struct config *config, const struct validity *validity, int64_t now)
{
  uint64_t minimum_s = config_get_number(config, CONFIG_CERTIFICATE_VALIDITY_MINIMUM_DURATION);
  int64_t due = validity->until - (int64_t)validity_margin_s(validity, minimum_s);
  return due > now && due < now + RENEWAL_LOOK_S ? due : now + RENEWAL_LOOK_S;
}

static void fail(hf_err e, int64_t now, struct renewal_status *status)
{
  /* Who ended it knows: it is neither a failure nor news. */
  if (e.code == HF_ERR_CANCELLED)
    return;
  status->failures++;
  status->last_result = RENEWAL_FAILED;
  status->cause = hf_err_save(e);
  status->next_look = now + renewal_pause_s(status->failures, status->until ? status->until - now : 0);
  hf_ignore(hf_log_err(e, "renewing the device's certificate"));
  hf_log(HF_LOG_WARNING, "renewal: the next try is in %lld s", (long long)(status->next_look - now));
}

/* Said once, not every minute. */
static void wait_for_clock(const struct validity *validity, int64_t now, struct renewal_status *status)
{
  char from[VALIDITY_TIME_MAX], today[VALIDITY_TIME_MAX];
  validity_time_text(validity->from, from);
  validity_time_text(now, today);
  if (status->last_result != RENEWAL_CLOCK)
    hf_log(HF_LOG_WARNING,
           "renewal: the clock says %s, but the device's certificate is valid from %s: waiting for the clock", today,
           from);
  status->last_result = RENEWAL_CLOCK;
  status->next_look = now + RENEWAL_PAUSE_MIN_S;
}

static void succeed(const struct config *config, const struct renew_result *result, int64_t now,
                    struct renewal_status *status)
{
  const struct validity validity = { result->from, result->until };
  char until[VALIDITY_TIME_MAX];
  if (result->outcome == RENEW_CLOCK) {
    wait_for_clock(&validity, now, status);
    return;
  }
  status->failures = 0;
  status->until = result->until;
  status->next_look = next_look(config, &validity, now);
  status->last_result = result->outcome == RENEW_DONE ? RENEWAL_RENEWED : RENEWAL_NOT_DUE;
  if (result->outcome != RENEW_DONE)
    return;
  status->last_success = now;
  status->rotated = result->rotated;
  validity_time_text(result->until, until);
  hf_log(HF_LOG_INFO, "renewal: the device's certificate was renewed%s, and is good until %s",
         result->rotated ? ", with a new key" : "", until);
}

static void renew(const struct config *config, const struct renew_options *options, int64_t now,
                  struct renewal_status *status)
{
  struct renew_options wanted = *options;
  struct renew_result result = { 0 };
  wanted.if_needed = true;
  status->last_try = now;
  hf_err e = identity_renew(config, &wanted, &result);
  if (e.code == HF_ERR_BUSY) {
    status->last_result = RENEWAL_BUSY;
    status->next_look = now + RENEWAL_PAUSE_MIN_S;
    hf_log(HF_LOG_INFO, "renewal: another program is renewing the device's certificate");
  } else if (hf_failed(e)) {
    fail(e, now, status);
  } else {
    succeed(config, &result, now, status);
  }
}

static void look(const struct config *config, const struct renew_options *options, int64_t now,
                 struct renewal_status *status)
{
  struct validity validity;
  uint64_t minimum_s = config_get_number(config, CONFIG_CERTIFICATE_VALIDITY_MINIMUM_DURATION);
  hf_err e = read_validity(config, &validity);
  if (e.code == HF_ERR_NOT_FOUND || e.code == HF_ERR_URI_NO_MATCH) {
    status->last_result = RENEWAL_NO_CERTIFICATE;
    status->until = 0;
    status->next_look = now + RENEWAL_LOOK_S;
    return;
  }
  if (hf_failed(e)) {
    fail(e, now, status);
    return;
  }
  status->until = validity.until;
  if (validity_at(&validity, minimum_s, now) == VALIDITY_NOT_YET) {
    wait_for_clock(&validity, now, status);
  } else if (validity_needs_renewal(&validity, minimum_s, now)) {
    renew(config, options, now, status);
  } else {
    status->failures = 0;
    status->last_result = RENEWAL_NOT_DUE;
    status->next_look = next_look(config, &validity, now);
  }
}

void identity_renew_if_due(const struct config *config, const struct renew_options *options, int64_t now,
                           struct renewal_status *status)
{
  bool set_back = now < status->last_look;
  if (now < status->next_look && !set_back)
    return;
  status->last_look = now;
  look(config, options, now, status);
}

void renewal_look_again(struct renewal_status *status)
{
  status->next_look = 0;
}
