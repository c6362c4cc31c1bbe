/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/stream.h"

#include "config/address.h"

#include <errno.h>
#include <poll.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

struct stream {
  int fd;
  struct tls *tls;
  uint64_t sent; /* without TLS */
  char address[CONFIG_HOST_MAX + 16];
};

hf_err stream_new(int fd, struct tls *tls, const char *address, struct stream **ret_stream)
{
  struct stream *stream = calloc(1, sizeof(*stream));
  if (!stream) {
    tls_free(tls);
    hf_closep(&fd);
    return hf_fail(HF_ERR_NO_MEMORY, "a connection");
  }
  stream->fd = fd;
  stream->tls = tls;
  snprintf(stream->address, sizeof(stream->address), "%s", address);
  *ret_stream = stream;
  return HF_OK;
}

struct stream *stream_free(struct stream *stream)
{
  if (!stream)
    return NULL;
  tls_free(stream->tls);
  hf_closep(&stream->fd);
  free(stream);
  return NULL;
}

/* Of a socket's call that gave n; 0 bytes where it would have had to wait. */
static hf_err moved(const struct stream *stream, ssize_t n, size_t *ret_len)
{
  if (n < 0 && errno != EAGAIN && errno != EINTR)
    return hf_fail(HF_ERR_LOST, "%s: %s", stream->address, strerror(errno));
  *ret_len = n < 0 ? 0 : (size_t)n;
  return HF_OK;
}

hf_err stream_read(struct stream *stream, void *data, size_t size, size_t *ret_len)
{
  if (stream->tls)
    return tls_read(stream->tls, data, size, ret_len);
  ssize_t n = recv(stream->fd, data, size, 0);
  if (n == 0)
    return hf_fail(HF_ERR_LOST, "%s closed it", stream->address);
  return moved(stream, n, ret_len);
}

hf_err stream_write(struct stream *stream, const void *data, size_t len, size_t *ret_len)
{
  if (stream->tls)
    return tls_write(stream->tls, data, len, ret_len);
  HF_TRY(moved(stream, send(stream->fd, data, len, MSG_NOSIGNAL), ret_len));
  stream->sent += *ret_len;
  return HF_OK;
}

int stream_fd(const struct stream *stream)
{
  return stream->fd;
}

short stream_events(const struct stream *stream, bool writing)
{
  bool out = writing || (stream->tls && tls_wants_write(stream->tls));
  return out ? POLLIN | POLLOUT : POLLIN;
}

bool stream_pending(const struct stream *stream)
{
  return stream->tls && tls_pending(stream->tls);
}

uint64_t stream_sent(const struct stream *stream)
{
  return stream->tls ? tls_sent(stream->tls) : stream->sent;
}

uint64_t stream_delivered(const struct stream *stream)
{
  uint64_t sent = stream_sent(stream);
  int queued = 0;
  if (ioctl(stream->fd, SIOCOUTQ, &queued) != 0 || queued < 0 || (uint64_t)queued > sent)
    return sent;
  return sent - (uint64_t)queued;
}
