/* SPDX-License-Identifier: Apache-2.0 */
#include "ca/grant.h"
#include "identity/certificate_text.h"
#include "identity/request.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/objects.h>
#include <strings.h>

enum { RSA_BITS_MIN = 2048, RSA_BITS_MAX = 8192, NAMES_MAX = 16 };

/* Keys */

static const char *const curves[] = { "prime256v1", "secp384r1", "secp521r1" };
static const char *const others[] = { "ED25519", "ED448", "ML-DSA-44", "ML-DSA-65", "ML-DSA-87" };
static const int weak_digests[] = { NID_md4, NID_md5, NID_sha1, NID_md5_sha1, NID_ripemd160 };

static bool is_good_curve(const EVP_PKEY *key)
{
  char name[64];
  size_t len;
  int spelled_out = 0;
  if (EVP_PKEY_get_group_name(key, name, sizeof(name), &len) != 1)
    return false;
  /* Curves are named (RFC 5480, section 2.1.1): others may not recognise one that is spelled out. */
  if (EVP_PKEY_get_int_param(key, OSSL_PKEY_PARAM_EC_DECODED_FROM_EXPLICIT_PARAMS, &spelled_out) == 1 && spelled_out)
    return false;
  for (size_t i = 0; i < HF_ARRAY_LEN(curves); i++)
    if (strcmp(name, curves[i]) == 0)
      return true;
  return false;
}

static bool check_key_kind(const EVP_PKEY *key, struct answer *answer)
{
  if (EVP_PKEY_is_a(key, "EC"))
    return is_good_curve(key) || answer_refuse(answer, 400, "The key's curve is not P-256, P-384 or P-521.");
  if (EVP_PKEY_is_a(key, "RSA") || EVP_PKEY_is_a(key, "RSA-PSS")) {
    int bits = EVP_PKEY_get_bits(key);
    return (bits >= RSA_BITS_MIN && bits <= RSA_BITS_MAX) ||
           answer_refuse(answer, 400, "An RSA key of %d bits is not taken: it must have %d to %d.", bits, RSA_BITS_MIN,
                         RSA_BITS_MAX);
  }
  for (size_t i = 0; i < HF_ARRAY_LEN(others); i++)
    if (EVP_PKEY_is_a(key, others[i]))
      return true;
  return answer_refuse(answer, 400, "Keys of this kind are not taken: use EC, Ed25519 or RSA.");
}

bool grant_check_key(X509_REQ *request, struct answer *answer)
{
  int digest = NID_undef;
  OBJ_find_sigid_algs(X509_REQ_get_signature_nid(request), &digest, NULL);
  for (size_t i = 0; i < HF_ARRAY_LEN(weak_digests); i++)
    if (digest == weak_digests[i])
      return answer_refuse(answer, 400, "The request is signed with %s: use SHA-256 or better.", OBJ_nid2sn(digest));
  bool good = check_key_kind(X509_REQ_get0_pubkey(request), answer);
  ERR_clear_error();
  return good;
}

/* Names */

/* Whole: a NUL within it must not make it look like another. */
bool grant_request_cn(X509_REQ *request, char out[REGISTRY_ID_MAX + 1])
{
  X509_NAME *subject = X509_REQ_get_subject_name(request);
  int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
  if (at < 0 || X509_NAME_get_index_by_NID(subject, NID_commonName, at) >= 0)
    return false;
  unsigned char *text = NULL;
  int len = ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
  bool good = len > 0 && len <= REGISTRY_ID_MAX && !memchr(text, '\0', (size_t)len);
  if (good)
    snprintf(out, REGISTRY_ID_MAX + 1, "%.*s", len, (const char *)text);
  OPENSSL_free(text);
  ERR_clear_error();
  return good;
}

bool grant_check_subject(X509_REQ *request, const char *device, struct answer *answer)
{
  char cn[REGISTRY_ID_MAX + 1];
  if (!grant_request_cn(request, cn))
    return answer_refuse(answer, 400, "The request's subject must have one common name (CN): the device's id.");
  if (strcmp(cn, device) != 0)
    return answer_refuse(answer, 403, "The request is for '%s', but '%s' asks for it.", cn, device);
  return true;
}

/* Names of hosts have no case (RFC 5280, section 7.2). */
static bool is_same(const GENERAL_NAME *a, const GENERAL_NAME *b)
{
  if (a->type != GEN_DNS || b->type != GEN_DNS)
    return GENERAL_NAME_cmp((GENERAL_NAME *)(uintptr_t)a, (GENERAL_NAME *)(uintptr_t)b) == 0;
  int len = ASN1_STRING_length(a->d.dNSName);
  return len == ASN1_STRING_length(b->d.dNSName) &&
         strncasecmp((const char *)ASN1_STRING_get0_data(a->d.dNSName),
                     (const char *)ASN1_STRING_get0_data(b->d.dNSName), (size_t)len) == 0;
}

static bool holds(const GENERAL_NAMES *names, const GENERAL_NAME *name)
{
  for (int i = 0; i < sk_GENERAL_NAME_num(names); i++)
    if (is_same(sk_GENERAL_NAME_value(names, i), name))
      return true;
  return false;
}

/* "DNS:a,IP:b" and the id as the names they stand for. An id that can be no DNS name adds none. */
static hf_err parse_allowed(const char *device, char *allowed, GENERAL_NAMES **ret_names)
{
  const char *list[NAMES_MAX + 1];
  char own[REGISTRY_ID_MAX + 8], *rest = NULL;
  struct profile_names names = { .alt_names = list };
  snprintf(own, sizeof(own), "DNS:%s", device);
  for (char *name = strtok_r(allowed, ",", &rest); name && names.alt_name_count < NAMES_MAX;
       name = strtok_r(NULL, ",", &rest))
    list[names.alt_name_count++] = name + strspn(name, " ");
  list[names.alt_name_count++] = own;
  hf_err e = profile_alt_names(&names, ret_names);
  if (!hf_failed(e))
    return e;
  names.alt_name_count--;
  return profile_alt_names(&names, ret_names);
}

static bool read_alt_names(X509_REQ *request, GENERAL_NAMES **ret_names, struct answer *answer)
{
  return !hf_failed(request_alt_names(request, ret_names)) ||
         answer_refuse(answer, 400, "The request's alternative names (subjectAltName) cannot be read.");
}

bool grant_check_alt_names(X509_REQ *request, const char *device, const char *allowed, struct answer *answer)
{
  HF_CLEANUP(profile_alt_names_freep) GENERAL_NAMES *asked = NULL, *may = NULL;
  HF_CLEANUP(hf_buf_free) struct hf_buf name = HF_BUF(CERTIFICATE_TEXT_MAX);
  char text[REGISTRY_NAMES_MAX];
  if (!read_alt_names(request, &asked, answer))
    return false;
  if (!asked)
    return true;
  snprintf(text, sizeof(text), "%s", allowed);
  hf_err e = parse_allowed(device, text, &may);
  if (hf_failed(e))
    return answer_fail(answer, e, "the names that a device may have");
  for (int i = 0; i < sk_GENERAL_NAME_num(asked); i++) {
    if (may && holds(may, sk_GENERAL_NAME_value(asked, i)))
      continue;
    hf_ignore(certificate_alt_name_text(sk_GENERAL_NAME_value(asked, i), &name));
    return answer_refuse(answer, 403,
                         "'%s' may not have the alternative name %.100s; 'holdfast ca token --san' allows it.", device,
                         name.len ? hf_buf_str(&name) : "of this kind");
  }
  return true;
}

bool grant_check_same(X509_REQ *request, const X509 *certificate, struct answer *answer)
{
  HF_CLEANUP(profile_alt_names_freep) GENERAL_NAMES *asked = NULL, *had = NULL;
  if (X509_NAME_cmp(X509_REQ_get_subject_name(request), X509_get_subject_name(certificate)) != 0)
    return answer_refuse(answer, 403, "The request's subject is not that of the certificate that it renews.");
  if (!read_alt_names(request, &asked, answer))
    return false;
  had = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
  bool same = (asked ? sk_GENERAL_NAME_num(asked) : 0) == (had ? sk_GENERAL_NAME_num(had) : 0);
  for (int i = 0; same && asked && i < sk_GENERAL_NAME_num(asked); i++)
    same = holds(had, sk_GENERAL_NAME_value(asked, i));
  return same || answer_refuse(answer, 403,
                               "The request's alternative names are not those of the certificate that it renews "
                               "(RFC 7030, section 4.2.2).");
}
