/* SPDX-License-Identifier: Apache-2.0 */
#include "p11/server.h"

#include "base/cleanup.h"

#include <errno.h>
#include <sys/auxv.h>
#include <sys/socket.h>
#include <sys/un.h>

#define ADDRESS_VARIABLE "P11_KIT_SERVER_ADDRESS"

bool p11_server_is(const char *path)
{
  return strncmp(path, P11_SERVER_PREFIX, strlen(P11_SERVER_PREFIX)) == 0;
}

bool p11_server_lacks_edwards(const char *path, hf_err e)
{
  return e.code == HF_ERR_MECHANISM_INVALID && p11_server_is(path);
}

const char *p11_server_library(void)
{
  return P11_KIT_CLIENT;
}

hf_err p11_server_check(const char *path)
{
  const char *socket_path = path + strlen(P11_SERVER_PREFIX);
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  if (strlen(socket_path) >= sizeof(address.sun_path))
    return hf_fail(HF_ERR_LIMIT, "the socket's path %.64s...", socket_path);
  memcpy(address.sun_path, socket_path, strlen(socket_path) + 1);
  HF_CLEANUP(hf_closep) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0)
    return hf_fail_errno(errno, "a socket");
  if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0)
    return HF_OK;
  int error = errno;
  hf_err e = hf_fail(HF_ERR_UNREACHABLE, "the key agent at %s: %s", socket_path, strerror(error));
  if (error == EACCES)
    return hf_hint(e, "Join the group that the socket belongs to.");
  return hf_hint(e, "Start it ('systemctl start holdfast-agent'), or check the socket's path.");
}

hf_err p11_server_functions(CK_C_GetFunctionList get_list, const char *path, CK_FUNCTION_LIST **ret_functions)
{
  /* Then the client ignores the environment, and would go elsewhere. */
  if (getauxval(AT_SECURE))
    return hf_fail(HF_ERR_MODULE_LOAD, "%s: not in a program with raised rights", path);
  const char *before = getenv(ADDRESS_VARIABLE);
  HF_CLEANUP(hf_freep) char *kept = before ? strdup(before) : NULL;
  if (setenv(ADDRESS_VARIABLE, path, 1) != 0 || (before && !kept))
    return hf_fail(HF_ERR_NO_MEMORY, "the address %s", path);
  CK_RV rv = get_list(ret_functions);
  if (kept)
    setenv(ADDRESS_VARIABLE, kept, 1);
  else
    unsetenv(ADDRESS_VARIABLE);
  return rv == CKR_OK ? HF_OK : hf_fail(HF_ERR_MODULE_LOAD, "%s: C_GetFunctionList answered 0x%lx", P11_KIT_CLIENT, rv);
}
