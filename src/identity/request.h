/* SPDX-License-Identifier: Apache-2.0 */
/* Certificate signing requests (PKCS #10, RFC 2986), signed by the key in the HSM. */
#ifndef HF_IDENTITY_REQUEST_H
#define HF_IDENTITY_REQUEST_H

#include "base/buf.h"
#include "identity/profile.h"

enum { REQUEST_MAX = 64 * 1024 }; /* bytes of a request that is read, PEM or DER */

/*
 * Asks for these names and this purpose. key: identity_key_load's; its signature is verified with its public half before
 * it is given away. Fails with USAGE (see profile_subject), and what the key fails with.
 */
hf_err request_create(EVP_PKEY *key, const struct profile_names *names, enum profile_purpose purpose,
                      X509_REQ **ret_request);

/* The same subject, subjectAltName and usages as the certificate has: what EST wants of a renewal (RFC 7030, section 4.2.2). */
hf_err request_create_like(EVP_PKEY *key, const X509 *certificate, X509_REQ **ret_request);

/* Appends. The PEM has the armour; EST takes the DER in base64. */
hf_err request_pem(const X509_REQ *request, struct hf_buf *out);
hf_err request_der(const X509_REQ *request, struct hf_buf *out);

/*
 * One request, PEM or DER, nothing after the DER, and whether it is signed by the key that it is for (proof of possession).
 * where: for the error's text. Fails with CERT_REQUEST.
 */
hf_err request_parse(struct hf_slice text, const char *where, X509_REQ **ret_request);

/* NULL where it asks for none. Fails with CERT_REQUEST where they cannot be read. */
hf_err request_alt_names(X509_REQ *request, GENERAL_NAMES **ret_alt_names);

#endif
