/* SPDX-License-Identifier: Apache-2.0 */
/* HTTPS against a server that answers well, badly and not at all. */
#include "identity/chain.h"
#include "identity/http.h"
#include "https_rig.h"

#include "base/file.h"

#include <signal.h>

static char directory[] = "/tmp/hf-http-XXXXXX";
static char ca_path[64], other_path[64];
static EVP_PKEY *key;
static X509 *ca, *server, *device;

static void write_roots(const char *name, X509 *certificate, char *path, size_t size)
{
  STACK_OF(X509) *chain = sk_X509_new_null();
  snprintf(path, size, "%s/%s", directory, name);
  sk_X509_push(chain, certificate);
  assert_hf_ok(chain_write(path, chain));
  sk_X509_free(chain);
}

static X509 *make_server(const char *alt_name)
{
  X509 *made = NULL;
  const struct profile_names names = { .common_name = "test server", .alt_names = &alt_name, .alt_name_count = 1 };
  const struct issue_options options = {
    .purpose = PROFILE_SERVER, .names = &names, .lifetime_s = RIG_DAY, .path_length = -1
  };
  assert_hf_ok(issue_certificate(&options, key, ca, key, &made));
  return made;
}

static int setup(void **state)
{
  (void)state;
  signal(SIGPIPE, SIG_IGN);
  if (!mkdtemp(directory))
    return -1;
  key = rig_key("P-256");
  ca = rig_self_signed("Test CA", PROFILE_CA, key);
  server = make_server("IP:127.0.0.1");
  device = rig_issue("dev-1", PROFILE_CLIENT, key, ca, key);
  X509 *other = rig_self_signed("Other CA", PROFILE_CA, key);
  write_roots("ca.pem", ca, ca_path, sizeof(ca_path));
  write_roots("other.pem", other, other_path, sizeof(other_path));
  X509_free(other);
  return 0;
}

static int teardown(void **state)
{
  (void)state;
  char command[64];
  snprintf(command, sizeof(command), "rm -rf '%s'", directory);
  X509_free(ca);
  X509_free(server);
  X509_free(device);
  EVP_PKEY_free(key);
  return system(command);
}

static struct http_options defaults(void)
{
  return (struct http_options){
    .root_path = ca_path, .url_key = "est.url", .root_key = "est.root_cert_path", .timeout_s = 5
  };
}

/* One request to the rig; the path of its URL and more of it are the test's. */
static hf_err ask(struct https_rig *rig, const struct http_options *options, struct http_request *request,
                  struct http_response *response)
{
  char url[64];
  HF_CLEANUP(http_freep) struct http *http = NULL;
  if (!request->url) {
    snprintf(url, sizeof(url), "https://127.0.0.1:%u/path", rig->port);
    request->url = url;
  }
  HF_TRY(http_new(options, &http));
  hf_err e = http_perform(http, request, response);
  request->url = NULL;
  return e;
}

static void test_a_request_and_its_answer(void **state)
{
  (void)state;
  struct https_rig rig = { .certificate = server,
                           .key = key,
                           .answer = "HTTP/1.1 202 Accepted\r\nRetry-After: 30\r\nContent-Type: text/plain; x=y\r\n"
                                     "Content-Length: 5\r\nConnection: close\r\n\r\nlater" };
  https_rig_start(&rig);
  HF_CLEANUP(hf_secret_freep) struct hf_secret *password = NULL;
  assert_hf_ok(hf_secret_new("s:ecret", 7, &password));
  const struct http_options options = defaults();
  struct http_request request = { .body = hf_slice("hello", 5),
                                  .content_type = "application/pkcs10",
                                  .headers = { "Content-Transfer-Encoding: base64" },
                                  .user = "dev-1",
                                  .password = password };
  HF_CLEANUP(http_response_free) struct http_response response = { .body = HF_BUF(100) };
  assert_hf_ok(ask(&rig, &options, &request, &response));
  assert_int_equal(response.status, 202);
  assert_int_equal(response.retry_after_s, 30);
  assert_string_equal(response.content_type, "text/plain; x=y");
  assert_string_equal(hf_buf_str(&response.body), "later");
  assert_contains(rig.request, "POST /path HTTP/1.1\r\n");
  assert_contains(rig.request, "Authorization: Basic ZGV2LTE6czplY3JldA==\r\n");
  assert_contains(rig.request, "Content-Type: application/pkcs10\r\n");
  assert_contains(rig.request, "Content-Transfer-Encoding: base64\r\n");
  assert_null(strstr(rig.request, "Expect"));
  assert_contains(rig.request, "\r\n\r\nhello");
  https_rig_stop(&rig);
}

static void test_several_requests_of_one_client(void **state)
{
  (void)state;
  struct https_rig rig = { .certificate = server,
                           .key = key,
                           .answer = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n" };
  https_rig_start(&rig);
  const struct http_options options = defaults();
  HF_CLEANUP(http_freep) struct http *http = NULL;
  HF_CLEANUP(http_response_free) struct http_response response = { .body = HF_BUF(100) };
  char url[64];
  snprintf(url, sizeof(url), "https://127.0.0.1:%u/", rig.port);
  assert_hf_ok(http_new(&options, &http));
  struct http_request post = { .url = url, .content_type = "text/plain", .body = hf_slice("x", 1) };
  struct http_request get = { .url = url };
  assert_hf_ok(http_perform(http, &post, &response));
  assert_contains(rig.request, "POST / ");
  assert_hf_ok(http_perform(http, &get, &response));
  assert_contains(rig.request, "GET / ");
  assert_null(strstr(rig.request, "text/plain"));
  hf_err e = http_refused(&get, &response);
  assert_hf_err(e, HTTP);
  assert_contains(hf_err_context(), "answered 404 Not Found");
  https_rig_stop(&rig);
}

static void test_who_we_are(void **state)
{
  (void)state;
  struct https_rig rig = { .certificate = server,
                           .key = key,
                           .client_ca = ca,
                           .answer = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n" };
  https_rig_start(&rig);
  STACK_OF(X509) *chain = sk_X509_new_null();
  sk_X509_push(chain, device);
  struct http_options options = defaults();
  options.chain = chain;
  options.key = key;
  struct http_request request = { 0 };
  HF_CLEANUP(http_response_free) struct http_response response = { .body = HF_BUF(100) };
  assert_hf_ok(ask(&rig, &options, &request, &response));
  assert_string_equal(rig.client, "dev-1");
  /* Nobody, and somebody whom the server does not know. */
  options.chain = NULL;
  hf_err e = ask(&rig, &options, &request, &response);
  assert_hf_err(e, TLS);
  assert_contains(hf_err_context(), "it saw no certificate of ours");
  HF_CLEANUP(openssl_x509_freep) X509 *stranger = rig_self_signed("dev-2", PROFILE_SELF_SIGNED, key);
  sk_X509_set(chain, 0, stranger);
  options.chain = chain;
  e = ask(&rig, &options, &request, &response);
  assert_hf_err(e, TLS);
  assert_contains(hf_err_context(), "it does not trust the issuer of our certificate");
  /* A certificate for another key does not even begin. */
  HF_CLEANUP(openssl_pkey_freep) EVP_PKEY *wrong = rig_key("P-256");
  options.key = wrong;
  assert_hf_err(ask(&rig, &options, &request, &response), KEY_MISMATCH);
  sk_X509_free(chain);
  https_rig_stop(&rig);
}

static void expect_refusal(X509 *certificate, const char *root_path, const char *context, const char *hint)
{
  struct https_rig rig = { .certificate = certificate, .key = key, .answer = "HTTP/1.1 200 OK\r\n\r\n" };
  https_rig_start(&rig);
  struct http_options options = defaults();
  options.root_path = root_path;
  struct http_request request = { 0 };
  HF_CLEANUP(http_response_free) struct http_response response = { .body = HF_BUF(100) };
  hf_err e = ask(&rig, &options, &request, &response);
  assert_hf_err(e, TLS);
  assert_contains(hf_err_context(), context);
  assert_contains(hf_err_context(), "127.0.0.1:");
  assert_contains(hf_err_hint(e), hint);
  https_rig_stop(&rig);
}

static void test_whom_we_do_not_trust(void **state)
{
  (void)state;
  HF_CLEANUP(openssl_x509_freep) X509 *elsewhere = make_server("DNS:elsewhere.example"), *expired = NULL;
  expect_refusal(server, other_path, "issuer is not trusted (the certificate of 'test server')", "est.root_cert_path");
  expect_refusal(elsewhere, ca_path, "for another name (the certificate of 'test server')", "est.url");
  expired = X509_dup(server);
  X509_gmtime_adj(X509_getm_notAfter(expired), -60);
  assert_true(X509_sign(expired, key, EVP_sha256()) > 0);
  expect_refusal(expired, ca_path, "has expired", "clock");
}

static void test_the_environment_trusts_nobody(void **state)
{
  (void)state;
  setenv("SSL_CERT_FILE", ca_path, 1);
  setenv("CURL_CA_BUNDLE", ca_path, 1);
  setenv("https_proxy", "http://127.0.0.1:1", 1);
  expect_refusal(server, other_path, "not trusted", "est.root_cert_path");
  unsetenv("SSL_CERT_FILE");
  unsetenv("CURL_CA_BUNDLE");
  unsetenv("https_proxy");
}

struct taken {
  struct hf_buf body;
  unsigned status;
  uint64_t start, size;
  char etag[HTTP_ETAG_MAX];
  bool refuse;
};

static hf_err take(void *arg, const struct http_response *response, struct hf_slice piece)
{
  struct taken *taken = arg;
  taken->status = response->status;
  taken->start = response->range_start;
  taken->size = response->range_size;
  snprintf(taken->etag, sizeof(taken->etag), "%s", response->etag);
  if (taken->refuse)
    return hf_fail(HF_ERR_DISK_FULL, "no more");
  return hf_buf_add(&taken->body, piece.data, piece.len);
}

/* What is wanted comes in pieces, with the head before the first of them; a refusal's words stay with the response. */
static const struct {
  const char *answer;
  unsigned status;
  const char *taken, *kept, *etag;
  uint64_t start, size;
  bool has_range;
} bodies[] = {
  { "HTTP/1.1 200 OK\r\nETag: \"v1\"\r\nContent-Length: 5\r\n\r\nhello", 200, "hello", "", "\"v1\"", 0, 0, false },
  { "HTTP/1.1 206 Partial\r\nContent-Range: bytes 3-4/5\r\nContent-Length: 2\r\n\r\nlo", 206, "lo", "", "", 3, 5,
    true },
  { "HTTP/1.1 206 Partial\r\nContent-Range: bytes 3-4/*\r\nContent-Length: 2\r\n\r\nlo", 206, "lo", "", "", 3, 0,
    true },
  { "HTTP/1.1 206 Partial\r\nContent-Range: lines 3-4/5\r\nContent-Length: 2\r\n\r\nlo", 206, "lo", "", "", 0, 0,
    false },
  { "HTTP/1.1 206 Partial\r\nContent-Range: bytes 4-3/5\r\nContent-Length: 2\r\n\r\nlo", 206, "lo", "", "", 0, 0,
    false },
  { "HTTP/1.1 416 No\r\nContent-Range: bytes */5\r\nContent-Length: 2\r\n\r\nno", 416, "", "no", "", 0, 5, true },
  { "HTTP/1.1 404 No\r\nContent-Length: 2\r\n\r\nno", 404, "", "no", "", 0, 0, false },
  { "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 200, "", "", "", 0, 0, false },
};

static void test_a_body_is_taken_piece_by_piece(void **state)
{
  (void)state;
  const struct http_options options = defaults();
  for (size_t i = 0; i < HF_ARRAY_LEN(bodies); i++) {
    struct https_rig rig = { .certificate = server, .key = key, .answer = bodies[i].answer };
    struct taken taken = { .body = HF_BUF(100) };
    struct http_request request = { .take = take, .take_arg = &taken };
    HF_CLEANUP(http_response_free) struct http_response response = { .body = HF_BUF(100) };
    https_rig_start(&rig);
    assert_hf_ok(ask(&rig, &options, &request, &response));
    assert_int_equal(bodies[i].status, response.status);
    assert_string_equal(bodies[i].taken, hf_buf_str(&taken.body));
    assert_string_equal(bodies[i].kept, hf_buf_str(&response.body));
    assert_int_equal(bodies[i].has_range, response.has_range);
    assert_int_equal(bodies[i].start, response.range_start);
    assert_int_equal(bodies[i].size, response.range_size);
    if (taken.body.len) {
      assert_int_equal(bodies[i].status, taken.status);
      assert_int_equal(bodies[i].start, taken.start);
      assert_string_equal(bodies[i].etag, taken.etag);
    }
    hf_buf_free(&taken.body);
    https_rig_stop(&rig);
  }
}

static void test_who_takes_it_may_refuse(void **state)
{
  (void)state;
  struct https_rig rig = { .certificate = server, .key = key, .answer = bodies[0].answer };
  const struct http_options options = defaults();
  struct taken taken = { .refuse = true };
  struct http_request request = { .take = take, .take_arg = &taken };
  HF_CLEANUP(http_response_free) struct http_response response = { .body = HF_BUF(100) };
  https_rig_start(&rig);
  assert_hf_err(ask(&rig, &options, &request, &response), DISK_FULL);
  assert_string_equal("no more", hf_err_context());
  https_rig_stop(&rig);
}

static const struct {
  const char *url; /* NULL: the rig's */
  const char *answer;
  bool plain, silent;
  enum hf_code code;
  const char *context;
} failures[] = {
  { "https://127.0.0.1:1/", NULL, false, false, HF_ERR_UNREACHABLE, "127.0.0.1:1: Connection refused" },
  { "https://no-such-host.invalid/", NULL, false, false, HF_ERR_UNREACHABLE, "no-such-host.invalid: its name" },
  { "http://127.0.0.1/", NULL, false, false, HF_ERR_CONFIG, "only https" },
  { NULL, "hello, this is no TLS\n", true, false, HF_ERR_TLS, "no TLS is spoken" },
  { NULL, "", false, true, HF_ERR_TIMEOUT, "timed out" },
  { NULL, NULL, false, false, HF_ERR_HTTP, "without an answer" },
  { NULL, "garbage\r\n\r\n", false, false, HF_ERR_HTTP, "no HTTP" },
  { NULL, "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\ncut", false, false, HF_ERR_HTTP, "127.0.0.1:" },
  { NULL, "HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n01234567890", false, false, HF_ERR_LIMIT,
    "more than 10 bytes" },
};

static void test_what_goes_wrong_is_told(void **state)
{
  (void)state;
  for (size_t i = 0; i < HF_ARRAY_LEN(failures); i++) {
    struct https_rig rig = { .certificate = server,
                             .key = key,
                             .answer = failures[i].answer,
                             .plain = failures[i].plain,
                             .silent = failures[i].silent };
    https_rig_start(&rig);
    struct http_options options = defaults();
    options.timeout_s = 1;
    struct http_request request = { .url = failures[i].url };
    HF_CLEANUP(http_response_free) struct http_response response = { .body = HF_BUF(10) };
    hf_err e = ask(&rig, &options, &request, &response);
    hf_assert_code(e, failures[i].code, __FILE__, __LINE__);
    assert_contains(hf_err_context(), failures[i].context);
    https_rig_stop(&rig);
  }
}

static void test_roots_that_are_missing_or_rubbish(void **state)
{
  (void)state;
  struct https_rig rig = { .certificate = server, .key = key };
  struct http_options options = defaults();
  struct http_request request = { 0 };
  HF_CLEANUP(http_response_free) struct http_response response = { .body = HF_BUF(10) };
  https_rig_start(&rig);
  options.root_path = "/nowhere/ca.pem";
  hf_err e = ask(&rig, &options, &request, &response);
  assert_hf_err(e, NOT_FOUND);
  assert_contains(hf_err_hint(e), "est.root_cert_path");
  options.root_path = "/etc/passwd";
  assert_hf_err(ask(&rig, &options, &request, &response), CERT_FILE);
  https_rig_stop(&rig);
}

static bool stop_at_once(void *arg, uint64_t received, uint64_t expected)
{
  (void)received;
  (void)expected;
  ++*(int *)arg;
  return false;
}

static void test_a_request_is_cancelled(void **state)
{
  (void)state;
  struct https_rig rig = { .certificate = server, .key = key, .silent = true };
  int calls = 0;
  struct http_options options = defaults();
  options.progress = stop_at_once;
  options.progress_arg = &calls;
  struct http_request request = { 0 };
  HF_CLEANUP(http_response_free) struct http_response response = { .body = HF_BUF(10) };
  https_rig_start(&rig);
  assert_hf_err(ask(&rig, &options, &request, &response), CANCELLED);
  assert_true(calls >= 1);
  https_rig_stop(&rig);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_a_request_and_its_answer),
    cmocka_unit_test(test_several_requests_of_one_client),
    cmocka_unit_test(test_who_we_are),
    cmocka_unit_test(test_whom_we_do_not_trust),
    cmocka_unit_test(test_the_environment_trusts_nobody),
    cmocka_unit_test(test_a_body_is_taken_piece_by_piece),
    cmocka_unit_test(test_who_takes_it_may_refuse),
    cmocka_unit_test(test_what_goes_wrong_is_told),
    cmocka_unit_test(test_roots_that_are_missing_or_rubbish),
    cmocka_unit_test(test_a_request_is_cancelled),
  };
  return cmocka_run_group_tests(tests, setup, teardown);
}
