/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/agent_client.h"

#include "cli/configuration.h"
#include "wire/frame.h"

#include <ctype.h>
#include <errno.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

enum { WAIT_SECONDS = 120, TEXT_MAX = 8 * 1024 };

bool cli_agent_serves(const struct p11_module *module)
{
  static const char prefix[] = "unix:path=";
  return strncmp(p11_module_path(module), prefix, sizeof(prefix) - 1) == 0;
}

static hf_err unreachable(const char *path, int error)
{
  char text[128];
  return hf_hint(
      hf_fail(HF_ERR_UNREACHABLE, "the key agent at %s: %s", path, strerror_r(error, text, sizeof(text))),
      "Start it ('systemctl start holdfast-agent'), or set device.cryptoki.socket_path to its signing socket.");
}

static hf_err connect_to(const char *path, int *ret_fd)
{
  struct sockaddr_un to = { .sun_family = AF_UNIX };
  if ((size_t)snprintf(to.sun_path, sizeof(to.sun_path), "%s", path) >= sizeof(to.sun_path))
    return hf_fail(HF_ERR_LIMIT, "the socket's path %s", path);
  HF_CLEANUP(hf_closep) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const struct timeval wait = { .tv_sec = WAIT_SECONDS };
  if (fd < 0 || connect(fd, (const struct sockaddr *)&to, sizeof(to)) != 0)
    return unreachable(path, errno);
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
  *ret_fd = fd;
  fd = -1;
  return HF_OK;
}

static hf_err exchange(const char *path, const struct hf_buf *request, struct hf_buf *answer)
{
  HF_CLEANUP(hf_closep) int fd = -1;
  HF_TRY(connect_to(path, &fd));
  for (size_t sent = 0; sent < request->len;) {
    ssize_t n = send(fd, request->data + sent, request->len - sent, MSG_NOSIGNAL);
    if (n < 0 && errno != EINTR)
      return unreachable(path, errno);
    sent += n > 0 ? (size_t)n : 0;
  }
  shutdown(fd, SHUT_WR);
  for (;;) {
    uint8_t *room;
    HF_TRY(hf_buf_reserve(answer, 4096, &room));
    ssize_t n = recv(fd, room, 4096, 0);
    if (n < 0 && errno == EAGAIN)
      return hf_fail(HF_ERR_TIMEOUT, "the key agent at %s", path);
    if (n < 0 && errno != EINTR)
      return unreachable(path, errno);
    if (n == 0)
      return HF_OK;
    hf_buf_commit(answer, n > 0 ? (size_t)n : 0);
  }
}

/* The agent writes the sentence of an error's row, then what it concerns and the hint: the row gives back the code. */
static enum hf_code code_of(const char *text, const char **ret_rest)
{
  for (enum hf_code code = HF_ERR_OK + 1; code < HF_ERR_COUNT; code++) {
    const char *sentence = hf_err_text((hf_err){ code }), *at = strstr(text, sentence);
    if (at) {
      at += strlen(sentence);
      *ret_rest = at + strspn(at, ": ");
      return code;
    }
  }
  *ret_rest = text;
  return HF_ERR_INTERNAL;
}

static hf_err refused(const struct wire_text *said)
{
  char text[TEXT_MAX];
  const char *rest;
  snprintf(text, sizeof(text), "%.*s", (int)(said->bytes.len < TEXT_MAX ? said->bytes.len : TEXT_MAX - 1),
           said->bytes.data);
  enum hf_code code = code_of(text, &rest);
  const char *end = rest;
  while ((end = strstr(end, ". ")) && !isupper((unsigned char)end[2]))
    end += 2;
  size_t len = end ? (size_t)(end - rest) : strlen(rest);
  const char *rv = strstr(rest, " (CKR_");
  if (rv && rv < rest + len)
    len = (size_t)(rv - rest);
  hf_err e = hf_fail(code, "the key agent: %.*s", (int)len, rest);
  return end ? hf_hint(e, "%s", end + 2) : e;
}

/* The answer's texts are not needed by any of us. */
static hf_err ask(const struct cli_args *args, const struct wire_frame *request, enum wire_number expected)
{
  HF_CLEANUP(config_freep) struct config *config = NULL;
  HF_CLEANUP(hf_buf_free) struct hf_buf out = HF_BUF(WIRE_REQUEST_MAX), in = HF_BUF(WIRE_RESPONSE_MAX);
  HF_TRY(config_load(cli_get(args, "config"), &config));
  const char *path = config_get(config, CONFIG_DEVICE_CRYPTOKI_SOCKET_PATH);
  HF_TRY(wire_frame_encode(request, &out));
  HF_TRY(exchange(path, &out, &in));
  HF_CLEANUP(wire_frame_free) struct wire_frame answer = { 0 };
  hf_err e = wire_frame_decode(hf_slice(in.data, in.len), WIRE_DIRECTION_RESPONSE, &answer);
  if (!hf_failed(e) && answer.number == WIRE_ERROR)
    return refused(&answer.text);
  if (hf_failed(e) || answer.number != expected)
    return hf_hint(hf_fail(HF_ERR_PARSE, "what answers at %s is no key agent", path),
                   "Set device.cryptoki.socket_path to its signing socket.");
  return HF_OK;
}

static struct wire_text secret_text(struct hf_secret *secret)
{
  return secret ? wire_text(hf_secret_data(secret), hf_secret_len(secret)) : (struct wire_text){ 0 };
}

hf_err cli_agent_init_token(const struct cli_args *args, const struct uri *uri, const char *label,
                            struct hf_secret *so_pin, struct hf_secret *pin)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf text = HF_BUF(4 * URI_MAX);
  HF_TRY(uri_format(uri, &text));
  const struct wire_frame request = { .number = WIRE_INIT_TOKEN,
                                      .label = wire_text(label, strlen(label)),
                                      .so_pin = secret_text(so_pin),
                                      .pin = secret_text(pin),
                                      .uri = wire_text(text.data, text.len) };
  return ask(args, &request, WIRE_INITED_TOKEN);
}

hf_err cli_agent_change_pin(const struct cli_args *args, const struct uri *uri, struct hf_secret *old_pin,
                            struct hf_secret *so_pin, struct hf_secret *new_pin)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf text = HF_BUF(4 * URI_MAX);
  HF_TRY(uri_format(uri, &text));
  const struct wire_frame request = { .number = WIRE_CHANGE_PIN,
                                      .uri = wire_text(text.data, text.len),
                                      .new_pin = secret_text(new_pin),
                                      .old_pin = secret_text(old_pin),
                                      .so_pin = secret_text(so_pin),
                                      .reset = so_pin != NULL };
  return ask(args, &request, WIRE_CHANGED_PIN);
}
