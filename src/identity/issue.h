/* SPDX-License-Identifier: Apache-2.0 */
/* X.509 v3 certificates, signed by a key in an HSM (RFC 5280). */
#ifndef HF_IDENTITY_ISSUE_H
#define HF_IDENTITY_ISSUE_H

#include "base/buf.h"
#include "identity/profile.h"

#include <stdint.h>

/* Valid from so many seconds ago, for devices whose clock is behind. */
enum { ISSUE_BACKDATE_S = 300, ISSUE_SERIAL_LEN = 20 };

struct issue_options {
  enum profile_purpose purpose;
  const struct profile_names *names; /* NULL, for issue_from_request: those that the request asks for */
  uint64_t lifetime_s;               /* from now on; it is cut where the issuer's certificate ends */
  int path_length;                   /* of PROFILE_CA; -1: no limit */
  const char *ocsp_url;              /* each NULL where there is none; ASCII */
  const char *ca_issuers_url;
  const char *crl_url;
};

/*
 * A certificate for public_key, under an issuer: a positive random serial number of 20 bytes, the purpose's extensions,
 * subjectKeyIdentifier and authorityKeyIdentifier. Verified with the issuer's public key before it is given away.
 * Fails with USAGE (names), CERT_INVALID where the issuer has expired or may not issue, KEY_MISMATCH where issuer_key is
 * not its, and what the key fails with.
 */
hf_err issue_certificate(const struct issue_options *options, EVP_PKEY *public_key, const X509 *issuer,
                         EVP_PKEY *issuer_key, X509 **ret_certificate);

/* The same, for a request's key and, where options->names is NULL, its names; nothing else of what it asks for. */
hf_err issue_from_request(const struct issue_options *options, X509_REQ *request, const X509 *issuer,
                          EVP_PKEY *issuer_key, X509 **ret_certificate);

/* Its own issuer. */
hf_err issue_self_signed(const struct issue_options *options, EVP_PKEY *key, X509 **ret_certificate);

#endif
