/* SPDX-License-Identifier: Apache-2.0 */
/* An authority's beginning: its own certificate, by itself or from a root elsewhere. */
#ifndef HF_CA_SETUP_H
#define HF_CA_SETUP_H

#include "ca/authority.h"

/* Fails with ID_EXISTS where there is a certificate already. */
hf_err setup_check(const struct config *config);

/* Its own issuer, CA:TRUE, pathlen:0; recorded, then written to ca.cert_path. */
hf_err setup_self_signed(const struct config *config, struct registry *registry, EVP_PKEY *key, const char *name);

/* For a root elsewhere: PEM, appended. */
hf_err setup_request(EVP_PKEY *key, const char *name, struct hf_buf *out);

/* What came of it: the certificate and its chain, checked, recorded and written. Fails with CERT_INVALID, CERT_CHAIN, KEY_MISMATCH. */
hf_err setup_import(const struct config *config, struct registry *registry, EVP_PKEY *key, const char *file);

#endif
