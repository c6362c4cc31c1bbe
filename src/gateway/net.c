/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/net.h"

#include "base/cleanup.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <time.h>

int64_t net_now_ms(void)
{
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

hf_err net_resolve(const struct config_address *address, struct addrinfo **ret_found)
{
  const struct addrinfo wanted = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM };
  int rc = getaddrinfo(address->host, address->port, &wanted, ret_found);
  if (rc == 0)
    return HF_OK;
  const char *why = rc == EAI_SYSTEM ? strerror(errno) : gai_strerror(rc);
  return hf_hint(hf_fail(HF_ERR_UNREACHABLE, "%s: %s", address->host, why),
                 "Check the host's name, and the name server.");
}

/* One address as text; false where it is of no family that we know. */
static bool format_one(const struct addrinfo *one, char *out, socklen_t size)
{
  const void *bytes = NULL;
  if (one->ai_family == AF_INET)
    bytes = &((const struct sockaddr_in *)(const void *)one->ai_addr)->sin_addr;
  else if (one->ai_family == AF_INET6)
    bytes = &((const struct sockaddr_in6 *)(const void *)one->ai_addr)->sin6_addr;
  return bytes && inet_ntop(one->ai_family, bytes, out, size);
}

void net_format_addresses(const struct addrinfo *found, char *out, size_t size)
{
  size_t used = 0;
  out[0] = '\0';
  for (const struct addrinfo *one = found; one; one = one->ai_next) {
    char text[INET6_ADDRSTRLEN];
    if (!format_one(one, text, sizeof(text)))
      continue;
    int n = snprintf(out + used, size - used, "%s%s", used ? ", " : "", text);
    if (n < 0 || (size_t)n >= size - used) {
      out[used] = '\0';
      return;
    }
    used += (size_t)n;
  }
}

hf_err net_wait(int fd, short events, int64_t deadline_ms, const char *what)
{
  for (;;) {
    int64_t left = deadline_ms - net_now_ms();
    if (left <= 0)
      return hf_fail(HF_ERR_TIMEOUT, "%s", what);
    struct pollfd poll_fd = { .fd = fd, .events = events };
    int n = poll(&poll_fd, 1, left > INT32_MAX ? INT32_MAX : (int)left);
    if (n > 0)
      return HF_OK;
    if (n < 0 && errno != EINTR)
      return hf_fail_errno(errno, "waiting for %s", what);
  }
}

static hf_err connect_one(const struct addrinfo *one, int64_t deadline_ms, int *ret_fd)
{
  char text[INET6_ADDRSTRLEN] = "?";
  format_one(one, text, sizeof(text));
  HF_CLEANUP(hf_closep)
  int fd = socket(one->ai_family, one->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, one->ai_protocol);
  if (fd < 0)
    return hf_fail(HF_ERR_UNREACHABLE, "%s: %s", text, strerror(errno));
  int error = connect(fd, one->ai_addr, one->ai_addrlen) == 0 ? 0 : errno;
  if (error == EINPROGRESS) {
    HF_TRY(net_wait(fd, POLLOUT, deadline_ms, text));
    socklen_t len = sizeof(error);
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0)
      error = errno;
  }
  if (error)
    return hf_fail(HF_ERR_UNREACHABLE, "%s: %s", text, strerror(error));
  int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)); /* what is small must not wait for what comes next */
  *ret_fd = fd;
  fd = -1;
  return HF_OK;
}

/* Each gets its share of the time that is left, so that one that swallows packets does not hide the next. */
hf_err net_connect(const struct addrinfo *found, int64_t deadline_ms, int *ret_fd)
{
  int64_t left = 0;
  for (const struct addrinfo *one = found; one; one = one->ai_next)
    left++;
  hf_err e = hf_fail(HF_ERR_UNREACHABLE, "no address");
  for (const struct addrinfo *one = found; one; one = one->ai_next, left--) {
    int64_t now = net_now_ms();
    e = connect_one(one, now + (deadline_ms - now) / left, ret_fd);
    if (!hf_failed(e))
      return HF_OK;
  }
  return e;
}
