/* SPDX-License-Identifier: Apache-2.0 */
#include "identity/est_c8y.h"

#include <jansson.h>

#define TOKEN_PORT "8443"
#define TOKEN_PATH "/devicecontrol/deviceAccessToken"

enum { URL_MAX = 1024 };

/* The same host, on the port that asks for client certificates. */
static hf_err token_url(const char *est_url, char out[URL_MAX])
{
  const char *host = strstr(est_url, "://");
  host = host ? host + 3 : est_url;
  size_t len = strcspn(host, "/");
  const char *colon = memchr(host, ']', len);
  colon = memchr(colon ? colon : host, ':', len - (size_t)((colon ? colon : host) - host));
  int n =
      snprintf(out, URL_MAX, "https://%.*s:" TOKEN_PORT TOKEN_PATH, (int)(colon ? colon - host : (ptrdiff_t)len), host);
  return n > 0 && n < URL_MAX ? HF_OK : hf_fail(HF_ERR_LIMIT, "the URL %.64s...", est_url);
}

static hf_err take_token(const struct http_request *request, struct http_response *response, struct hf_buf *out)
{
  HF_CLEANUP(json_decrefp) json_t *answer = json_loadb((const char *)response->body.data, response->body.len, 0, NULL);
  const char *token = json_string_value(json_object_get(answer, "accessToken"));
  if (!token || !token[0] || strpbrk(token, "\r\n"))
    return hf_fail(HF_ERR_PARSE, "%s answered no access token", request->url);
  return hf_buf_addf(out, "Authorization: Bearer %s", token);
}

hf_err est_c8y_token(struct http *http, const char *est_url, struct hf_buf *out)
{
  char url[URL_MAX];
  HF_CLEANUP(http_response_free) struct http_response response = { .body = HF_BUF(EST_TOKEN_MAX) };
  const struct http_request request = { .url = url, .method = "POST", .accept = "application/json" };
  HF_TRY(token_url(est_url, url));
  hf_err e = http_perform(http, &request, &response);
  if (e.code == HF_ERR_UNREACHABLE || (!hf_failed(e) && response.status == 404))
    return HF_OK;
  HF_TRY(e);
  if (response.status != 200)
    return hf_hint(http_refused(&request, &response),
                   "Cumulocity does not take the present certificate: see that its CA is trusted there.");
  return take_token(&request, &response, out);
}
