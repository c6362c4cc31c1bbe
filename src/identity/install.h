/* SPDX-License-Identifier: Apache-2.0 */
/* The device's certificate put where device.cert_path says: a file, or the token (docs/adr/0010-where-the-certificate-lies.md). */
#ifndef HF_IDENTITY_INSTALL_H
#define HF_IDENTITY_INSTALL_H

#include "config/config.h"
#include "identity/chain.h"
#include "identity/hsm.h"

/* Whether something is there already, readable or not. Fails as chain_read does where it cannot be told. */
hf_err install_exists(const struct config *config, bool *ret_exists);

/*
 * Replaces the file of device.cert_path as one step, between renewals, its directories made (0755) and its owner kept. Fails
 * with CONFIG where that is a URI; BUSY, DISK_FULL, PERMISSION, ...
 */
hf_err install_file(const struct config *config, const STACK_OF(X509) * chain);

/*
 * Writes the certificate (the first of the chain, without the others) beside its private key: same token, id and label. Then
 * removes the others of that id. *ret_uri gets its URI. Fails as p11_object_find and p11_object_create do.
 */
hf_err install_in_token(const struct config *config, const char *module_path, const char *key_uri,
                        const STACK_OF(X509) * chain, struct hf_buf *ret_uri);

/* The certificate as a public object of this label and id. Fails as p11_object_create does. */
hf_err install_object(struct p11_session *session, const X509 *certificate, struct hf_slice label, struct hf_slice id,
                      CK_OBJECT_HANDLE *ret_object);

/* Removes the one that device.cert_path names; never a key. *ret_removed false where there was none. */
hf_err install_remove(const struct config *config, const char *module_path, bool *ret_removed);

#endif
