/* SPDX-License-Identifier: Apache-2.0 */
#include "ca/service.h"

#include "ca/exchange.h"
#include "identity/est_answer.h"

#include <event2/buffer.h>
#include <event2/keyvalq_struct.h>

enum { CREDENTIALS_MAX = 512 };

/* Wrong passwords that are free, and how long each further one is remembered. */
enum { DEVICE_BURST = 10, DEVICE_INTERVAL_MS = 10000, ADDRESS_BURST = 20, ADDRESS_INTERVAL_MS = 3000 };

/* Renewals of one device: nobody needs more, and each stays in the registry. */
enum { RENEWAL_BURST = 500, RENEWAL_INTERVAL_MS = 60000 };

struct service {
  struct authority *authority;
  struct pool *pool;
  struct grant_limits limits;
};

/* Reading a request */

static const char *header(const struct exchange *x, const char *name)
{
  return evhttp_find_header(evhttp_request_get_input_headers(x->request), name);
}

static hf_err read_body(struct exchange *x, const char *path)
{
  if (x->route->prefix)
    return hf_buf_add_str(&x->body, path + strlen(x->route->path));
  struct evbuffer *input = evhttp_request_get_input_buffer(x->request);
  size_t len = evbuffer_get_length(input);
  uint8_t *room;
  HF_TRY(hf_buf_reserve(&x->body, len, &room));
  hf_buf_commit(&x->body, len);
  evbuffer_remove(input, room, len);
  return HF_OK;
}

/* RFC 7617. False where there are credentials that cannot be read. */
static bool read_credentials(struct exchange *x)
{
  static const char basic[] = "Basic ";
  const char *value = header(x, "Authorization");
  if (!value)
    return true;
  bool good = evutil_ascii_strncasecmp(value, basic, sizeof(basic) - 1) == 0;
  if (good)
    good = !hf_failed(est_base64_decode(hf_slice(value + sizeof(basic) - 1, strlen(value + sizeof(basic) - 1)),
                                        &x->credentials)) &&
           hf_buf_str(&x->credentials) && !memchr(x->credentials.data, '\0', x->credentials.len);
  char *colon = good ? memchr(x->credentials.data, ':', x->credentials.len) : NULL;
  if (colon)
    *colon = '\0';
  x->answer.authenticate = !colon;
  return colon ||
         answer_refuse(&x->answer, 401, "Log in by Basic authentication: the device's id and its one-time password.");
}

static void read_client(struct exchange *x, SSL *ssl)
{
  x->client = ssl ? SSL_get1_peer_certificate(ssl) : NULL;
  x->client_verdict = ssl ? SSL_get_verify_result(ssl) : X509_V_ERR_UNSPECIFIED;
}

/* False: answer tells why. */
static bool read_request(struct exchange *x)
{
  SSL *ssl = front_ssl(x->front, x->request);
  const char *path = evhttp_uri_get_path(evhttp_request_get_evhttp_uri(x->request));
  const char *type = header(x, "Content-Type");
  snprintf(x->address, sizeof(x->address), "%s", front_address(x->front, x->request));
  snprintf(x->network, sizeof(x->network), "%s", front_network(x->front, x->request));
  snprintf(x->content_type, sizeof(x->content_type), "%s", type ? type : "");
  x->route = route_find(x, path ? path : "", evhttp_request_get_command(x->request), ssl != NULL);
  if (!x->route)
    return false;
  if (hf_failed(read_body(x, path)))
    return answer_refuse(&x->answer, 413, "The body has more than %d bytes.", FRONT_BODY_MAX);
  if (!x->route->est || !x->route->waits)
    return true;
  read_client(x, ssl);
  return read_credentials(x);
}

/* Answering */

static hf_err encode_base64(const struct hf_buf *der, struct hf_buf *out)
{
  EVP_ENCODE_CTX *ctx = EVP_ENCODE_CTX_new();
  uint8_t *room;
  int len = 0, rest = 0;
  hf_err e = ctx ? hf_buf_reserve(out, der->len / 48 * 65 + 128, &room) : hf_fail(HF_ERR_NO_MEMORY, "base64");
  if (!hf_failed(e)) {
    EVP_EncodeInit(ctx);
    EVP_EncodeUpdate(ctx, room, &len, der->data, (int)der->len);
    EVP_EncodeFinal(ctx, room + len, &rest);
    hf_buf_commit(out, (size_t)(len + rest));
  }
  EVP_ENCODE_CTX_free(ctx);
  return e;
}

static void add_headers(struct exchange *x)
{
  struct evkeyvalq *out = evhttp_request_get_output_headers(x->request);
  const struct answer *answer = &x->answer;
  char number[16];
  evhttp_add_header(out, "Content-Type", answer->text[0] ? "text/plain; charset=utf-8" : answer->content_type);
  if (answer->base64)
    evhttp_add_header(out, "Content-Transfer-Encoding", "base64");
  if (answer->authenticate)
    evhttp_add_header(out, "WWW-Authenticate", "Basic realm=\"holdfast-ca\", charset=\"UTF-8\"");
  if (answer->retry_after_s) {
    snprintf(number, sizeof(number), "%u", answer->retry_after_s);
    evhttp_add_header(out, "Retry-After", number);
  }
}

static hf_err add_body(struct exchange *x, struct evbuffer *body)
{
  const struct answer *answer = &x->answer;
  HF_CLEANUP(hf_buf_free) struct hf_buf base64 = HF_BUF(2 * ANSWER_BODY_MAX);
  if (answer->text[0])
    return evbuffer_add_printf(body, "%s\n", answer->text) > 0 ? HF_OK : hf_fail(HF_ERR_NO_MEMORY, "an answer");
  if (answer->base64)
    HF_TRY(encode_base64(&answer->body, &base64));
  const struct hf_buf *bytes = answer->base64 ? &base64 : &answer->body;
  return evbuffer_add(body, bytes->data, bytes->len) == 0 ? HF_OK : hf_fail(HF_ERR_NO_MEMORY, "an answer");
}

static void send_answer(struct exchange *x)
{
  struct evbuffer *body = evbuffer_new();
  if (!body || hf_failed(add_body(x, body)))
    x->answer.status = 503;
  add_headers(x);
  front_reply(x->front, x->request, x->answer.status, x->answer.status == 429 ? "Too Many Requests" : NULL, body);
  if (body)
    evbuffer_free(body);
}

static void exchange_free(struct exchange *x)
{
  authority_unref(x->authority);
  X509_free(x->client);
  hf_buf_free(&x->body);
  hf_buf_free(&x->credentials);
  answer_free(&x->answer);
  free(x);
}

static void job_run(struct pool_job *job)
{
  struct exchange *x = (struct exchange *)job;
  x->answer.text[0] = '\0';
  x->answer.retry_after_s = 0;
  x->route->run(x);
}

static void job_done(struct pool_job *job)
{
  struct exchange *x = (struct exchange *)job;
  send_answer(x);
  exchange_free(x);
}

static void refuse_busy(struct exchange *x)
{
  x->answer.retry_after_s = 5;
  answer_refuse(&x->answer, 503, "The authority has too much to do: come again in a few seconds.");
}

void service_request(struct front *front, struct evhttp_request *request, void *arg)
{
  struct service *service = arg;
  struct exchange *x = calloc(1, sizeof(*x));
  if (!x) {
    front_reply(front, request, 503, NULL, NULL);
    return;
  }
  *x = (struct exchange){ .job = { .run = job_run, .done = job_done },
                          .front = front,
                          .request = request,
                          .limits = &service->limits,
                          .pool = service->pool,
                          .authority = authority_ref(service->authority),
                          .body = HF_BUF(FRONT_BODY_MAX),
                          .credentials = HF_BUF(CREDENTIALS_MAX),
                          .answer = ANSWER_INIT };
  bool ready = read_request(x);
  if (ready && x->route->waits) {
    refuse_busy(x); /* until it was run */
    if (pool_submit(service->pool, &x->job))
      return;
  } else if (ready) {
    x->route->run(x);
  }
  job_done(&x->job);
}

hf_err service_new(struct authority *authority, struct pool *pool, struct service **ret_service)
{
  HF_CLEANUP(service_freep) struct service *service = calloc(1, sizeof(*service));
  if (!service)
    return hf_fail(HF_ERR_NO_MEMORY, "the server");
  service->authority = authority_ref(authority);
  service->pool = pool;
  HF_TRY(throttle_new(DEVICE_BURST, DEVICE_INTERVAL_MS, &service->limits.devices));
  HF_TRY(throttle_new(ADDRESS_BURST, ADDRESS_INTERVAL_MS, &service->limits.addresses));
  HF_TRY(throttle_new(RENEWAL_BURST, RENEWAL_INTERVAL_MS, &service->limits.renewals));
  *ret_service = HF_TAKE(service);
  return HF_OK;
}

struct service *service_free(struct service *service)
{
  if (!service)
    return NULL;
  authority_unref(service->authority);
  throttle_free(service->limits.devices);
  throttle_free(service->limits.addresses);
  throttle_free(service->limits.renewals);
  free(service);
  return NULL;
}

void service_set_authority(struct service *service, struct authority *authority)
{
  struct authority *before = service->authority;
  service->authority = authority_ref(authority);
  authority_unref(before);
}
