/* SPDX-License-Identifier: Apache-2.0 */
/* Certificates from a CA by EST: Enrolment over Secure Transport (RFC 7030, with RFC 8951). */
#ifndef HF_IDENTITY_EST_H
#define HF_IDENTITY_EST_H

#include "base/secret.h"
#include "config/config.h"
#include "identity/chain.h"
#include "identity/est_answer.h"
#include "identity/observer.h"

#include <time.h>

enum { EST_URL_MAX = 2048, EST_TIMEOUT_S = 120 };

/* Which one, and where the configuration says so. */
struct est_server {
  char url[EST_URL_MAX];             /* https://HOST[:PORT]/.well-known/est[/LABEL] */
  enum config_key url_key, root_key; /* root: what its own certificate is checked with */
  bool cumulocity;
};

/*
 * cloud: "c8y" for Cumulocity's; NULL for est.url's, or Cumulocity's where only that is configured. Fails with CONFIG where
 * none is, or est.url is not https; with USAGE for a cloud that does not issue certificates by EST.
 */
hf_err est_server_find(const struct config *config, const char *cloud, struct est_server *ret_server);

/* Borrowed until est_free. */
struct est_options {
  const struct config *config;
  const struct est_server *server;
  const STACK_OF(X509) * chain; /* who we are in TLS, and its key; both NULL before the first certificate */
  EVP_PKEY *key;
  const char *user; /* HTTP Basic, with the one-time password; NULL: none */
  struct hf_secret *password;
  unsigned timeout_s;              /* in all, the CA's own waits (202) included; 0: EST_TIMEOUT_S */
  const struct observer *observer; /* while the CA has not decided; may be NULL */
};

struct est;

/* Seconds of a clock that nobody sets, and that goes on while the device sleeps: for the waits of this. */
time_t est_clock_s(void);

hf_err est_open(const struct est_options *options, struct est **ret_est);
struct est *est_free(struct est *est);
HF_DEFINE_CLEANUP(struct est, est_free)

/*
 * The CA's certificates: the trust anchors of those that it issues. They are believed because TLS with the server was checked
 * against its trusted roots (section 4.1.1). *ret_cas is NULL where the server offers none. Fails as http_perform does, and
 * with PARSE.
 */
hf_err est_cacerts(struct est *est, STACK_OF(X509) * *ret_cas);

/* What the CA wants in a request; nothing where it does not say. */
hf_err est_csrattrs(struct est *est, struct est_attributes *ret_attributes);

/*
 * Asks for a certificate; again: renews the one that TLS shows. Waits as long as the CA asks for it (202, Retry-After), within
 * timeout_s. All that came, unjudged: see est_issued. Fails with HTTP (the CA refuses; its words are in the text), CERT_REQUEST
 * (it refuses the request itself: 400), TIMEOUT, CANCELLED, PARSE, and as http_perform does.
 */
hf_err est_enroll(struct est *est, const X509_REQ *request, bool again, STACK_OF(X509) * *ret_answer);

/*
 * Whether what came is a certificate for our key and name, valid now, good for a TLS client, and issued by cas (NULL: by
 * whatever came along). ret_chain: it, and the CAs that lead from it to the root, without that. Fails with KEY_MISMATCH,
 * CERT_INVALID, CERT_CHAIN; then it is no certificate of ours.
 */
hf_err est_issued(const STACK_OF(X509) * answer, EVP_PKEY *key, const char *device_id, const STACK_OF(X509) * cas,
                  STACK_OF(X509) * *ret_chain);

#endif
