/* SPDX-License-Identifier: Apache-2.0 */
#include "identity/http_private.h"

#include <inttypes.h>

static const char *find_header(struct http *http, const char *name)
{
  struct curl_header *header = NULL;
  return curl_easy_header(http->curl, name, 0, CURLH_HEADER, -1, &header) == CURLHE_OK ? header->value : NULL;
}

static void copy_whole(const char *text, char *out, size_t size)
{
  if (!text || (size_t)snprintf(out, size, "%s", text) >= size)
    out[0] = '\0';
}

/* "bytes 100-199/200"; a star stands for a size that is not known, or, in a 416, for the range (RFC 9110, section 14.4). */
static void read_range(const char *text, struct http_response *response)
{
  uint64_t start = 0, last = 0;
  int end = 0;
  if (!text)
    return;
  const char *size = strchr(text, '/');
  bool ranged = sscanf(text, "bytes %" SCNu64 "-%" SCNu64 "/%n", &start, &last, &end) == 2 && end > 0 && last >= start;
  if (!size || (!ranged && strncmp(text, "bytes */", 8) != 0))
    return;
  response->has_range = true;
  response->range_start = start;
  response->range_size = strtoull(size + 1, NULL, 10);
}

void http_head_forget(struct http *http)
{
  struct http_response *response = http->response;
  *response = (struct http_response){ .body = response->body };
  http->head_read = false;
}

void http_head_read(struct http *http)
{
  struct http_response *response = http->response;
  long status = 0;
  curl_off_t retry_after = 0, length = -1;
  const char *type = NULL;
  if (http->head_read)
    return;
  http->head_read = true;
  curl_easy_getinfo(http->curl, CURLINFO_RESPONSE_CODE, &status);
  curl_easy_getinfo(http->curl, CURLINFO_RETRY_AFTER, &retry_after);
  curl_easy_getinfo(http->curl, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
  curl_easy_getinfo(http->curl, CURLINFO_CONTENT_TYPE, &type);
  response->status = (unsigned)status;
  response->retry_after_s = retry_after > 0 && retry_after < UINT32_MAX ? (unsigned)retry_after : 0;
  response->has_length = length >= 0;
  response->length = length >= 0 ? (uint64_t)length : 0;
  snprintf(response->content_type, sizeof(response->content_type), "%s", type ? type : "");
  copy_whole(find_header(http, "ETag"), response->etag, sizeof(response->etag));
  read_range(find_header(http, "Content-Range"), response);
}
