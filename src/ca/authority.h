/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The authority itself: its certificate, its key in the token, its settings. Constant once it is open, so that threads share
 * it; another configuration is another authority over the same registry.
 */
#ifndef HF_CA_AUTHORITY_H
#define HF_CA_AUTHORITY_H

#include "ca/registry.h"
#include "config/config.h"
#include "identity/issue.h"

enum {
  AUTHORITY_SERVER_LIFETIME_S = 90 * 86400,
  AUTHORITY_URL_MAX = 512,
};

struct authority {
  struct registry *registry; /* borrowed */
  STACK_OF(X509) * chain;    /* its certificate, then those that lead to a root elsewhere */
  const X509 *certificate;   /* the first of them */
  EVP_PKEY *key;             /* signs in the token */
  uint64_t device_lifetime_s;
  bool manual;                                                  /* a person approves */
  char crl_url[AUTHORITY_URL_MAX], ocsp_url[AUTHORITY_URL_MAX]; /* "" none */
};

/* ca.path and ca.cert_path, or what stands for them where they are not set. */
hf_err authority_path(const struct config *config, char *out, size_t size);
hf_err authority_cert_path(const struct config *config, char *out, size_t size);

/*
 * program_start first. Fails with NOT_FOUND where there is no authority yet, KEY_MISMATCH, CERT_INVALID where its certificate is no CA's,
 * CONFIG, and as identity_key_load does.
 */
hf_err authority_open(const struct config *config, struct registry *registry, struct authority **ret_authority);
struct authority *authority_ref(struct authority *authority);
struct authority *authority_unref(struct authority *authority);
HF_DEFINE_CLEANUP(struct authority, authority_unref)

/* What is to be issued. */
struct authority_order {
  enum profile_purpose purpose;
  uint64_t lifetime_s;               /* cut where the authority's own ends */
  const struct profile_names *names; /* NULL: as the request has them */
};

/* Signed, but not in the registry yet: it must not leave before it is. */
hf_err authority_issue(const struct authority *authority, X509_REQ *request, const struct authority_order *order,
                       X509 **ret_certificate);

/* The same, for a key whose request nobody needs: the authority's own server. names is not NULL. */
hf_err authority_issue_key(const struct authority *authority, EVP_PKEY *public_key, const struct authority_order *order,
                           X509 **ret_certificate);

/* A certificate as the registry keeps it. der gets its DER, appended, and must live as long. */
hf_err authority_describe(const X509 *certificate, enum registry_kind kind, struct hf_buf *der,
                          struct registry_certificate *ret_certificate);

/* describe, then registry_certificate_add. */
hf_err authority_record(struct registry *registry, const X509 *certificate, enum registry_kind kind);

hf_err authority_serial(const X509 *certificate, struct registry_serial *ret_serial);
hf_err authority_time(const ASN1_TIME *when, int64_t *ret_time);

#endif
