/* SPDX-License-Identifier: Apache-2.0 */
/* Whether a certificate is revoked, asked one by one (RFC 6960). Signed by the authority itself. */
#ifndef HF_CA_OCSP_H
#define HF_CA_OCSP_H

#include "ca/authority.h"

enum {
  OCSP_REQUEST_MAX_BYTES = 8192,
  OCSP_ASKED_MAX = 16, /* certificates in one request */
  OCSP_VALID_S = 86400 /* how long an answer holds; it is made from the registry at once */
};

/*
 * Appends the DER of a response; a request that is not one gets a response that says so (malformedRequest), and what fails
 * here gives internalError and is logged. Certificates of other issuers, and those that were never issued, are "unknown".
 */
hf_err ocsp_answer(const struct authority *authority, struct hf_slice request, struct hf_buf *out);

#endif
