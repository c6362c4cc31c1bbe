/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether somebody gets a certificate, and which: EST's simpleenroll and simplereenroll (RFC 7030, section 4.2) without
 * their HTTP. A device's first one takes its one-time password; another takes the one that it has.
 */
#ifndef HF_CA_GRANT_H
#define HF_CA_GRANT_H

#include "ca/answer.h"
#include "ca/authority.h"
#include "ca/throttle.h"

enum {
  GRANT_BODY_MAX = 64 * 1024, /* base64 of a request */
  GRANT_RETRY_S = 30,         /* while a person has not decided */
  /*
   * A device whose answer was lost asks again: the same request with the same password gets the same certificate for so
   * long. Nothing is issued by that.
   */
  GRANT_REPEAT_S = 600,
};

/* What arrived; all borrowed, each NULL (or empty) where it was not there. */
struct grant_request {
  struct hf_slice body; /* PKCS #10, DER in base64 */
  const char *content_type;
  const char *device;   /* Basic's user name, */
  const char *password; /* and password */
  X509 *client;         /* the certificate that TLS was spoken with: the peer has its key */
  long client_verdict;  /* X509_V_OK, or why TLS does not take it */
  const char *address;  /* the peer's, */
  const char *network;  /* and what counts as one peer */
};

struct grant_limits {
  struct throttle *devices, *addresses; /* of wrong passwords */
  struct throttle *renewals;            /* of a device */
};

/*
 * In a thread that may wait: it signs in the token and syncs the registry. A certificate in the answer is in the registry.
 * Never fails: what goes wrong is an answer, and is logged.
 */
void grant(struct authority *authority, const struct grant_limits *limits, const struct grant_request *request,
           struct answer *ret_answer);

/* The subject's CN; false where it has none, several, or one that can be no device's id. */
bool grant_request_cn(X509_REQ *request, char out[REGISTRY_ID_MAX + 1]);

/* What a request must have to be granted to this device. Each refuses by filling answer; false then. */
bool grant_check_key(X509_REQ *request, struct answer *answer);
bool grant_check_subject(X509_REQ *request, const char *device, struct answer *answer);
/* allowed: "DNS:a,IP:192.0.2.1"; the device's own id as a DNS name goes without saying. */
bool grant_check_alt_names(X509_REQ *request, const char *device, const char *allowed, struct answer *answer);
/* The same subject and alternative names as the certificate that it renews (RFC 7030, section 4.2.2). */
bool grant_check_same(X509_REQ *request, const X509 *certificate, struct answer *answer);

#endif
