/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The local MQTT server's key and certificate, and the group's authority: a key in the token that signs the server's certificates
 * and nothing else. Devices trust its certificate.
 */
#ifndef HF_GATEWAY_SERVER_CERTIFICATE_H
#define HF_GATEWAY_SERVER_CERTIFICATE_H

#include "config/config.h"
#include "identity/chain.h"

#include <limits.h>

/* Start with {0}, end with server_certificate_free. */
struct server_certificate {
  EVP_PKEY *key;
  STACK_OF(X509) * chain;
  const char *key_where;   /* a URI, or a file's path; the configuration's */
  char path[PATH_MAX];     /* of the chain's file */
  int64_t until, renew_at; /* renew_at 0: somebody else's to renew */
};

/*
 * The certificate that is there, where it fits the key and is valid; else, and when it is time to, one that the group's authority
 * issues is put in its place. One that somebody else issued is never replaced. The key has signed something by then. program_start first. Fails
 * with NOT_FOUND where there is no certificate and no authority, CONFIG without a key, KEY_MISMATCH, CERT_INVALID, CERT_FILE, and
 * as identity_key_load_any and signing in the token do; then nothing has changed.
 */
hf_err server_certificate_ensure(const struct config *config, int64_t now, struct server_certificate *ret_certificate);
void server_certificate_free(struct server_certificate *certificate);

/* mqtt.server.ca_cert_path, or what stands for it. */
hf_err group_authority_path(const struct config *config, char *out, size_t size);

/* Its certificate, and those above it. Fails with NOT_FOUND where there is none. */
hf_err group_authority_read(const struct config *config, STACK_OF(X509) * *ret_chain);

/* A certificate for the authority's key, self-signed, good for ten years. Fails with EXISTS where there is one. */
hf_err group_authority_create(const struct config *config, EVP_PKEY *key, const char *name);

#endif
