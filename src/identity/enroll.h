/* SPDX-License-Identifier: Apache-2.0 */
/* The device's first certificate, for a key that lies in the HSM already: none is made here, least of all in software. */
#ifndef HF_IDENTITY_ENROLL_H
#define HF_IDENTITY_ENROLL_H

#include "base/secret.h"
#include "config/config.h"
#include "identity/observer.h"

enum { ENROLL_RETRY_S = 30, ENROLL_MAX_S = 600 };

/* Borrowed. */
struct enroll_options {
  const char *cloud;          /* "c8y", or NULL: see est_server_find */
  const char *module_path;    /* what program_module gave */
  const char *device_id;      /* the certificate's CN */
  const char *user;           /* NULL: device_id */
  struct hf_secret *password; /* one-time; NULL: none is asked for */
  const char *csr_path;       /* a request that was made elsewhere, by the same key; NULL: made here */
  unsigned timeout_s;         /* of one try: see est.h */
  unsigned retry_every_s;     /* while the device is not registered at the CA yet, or that is not reached */
  unsigned max_timeout_s;     /* for how long; 0: one try */
  const struct observer *observer;
};

/*
 * Asks for a certificate and puts it where device.cert_path says, with its chain where that is a file; sets device.id where it is not set. After
 * program_start. What was there is as it was on failure: CONFIG where there is no key (device.key_uri) or CA, KEY_MISMATCH and
 * CERT_INVALID for a certificate of somebody else's, BUSY, and as est_enroll.
 */
hf_err enroll(const struct config *config, const struct enroll_options *options);

#endif
