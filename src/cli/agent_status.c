/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/agent_status.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

enum { ANSWER_MAX = 1024 * 1024, WAIT_SECONDS = 40 };

static hf_err unreachable(const char *path, int error)
{
  char text[128];
  return hf_hint(hf_fail(HF_ERR_UNREACHABLE, "the key agent at %s: %s", path, strerror_r(error, text, sizeof(text))),
                 "%s",
                 error == EACCES ? "Run as a member of the socket's group."
                                 : "Start it ('systemctl start holdfast-agent', 'holdfast agent run'), or name its "
                                   "--metrics-socket.");
}

static hf_err ask(const char *path, struct hf_buf *out)
{
  static const char request[] = "GET /status HTTP/1.1\r\nHost: holdfast\r\n\r\n";
  struct sockaddr_un to = { .sun_family = AF_UNIX };
  if ((size_t)snprintf(to.sun_path, sizeof(to.sun_path), "%s", path) >= sizeof(to.sun_path))
    return hf_fail(HF_ERR_LIMIT, "the socket's path %s", path);
  HF_CLEANUP(hf_closep) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  struct timeval wait = { .tv_sec = WAIT_SECONDS };
  if (fd < 0 || connect(fd, (const struct sockaddr *)&to, sizeof(to)) != 0)
    return unreachable(path, errno);
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
  if (send(fd, request, sizeof(request) - 1, MSG_NOSIGNAL) < 0)
    return unreachable(path, errno);
  for (;;) {
    uint8_t *room;
    HF_TRY(hf_buf_reserve(out, 4096, &room));
    ssize_t n = recv(fd, room, 4096, 0);
    if (n < 0 && errno == EAGAIN)
      return hf_fail(HF_ERR_TIMEOUT, "the key agent at %s", path);
    if (n < 0)
      return unreachable(path, errno);
    if (n == 0)
      return HF_OK;
    hf_buf_commit(out, (size_t)n);
  }
}

hf_err cli_agent_ask(const struct cli_args *args, json_t **ret_status)
{
  const char *path = cli_get(args, "metrics-socket");
  path = path ? path : CLI_AGENT_SOCKET;
  HF_CLEANUP(hf_buf_free) struct hf_buf answer = HF_BUF(ANSWER_MAX);
  HF_TRY(ask(path, &answer));
  const char *text = hf_buf_str(&answer);
  const char *body = text ? strstr(text, "\r\n\r\n") : NULL;
  json_t *status = body ? json_loads(body, 0, NULL) : NULL;
  if (!json_is_object(status)) {
    json_decref(status);
    return hf_hint(hf_fail(HF_ERR_PARSE, "what answers at %s is no key agent", path), "Name its --metrics-socket.");
  }
  *ret_status = status;
  return HF_OK;
}
