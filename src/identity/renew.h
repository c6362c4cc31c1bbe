/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A new certificate in place of the device's, perhaps with a new key: got, tried on a real connection, and only then taken
 * (docs/adr/0011-renewal.md). See transaction.h for transaction_recover, which finishes what was cut.
 */
#ifndef HF_IDENTITY_RENEW_H
#define HF_IDENTITY_RENEW_H

#include "config/config.h"
#include "identity/observer.h"

#include <stdint.h>

/* Borrowed. */
struct renew_options {
  const char *module_path; /* what program_module gave */
  const char *cloud;       /* "c8y", or NULL: see est_server_find */
  const char *csr_path;    /* a request that was made elsewhere, by the present key; NULL: made here */
  bool
      self_signed; /* also where a CA issued the present one; a self-signed one is renewed so where no cloud is named */
  bool if_needed;  /* only where it is due: see validity.h */
  bool rotate_key; /* makes a new key; certificate.renewal.rotate_key does, too */
  bool delete_old_key; /* at once; certificate.renewal.delete_old_key does, too */
  unsigned timeout_s;  /* for the CA (see est.h), and for another renewal that is under way */
  const struct observer *observer;
  /*
   * Connects with the candidate: the configuration, but for device.cert_path and device.key_uri, which are the new ones.
   * *ret_tried is false where there is no cloud to try it on. NULL: it is taken untried.
   */
  hf_err (*try_connect)(const struct config *candidate, bool *ret_tried, void *arg);
  void *try_arg;
};

enum renew_outcome {
  RENEW_DONE,
  RENEW_NOT_DUE,
  RENEW_CLOCK /* not yet valid: the clock is wrong; only with if_needed */
};

struct renew_result {
  enum renew_outcome outcome;
  bool rotated, tried;
  int64_t from, until; /* of the certificate that the device now has */
};

/*
 * After program_start; blocks, on the network most of all. config tells which file and which certificate: it is read again
 * under the lock, and again by the caller afterwards. On failure the device's certificate and key are as they were: BUSY
 * (another renewal lasts too long), KEY_MISMATCH, CERT_INVALID, and as est_enroll, est_issued, rotation_plan, rotation_make and
 * try_connect. A new key of a renewal that failed is deleted, at once or by the next one.
 */
hf_err identity_renew(const struct config *config, const struct renew_options *options,
                      struct renew_result *ret_result);

#endif
