/* SPDX-License-Identifier: Apache-2.0 */
/* Certificates as a PKCS #7 "certs-only" message: what EST hands out (RFC 7030, sections 4.1.3 and 4.2.3). */
#ifndef HF_CA_CERTS_ONLY_H
#define HF_CA_CERTS_ONLY_H

#include "base/buf.h"
#include "identity/openssl.h"

/* Appends DER. */
hf_err certs_only(const STACK_OF(X509) * certificates, struct hf_buf *out);
/* The same, of one certificate's DER. */
hf_err certs_only_der(struct hf_slice der, struct hf_buf *out);

#endif
