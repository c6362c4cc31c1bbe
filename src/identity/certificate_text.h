/* SPDX-License-Identifier: Apache-2.0 */
/* A certificate's fields as people and listings read them. UTF-8; control characters of others are not taken out. */
#ifndef HF_IDENTITY_CERTIFICATE_TEXT_H
#define HF_IDENTITY_CERTIFICATE_TEXT_H

#include "base/buf.h"

#include <openssl/x509v3.h>

enum { CERTIFICATE_TIME_MAX = 32, CERTIFICATE_TEXT_MAX = 64 * 1024 };

/* "2026-08-20 12:00:00 UTC". */
void certificate_time(const ASN1_TIME *when, char out[CERTIFICATE_TIME_MAX]);

/* Each appends. */
hf_err certificate_name_text(const X509_NAME *name,
                             struct hf_buf *out); /* "CN=dev-1, OU=IoT, O=Acme"; "" where it is empty */
hf_err certificate_serial_text(const X509 *certificate, struct hf_buf *out); /* hex, upper case, as openssl shows it */
hf_err certificate_thumbprint_text(const X509 *certificate, const EVP_MD *digest,
                                   struct hf_buf *out); /* hex, upper case */

/* Of the alternative name at this place, "DNS:dev.local"; nothing for a kind that has no text. */
hf_err certificate_alt_name_text(const GENERAL_NAME *name, struct hf_buf *out);

#endif
