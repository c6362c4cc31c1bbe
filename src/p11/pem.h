/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A PEM file that stands for a key in a token: programs that know only key files load it through the OpenSSL provider.
 * Label "PKCS#11 PROVIDER URI", DER SEQUENCE { VisibleString "PKCS#11 Provider URI v1.0", UTF8String uri }, as
 * pkcs11-provider writes it.
 */
#ifndef HF_P11_PEM_H
#define HF_P11_PEM_H

#include "base/buf.h"

#define P11_PEM_LABEL "PKCS#11 PROVIDER URI"

/* Appends the PEM text for a URI's text; fails as uri_parse does. A pin-value in it would be written too. */
hf_err p11_pem_write(const char *uri, struct hf_buf *out);

/* The URI in the DER; appended to uri. Fails with PARSE. */
hf_err p11_pem_read_der(struct hf_slice der, struct hf_buf *uri);

#endif
