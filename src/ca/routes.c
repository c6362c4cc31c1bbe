/* SPDX-License-Identifier: Apache-2.0 */
/* What the server answers: a row a path. */
#include "ca/certs_only.h"
#include "ca/crl.h"
#include "ca/exchange.h"
#include "ca/ocsp.h"
#include "identity/chain.h"
#include "identity/est_answer.h"

enum { HEALTHY_S = 10 };

/* Handlers */

static void set_body(struct exchange *x, hf_err e, const char *content_type, bool base64)
{
  if (hf_failed(e)) {
    answer_fail(&x->answer, e, x->route->path);
    return;
  }
  x->answer.status = 200;
  x->answer.content_type = content_type;
  x->answer.base64 = base64;
}

static void run_cacerts(struct exchange *x)
{
  set_body(x, certs_only(x->authority->chain, &x->answer.body), "application/pkcs7-mime; smime-type=certs-only", true);
}

/* Which digest a request should be signed with, ecdsa-with-SHA256; the kind of key is the device's choice (RFC 7030, 4.5.2). */
static void run_csrattrs(struct exchange *x)
{
  static const uint8_t attributes[] = { 0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02 };
  set_body(x, hf_buf_add(&x->answer.body, attributes, sizeof(attributes)), "application/csrattrs", true);
}

static void run_enroll(struct exchange *x)
{
  const char *device = x->credentials.len ? (const char *)x->credentials.data : NULL;
  const struct grant_request request = {
    .body = { x->body.data, x->body.len },
    .content_type = x->content_type[0] ? x->content_type : NULL,
    .device = device,
    .password = device ? device + strlen(device) + 1 : NULL,
    .client = x->client,
    .client_verdict = x->client_verdict,
    .address = x->address,
    .network = x->network,
  };
  grant(x->authority, x->limits, &request, &x->answer);
}

static void run_serverkeygen(struct exchange *x)
{
  answer_refuse(&x->answer, 501,
                "This authority makes no keys: a device's key is made in its own token, and never leaves it.");
}

static void run_crl(struct exchange *x)
{
  set_body(x, crl_current(x->authority, &x->answer.body), "application/pkix-crl", false);
}

static void run_ocsp(struct exchange *x)
{
  set_body(x, ocsp_answer(x->authority, hf_slice(x->body.data, x->body.len), &x->answer.body),
           "application/ocsp-response", false);
}

/* The path's rest is base64, its '/', '+' and '=' escaped or not (RFC 6960, appendix A.1). */
static void run_ocsp_get(struct exchange *x)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf der = HF_BUF(FRONT_BODY_MAX);
  const char *rest = hf_buf_str(&x->body);
  size_t len = 0;
  char *text = rest ? evhttp_uridecode(rest, 0, &len) : NULL;
  hf_err e = text ? est_base64_decode(hf_slice(text, len), &der) : hf_fail(HF_ERR_NO_MEMORY, "a request");
  free(text);
  if (hf_failed(e))
    der.len = 0;
  set_body(x, ocsp_answer(x->authority, hf_slice(der.data, der.len), &x->answer.body), "application/ocsp-response",
           false);
}

static void run_ca_pem(struct exchange *x)
{
  set_body(x, chain_pem(x->authority->chain, &x->answer.body), "application/x-pem-file", false);
}

static void run_healthz(struct exchange *x)
{
  struct registry_counts counts;
  unsigned stuck_s = pool_stuck(x->pool);
  hf_err e = registry_count(x->authority->registry, &counts);
  if (stuck_s >= HEALTHY_S) {
    answer_refuse(&x->answer, 503, "The token has not answered for %u seconds.", stuck_s);
    return;
  }
  set_body(x, hf_failed(e) ? e : hf_buf_add_str(&x->answer.body, "ok\n"), "text/plain", false);
}

static const struct route routes[] = {
  { "cacerts", EVHTTP_REQ_GET, .est = true, .run = run_cacerts },
  { "csrattrs", EVHTTP_REQ_GET, .est = true, .run = run_csrattrs },
  { "simpleenroll", EVHTTP_REQ_POST, .est = true, .waits = true, .run = run_enroll },
  { "simplereenroll", EVHTTP_REQ_POST, .est = true, .waits = true, .run = run_enroll },
  { "serverkeygen", EVHTTP_REQ_POST, .est = true, .run = run_serverkeygen },
  { "/crl", EVHTTP_REQ_GET, .waits = true, .run = run_crl },
  { "/ocsp", EVHTTP_REQ_POST, .waits = true, .run = run_ocsp },
  { "/ocsp/", EVHTTP_REQ_GET, .prefix = true, .waits = true, .run = run_ocsp_get },
  { "/ca.pem", EVHTTP_REQ_GET, .run = run_ca_pem },
  { "/healthz", EVHTTP_REQ_GET, .run = run_healthz },
};

/* Finding the row */

/* What follows "/.well-known/est/", with or without a label; NULL where the path is not EST's. */
static const char *est_operation(const char *path)
{
  static const char est[] = "/.well-known/est/";
  if (strncmp(path, est, sizeof(est) - 1) != 0)
    return NULL;
  path += sizeof(est) - 1;
  const char *slash = strchr(path, '/');
  return slash && slash > path ? slash + 1 : path;
}

static bool matches(const struct route *route, const char *path, const char *operation)
{
  if (route->est)
    return operation && strcmp(route->path, operation) == 0;
  return route->prefix ? strncmp(route->path, path, strlen(route->path)) == 0 : strcmp(route->path, path) == 0;
}

const struct route *route_find(struct exchange *x, const char *path, enum evhttp_cmd_type method, bool tls)
{
  const char *operation = est_operation(path);
  bool other_method = false;
  for (size_t i = 0; i < HF_ARRAY_LEN(routes); i++) {
    if (!matches(&routes[i], path, operation) || (routes[i].est && !tls))
      continue;
    if (routes[i].method == method)
      return &routes[i];
    other_method = true;
  }
  if (other_method)
    answer_refuse(&x->answer, 405, "Not by this method.");
  else if (operation && !tls)
    answer_refuse(&x->answer, 403, "EST is spoken over TLS alone, at this server's other port.");
  else
    answer_refuse(&x->answer, 404, "Nothing is here. There are /.well-known/est/, /crl, /ocsp, /ca.pem and /healthz.");
  return NULL;
}
