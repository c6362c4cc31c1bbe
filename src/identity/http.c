/* SPDX-License-Identifier: Apache-2.0 */
#include "identity/http_private.h"

#include <errno.h>
#include <pthread.h>
#include <strings.h>
#include <sys/stat.h>

static pthread_once_t curl_once = PTHREAD_ONCE_INIT;
static CURLcode curl_started = CURLE_FAILED_INIT;

static void start_curl(void)
{
  curl_started = curl_global_init(CURL_GLOBAL_DEFAULT);
}

static void slist_freep(struct curl_slist **list)
{
  curl_slist_free_all(*list);
}

hf_err http_new(const struct http_options *options, struct http **ret_http)
{
  pthread_once(&curl_once, start_curl);
  HF_CLEANUP(http_freep) struct http *http = calloc(1, sizeof(*http));
  if (!http || curl_started != CURLE_OK || !(http->curl = curl_easy_init()))
    return hf_fail(HF_ERR_NO_MEMORY, "libcurl");
  http->options = *options;
  *ret_http = HF_TAKE(http);
  return HF_OK;
}

struct http *http_free(struct http *http)
{
  if (http) {
    curl_easy_cleanup(http->curl);
    free(http);
  }
  return NULL;
}

/* What libcurl calls back. */

static hf_err keep_body(struct http *http, struct hf_slice piece)
{
  hf_err e = hf_buf_add(&http->response->body, piece.data, piece.len);
  if (e.code != HF_ERR_LIMIT)
    return e;
  return hf_hint(hf_fail(HF_ERR_LIMIT, "%s: an answer of more than %zu bytes", http->address, http->response->body.max),
                 "Check that it is the right server.");
}

/* Is told the head with its first piece. */
static hf_err hand_over(struct http *http, struct hf_slice piece)
{
  http_head_read(http);
  bool wanted = http->response->status == 200 || http->response->status == 206;
  return wanted ? http->request->take(http->request->take_arg, http->response, piece) : keep_body(http, piece);
}

static size_t on_body(char *data, size_t size, size_t count, void *arg)
{
  struct http *http = arg;
  const struct hf_slice piece = hf_slice(data, size * count);
  hf_err e = http->request->take ? hand_over(http, piece) : keep_body(http, piece);
  if (hf_failed(e))
    http->failed = e;
  return hf_failed(e) ? 0 : piece.len;
}

static int on_progress(void *arg, curl_off_t expected, curl_off_t received, curl_off_t to_send, curl_off_t sent)
{
  (void)to_send;
  (void)sent;
  const struct http *http = arg;
  return !http->options.progress(http->options.progress_arg, (uint64_t)received, (uint64_t)expected);
}

/* Settings: each group is false where libcurl has no memory for it. */

#define SET(option, value) (curl_easy_setopt(http->curl, (option), (value)) == CURLE_OK)

static bool set_times(struct http *http)
{
  const struct http_options *o = &http->options;
  long connect_s = o->connect_timeout_s ? (long)o->connect_timeout_s : HTTP_CONNECT_TIMEOUT_S;
  long all_s = o->timeout_s ? (long)o->timeout_s : HTTP_TIMEOUT_S;
  return SET(CURLOPT_CONNECTTIMEOUT, connect_s) && SET(CURLOPT_TIMEOUT, o->stall_timeout_s ? 0L : all_s) &&
         SET(CURLOPT_LOW_SPEED_LIMIT, 1L) && SET(CURLOPT_LOW_SPEED_TIME, (long)o->stall_timeout_s);
}

static bool set_limits(struct http *http)
{
  const struct http_options *o = &http->options;
  bool good = SET(CURLOPT_NOSIGNAL, 1L) && set_times(http) && SET(CURLOPT_PROTOCOLS_STR, "https") &&
              SET(CURLOPT_FOLLOWLOCATION, 0L) && SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1) &&
              SET(CURLOPT_ERRORBUFFER, http->detail) && SET(CURLOPT_WRITEFUNCTION, on_body) &&
              SET(CURLOPT_WRITEDATA, http) && SET(CURLOPT_NOPROGRESS, o->progress ? 0L : 1L);
  return good && SET(CURLOPT_XFERINFOFUNCTION, on_progress) && SET(CURLOPT_XFERINFODATA, http);
}

/* libcurl has roots of its own, which are taken away: only what is configured is trusted. */
static bool set_trust(struct http *http, bool directory)
{
  const char *path = http->options.root_path;
  return SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2) && SET(CURLOPT_CAINFO, directory ? NULL : path) &&
         SET(CURLOPT_CAPATH, directory ? path : NULL) && SET(CURLOPT_SSL_CTX_FUNCTION, http_tls_setup) &&
         SET(CURLOPT_SSL_CTX_DATA, http);
}

/* Empty strings keep libcurl from looking into the environment. */
static bool set_proxy(struct http *http)
{
  const struct config *config = http->options.config;
  const char *address = config ? config_get(config, CONFIG_PROXY_ADDRESS) : NULL;
  if (!address)
    return SET(CURLOPT_PROXY, "") && SET(CURLOPT_NOPROXY, "*");
  return SET(CURLOPT_PROXY, address) && SET(CURLOPT_NOPROXY, "") && SET(CURLOPT_HTTPPROXYTUNNEL, 1L) &&
         SET(CURLOPT_PROXYUSERNAME, config_get(config, CONFIG_PROXY_USERNAME)) &&
         SET(CURLOPT_PROXYPASSWORD, config_get(config, CONFIG_PROXY_PASSWORD));
}

/* libcurl takes strings; what it keeps of the password it frees with the handle. */
static bool set_user(struct http *http, const struct http_request *request)
{
  char password[512] = "";
  if (!request->user)
    return true;
  if (request->password && hf_secret_len(request->password) < sizeof(password))
    memcpy(password, hf_secret_data(request->password), hf_secret_len(request->password));
  bool good = SET(CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC) && SET(CURLOPT_USERNAME, request->user) &&
              SET(CURLOPT_PASSWORD, password);
  hf_wipe(password, sizeof(password));
  return good;
}

static bool set_request(struct http *http, const struct http_request *request)
{
  bool good = SET(CURLOPT_URL, request->url) && set_user(http, request);
  if (good && request->content_type)
    good = SET(CURLOPT_POST, 1L) && SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body.len) &&
           SET(CURLOPT_POSTFIELDS, request->body.data ? (const char *)request->body.data : "");
  return good && (!request->method || SET(CURLOPT_CUSTOMREQUEST, request->method));
}

static bool add_header(struct curl_slist **list, const char *name, const char *value)
{
  char line[512];
  if (!value)
    return true;
  if ((size_t)snprintf(line, sizeof(line), "%s%s", name, value) >= sizeof(line))
    return false;
  struct curl_slist *longer = curl_slist_append(*list, line);
  *list = longer ? longer : *list;
  return longer != NULL;
}

/* "Expect:" with nothing after it: no waiting for "100 Continue" before a body. */
static bool make_headers(const struct http_request *request, struct curl_slist **list)
{
  bool good = add_header(list, "User-Agent: ", "holdfast/" HF_VERSION) && add_header(list, "Expect:", "") &&
              add_header(list, "Content-Type: ", request->content_type) &&
              add_header(list, "Accept: ", request->accept ? request->accept : "*/*");
  for (size_t i = 0; good && i < HTTP_HEADERS_MAX && request->headers[i]; i++)
    good = add_header(list, "", request->headers[i]);
  return good;
}

static hf_err find_roots(const struct http_options *options, bool *ret_directory)
{
  struct stat st;
  if (stat(options->root_path, &st) != 0 || access(options->root_path, R_OK) != 0)
    return hf_hint(hf_fail_errno(errno, "%s", options->root_path),
                   "Set %s to the certificates that the server's is checked with.", options->root_key);
  *ret_directory = S_ISDIR(st.st_mode);
  return HF_OK;
}

static hf_err prepare(struct http *http, const struct http_request *request, struct curl_slist **headers)
{
  bool directory = false;
  const struct tls_peer peer = http_peer(http);
  http_address(request->url, http->address);
  if (strncasecmp(request->url, "https://", 8) != 0)
    return tls_error_hint(&peer, "Write {url} with https://.",
                          hf_fail(HF_ERR_CONFIG, "%s: only https is spoken", http->address));
  HF_TRY(find_roots(&http->options, &directory));
  http->failed = HF_OK;
  http->verify_error = 0;
  http->detail[0] = '\0';
  snprintf(http->server_name, sizeof(http->server_name), "?");
  /* What is set is forgotten; connections are kept. */
  curl_easy_reset(http->curl);
  if (set_limits(http) && set_trust(http, directory) && set_proxy(http) && set_request(http, request) &&
      make_headers(request, headers) && SET(CURLOPT_HTTPHEADER, *headers))
    return HF_OK;
  return hf_fail(HF_ERR_NO_MEMORY, "a request to %s", http->address);
}

/*
 * The connection is closed for good first: a server that refuses our certificate in TLS 1.3 closes while we send, and its
 * alert, which tells why, is read only then.
 */
static hf_err give_up(struct http *http, CURLcode code)
{
  http->os_error = http->proxy_status = 0;
  curl_easy_getinfo(http->curl, CURLINFO_OS_ERRNO, &http->os_error);
  curl_easy_getinfo(http->curl, CURLINFO_HTTP_CONNECTCODE, &http->proxy_status);
  curl_easy_cleanup(http->curl);
  http->curl = curl_easy_init();
  if (!http->curl)
    return hf_fail(HF_ERR_NO_MEMORY, "libcurl");
  return http_error(http, code);
}

hf_err http_perform(struct http *http, const struct http_request *request, struct http_response *response)
{
  HF_CLEANUP(slist_freep) struct curl_slist *headers = NULL;
  http->request = request;
  http->response = response;
  http_head_forget(http);
  hf_buf_free(&response->body);
  if (!http->curl)
    return hf_fail(HF_ERR_NO_MEMORY, "libcurl");
  HF_TRY(prepare(http, request, &headers));
  CURLcode code = curl_easy_perform(http->curl);
  /* The list goes with this call. */
  curl_easy_setopt(http->curl, CURLOPT_HTTPHEADER, NULL);
  if (code != CURLE_OK)
    return give_up(http, code);
  http_head_read(http);
  return HF_OK;
}
