/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/refusals.h"

#include <assert.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { PATIENCE_MS = 1000 };

static int64_t now_ms(void)
{
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Version 1, frame 0, and a string: short enough that its length is one byte. A client that is gone needs no answer. */
static void answer(int fd, bool as_frame)
{
  static const char text[] = "PKCS #11 service failed: too many connections; try again later";
  static_assert(sizeof(text) - 1 < 128, "its length is one byte of a varint");
  uint8_t frame[3 + sizeof(text) - 1] = { 0, 0, sizeof(text) - 1 };
  memcpy(frame + 3, text, sizeof(text) - 1);
  if (as_frame && send(fd, frame, sizeof(frame), MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
    return;
  shutdown(fd, SHUT_WR);
}

void refusals_now(int fd, bool as_frame)
{
  answer(fd, as_frame);
  close(fd);
}

static void end(struct refusals *refusals, size_t i)
{
  close(refusals->polled[i].fd);
  refusals->count--;
  refusals->polled[i] = refusals->polled[refusals->count];
  refusals->until_ms[i] = refusals->until_ms[refusals->count];
}

void refusals_add(struct refusals *refusals, int fd, bool as_frame)
{
  answer(fd, as_frame);
  if (refusals->count == REFUSALS_MAX)
    end(refusals, 0);
  refusals->polled[refusals->count] = (struct pollfd){ .fd = fd, .events = POLLIN };
  refusals->until_ms[refusals->count++] = now_ms() + PATIENCE_MS;
}

static bool is_done(struct pollfd *polled)
{
  char unread[4096];
  return polled->revents && recv(polled->fd, unread, sizeof(unread), MSG_DONTWAIT) <= 0;
}

void refusals_turn(struct refusals *refusals)
{
  int64_t now = refusals->count ? now_ms() : 0;
  for (size_t i = refusals->count; i-- > 0;)
    if (is_done(&refusals->polled[i]) || now > refusals->until_ms[i])
      end(refusals, i);
}
