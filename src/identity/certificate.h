/* SPDX-License-Identifier: Apache-2.0 */
/* The device's certificate, before anyone else is asked about it. */
#ifndef HF_IDENTITY_CERTIFICATE_H
#define HF_IDENTITY_CERTIFICATE_H

#include "config/config.h"
#include "p11/key.h"

#include <openssl/x509.h>

#define CERTIFICATE_CN_MAX (4 * 64 + 1) /* ub-common-name is 64 characters; in UTF-8, and a NUL */

/* The first one of chain_read, which tells where from and how it fails. */
hf_err certificate_read(const char *where, X509 **ret_certificate);

static inline void certificate_freep(X509 **certificate)
{
  X509_free(*certificate);
}

/* The subject's CN; "" where it has none, or one that is too long or holds a NUL. */
void certificate_cn(const X509 *certificate, char out[CERTIFICATE_CN_MAX]);

/* The device's id: device.id, else the certificate's CN. Fails as certificate_read does; with CONFIG where there is none. */
hf_err certificate_device_id(const struct config *config, char out[CERTIFICATE_CN_MAX]);

/* The two halves of certificate_check: whether it is valid now, and whether it is this device's. */
hf_err certificate_check_time(const X509 *certificate, const char *path);
hf_err certificate_check_name(const X509 *certificate, const char *path, const char *device_id);

/* Fails with CERT_INVALID where it is expired, not yet valid, or its CN is not the device's id. path is for the text. */
hf_err certificate_check(const X509 *certificate, const char *path, const char *device_id);

/* Signs with the key in the HSM and verifies with the certificate's public key. Fails with KEY_MISMATCH. */
hf_err certificate_check_key(X509 *certificate, const char *path, struct p11_key *key);

/* Whether its public key is this key's (identity_key_load); nothing is signed. Fails with KEY_MISMATCH. */
hf_err certificate_check_pair(const X509 *certificate, const char *path, EVP_PKEY *key);

#endif
