/* SPDX-License-Identifier: Apache-2.0 */
/* Whom a certificate names and what for: the part that a request and a certificate share (RFC 5280, sections 4.1.2.6, 4.2.1). */
#ifndef HF_IDENTITY_PROFILE_H
#define HF_IDENTITY_PROFILE_H

#include "identity/openssl.h"

#include <openssl/x509v3.h>

#include <stdbool.h>

/* Of each: basicConstraints, keyUsage, extendedKeyUsage. */
enum profile_purpose {
  PROFILE_CLIENT,        /* a device towards its cloud: digitalSignature, clientAuth */
  PROFILE_SERVER,        /* a TLS server: digitalSignature, serverAuth */
  PROFILE_CLIENT_SERVER, /* both, for a device that is a local server, too */
  PROFILE_CA,            /* CA:TRUE, keyCertSign, cRLSign, digitalSignature (it may answer OCSP) */
  PROFILE_SELF_SIGNED, /* a device's own: PROFILE_CLIENT, with CA:TRUE, pathlen:0, as Cumulocity refuses others (422) */
  PROFILE_PURPOSE_COUNT
};

enum { PROFILE_CN_MAX = 64, PROFILE_ALT_NAMES_MAX = 100 }; /* ub-common-name, in characters */

/* Borrowed; all UTF-8. */
struct profile_names {
  const char *common_name;       /* the device's id */
  const char *organization;      /* NULL or "": none */
  const char *organization_unit; /* the same */
  const char *const *alt_names;  /* "DNS:NAME" (ASCII; "*." may lead), "IP:ADDRESS" or "URI:URI" */
  size_t alt_name_count;         /* 0: no subjectAltName */
};

/* The subject: O, OU, CN, in that order; UTF8String. Fails with USAGE where a name is empty, too long or no UTF-8. */
hf_err profile_subject(const struct profile_names *names, X509_NAME **ret_subject);

/* NULL where there are none. Fails with USAGE and names the one that is wrong. */
hf_err profile_alt_names(const struct profile_names *names, GENERAL_NAMES **ret_alt_names);

/* An extension of its own into the stack, which is made where it is NULL. value: the one that nid stands for. */
hf_err profile_add(STACK_OF(X509_EXTENSION) * *extensions, int nid, void *value, bool critical);

/* keyUsage and extendedKeyUsage of a purpose; a certificate's basicConstraints, too (path_length -1: the purpose's own). */
hf_err profile_add_usage(STACK_OF(X509_EXTENSION) * *extensions, enum profile_purpose purpose);
hf_err profile_add_constraints(STACK_OF(X509_EXTENSION) * *extensions, enum profile_purpose purpose, int path_length);

IDENTITY_CLEANUP(X509_NAME, profile_name_free, X509_NAME_free)
IDENTITY_CLEANUP(GENERAL_NAMES, profile_alt_names_free, GENERAL_NAMES_free)

static inline void profile_extensions_freep(STACK_OF(X509_EXTENSION) * *extensions)
{
  sk_X509_EXTENSION_pop_free(*extensions, X509_EXTENSION_free);
  *extensions = NULL;
}

#endif
