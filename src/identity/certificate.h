/* SPDX-License-Identifier: Apache-2.0 */
/* The device's certificate, before anyone else is asked about it. */
#ifndef HF_IDENTITY_CERTIFICATE_H
#define HF_IDENTITY_CERTIFICATE_H

#include "p11/key.h"

#include <openssl/x509.h>

#define CERTIFICATE_CN_MAX 65 /* ub-common-name, in UTF-8 here cut there, and a NUL */

/* The first one in a PEM file. Fails with CERT_FILE, NOT_FOUND, PERMISSION. */
hf_err certificate_read(const char *path, X509 **ret_certificate);

static inline void certificate_freep(X509 **certificate)
{
  X509_free(*certificate);
}

/* The subject's CN; "" where it has none. */
void certificate_cn(const X509 *certificate, char out[CERTIFICATE_CN_MAX]);

/* Fails with CERT_INVALID where it is expired, not yet valid, or its CN is not the device's id. path is for the text. */
hf_err certificate_check(const X509 *certificate, const char *path, const char *device_id);

/* Signs with the key in the HSM and verifies with the certificate's public key. Fails with KEY_MISMATCH. */
hf_err certificate_check_key(X509 *certificate, const char *path, struct p11_key *key);

#endif
