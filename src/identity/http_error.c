/* SPDX-License-Identifier: Apache-2.0 */
#include "identity/http_private.h"

#include <ctype.h>
#include <openssl/x509_vfy.h>

enum { WORDS_MAX = 200 };

void http_address(const char *url, char out[HTTP_ADDRESS_MAX])
{
  const char *start = strstr(url, "://");
  start = start ? start + 3 : url;
  snprintf(out, HTTP_ADDRESS_MAX, "%.*s", (int)strcspn(start, "/?#"), start);
}

/* What libcurl says, in our codes. */
static const struct code_row {
  CURLcode curl;
  enum hf_code code;
  const char *text; /* NULL: libcurl's own */
  const char *hint; /* see tls_error_hint */
} codes[] = {
  { CURLE_COULDNT_RESOLVE_HOST, HF_ERR_UNREACHABLE, "its name is not known", "Check the host in {url}, and the DNS." },
  { CURLE_COULDNT_RESOLVE_PROXY, HF_ERR_UNREACHABLE, "the proxy's name is not known", "Check proxy.address." },
  { CURLE_COULDNT_CONNECT, HF_ERR_UNREACHABLE, NULL, "Check host and port in {url}, and that it runs." },
  { CURLE_OPERATION_TIMEDOUT, HF_ERR_TIMEOUT, NULL, "Check that the server in {url} runs, and try again." },
  { CURLE_URL_MALFORMAT, HF_ERR_CONFIG, "not a URL", "Correct {url}." },
  { CURLE_SSL_CONNECT_ERROR, HF_ERR_TLS, NULL, "Check that TLS is spoken on the port in {url} (usually {port})." },
  { CURLE_GOT_NOTHING, HF_ERR_HTTP, "it closed the connection without an answer", "See the server's log." },
  { CURLE_UNSUPPORTED_PROTOCOL, HF_ERR_HTTP, "its answer is no HTTP", "Check the port in {url}." },
  { CURLE_WEIRD_SERVER_REPLY, HF_ERR_HTTP, "its answer is no HTTP", "Check the port in {url}." },
  { CURLE_PARTIAL_FILE, HF_ERR_HTTP, "its answer is cut short", "See the server's log, and try again." },
  { CURLE_RECV_ERROR, HF_ERR_HTTP, "the connection was lost", "See the server's log, and try again." },
  { CURLE_SEND_ERROR, HF_ERR_HTTP, "the connection was lost", "See the server's log, and try again." },
  { CURLE_OUT_OF_MEMORY, HF_ERR_NO_MEMORY, NULL, "Free some memory and try again." },
  { CURLE_ABORTED_BY_CALLBACK, HF_ERR_CANCELLED, "as asked", "Start it again." },
};

static hf_err fail_row(const struct http *http, const struct code_row *row)
{
  const struct tls_peer peer = http_peer(http);
  char buffer[128];
  const char *text = row->text ? row->text : http->detail;
  if (row->curl == CURLE_COULDNT_CONNECT && http->os_error)
    text = strerror_r((int)http->os_error, buffer, sizeof(buffer));
  return tls_error_hint(&peer, row->hint, hf_fail(row->code, "%s: %s", http->address, text));
}

/* A proxy that refuses the tunnel. */
static hf_err fail_proxy(const struct http *http)
{
  hf_err e = hf_fail(HF_ERR_HTTP, "%s: the proxy %s answered %ld", http->address,
                     config_get(http->options.config, CONFIG_PROXY_ADDRESS), http->proxy_status);
  return http->proxy_status == 407 ? hf_hint(e, "Set proxy.username and proxy.password.")
                                   : hf_hint(e, "See the proxy's rules.");
}

hf_err http_error(const struct http *http, CURLcode code)
{
  const struct tls_peer peer = http_peer(http);
  /* Before what was seen of TLS: libcurl loads the file in the middle of a handshake. */
  if (code == CURLE_SSL_CACERT_BADFILE)
    return tls_error_hint(&peer, "Correct the file that {root} names.",
                          hf_fail(HF_ERR_CERT_FILE, "%s", http->options.root_path));
  if (hf_failed(http->failed))
    return http->failed;
  if (code == CURLE_PEER_FAILED_VERIFICATION)
    return tls_error_server(&peer, http->verify_error ? http->verify_error : X509_V_ERR_HOSTNAME_MISMATCH,
                            http->server_name);
  if (http->proxy_status / 100 > 2)
    return fail_proxy(http);
  for (size_t i = 0; i < HF_ARRAY_LEN(codes); i++)
    if (codes[i].curl == code)
      return fail_row(http, &codes[i]);
  return hf_fail(HF_ERR_HTTP, "%s: %s%s%s", http->address, curl_easy_strerror(code), http->detail[0] ? ": " : "",
                 http->detail);
}

/* Answers that were not wanted. */
static const struct status_row {
  unsigned status;
  const char *reason;
  const char *hint; /* NULL: the code's own */
} statuses[] = {
  { 400, "Bad Request", NULL },
  { 401, "Unauthorized", "Check the user and the password." },
  { 403, "Forbidden", "Have this user or device allowed to do it." },
  { 404, "Not Found", "Check the host and the path." },
  { 409, "Conflict", NULL },
  { 413, "Content Too Large", NULL },
  { 422, "Unprocessable Content", NULL },
  { 429, "Too Many Requests", "Try again later." },
  { 500, "Internal Server Error", "See the server's log, and try again later." },
  { 502, "Bad Gateway", "Try again later." },
  { 503, "Service Unavailable", "Try again later." },
  { 504, "Gateway Timeout", "Try again later." },
};

static const struct status_row *find_status(unsigned status)
{
  for (size_t i = 0; i < HF_ARRAY_LEN(statuses); i++)
    if (statuses[i].status == status)
      return &statuses[i];
  return NULL;
}

/* The first words of a text or of JSON; "" of anything else. On one line. */
static void first_words(const struct http_response *response, char out[WORDS_MAX + 1])
{
  size_t len = 0;
  bool text = strstr(response->content_type, "text/plain") || strstr(response->content_type, "json");
  for (size_t i = 0; text && i < response->body.len && len < WORDS_MAX; i++) {
    unsigned char c = response->body.data[i];
    bool blank = isspace(c) || c < ' ' || c == 0x7f;
    if (!blank)
      out[len++] = (char)c;
    else if (len && out[len - 1] != ' ')
      out[len++] = ' ';
  }
  out[len] = '\0';
}

hf_err http_refused(const struct http_request *request, const struct http_response *response)
{
  char address[HTTP_ADDRESS_MAX], words[WORDS_MAX + 1];
  http_address(request->url, address);
  first_words(response, words);
  const struct status_row *row = find_status(response->status);
  hf_err e = hf_fail(HF_ERR_HTTP, "%s answered %u%s%s%s%s", address, response->status, row ? " " : "",
                     row ? row->reason : "", words[0] ? ": " : "", words);
  return row && row->hint ? hf_hint(e, "%s", row->hint) : e;
}
