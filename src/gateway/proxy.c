/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/proxy.h"

#include "base/buf.h"
#include "gateway/net.h"

#include <ctype.h>
#include <errno.h>
#include <openssl/evp.h>
#include <poll.h>
#include <sys/socket.h>

enum { ADDRESS_TEXT_MAX = CONFIG_HOST_MAX + 16, CREDENTIALS_MAX = 1024, REQUEST_MAX = 4096, ANSWER_MAX = 16 << 10 };

static hf_err add_credentials(struct hf_buf *out, const struct proxy *proxy)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf plain = HF_BUF(CREDENTIALS_MAX);
  HF_TRY(hf_buf_addf(&plain, "%s:%s", proxy->user, proxy->password ? proxy->password : ""));
  HF_TRY(hf_buf_add_str(out, "Proxy-Authorization: Basic "));
  uint8_t *room = NULL;
  HF_TRY(hf_buf_reserve(out, (plain.len + 2) / 3 * 4 + 1, &room));
  hf_buf_commit(out, (size_t)EVP_EncodeBlock(room, plain.data, (int)plain.len));
  return hf_buf_add_str(out, "\r\n");
}

static hf_err add_request(struct hf_buf *out, const struct proxy *proxy, const char *target)
{
  HF_TRY(hf_buf_addf(out, "CONNECT %s HTTP/1.1\r\nHost: %s\r\n", target, target));
  if (proxy->user)
    HF_TRY(add_credentials(out, proxy));
  return hf_buf_add_str(out, "\r\n");
}

static hf_err send_all(int fd, const struct hf_buf *data, int64_t deadline_ms, const char *name)
{
  for (size_t at = 0; at < data->len;) {
    ssize_t n = send(fd, data->data + at, data->len - at, MSG_NOSIGNAL);
    if (n >= 0)
      at += (size_t)n;
    else if (errno == EAGAIN)
      HF_TRY(net_wait(fd, POLLOUT, deadline_ms, name));
    else if (errno != EINTR)
      return hf_fail(HF_ERR_LOST, "the proxy %s: %s", name, strerror(errno));
  }
  return HF_OK;
}

/* The answer's head and no byte more, since what follows it is the tunnel's. */
static hf_err read_head(int fd, struct hf_buf *head, int64_t deadline_ms, const char *name)
{
  while (head->len < 4 || memcmp(head->data + head->len - 4, "\r\n\r\n", 4) != 0) {
    uint8_t byte;
    ssize_t n = recv(fd, &byte, 1, 0);
    if (n > 0 && hf_failed(hf_buf_add_u8(head, byte)))
      return hf_fail(HF_ERR_PROXY, "%s: its answer is no HTTP", name);
    if (n == 0)
      return hf_fail(HF_ERR_LOST, "the proxy %s closed it", name);
    if (n < 0 && errno == EAGAIN)
      HF_TRY(net_wait(fd, POLLIN, deadline_ms, name));
    else if (n < 0 && errno != EINTR)
      return hf_fail(HF_ERR_LOST, "the proxy %s: %s", name, strerror(errno));
  }
  return HF_OK;
}

/* "HTTP/1.1 200 Connection established". */
static hf_err judge(struct hf_buf *head, const char *name, const char *target)
{
  const char *text = hf_buf_str(head);
  size_t line = strcspn(text, "\r\n");
  int status = 0;
  if (sscanf(text, "HTTP/1.%*1d %3d", &status) != 1)
    return hf_fail(HF_ERR_PROXY, "%s: its answer is no HTTP", name);
  if (status >= 200 && status < 300)
    return HF_OK;
  const char *words = text + strcspn(text, " ");
  hf_err e = hf_fail(HF_ERR_PROXY, "%s, asked for %s:%.*s", name, target, (int)(line - (size_t)(words - text)), words);
  return status == 407 ? hf_hint(e, "Set proxy.username and proxy.password.") : e;
}

hf_err proxy_tunnel(int fd, const struct proxy *proxy, const struct config_address *target, int64_t deadline_ms)
{
  char name[ADDRESS_TEXT_MAX], wanted[ADDRESS_TEXT_MAX];
  config_address_format(&proxy->address, name, sizeof(name));
  config_address_format(target, wanted, sizeof(wanted));
  HF_CLEANUP(hf_buf_free) struct hf_buf request = HF_BUF(REQUEST_MAX), head = HF_BUF(ANSWER_MAX);
  HF_TRY(add_request(&request, proxy, wanted));
  HF_TRY(send_all(fd, &request, deadline_ms, name));
  HF_TRY(read_head(fd, &head, deadline_ms, name));
  return judge(&head, name, wanted);
}
