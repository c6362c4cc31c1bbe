/* SPDX-License-Identifier: Apache-2.0 */
#include "config/address.h"

#include <string.h>

static bool port_is_valid(const char *port)
{
  size_t len = strspn(port, "0123456789");
  if (len == 0 || len > 5 || port[len])
    return false;
  unsigned long number = strtoul(port, NULL, 10);
  return number >= 1 && number <= 65535;
}

static bool host_is_valid(const char *host, size_t len, bool bracketed)
{
  static const char name[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_";
  if (len == 0 || len > CONFIG_HOST_MAX)
    return false;
  if (bracketed)
    return strspn(host, "0123456789abcdefABCDEF:.") == len && memchr(host, ':', len);
  return host[0] != '-' && host[0] != '.' && strspn(host, name) >= len;
}

bool config_address_parse(const char *text, const char *default_port, struct config_address *ret_address)
{
  static const char scheme[] = "mqtts://";
  if (strncmp(text, scheme, sizeof(scheme) - 1) == 0)
    text += sizeof(scheme) - 1;
  bool bracketed = text[0] == '[';
  const char *host = text + bracketed;
  size_t len = strcspn(host, bracketed ? "]" : ":");
  if (!host_is_valid(host, len, bracketed) || (bracketed && host[len] != ']'))
    return false;
  const char *rest = host + len + bracketed;
  if (rest[0] && rest[0] != ':')
    return false;
  const char *port = rest[0] ? rest + 1 : default_port;
  if (!port_is_valid(port))
    return false;
  *ret_address = (struct config_address){ 0 };
  memcpy(ret_address->host, host, len);
  memcpy(ret_address->port, port, strlen(port));
  return true;
}

void config_address_format(const struct config_address *address, char *out, size_t size)
{
  bool v6 = strchr(address->host, ':');
  snprintf(out, size, "%s%s%s:%s", v6 ? "[" : "", address->host, v6 ? "]" : "", address->port);
}
