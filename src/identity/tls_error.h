/* SPDX-License-Identifier: Apache-2.0 */
/* OpenSSL's reasons for a TLS connection that failed, in words that tell what to do. */
#ifndef HF_IDENTITY_TLS_ERROR_H
#define HF_IDENTITY_TLS_ERROR_H

#include "base/error.h"

/* Whom we talked to. */
struct tls_peer {
  const char *address;            /* for texts: "host:port" */
  const char *url_key, *root_key; /* the configuration's keys that say where it is and whom we trust: "mqtt.url" */
  const char *usual_port;         /* "8883" */
};

/* Why we do not take the server: an X509_V_ERR_ code, and the name in its certificate. */
hf_err tls_error_server(const struct tls_peer *peer, int verify_error, const char *name);

/* Why the handshake failed, by OpenSSL's error queue, which is emptied; what our provider says is told with its code and hint. */
hf_err tls_error_handshake(const struct tls_peer *peer);

/* Why the server ended it: an alert's number (RFC 8446, section 6). */
hf_err tls_error_alert(const struct tls_peer *peer, int alert);

/* A hint in which {url}, {root} and {port} stand for what the peer has. Returns e. */
hf_err tls_error_hint(const struct tls_peer *peer, const char *hint, hf_err e);

#endif
