/* SPDX-License-Identifier: Apache-2.0 */
/* Renewal that runs by itself: when it is due, what was done, and when to look again. For who calls it for ever. */
#ifndef HF_IDENTITY_RENEWAL_H
#define HF_IDENTITY_RENEWAL_H

#include "identity/renew.h"

enum renewal_result {
  RENEWAL_NONE_YET,       /* nobody has looked */
  RENEWAL_NO_CERTIFICATE, /* there is none to renew */
  RENEWAL_NOT_DUE,
  RENEWAL_RENEWED,
  RENEWAL_FAILED,
  RENEWAL_BUSY,  /* another program is at it */
  RENEWAL_CLOCK, /* the certificate is not valid yet: so the clock is wrong, and is waited for */
  RENEWAL_RESULT_COUNT
};

/* "none yet", "no certificate", "not due", "renewed", "failed", "busy", "clock". */
const char *renewal_result_name(enum renewal_result result);

/* Start with {0}. Times are seconds since 1970; 0: never, or not known. */
struct renewal_status {
  enum renewal_result last_result;
  int64_t last_look, last_try, last_success;
  int64_t next_look;         /* a try, where it is due by then */
  int64_t until;             /* the certificate's end, as it was found or renewed */
  bool rotated;              /* the last success made a new key */
  unsigned failures;         /* in a row */
  struct hf_err_saved cause; /* of RENEWAL_FAILED */
};

/*
 * Does nothing before status->next_look, unless the clock was set back since; so it may be called at any time. Looks at the
 * certificate, renews it by identity_renew where it is due (see validity.h), and logs what it did. status says the rest. After
 * program_start; blocks as identity_renew does.
 */
void identity_renew_if_due(const struct config *config, const struct renew_options *options, int64_t now,
                           struct renewal_status *status);

/* Has the next call look, whatever next_look says: the configuration or the certificate is another, or a user asks. */
void renewal_look_again(struct renewal_status *status);

enum { RENEWAL_LOOK_S = 3600, RENEWAL_PAUSE_MIN_S = 60, RENEWAL_PAUSE_MAX_S = 6 * 3600 };

/* After so many failures in a row: a minute, doubled each time up to six hours, but not beyond a tenth of the time left. */
int64_t renewal_pause_s(unsigned failures, int64_t left_s);

#endif
