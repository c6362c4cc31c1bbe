/* SPDX-License-Identifier: Apache-2.0 */
#include "identity/est.h"

#include "identity/est_c8y.h"
#include "identity/http.h"
#include "identity/request.h"

#include <time.h>

enum { REQUEST_URL_MAX = EST_URL_MAX + 32, RETRY_DEFAULT_S = 10 };

static const char certificates_type[] = "application/pkcs7-mime";
static const char request_type[] = "application/pkcs10";

struct est {
  struct est_options options;
  struct http *http;
  time_t deadline;
};

/* What each answer but 200 means here. */
static const struct status_row {
  unsigned status;
  enum hf_code code;
  const char *enroll, *renew; /* hints */
} statuses[] = {
  { 400, HF_ERR_CERT_REQUEST, "See in the CA's log what it misses in the request.",
    "See in the CA's log what it misses in the request." },
  { 401, HF_ERR_HTTP, "Register the device at the CA, and check its id and the one-time password.",
    "The CA does not take the present certificate: 'holdfast cert enroll' with a one-time password gets a new one." },
  { 403, HF_ERR_HTTP, "The CA does not issue to this device: see its rules.",
    "The CA does not renew for this device: see its rules, and whether the certificate was revoked." },
};

time_t est_clock_s(void)
{
  struct timespec now;
  clock_gettime(CLOCK_BOOTTIME, &now);
  return now.tv_sec;
}

static time_t left_s(const struct est *est)
{
  return est->deadline - est_clock_s();
}

static bool on_progress(void *arg, uint64_t received, uint64_t expected)
{
  (void)received;
  (void)expected;
  const struct est *est = arg;
  return !observer_is_cancelled(est->options.observer);
}

hf_err est_open(const struct est_options *options, struct est **ret_est)
{
  HF_CLEANUP(est_freep) struct est *est = calloc(1, sizeof(*est));
  if (!est)
    return hf_fail(HF_ERR_NO_MEMORY, "EST");
  est->options = *options;
  unsigned timeout_s = options->timeout_s ? options->timeout_s : EST_TIMEOUT_S;
  est->deadline = est_clock_s() + timeout_s;
  const struct http_options http = {
    .root_path = config_get(options->config, options->server->root_key),
    .url_key = config_row(options->server->url_key)->key,
    .root_key = config_row(options->server->root_key)->key,
    .chain = options->chain,
    .key = options->key,
    .config = options->config,
    .timeout_s = timeout_s < HTTP_TIMEOUT_S ? timeout_s : HTTP_TIMEOUT_S,
    .progress = on_progress,
    .progress_arg = est,
  };
  HF_TRY(http_new(&http, &est->http));
  *ret_est = HF_TAKE(est);
  return HF_OK;
}

struct est *est_free(struct est *est)
{
  if (!est)
    return NULL;
  http_free(est->http);
  free(est);
  return NULL;
}

static void url_of(const struct est *est, const char *operation, char url[REQUEST_URL_MAX])
{
  snprintf(url, REQUEST_URL_MAX, "%s/%s", est->options.server->url, operation);
}

static hf_err refused(const struct est *est, const struct http_request *request, const struct http_response *response,
                      bool again)
{
  hf_err e = http_refused(request, response);
  if (response->status == 404)
    return hf_hint(e, "Check %s: https://HOST/.well-known/est, and the CA's label after it where it has one.",
                   config_row(est->options.server->url_key)->key);
  for (size_t i = 0; i < HF_ARRAY_LEN(statuses); i++)
    if (statuses[i].status == response->status)
      return hf_hint((hf_err){ statuses[i].code }, "%s", again ? statuses[i].renew : statuses[i].enroll);
  return e;
}

/* What was read is bad: says where it came from, and what it says it is. */
static hf_err unreadable(const struct http_request *request, const struct http_response *response, hf_err e)
{
  bool expected = est_content_type_is(response->content_type, certificates_type);
  return hf_hint(hf_fail(e.code, "the answer of %s (%s): %s", request->url,
                         response->content_type[0] ? response->content_type : "of no type", hf_err_context()),
                 expected ? "See the CA's log." : "Check that an EST server is at this URL.");
}

/* Where a server offers what is optional, or not. */
static bool is_offered(const struct http_response *response)
{
  return response->status != 404 && response->status != 405 && response->status != 501 && response->status != 204;
}

static hf_err get(struct est *est, const char *operation, char url[REQUEST_URL_MAX], struct http_request *request,
                  struct http_response *response)
{
  url_of(est, operation, url);
  *request = (struct http_request){ .url = url };
  return http_perform(est->http, request, response);
}

hf_err est_cacerts(struct est *est, STACK_OF(X509) * *ret_cas)
{
  char url[REQUEST_URL_MAX];
  struct http_request request;
  HF_CLEANUP(http_response_free) struct http_response response = { .body = HF_BUF(EST_ANSWER_MAX) };
  STACK_OF(X509) *cas = NULL;
  HF_TRY(get(est, "cacerts", url, &request, &response));
  if (is_offered(&response)) {
    if (response.status != 200)
      return refused(est, &request, &response, false);
    hf_err e = est_certificates_parse(hf_slice(response.body.data, response.body.len), &cas);
    if (hf_failed(e))
      return unreadable(&request, &response, e);
  }
  *ret_cas = cas;
  return HF_OK;
}

hf_err est_csrattrs(struct est *est, struct est_attributes *ret_attributes)
{
  char url[REQUEST_URL_MAX];
  struct http_request request;
  HF_CLEANUP(http_response_free) struct http_response response = { .body = HF_BUF(EST_ANSWER_MAX) };
  HF_TRY(get(est, "csrattrs", url, &request, &response));
  /* It only helps: whoever does not give it will say in his answer to the request what he misses. */
  if (response.status != 200)
    response.body.len = 0;
  hf_err e = est_attributes_parse(hf_slice(response.body.data, response.body.len), ret_attributes);
  return hf_failed(e) ? unreadable(&request, &response, e) : HF_OK;
}

static hf_err wait_for_ca(struct est *est, unsigned seconds)
{
  const char *url = est->options.server->url;
  if (seconds >= left_s(est))
    return hf_hint(hf_fail(HF_ERR_TIMEOUT, "%s has not decided, and asks to come back in %u s", url, seconds),
                   "Perhaps somebody must approve the request there. Try again, with a longer --timeout.");
  return observer_wait(est->options.observer, "the CA has not decided yet", seconds);
}

/* As long as the CA answers 202; section 4.2.3: the very same request again. */
static hf_err post_until_decided(struct est *est, const struct http_request *request, struct http_response *response)
{
  for (;;) {
    HF_TRY(http_perform(est->http, request, response));
    if (response->status != 202)
      return HF_OK;
    HF_TRY(wait_for_ca(est, response->retry_after_s ? response->retry_after_s : RETRY_DEFAULT_S));
  }
}

/* Base64 in lines, as of old: who takes it in one line takes it so, too. */
static hf_err encode(const X509_REQ *request, struct hf_buf *out)
{
  enum { LINE_BYTES = 48, LINE_TEXT = 64 };
  HF_CLEANUP(hf_buf_free) struct hf_buf der = HF_BUF(REQUEST_MAX);
  HF_TRY(request_der(request, &der));
  for (size_t at = 0; at < der.len; at += LINE_BYTES) {
    unsigned char line[LINE_TEXT + 1];
    int len = EVP_EncodeBlock(line, der.data + at, (int)(der.len - at < LINE_BYTES ? der.len - at : LINE_BYTES));
    HF_TRY(hf_buf_add(out, line, (size_t)len));
    HF_TRY(hf_buf_add_u8(out, '\n'));
  }
  return HF_OK;
}

hf_err est_enroll(struct est *est, const X509_REQ *csr, bool again, STACK_OF(X509) * *ret_answer)
{
  char url[REQUEST_URL_MAX];
  HF_CLEANUP(hf_buf_free) struct hf_buf body = HF_BUF(2 * REQUEST_MAX), token = HF_BUF(EST_TOKEN_MAX);
  HF_CLEANUP(http_response_free) struct http_response response = { .body = HF_BUF(EST_ANSWER_MAX) };
  HF_TRY(encode(csr, &body));
  url_of(est, again ? "simplereenroll" : "simpleenroll", url);
  struct http_request request = {
    .url = url,
    .body = hf_slice(body.data, body.len),
    .content_type = request_type,
    .headers = { "Content-Transfer-Encoding: base64" },
    .user = est->options.user,
    .password = est->options.password,
  };
  if (again && est->options.server->cumulocity) {
    HF_TRY(est_c8y_token(est->http, est->options.server->url, &token));
    request.headers[1] = token.len ? hf_buf_str(&token) : NULL;
  }
  HF_TRY(post_until_decided(est, &request, &response));
  if (response.status != 200)
    return refused(est, &request, &response, again);
  hf_err e = est_certificates_parse(hf_slice(response.body.data, response.body.len), ret_answer);
  return hf_failed(e) ? unreadable(&request, &response, e) : HF_OK;
}
