/* SPDX-License-Identifier: Apache-2.0 */
/* The names in a certificate, for the next one to bear. Inside src/identity only. */
#ifndef HF_IDENTITY_RENEW_NAMES_H
#define HF_IDENTITY_RENEW_NAMES_H

#include "identity/certificate.h"
#include "identity/profile.h"

/* names points into the rest. End with renew_names_free. */
struct renew_names {
  struct profile_names names;
  char organization[CERTIFICATE_CN_MAX], unit[CERTIFICATE_CN_MAX];
  char *alt_names[PROFILE_ALT_NAMES_MAX];
};

/* common_name is borrowed. Alternative names of other kinds than profile.h's are left out. */
void renew_names_read(const X509 *certificate, const char *common_name, struct renew_names *ret_names);
void renew_names_free(struct renew_names *names);

#endif
