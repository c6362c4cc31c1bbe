/* SPDX-License-Identifier: Apache-2.0 */
/* When a certificate is valid, and when it is time for the next one. Pure: what time it is comes from the caller. */
#ifndef HF_IDENTITY_VALIDITY_H
#define HF_IDENTITY_VALIDITY_H

#include "base/error.h"

#include <openssl/x509.h>
#include <stdbool.h>
#include <stdint.h>

/* Seconds since 1970. */
struct validity {
  int64_t from;
  int64_t until;
};

/* Fails with CERT_INVALID where the certificate's times cannot be read. */
hf_err validity_of(const X509 *certificate, struct validity *ret_validity);

/*
 * How long before its end it is renewed: minimum_s (certificate.validity.minimum_duration), or, where that is 0 or no less than
 * the whole lifetime (which would have it renewed for ever), a third of the lifetime.
 */
uint64_t validity_margin_s(const struct validity *validity, uint64_t minimum_s);

enum validity_status { VALIDITY_NOT_YET, VALIDITY_VALID, VALIDITY_EXPIRES_SOON, VALIDITY_EXPIRED, VALIDITY_COUNT };

/* VALIDITY_EXPIRES_SOON: within the margin. */
enum validity_status validity_at(const struct validity *validity, uint64_t minimum_s, int64_t now);

/* "NOT YET VALID", "VALID", "EXPIRES SOON", "EXPIRED". */
const char *validity_status_name(enum validity_status status);

/* Expired, or soon. Not where it is not yet valid: then the clock is wrong, and a new one would help nobody. */
bool validity_needs_renewal(const struct validity *validity, uint64_t minimum_s, int64_t now);

enum { VALIDITY_TIME_MAX = 32 };

/* "2026-11-26 06:45:26 UTC"; "?" where it is no time. */
void validity_time_text(int64_t when, char out[VALIDITY_TIME_MAX]);

#endif
