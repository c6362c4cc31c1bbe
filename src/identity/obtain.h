/* SPDX-License-Identifier: Apache-2.0 */
/* From a key to a certificate that was issued by EST and judged: what enrolment and renewal share. */
#ifndef HF_IDENTITY_OBTAIN_H
#define HF_IDENTITY_OBTAIN_H

#include "identity/est.h"

/* Borrowed. */
struct obtain_options {
  const struct config *config;
  const struct est_server *server;
  const char *device_id;      /* the CN that the certificate must bear */
  EVP_PKEY *key;              /* that it must be for */
  const X509_REQ *request;    /* by that key */
  const STACK_OF(X509) * old; /* what is renewed, and its key; both NULL for a first certificate */
  EVP_PKEY *old_key;
  const char *user; /* HTTP Basic; NULL: none */
  struct hf_secret *password;
  unsigned timeout_s; /* see est.h */
  const struct observer *observer;
};

/* The certificate and its CAs, ready to be written: see est_issued. Fails as est_enroll and est_issued do. */
hf_err obtain_certificate(const struct obtain_options *options, STACK_OF(X509) * *ret_chain);

/* Reads a request that was made elsewhere. Fails with CERT_REQUEST, or KEY_MISMATCH where it is not by the key, CERT_INVALID for another CN. */
hf_err obtain_read_request(const char *path, EVP_PKEY *key, const char *device_id, X509_REQ **ret_request);

#endif
