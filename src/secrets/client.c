/* SPDX-License-Identifier: Apache-2.0 */
#include "secrets/client.h"

#include "secrets/request.h"

#include <errno.h>
#include <limits.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

enum { WAIT_S = 60, CHUNK = 16 * 1024 };

hf_err secrets_socket_path(const struct config *config, char *out, size_t size)
{
  char run[PATH_MAX];
  HF_TRY(config_run_path(config, run, sizeof(run)));
  return (size_t)snprintf(out, size, "%s/secrets.sock", run) < size ? HF_OK : hf_fail(HF_ERR_LIMIT, "the path %s", run);
}

static hf_err connect_to(const char *path, int *ret_fd)
{
  struct sockaddr_un to = { .sun_family = AF_UNIX };
  struct timeval limit = { .tv_sec = WAIT_S };
  if ((size_t)snprintf(to.sun_path, sizeof(to.sun_path), "%s", path) >= sizeof(to.sun_path))
    return hf_fail(HF_ERR_LIMIT, "the socket's path %s", path);
  HF_CLEANUP(hf_closep) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0)
    return hf_fail_errno(errno, "a socket");
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
  setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
  if (connect(fd, (const struct sockaddr *)&to, sizeof(to)) != 0) {
    if (errno == EACCES)
      return hf_fail_errno(errno, "%s", path);
    return hf_hint(hf_fail(HF_ERR_UNREACHABLE, "the socket of secrets %s", path),
                   "holdfast-core serves it: 'holdfast core status' tells whether it runs.");
  }
  *ret_fd = fd;
  fd = -1;
  return HF_OK;
}

static hf_err receive_line(int fd, const char *path, struct hf_buf *answer)
{
  while (answer->len == 0 || answer->data[answer->len - 1] != '\n') {
    uint8_t *room;
    HF_TRY(hf_buf_reserve(answer, 1, &room));
    size_t size = answer->max - answer->len < CHUNK ? answer->max - answer->len : CHUNK;
    HF_TRY(hf_buf_reserve(answer, size, &room));
    ssize_t n = recv(fd, room, size, 0);
    if (n < 0 && errno == EINTR)
      continue;
    if (n <= 0)
      return n == 0 || errno != EAGAIN ? hf_fail(HF_ERR_LOST, "%s", path) : hf_fail(HF_ERR_TIMEOUT, "%s", path);
    hf_buf_commit(answer, (size_t)n);
  }
  return HF_OK;
}

hf_err secrets_ask(const char *path, const char *name, const char *stage, const uint8_t *version, struct hf_buf *answer)
{
  HF_CLEANUP(hf_closep) int fd = -1;
  HF_CLEANUP(hf_buf_free) struct hf_buf request = HF_BUF(SECRETS_REQUEST_MAX);
  HF_TRY(secrets_request_add(name, stage, version, &request));
  HF_TRY(connect_to(path, &fd));
  if (send(fd, request.data, request.len, MSG_NOSIGNAL) != (ssize_t)request.len)
    return hf_fail_errno(errno, "%s", path);
  return receive_line(fd, path, answer);
}
