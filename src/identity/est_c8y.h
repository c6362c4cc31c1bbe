/* SPDX-License-Identifier: Apache-2.0 */
/* What Cumulocity's EST has beyond the standard. Inside src/identity only. */
#ifndef HF_IDENTITY_EST_C8Y_H
#define HF_IDENTITY_EST_C8Y_H

#include "identity/http.h"

enum { EST_TOKEN_MAX = 16 * 1024 };

/*
 * Its HTTPS port asks for no client certificate: another one (8443) gives a token for it, and the token renews. Appends
 * "Authorization: Bearer TOKEN" to out; nothing where that port is not there, so that TLS may do. A secret. Fails as
 * http_perform does, and with HTTP where the certificate is refused.
 */
hf_err est_c8y_token(struct http *http, const char *est_url, struct hf_buf *out);

#endif
