/* SPDX-License-Identifier: Apache-2.0 */
#include "identity/host_names.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <openssl/err.h>

static const char local[] = "localhost,127.0.0.1,::1";

static hf_err add_name(const struct host_names_options *options, const char *name, struct host_names *all)
{
  uint8_t address[sizeof(struct in6_addr)];
  bool is_ip = inet_pton(AF_INET, name, address) == 1 || inet_pton(AF_INET6, name, address) == 1;
  size_t at = all->names.alt_name_count;
  if (at == HOST_NAMES_MAX)
    return hf_fail(HF_ERR_CONFIG, "%s has more than %d names", options->key, HOST_NAMES_MAX);
  snprintf(all->texts[at], sizeof(all->texts[at]), "%s:%s", is_ip ? "IP" : "DNS", name);
  all->alt_names[at] = all->texts[at];
  all->names.alt_name_count++;
  return HF_OK;
}

static hf_err cut_names(const struct host_names_options *options, const char *host, const char *list,
                        struct host_names *all)
{
  HF_CLEANUP(profile_alt_names_freep) GENERAL_NAMES *parsed = NULL;
  char *rest = NULL;
  *all = (struct host_names){ .list = "" };
  snprintf(all->list, sizeof(all->list), "%s%s%s", host, host[0] ? "," : "", list);
  for (char *name = strtok_r(all->list, ",", &rest); name; name = strtok_r(NULL, ",", &rest))
    HF_TRY(add_name(options, name, all));
  const char *first = strchr(all->texts[0], ':') + 1;
  all->names.common_name = strlen(first) <= PROFILE_CN_MAX ? first : options->common_name;
  all->names.alt_names = all->alt_names;
  return profile_alt_names(&all->names, &parsed);
}

/* NULL for what others cannot reach: down, loopback, of this link alone. */
static const void *address_of(const struct ifaddrs *one)
{
  if (!one->ifa_addr || !(one->ifa_flags & IFF_UP) || (one->ifa_flags & IFF_LOOPBACK))
    return NULL;
  if (one->ifa_addr->sa_family == AF_INET)
    return &((const struct sockaddr_in *)(const void *)one->ifa_addr)->sin_addr;
  const struct in6_addr *v6 = &((const struct sockaddr_in6 *)(const void *)one->ifa_addr)->sin6_addr;
  return one->ifa_addr->sa_family == AF_INET6 && !IN6_IS_ADDR_LINKLOCAL(v6) ? v6 : NULL;
}

/* Some hosts have an address for each of many containers: the first ones do. */
static void add_addresses(char *list, size_t size)
{
  enum { MOST = HOST_NAMES_MAX - 4 };
  struct ifaddrs *all = NULL;
  size_t len = strlen(list), count = 0;
  if (getifaddrs(&all) != 0)
    return;
  for (const struct ifaddrs *one = all; one && count < MOST; one = one->ifa_next) {
    char text[INET6_ADDRSTRLEN];
    const void *address = address_of(one);
    if (!address || !inet_ntop(one->ifa_addr->sa_family, address, text, sizeof(text)))
      continue;
    int n = snprintf(list + len, size - len, ",%s", text);
    len += n > 0 && (size_t)n < size - len ? (size_t)n : 0;
    count++;
  }
  freeifaddrs(all);
}

/* A host may have a name that is none in DNS: then it goes without. */
hf_err host_names_read(const struct host_names_options *options, struct host_names *ret_names)
{
  char host[256] = "", list[HOST_NAMES_LIST_MAX - sizeof(host)];
  if (options->set)
    return cut_names(options, "", options->set, ret_names);
  snprintf(list, sizeof(list), "%s", local);
  if (options->addresses)
    add_addresses(list, sizeof(list));
  if (gethostname(host, sizeof(host) - 1) == 0 && strcmp(host, "localhost") != 0 && !strchr(host, ',') &&
      !hf_failed(cut_names(options, host, list, ret_names)))
    return HF_OK;
  return cut_names(options, "", list, ret_names);
}

static bool has(const GENERAL_NAMES *names, GENERAL_NAME *name)
{
  for (int i = 0; i < sk_GENERAL_NAME_num(names); i++)
    if (GENERAL_NAME_cmp(sk_GENERAL_NAME_value(names, i), name) == 0)
      return true;
  return false;
}

bool host_names_match(const X509 *certificate, const struct profile_names *names)
{
  HF_CLEANUP(profile_alt_names_freep) GENERAL_NAMES *wanted = NULL;
  HF_CLEANUP(profile_alt_names_freep)
  GENERAL_NAMES *present = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
  bool same =
      !hf_failed(profile_alt_names(names, &wanted)) && sk_GENERAL_NAME_num(present) == sk_GENERAL_NAME_num(wanted);
  for (int i = 0; same && i < sk_GENERAL_NAME_num(wanted); i++)
    same = has(present, sk_GENERAL_NAME_value(wanted, i));
  ERR_clear_error();
  return same;
}
