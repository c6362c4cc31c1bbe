/* SPDX-License-Identifier: Apache-2.0 */
/* OpenSSL's reasons, in words that tell what to do. */
#ifndef HF_GATEWAY_TLS_ERROR_H
#define HF_GATEWAY_TLS_ERROR_H

#include "gateway/tls.h"

/* Why we do not take the server: an X509_V_ERR_ code, and the name in its certificate. */
hf_err tls_error_server(const struct tls_server *server, int verify_error, const char *name);

/* Why the handshake failed, by OpenSSL's error queue, which is emptied. */
hf_err tls_error_handshake(const struct tls_server *server);

#endif
