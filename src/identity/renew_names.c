/* SPDX-License-Identifier: Apache-2.0 */
#include "identity/renew_names.h"

#include <arpa/inet.h>
#include <openssl/err.h>

static void name_of(const X509 *certificate, int nid, char *out, size_t size)
{
  if (X509_NAME_get_text_by_NID(X509_get_subject_name(certificate), nid, out, (int)size) < 0)
    out[0] = '\0';
}

/* As profile.h takes it; NULL where it does not, or without memory. */
static char *format(const GENERAL_NAME *name)
{
  int type = 0;
  char *text = NULL, ip[INET6_ADDRSTRLEN];
  const ASN1_STRING *value = GENERAL_NAME_get0_value(name, &type);
  int len = type == GEN_DNS || type == GEN_URI || type == GEN_IPADD ? ASN1_STRING_length(value) : 0;
  const unsigned char *data = len ? ASN1_STRING_get0_data(value) : NULL;
  int n = -1;
  if (type == GEN_IPADD && (len == 4 || len == 16) && inet_ntop(len == 4 ? AF_INET : AF_INET6, data, ip, sizeof(ip)))
    n = asprintf(&text, "IP:%s", ip);
  else if (type == GEN_DNS || type == GEN_URI)
    n = asprintf(&text, "%s:%.*s", type == GEN_DNS ? "DNS" : "URI", len, (const char *)data);
  return n > 0 ? text : NULL;
}

static void read_alt_names(const X509 *certificate, struct renew_names *out)
{
  HF_CLEANUP(profile_alt_names_freep)
  GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
  for (int i = 0; i < sk_GENERAL_NAME_num(names) && out->names.alt_name_count < PROFILE_ALT_NAMES_MAX; i++) {
    char *text = format(sk_GENERAL_NAME_value(names, i));
    if (text)
      out->alt_names[out->names.alt_name_count++] = text;
  }
  ERR_clear_error();
}

void renew_names_read(const X509 *certificate, const char *common_name, struct renew_names *ret_names)
{
  memset(ret_names, 0, sizeof(*ret_names));
  name_of(certificate, NID_organizationName, ret_names->organization, sizeof(ret_names->organization));
  name_of(certificate, NID_organizationalUnitName, ret_names->unit, sizeof(ret_names->unit));
  ret_names->names.common_name = common_name;
  ret_names->names.organization = ret_names->organization;
  ret_names->names.organization_unit = ret_names->unit;
  read_alt_names(certificate, ret_names);
  ret_names->names.alt_names = (const char *const *)ret_names->alt_names;
}

void renew_names_free(struct renew_names *names)
{
  for (size_t i = 0; i < names->names.alt_name_count; i++)
    free(names->alt_names[i]);
  names->names.alt_name_count = 0;
}
