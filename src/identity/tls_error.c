/* SPDX-License-Identifier: Apache-2.0 */
#include "identity/tls_error.h"

#include "base/buf.h"
#include "identity/openssl.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>
#include <stdbool.h>

enum { HINT_MAX = 1024 };

#define HINT_TRUST "Set {root} to the certificate of the CA that issued the server's."
#define HINT_CLOCK "Have the server's certificate renewed; and check the device's clock."
#define HINT_NAME "Correct the host in {url}; or the server needs a certificate for that name."

struct reason_row {
  int code;
  const char *text;
  const char *hint; /* see tls_error_hint */
};

/* X509_V_ERR_ codes. */
static const struct reason_row server_reasons[] = {
  { X509_V_ERR_HOSTNAME_MISMATCH, "its certificate is for another name", HINT_NAME },
  { X509_V_ERR_IP_ADDRESS_MISMATCH, "its certificate is not for this address", HINT_NAME },
  { X509_V_ERR_CERT_HAS_EXPIRED, "its certificate has expired", HINT_CLOCK },
  { X509_V_ERR_CERT_NOT_YET_VALID, "its certificate is not yet valid", HINT_CLOCK },
  { X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT, "its certificate is self-signed and not trusted", HINT_TRUST },
  { X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN, "its certificate's root is not trusted", HINT_TRUST },
  { X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT, "its certificate's issuer is not trusted", HINT_TRUST },
  { X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY, "its certificate's issuer is not trusted", HINT_TRUST },
  { X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE, "its certificate's issuer is not trusted", HINT_TRUST },
  { X509_V_ERR_CERT_SIGNATURE_FAILURE, "its certificate was not signed by the CA of that name", HINT_TRUST },
};

/* What the server's alerts mean for us, and what happens without TLS on the other side. */
static const struct reason_row handshake_reasons[] = {
  { SSL_R_TLSV1_ALERT_UNKNOWN_CA, "it does not trust the issuer of our certificate",
    "Have the device's CA certificate (or its self-signed certificate) added to what the server trusts." },
  { SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED, "it takes our certificate for expired",
    "Have the device's certificate renewed; and compare the clocks." },
  { SSL_R_SSLV3_ALERT_CERTIFICATE_REVOKED, "our certificate was revoked", "Have a new certificate issued." },
  { SSL_R_SSLV3_ALERT_BAD_CERTIFICATE, "it refuses our certificate", "See the server's log for what it misses." },
  { SSL_R_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE, "it refuses our certificate's kind or purpose",
    "Have it issued for client authentication (extendedKeyUsage clientAuth)." },
  { SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN, "it refuses our certificate", "See the server's log for what it misses." },
  { SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED, "it saw no certificate of ours", "See the server's log." },
  { SSL_R_TLSV1_ALERT_ACCESS_DENIED, "it denies our certificate access", "See the server's access rules." },
  { SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE, "the two have no cipher or signature algorithm in common",
    "See the server's TLS settings; TLS 1.2 or later is needed." },
  { SSL_R_TLSV1_ALERT_PROTOCOL_VERSION, "it wants another TLS version", "TLS 1.2 or later is needed on the server." },
  { SSL_R_UNSUPPORTED_PROTOCOL, "it offers only a TLS version that is not safe",
    "TLS 1.2 or later is needed on the server." },
  { SSL_R_TLSV1_ALERT_DECRYPT_ERROR, "it could not verify a signature of ours",
    "Perhaps it trusts another CA of the same name as the one that issued the device's certificate." },
  { SSL_R_TLSV1_UNRECOGNIZED_NAME, "it does not know this host name", HINT_NAME },
  { SSL_R_WRONG_VERSION_NUMBER, "no TLS is spoken on this port", "Check the port in {url}; usually it is {port}." },
  { SSL_R_UNEXPECTED_EOF_WHILE_READING, "it closed the connection",
    "Check that TLS is spoken on the port in {url} ({port}, as a rule); see the server's log." },
};

static const struct reason_row *find(const struct reason_row *rows, size_t count, int code)
{
  for (size_t i = 0; i < count; i++)
    if (rows[i].code == code)
      return &rows[i];
  return NULL;
}

/* What stands for "{name}..."; NULL where it is none of ours. */
static const char *placeholder(const struct tls_peer *peer, const char *name, size_t len)
{
  const struct {
    const char *name, *value;
  } all[] = { { "{url}", peer->url_key }, { "{root}", peer->root_key }, { "{port}", peer->usual_port } };
  for (size_t i = 0; i < HF_ARRAY_LEN(all); i++)
    if (strlen(all[i].name) == len && strncmp(all[i].name, name, len) == 0)
      return all[i].value;
  return NULL;
}

hf_err tls_error_hint(const struct tls_peer *peer, const char *hint, hf_err e)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf text = HF_BUF(HINT_MAX);
  for (const char *at = hint; *at;) {
    size_t len = *at == '{' ? strcspn(at, "}") + 1 : strcspn(at, "{");
    const char *value = placeholder(peer, at, len);
    /* One that does not fit is cut. */
    hf_ignore(value ? hf_buf_add_str(&text, value) : hf_buf_add(&text, at, len));
    at += len;
  }
  const char *shown = hf_buf_str(&text);
  return shown ? hf_hint(e, "%s", shown) : e;
}

hf_err tls_error_server(const struct tls_peer *peer, int verify_error, const char *name)
{
  ERR_clear_error();
  const struct reason_row *row = find(server_reasons, HF_ARRAY_LEN(server_reasons), verify_error);
  const char *text = row ? row->text : X509_verify_cert_error_string(verify_error);
  hf_err e = hf_fail(HF_ERR_TLS, "%s is not trusted: %s (the certificate of '%s')", peer->address, text, name);
  return row ? tls_error_hint(peer, row->hint, e) : e;
}

static const struct reason_row *find_reason(int reason)
{
  return find(handshake_reasons, HF_ARRAY_LEN(handshake_reasons), reason);
}

static hf_err fail_row(const struct tls_peer *peer, const struct reason_row *row)
{
  ERR_clear_error();
  return tls_error_hint(peer, row->hint, hf_fail(HF_ERR_TLS, "%s: %s", peer->address, row->text));
}

hf_err tls_error_handshake(const struct tls_peer *peer)
{
  unsigned long code = ERR_peek_last_error();
  /* A connection that was reset leaves nothing in the queue. */
  int reason = code ? ERR_GET_REASON(code) : SSL_R_UNEXPECTED_EOF_WHILE_READING;
  const struct reason_row *row = !code || ERR_GET_LIB(code) == ERR_LIB_SSL ? find_reason(reason) : NULL;
  return row ? fail_row(peer, row) : openssl_fail(HF_ERR_TLS, peer->address, "");
}

hf_err tls_error_alert(const struct tls_peer *peer, int alert)
{
  const struct reason_row *row = find_reason(SSL_AD_REASON_OFFSET + alert);
  if (row)
    return fail_row(peer, row);
  return hf_fail(HF_ERR_TLS, "%s: it ended the connection: %s", peer->address, SSL_alert_desc_string_long(alert));
}
