/* SPDX-License-Identifier: Apache-2.0 */
#include "ca/grant.h"

#include "base/log.h"
#include "ca/certs_only.h"
#include "ca/password.h"
#include "ca/reason.h"
#include "identity/certificate.h"
#include "identity/est_answer.h"
#include "identity/request.h"

#include <openssl/sha.h>
#include <time.h>

/* One request on its way. */
struct enrollment {
  struct authority *authority;
  const struct grant_limits *limits;
  const struct grant_request *from;
  int64_t now;
  struct hf_buf der; /* of the request */
  X509_REQ *request;
  uint8_t digest[SHA256_DIGEST_LENGTH];
  struct answer *answer;
};

static uint64_t steady_ms(void)
{
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void format_day(int64_t when, char out[32])
{
  time_t time = (time_t)when;
  struct tm tm;
  gmtime_r(&time, &tm);
  strftime(out, 32, "%Y-%m-%d %H:%M UTC", &tm);
}

/* The request */

static bool read_request(struct enrollment *e)
{
  if (e->from->content_type && !est_content_type_is(e->from->content_type, "application/pkcs10"))
    return answer_refuse(e->answer, 400, "The body must be application/pkcs10.");
  if (hf_failed(est_base64_decode(e->from->body, &e->der)) || e->der.len == 0)
    return answer_refuse(e->answer, 400, "The body must be a PKCS #10 request: DER in base64, without armour.");
  struct hf_slice der = { e->der.data, e->der.len };
  if (e->der.len > REGISTRY_DER_MAX)
    return answer_refuse(e->answer, 413, "The request has more than %d bytes.", REGISTRY_DER_MAX);
  if (hf_failed(request_parse(der, "the request", &e->request)))
    return answer_refuse(e->answer, 400,
                         "The body cannot be used: %s. It must be a PKCS #10 request, signed by its key.",
                         hf_err_context());
  SHA256(der.data, der.len, e->digest);
  return grant_check_key(e->request, e->answer);
}

/* Issuing */

static hf_err issue(struct enrollment *e, const struct authority_order *order, X509 **ret_certificate,
                    struct hf_buf *der, struct registry_certificate *ret_described)
{
  HF_TRY(authority_issue(e->authority, e->request, order, ret_certificate));
  return authority_describe(*ret_certificate, REGISTRY_DEVICE, der, ret_described);
}

static bool give(struct enrollment *e, const struct registry_certificate *certificate, const char *how)
{
  char serial[2 * REGISTRY_SERIAL_MAX + 1];
  registry_serial_format(&certificate->serial, serial);
  hf_err error = certs_only_der(certificate->der, &e->answer->body);
  if (hf_failed(error))
    return answer_fail(e->answer, error, "the answer");
  e->answer->status = 200;
  e->answer->base64 = true;
  e->answer->content_type = "application/pkcs7-mime; smime-type=certs-only";
  hf_log(HF_LOG_INFO, "certificate %s for %s, %s, from %s", serial, certificate->device, how, e->from->address);
  return true;
}

/* With a one-time password */

static bool is_in_time(struct enrollment *e, uint64_t wait_ms, const char *of_what)
{
  if (wait_ms == 0)
    return true;
  e->answer->retry_after_s = (unsigned)(wait_ms / 1000 + 1);
  return answer_refuse(e->answer, 429, "Too many %s: wait %u seconds.", of_what, e->answer->retry_after_s);
}

static bool check_limits(struct enrollment *e)
{
  uint64_t now = steady_ms();
  uint64_t device = throttle_wait(e->limits->devices, e->from->device, now);
  uint64_t address = throttle_wait(e->limits->addresses, e->from->network, now);
  return is_in_time(e, device > address ? device : address, "wrong passwords");
}

static bool wrong_password(struct enrollment *e, const char *why)
{
  uint64_t now = steady_ms();
  throttle_fail(e->limits->devices, e->from->device, now);
  throttle_fail(e->limits->addresses, e->from->network, now);
  e->answer->authenticate = true;
  return answer_refuse(e->answer, 401, "%s", why);
}

static bool refuse_password(struct enrollment *e, const char *why, int64_t when)
{
  char day[32];
  format_day(when, day);
  e->answer->authenticate = true;
  return answer_refuse(e->answer, 401, "The one-time password %s on %s: have a new one made ('holdfast ca token').",
                       why, day);
}

/* The same request again, a little later: its answer was lost. */
static bool repeat(struct enrollment *e, const struct registry_password *password)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf der = HF_BUF(REGISTRY_DER_MAX);
  struct registry_certificate certificate;
  bool found = false;
  hf_err error = registry_certificate_get(e->authority->registry, &password->used_serial, &found, &certificate, &der);
  if (hf_failed(error))
    return answer_fail(e->answer, error, "the registry");
  if (!found || certificate.revoked)
    return refuse_password(e, "was used", password->used);
  return give(e, &certificate, "once more");
}

static bool check_password(struct enrollment *e, struct registry_device *device, bool *ret_repeat)
{
  bool found = false, right = false;
  hf_err error = registry_device_get(e->authority->registry, e->from->device, &found, device);
  if (!hf_failed(error))
    error = password_verify(e->from->password, found && device->has_password ? &device->password : NULL, &right);
  if (hf_failed(error))
    return answer_fail(e->answer, error, "checking a one-time password");
  if (!right)
    return wrong_password(e, "The device's id or its one-time password is wrong.");
  const struct registry_password *password = &device->password;
  *ret_repeat = password->used && memcmp(password->used_request, e->digest, sizeof(e->digest)) == 0 &&
                e->now - password->used < GRANT_REPEAT_S;
  if (*ret_repeat)
    return true;
  if (password->uses == 0)
    return refuse_password(e, "was used", password->used);
  return password->expires > e->now || refuse_password(e, "expired", password->expires);
}

/* *ret_id: the request that was approved; 0 where nobody needs to. */
static bool check_approval(struct enrollment *e, uint64_t *ret_id)
{
  *ret_id = 0;
  if (!e->authority->manual)
    return true;
  struct registry_request waits = { .received = e->now, .der = hf_slice(e->der.data, e->der.len) };
  enum registry_decision decision = REGISTRY_WAITING;
  snprintf(waits.device, sizeof(waits.device), "%s", e->from->device);
  snprintf(waits.from, sizeof(waits.from), "%s", e->from->address);
  hf_err error = registry_request_put(e->authority->registry, &waits, ret_id, &decision);
  if (hf_failed(error))
    return answer_fail(e->answer, error, "keeping a request");
  if (decision == REGISTRY_APPROVED)
    return true;
  if (decision == REGISTRY_REFUSED)
    return answer_refuse(e->answer, 403, "The request was refused by the authority's operator.");
  e->answer->retry_after_s = GRANT_RETRY_S;
  return answer_refuse(e->answer, 202, "The request %llu waits to be approved; send it again in %d seconds.",
                       (unsigned long long)*ret_id, GRANT_RETRY_S);
}

static hf_err issue_first(struct enrollment *e, const struct registry_device *device, uint64_t waiting,
                          struct hf_buf *der, struct registry_certificate *described)
{
  HF_CLEANUP(openssl_x509_freep) X509 *certificate = NULL;
  const struct authority_order order = { .purpose = device->alt_names[0] ? PROFILE_CLIENT_SERVER : PROFILE_CLIENT,
                                         .lifetime_s = e->authority->device_lifetime_s };
  const struct registry_use use = { device->password.hash, e->digest, waiting, e->now };
  HF_TRY(issue(e, &order, &certificate, der, described));
  return registry_enroll(e->authority->registry, described, &use);
}

static bool enroll_first(struct enrollment *e)
{
  struct registry_device device;
  struct registry_certificate described;
  HF_CLEANUP(hf_buf_free) struct hf_buf der = HF_BUF(REGISTRY_DER_MAX);
  uint64_t waiting;
  bool again = false;
  if (!check_limits(e) || !check_password(e, &device, &again))
    return false;
  if (again)
    return repeat(e, &device.password);
  if (!grant_check_subject(e->request, device.id, e->answer) ||
      !grant_check_alt_names(e->request, device.id, device.alt_names, e->answer) || !check_approval(e, &waiting))
    return false;
  hf_err error = issue_first(e, &device, waiting, &der, &described);
  if (error.code == HF_ERR_ONE_TIME_PASSWORD)
    return refuse_password(e, "was used", e->now);
  if (hf_failed(error))
    return answer_fail(e->answer, error, "issuing a certificate");
  return give(e, &described, "by one-time password");
}

/* With a certificate */

static bool find_client(struct enrollment *e, struct registry_certificate *ret_certificate, struct hf_buf *der)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf shown = HF_BUF(REGISTRY_DER_MAX);
  struct registry_certificate client;
  bool found = false;
  static const char foreign[] = "The client certificate was not issued by this authority.";
  if (hf_failed(authority_describe(e->from->client, REGISTRY_DEVICE, &shown, &client)))
    return answer_refuse(e->answer, 403, foreign);
  hf_err error = registry_certificate_get(e->authority->registry, &client.serial, &found, ret_certificate, der);
  if (hf_failed(error))
    return answer_fail(e->answer, error, "the registry");
  if (!found || !hf_slice_equal(client.der, ret_certificate->der))
    return answer_refuse(e->answer, 403, foreign);
  return ret_certificate->kind == REGISTRY_DEVICE ||
         answer_refuse(e->answer, 403, "The client certificate is not a device's.");
}

static bool check_client(struct enrollment *e, const struct registry_certificate *client)
{
  char day[32];
  if (client->revoked) {
    format_day(client->revoked, day);
    return answer_refuse(e->answer, 403, "The client certificate was revoked on %s (%s).", day,
                         reason_name(client->reason));
  }
  if (client->not_after <= e->now) {
    format_day(client->not_after, day);
    return answer_refuse(e->answer, 403, "The client certificate expired on %s: enrol again with a one-time password.",
                         day);
  }
  return e->from->client_verdict == X509_V_OK ||
         answer_refuse(e->answer, 403, "The client certificate is not taken: %s.",
                       X509_verify_cert_error_string(e->from->client_verdict));
}

static hf_err issue_again(struct enrollment *e, struct hf_buf *der, struct registry_certificate *described)
{
  HF_CLEANUP(openssl_x509_freep) X509 *certificate = NULL;
  bool server = X509_get_extended_key_usage(e->from->client) & XKU_SSL_SERVER;
  const struct authority_order order = { .purpose = server ? PROFILE_CLIENT_SERVER : PROFILE_CLIENT,
                                         .lifetime_s = e->authority->device_lifetime_s };
  HF_TRY(issue(e, &order, &certificate, der, described));
  return registry_certificate_add(e->authority->registry, described);
}

static bool enroll_again(struct enrollment *e)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf der = HF_BUF(REGISTRY_DER_MAX), new_der = HF_BUF(REGISTRY_DER_MAX);
  struct registry_certificate client = { .device = "" }, described;
  if (!find_client(e, &client, &der) || !check_client(e, &client) ||
      !grant_check_same(e->request, e->from->client, e->answer) ||
      !is_in_time(e, throttle_wait(e->limits->renewals, client.device, steady_ms()), "renewals"))
    return false;
  hf_err error = issue_again(e, &new_der, &described);
  if (hf_failed(error))
    return answer_fail(e->answer, error, "issuing a certificate");
  throttle_fail(e->limits->renewals, client.device, steady_ms());
  return give(e, &described, "by certificate");
}

static bool ask_who(struct enrollment *e)
{
  e->answer->authenticate = true;
  return answer_refuse(e->answer, 401,
                       "Give the device's id and its one-time password, or speak TLS with the certificate to renew.");
}

static bool run(struct enrollment *e)
{
  bool by_password = e->from->device && e->from->password;
  if (!by_password && !e->from->client)
    return ask_who(e);
  if (!read_request(e))
    return false;
  return by_password ? enroll_first(e) : enroll_again(e);
}

void grant(struct authority *authority, const struct grant_limits *limits, const struct grant_request *request,
           struct answer *ret_answer)
{
  struct enrollment e = { .authority = authority,
                          .limits = limits,
                          .from = request,
                          .now = (int64_t)time(NULL),
                          .der = HF_BUF(GRANT_BODY_MAX),
                          .answer = ret_answer };
  if (!run(&e) && ret_answer->status != 503)
    hf_log(HF_LOG_WARNING, "%d for a request from %s: %s", ret_answer->status, request->address, ret_answer->text);
  X509_REQ_free(e.request);
  hf_buf_free(&e.der);
}
