/* SPDX-License-Identifier: Apache-2.0 */
/* The signing socket: one request to its end, one response, and that is all. */
#include "agent/options.h"
#include "agent/sign_service.h"
#include "wire/frame.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <time.h>

enum { CHUNK = 4096 };

/* By when all of it must have come, or gone. */
struct until {
  unsigned long seconds;
  int64_t ms;
};

static int64_t now_ms(void)
{
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static struct until until_of(const struct agent *agent)
{
  unsigned long seconds = options_number(agent->options, OPTION_CLIENT_TIMEOUT);
  return (struct until){ seconds, now_ms() + (int64_t)seconds * 1000 };
}

/* Fails with TIMEOUT in the end, however much came or went before. */
static hf_err wait_for(int fd, short events, struct until until)
{
  for (;;) {
    int64_t left = until.ms - now_ms();
    if (left <= 0)
      return hf_fail(HF_ERR_TIMEOUT, "the frame did not end within %lu s; shut the sending half down after it",
                     until.seconds);
    struct pollfd p = { .fd = fd, .events = events };
    int count = poll(&p, 1, (int)left);
    if (count > 0)
      return HF_OK;
    if (count < 0 && errno != EINTR)
      return hf_fail_errno(errno, "waiting for a client");
  }
}

static hf_err read_to_end(int fd, struct until until, struct hf_buf *out)
{
  uint8_t chunk[CHUNK];
  for (;;) {
    ssize_t len = recv(fd, chunk, sizeof(chunk), MSG_DONTWAIT);
    if (len == 0)
      return HF_OK;
    if (len > 0) {
      hf_err e = hf_buf_add(out, chunk, (size_t)len);
      hf_wipe(chunk, (size_t)len);
      HF_TRY(e);
      HF_TRY(wait_for(fd, POLLIN, until));
    } else if (errno == EAGAIN) {
      HF_TRY(wait_for(fd, POLLIN, until));
    } else if (errno != EINTR) {
      return hf_fail_errno(errno, "reading from a client");
    }
  }
}

/* A client that went away, or does not read, has itself to blame: nobody is left to tell. */
static void write_all(int fd, struct until until, const struct hf_buf *response)
{
  size_t at = 0;
  while (at < response->len) {
    ssize_t len = send(fd, response->data + at, response->len - at, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (len >= 0)
      at += (size_t)len;
    else if (errno == EAGAIN && !hf_failed(wait_for(fd, POLLOUT, until)))
      continue;
    else if (errno != EINTR)
      return;
  }
  shutdown(fd, SHUT_WR);
}

void sign_socket_serve(struct agent *agent, int fd, const struct peer *peer)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf request = HF_BUF(WIRE_REQUEST_MAX), response = HF_BUF(WIRE_RESPONSE_MAX);
  hf_err e = read_to_end(fd, until_of(agent), &request);
  if (e.code == HF_ERR_IO)
    return;
  /* Someone looked whether the socket is alive. */
  if (!hf_failed(e) && request.len == 0)
    return;
  if (hf_failed(e))
    e = sign_service_unread(agent, peer, e, &response);
  else
    e = sign_service_answer(agent, peer, hf_slice(request.data, request.len), &response);
  if (!hf_failed(e))
    write_all(fd, until_of(agent), &response);
}
