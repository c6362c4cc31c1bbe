/* SPDX-License-Identifier: Apache-2.0 */
/* Metrics and status over HTTP, as much of it as curl and Prometheus need; whoever just ends his side gets plain metrics. */
#include "agent/status.h"

#include <errno.h>
#include <sys/socket.h>

enum { REQUEST_MAX = 8192, ANSWER_MAX = 256 * 1024 };

static hf_err format_metrics(struct agent *agent, struct hf_buf *out)
{
  return metrics_format(agent->metrics, out);
}

static const struct page {
  const char *path, *type;
  hf_err (*format)(struct agent *agent, struct hf_buf *out);
} pages[] = {
  { "/metrics", "text/plain; version=0.0.4; charset=utf-8", format_metrics },
  { "/status", "application/json", status_format },
};

static const struct page *find_page(const char *path, size_t len)
{
  for (size_t i = 0; i < HF_ARRAY_LEN(pages); i++)
    if (strlen(pages[i].path) == len && memcmp(pages[i].path, path, len) == 0)
      return &pages[i];
  return NULL;
}

/* Up to the empty line that ends a request's head, or the end of what the client sends. */
static bool read_head(int fd, char *head, size_t size)
{
  size_t len = 0;
  head[0] = '\0';
  while (len < size - 1 && !strstr(head, "\r\n\r\n")) {
    ssize_t n = recv(fd, head + len, size - 1 - len, 0);
    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0)
      return false;
    if (n == 0)
      return true;
    len += (size_t)n;
    head[len] = '\0';
  }
  return len < size - 1;
}

static void send_all(int fd, const uint8_t *data, size_t len)
{
  while (len > 0) {
    ssize_t n = send(fd, data, len, MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR)
      continue;
    if (n <= 0)
      return;
    data += n;
    len -= (size_t)n;
  }
}

static hf_err add_http(struct hf_buf *out, const char *status, const char *type, const struct hf_buf *body)
{
  HF_TRY(hf_buf_addf(out, "HTTP/1.1 %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n", status,
                     type, body->len));
  return hf_buf_add(out, body->data, body->len);
}

static hf_err answer(struct agent *agent, const char *head, struct hf_buf *out)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf body = HF_BUF(ANSWER_MAX);
  if (!head[0])
    return metrics_format(agent->metrics, out);
  const struct page *page = strncmp(head, "GET ", 4) == 0 ? find_page(head + 4, strcspn(head + 4, " ?\r\n")) : NULL;
  if (page) {
    HF_TRY(page->format(agent, &body));
    return add_http(out, "200 OK", page->type, &body);
  }
  HF_TRY(hf_buf_add_str(&body, "GET /metrics or GET /status\n"));
  return add_http(out, strncmp(head, "GET ", 4) == 0 ? "404 Not Found" : "400 Bad Request", "text/plain", &body);
}

void metrics_socket_serve(struct agent *agent, int fd, const struct peer *peer)
{
  (void)peer;
  char head[REQUEST_MAX];
  if (!read_head(fd, head, sizeof(head)))
    return;
  HF_CLEANUP(hf_buf_free) struct hf_buf out = HF_BUF(ANSWER_MAX + REQUEST_MAX);
  if (!hf_failed(answer(agent, head, &out)))
    send_all(fd, out.data, out.len);
}
