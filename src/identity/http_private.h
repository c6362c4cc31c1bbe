/* SPDX-License-Identifier: Apache-2.0 */
/* Inside http*.c only. */
#ifndef HF_IDENTITY_HTTP_PRIVATE_H
#define HF_IDENTITY_HTTP_PRIVATE_H

#include "config/address.h"
#include "identity/http.h"
#include "identity/tls_error.h"

#include <curl/curl.h>

enum { HTTP_ADDRESS_MAX = CONFIG_HOST_MAX + 16 };

struct http {
  struct http_options options;
  CURL *curl;
  /* Of the request that runs. */
  const struct http_request *request;
  struct http_response *response;
  bool head_read;
  char address[HTTP_ADDRESS_MAX]; /* the server's, for texts */
  char detail[CURL_ERROR_SIZE];   /* libcurl's own words */
  hf_err failed;                  /* what a callback found out; its context is still the thread's last */
  long os_error;                  /* of connecting, and what a proxy answered; 0: nothing */
  long proxy_status;
  int verify_error;      /* X509_V_ERR_ */
  char server_name[256]; /* in its certificate; "?" before it was seen */
};

static inline struct tls_peer http_peer(const struct http *http)
{
  return (struct tls_peer){ http->address, http->options.url_key, http->options.root_key, "443" };
}

/* "HOST[:PORT]" of a URL. */
void http_address(const char *url, char out[HTTP_ADDRESS_MAX]);

/* The answer's head, as far as it has come, into http->response; and none. */
void http_head_read(struct http *http);
void http_head_forget(struct http *http);

/* For CURLOPT_SSL_CTX_FUNCTION: who we are, and somebody who watches the handshake. arg: struct http. */
CURLcode http_tls_setup(CURL *curl, void *ctx, void *arg);

/* What libcurl's answer means, with what was seen on the way. */
hf_err http_error(const struct http *http, CURLcode code);

#endif
