/* SPDX-License-Identifier: Apache-2.0 */
#include "identity/profile.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <openssl/err.h>
#include <strings.h>

/* A purpose's extensions, as x509v3_config(5) writes them. */
static const struct usage_row {
  const char *key_usage;
  const char *extended; /* NULL: none */
  bool ca;
  int path_length; /* -1: no limit */
} usages[PROFILE_PURPOSE_COUNT] = {
  [PROFILE_CLIENT] = { "critical,digitalSignature", "clientAuth", false, -1 },
  [PROFILE_SERVER] = { "critical,digitalSignature", "serverAuth", false, -1 },
  [PROFILE_CLIENT_SERVER] = { "critical,digitalSignature", "clientAuth,serverAuth", false, -1 },
  [PROFILE_CA] = { "critical,digitalSignature,keyCertSign,cRLSign", NULL, true, -1 },
  [PROFILE_SELF_SIGNED] = { "critical,digitalSignature,keyCertSign", "clientAuth", true, 0 },
};

static hf_err add_entry(X509_NAME *name, int nid, const char *what, const char *text)
{
  if (!text || !text[0])
    return HF_OK;
  if (X509_NAME_add_entry_by_NID(name, nid, MBSTRING_UTF8, (const unsigned char *)text, -1, -1, 0) == 1)
    return HF_OK;
  unsigned long error = ERR_peek_last_error();
  ERR_clear_error();
  if (ERR_GET_REASON(error) == ASN1_R_STRING_TOO_LONG)
    return hf_hint(hf_fail(HF_ERR_USAGE, "the %s '%.100s' is longer than %d characters", what, text, PROFILE_CN_MAX),
                   "Use a shorter one: X.509 allows no more.");
  return hf_hint(hf_fail(HF_ERR_USAGE, "the %s is no UTF-8 text", what), "Check the terminal's character set.");
}

hf_err profile_subject(const struct profile_names *names, X509_NAME **ret_subject)
{
  HF_CLEANUP(profile_name_freep) X509_NAME *subject = X509_NAME_new();
  if (!subject)
    return hf_fail(HF_ERR_NO_MEMORY, "the subject");
  if (!names->common_name || !names->common_name[0])
    return hf_hint(hf_fail(HF_ERR_USAGE, "the common name (CN) is empty"), "It is the device's id: set device.id.");
  HF_TRY(add_entry(subject, NID_organizationName, "organization (O)", names->organization));
  HF_TRY(add_entry(subject, NID_organizationalUnitName, "organizational unit (OU)", names->organization_unit));
  HF_TRY(add_entry(subject, NID_commonName, "common name (CN)", names->common_name));
  *ret_subject = HF_TAKE(subject);
  return HF_OK;
}

/* subjectAltName. */

static bool is_visible_ascii(const char *text)
{
  for (; *text; text++)
    if (*text <= ' ' || *text > '~')
      return false;
  return true;
}

/* RFC 5280, section 4.2.1.6: the preferred name syntax; '_' is seen in the field. "*." may lead. */
static bool is_dns(const char *text)
{
  size_t label = 0;
  if (strncmp(text, "*.", 2) == 0)
    text += 2;
  if (!text[0] || strlen(text) > 253)
    return false;
  for (const char *p = text; *p; p++) {
    if (*p == '.' && label == 0)
      return false;
    label = *p == '.' ? 0 : label + 1;
    if (label > 63 || (*p != '.' && *p != '-' && *p != '_' && !isalnum((unsigned char)*p)))
      return false;
  }
  return label > 0;
}

static bool is_address(const char *text)
{
  uint8_t address[sizeof(struct in6_addr)];
  return inet_pton(AF_INET, text, address) == 1 || inet_pton(AF_INET6, text, address) == 1;
}

/* RFC 5280 wants an absolute URI: a scheme, and something after it. */
static bool is_uri(const char *text)
{
  size_t scheme = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-.");
  return is_visible_ascii(text) && isalpha((unsigned char)text[0]) && text[scheme] == ':' && text[scheme + 1];
}

static const struct alt_row {
  const char *prefix;
  int type;
  bool (*is)(const char *text);
  const char *wanted;
} alts[] = {
  { "DNS:", GEN_DNS, is_dns, "Write a host's name in ASCII; an international one as xn--..." },
  { "IP:", GEN_IPADD, is_address, "Write an IPv4 or IPv6 address." },
  { "URI:", GEN_URI, is_uri, "Write a whole URI, like urn:dev:mac:0024befffe804ff1, in ASCII." },
};

static hf_err find_alt(const char *text, const struct alt_row **ret_row)
{
  for (size_t i = 0; i < HF_ARRAY_LEN(alts); i++) {
    if (strncasecmp(text, alts[i].prefix, strlen(alts[i].prefix)) != 0)
      continue;
    if (!alts[i].is(text + strlen(alts[i].prefix)))
      return hf_hint(hf_fail(HF_ERR_USAGE, "the alternative name '%.200s'", text), "%s", alts[i].wanted);
    *ret_row = &alts[i];
    return HF_OK;
  }
  return hf_hint(hf_fail(HF_ERR_USAGE, "the alternative name '%.200s'", text),
                 "Write DNS:NAME, IP:ADDRESS or URI:URI.");
}

static hf_err add_alt(GENERAL_NAMES *names, const char *text)
{
  const struct alt_row *row = NULL;
  HF_TRY(find_alt(text, &row));
  GENERAL_NAME *name = a2i_GENERAL_NAME(NULL, NULL, NULL, row->type, text + strlen(row->prefix), 0);
  if (name && sk_GENERAL_NAME_push(names, name) > 0)
    return HF_OK;
  GENERAL_NAME_free(name);
  return openssl_fail(HF_ERR_INTERNAL, "the alternative name ", text);
}

hf_err profile_alt_names(const struct profile_names *names, GENERAL_NAMES **ret_alt_names)
{
  if (names->alt_name_count > PROFILE_ALT_NAMES_MAX)
    return hf_fail(HF_ERR_USAGE, "%zu alternative names; %d are allowed", names->alt_name_count, PROFILE_ALT_NAMES_MAX);
  HF_CLEANUP(profile_alt_names_freep) GENERAL_NAMES *all = NULL;
  if (names->alt_name_count && !(all = GENERAL_NAMES_new()))
    return hf_fail(HF_ERR_NO_MEMORY, "the alternative names");
  for (size_t i = 0; i < names->alt_name_count; i++)
    HF_TRY(add_alt(all, names->alt_names[i]));
  *ret_alt_names = HF_TAKE(all);
  return HF_OK;
}

/* Extensions. */

static hf_err push(STACK_OF(X509_EXTENSION) * *extensions, X509_EXTENSION *extension, int nid)
{
  /* X509v3_add_ext keeps a copy and makes the stack. */
  bool good = extension && X509v3_add_ext(extensions, extension, -1);
  X509_EXTENSION_free(extension);
  return good ? HF_OK : openssl_fail(HF_ERR_INTERNAL, "the extension ", OBJ_nid2sn(nid));
}

hf_err profile_add(STACK_OF(X509_EXTENSION) * *extensions, int nid, void *value, bool critical)
{
  return push(extensions, X509V3_EXT_i2d(nid, critical, value), nid);
}

static hf_err add_text(STACK_OF(X509_EXTENSION) * *extensions, int nid, const char *text)
{
  return push(extensions, X509V3_EXT_conf_nid(NULL, NULL, nid, text), nid);
}

hf_err profile_add_usage(STACK_OF(X509_EXTENSION) * *extensions, enum profile_purpose purpose)
{
  const struct usage_row *row = &usages[purpose];
  HF_TRY(add_text(extensions, NID_key_usage, row->key_usage));
  return row->extended ? add_text(extensions, NID_ext_key_usage, row->extended) : HF_OK;
}

hf_err profile_add_constraints(STACK_OF(X509_EXTENSION) * *extensions, enum profile_purpose purpose, int path_length)
{
  char text[64];
  int limit = path_length >= 0 ? path_length : usages[purpose].path_length;
  if (!usages[purpose].ca)
    return add_text(extensions, NID_basic_constraints, "critical,CA:FALSE");
  if (limit < 0)
    return add_text(extensions, NID_basic_constraints, "critical,CA:TRUE");
  snprintf(text, sizeof(text), "critical,CA:TRUE,pathlen:%d", limit);
  return add_text(extensions, NID_basic_constraints, text);
}
