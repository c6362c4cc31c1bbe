/* SPDX-License-Identifier: Apache-2.0 */
#include "base/notify.h"

#include "base/cleanup.h"

#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>

void hf_notify(const char *state)
{
  const char *path = getenv("NOTIFY_SOCKET");
  struct sockaddr_un to = { .sun_family = AF_UNIX };
  size_t len = path ? strlen(path) : 0;
  if (len < 2 || len >= sizeof(to.sun_path))
    return;
  memcpy(to.sun_path, path, len);
  if (path[0] == '@')
    to.sun_path[0] = '\0';
  HF_CLEANUP(hf_closep) int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
  /* A message that does not arrive shows in systemd's own time-outs. */
  if (fd >= 0 && sendto(fd, state, strlen(state), MSG_NOSIGNAL, (const struct sockaddr *)&to, size) < 0)
    return;
}

static const char *const names[] = { "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID",
                                     "LISTEN_PID",    "LISTEN_FDS",    "LISTEN_FDNAMES" };

bool hf_notify_is_for_us(const char *entry)
{
  for (size_t i = 0; i < HF_ARRAY_LEN(names); i++)
    if (strncmp(entry, names[i], strlen(names[i])) == 0 && entry[strlen(names[i])] == '=')
      return true;
  return false;
}

void hf_notify_forget(void)
{
  for (size_t i = 0; i < HF_ARRAY_LEN(names); i++)
    unsetenv(names[i]);
}
