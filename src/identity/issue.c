/* SPDX-License-Identifier: Apache-2.0 */
#include "identity/issue.h"

#include "identity/key.h"
#include "identity/request.h"

#include <openssl/bn.h>
#include <openssl/err.h>
#include <openssl/sha.h>
#include <time.h>

IDENTITY_CLEANUP(BIGNUM, bignum_free, BN_free)
IDENTITY_CLEANUP(ASN1_OCTET_STRING, octets_free, ASN1_OCTET_STRING_free)
IDENTITY_CLEANUP(AUTHORITY_KEYID, authority_free, AUTHORITY_KEYID_free)
IDENTITY_CLEANUP(AUTHORITY_INFO_ACCESS, access_free, AUTHORITY_INFO_ACCESS_free)
IDENTITY_CLEANUP(CRL_DIST_POINTS, crl_points_free, CRL_DIST_POINTS_free)

/* What a certificate is made of. */
struct issue {
  const struct issue_options *options;
  const X509_NAME *subject;
  GENERAL_NAMES *alt_names; /* NULL: none */
  EVP_PKEY *public_key;
  const X509 *issuer; /* NULL: itself */
  EVP_PKEY *issuer_key;
};

static hf_err no_memory(void)
{
  return openssl_fail(HF_ERR_NO_MEMORY, "the certificate", "");
}

/* 159 bits, the highest set: always 20 bytes, never negative (RFC 5280, section 4.1.2.2). */
static hf_err set_serial(X509 *certificate)
{
  HF_CLEANUP(bignum_freep) BIGNUM *number = BN_new();
  if (!number || BN_rand(number, ISSUE_SERIAL_LEN * 8 - 1, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ANY) != 1 ||
      !BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate)))
    return openssl_fail(HF_ERR_INTERNAL, "a serial number", "");
  return HF_OK;
}

/* Neither before the issuer's certificate begins nor after it ends. */
static hf_err set_validity(const struct issue *issue, X509 *certificate)
{
  time_t now = time(NULL);
  ASN1_TIME *from = X509_getm_notBefore(certificate), *until = X509_getm_notAfter(certificate);
  int64_t most = INT32_MAX * INT64_C(86400);
  int64_t lifetime = issue->options->lifetime_s < (uint64_t)most ? (int64_t)issue->options->lifetime_s : most;
  if (!ASN1_TIME_adj(from, now, 0, -ISSUE_BACKDATE_S) ||
      !ASN1_TIME_adj(until, now, (int)(lifetime / 86400), (long)(lifetime % 86400)))
    return hf_fail(HF_ERR_USAGE, "a certificate that is valid for %llu days",
                   (unsigned long long)(issue->options->lifetime_s / 86400));
  if (!issue->issuer)
    return HF_OK;
  const ASN1_TIME *first = X509_get0_notBefore(issue->issuer), *last = X509_get0_notAfter(issue->issuer);
  if ((ASN1_TIME_compare(from, first) < 0 && X509_set1_notBefore(certificate, first) != 1) ||
      (ASN1_TIME_compare(until, last) > 0 && X509_set1_notAfter(certificate, last) != 1))
    return no_memory();
  return HF_OK;
}

/* RFC 5280, section 4.2.1.2, method 1. */
static hf_err add_subject_key_id(X509 *certificate, STACK_OF(X509_EXTENSION) * *extensions)
{
  uint8_t digest[SHA_DIGEST_LENGTH];
  HF_CLEANUP(octets_freep) ASN1_OCTET_STRING *id = ASN1_OCTET_STRING_new();
  if (!id || X509_pubkey_digest(certificate, EVP_sha1(), digest, NULL) != 1 ||
      ASN1_OCTET_STRING_set(id, digest, sizeof(digest)) != 1)
    return no_memory();
  return profile_add(extensions, NID_subject_key_identifier, id, false);
}

/* What the issuer calls its own key; an issuer without a name for it gives none to what it signs. */
static hf_err add_authority_key_id(const struct issue *issue, STACK_OF(X509_EXTENSION) * *extensions)
{
  /* Of itself, it stands in the stack: OpenSSL would remember the unfinished certificate as one without extensions. */
  HF_CLEANUP(octets_freep)
  ASN1_OCTET_STRING *id = issue->issuer ? X509_get_ext_d2i(issue->issuer, NID_subject_key_identifier, NULL, NULL)
                                        : X509V3_get_d2i(*extensions, NID_subject_key_identifier, NULL, NULL);
  HF_CLEANUP(authority_freep) AUTHORITY_KEYID *authority = AUTHORITY_KEYID_new();
  if (!authority)
    return no_memory();
  if (!id)
    return HF_OK;
  authority->keyid = HF_TAKE(id);
  return profile_add(extensions, NID_authority_key_identifier, authority, false);
}

static hf_err set_uri(GENERAL_NAME *name, const char *url)
{
  ASN1_IA5STRING *text = ASN1_IA5STRING_new();
  if (!text || ASN1_STRING_set(text, url, -1) != 1) {
    ASN1_IA5STRING_free(text);
    return no_memory();
  }
  GENERAL_NAME_set0_value(name, GEN_URI, text);
  return HF_OK;
}

static hf_err add_access(AUTHORITY_INFO_ACCESS *all, int method, const char *url)
{
  if (!url)
    return HF_OK;
  ACCESS_DESCRIPTION *access = ACCESS_DESCRIPTION_new();
  if (!access || sk_ACCESS_DESCRIPTION_push(all, access) <= 0) {
    ACCESS_DESCRIPTION_free(access);
    return no_memory();
  }
  ASN1_OBJECT_free(access->method);
  access->method = OBJ_nid2obj(method);
  return set_uri(access->location, url);
}

static hf_err add_information_access(const struct issue_options *options, STACK_OF(X509_EXTENSION) * *extensions)
{
  if (!options->ocsp_url && !options->ca_issuers_url)
    return HF_OK;
  HF_CLEANUP(access_freep) AUTHORITY_INFO_ACCESS *all = AUTHORITY_INFO_ACCESS_new();
  if (!all)
    return no_memory();
  HF_TRY(add_access(all, NID_ad_OCSP, options->ocsp_url));
  HF_TRY(add_access(all, NID_ad_ca_issuers, options->ca_issuers_url));
  return profile_add(extensions, NID_info_access, all, false);
}

static hf_err fill_crl_point(CRL_DIST_POINTS *points, const char *url)
{
  DIST_POINT *point = DIST_POINT_new();
  if (!point || sk_DIST_POINT_push(points, point) <= 0) {
    DIST_POINT_free(point);
    return no_memory();
  }
  GENERAL_NAME *name = GENERAL_NAME_new();
  point->distpoint = DIST_POINT_NAME_new();
  GENERAL_NAMES *names = point->distpoint ? GENERAL_NAMES_new() : NULL;
  if (!names || !name || sk_GENERAL_NAME_push(names, name) <= 0) {
    GENERAL_NAME_free(name);
    GENERAL_NAMES_free(names);
    return no_memory();
  }
  point->distpoint->type = 0; /* fullName */
  point->distpoint->name.fullname = names;
  return set_uri(name, url);
}

static hf_err add_crl_point(const struct issue_options *options, STACK_OF(X509_EXTENSION) * *extensions)
{
  if (!options->crl_url)
    return HF_OK;
  HF_CLEANUP(crl_points_freep) CRL_DIST_POINTS *points = CRL_DIST_POINTS_new();
  if (!points)
    return no_memory();
  HF_TRY(fill_crl_point(points, options->crl_url));
  return profile_add(extensions, NID_crl_distribution_points, points, false);
}

static hf_err make_extensions(const struct issue *issue, X509 *certificate, STACK_OF(X509_EXTENSION) * *extensions)
{
  const struct issue_options *options = issue->options;
  HF_TRY(profile_add_constraints(extensions, options->purpose, options->path_length));
  HF_TRY(profile_add_usage(extensions, options->purpose));
  HF_TRY(add_subject_key_id(certificate, extensions));
  HF_TRY(add_authority_key_id(issue, extensions));
  if (issue->alt_names)
    HF_TRY(profile_add(extensions, NID_subject_alt_name, issue->alt_names, false));
  HF_TRY(add_information_access(options, extensions));
  return add_crl_point(options, extensions);
}

static hf_err add_extensions(const struct issue *issue, X509 *certificate)
{
  HF_CLEANUP(profile_extensions_freep) STACK_OF(X509_EXTENSION) *extensions = NULL;
  HF_TRY(make_extensions(issue, certificate, &extensions));
  for (int i = 0; i < sk_X509_EXTENSION_num(extensions); i++)
    if (X509_add_ext(certificate, sk_X509_EXTENSION_value(extensions, i), -1) != 1)
      return no_memory();
  return HF_OK;
}

static hf_err check_issuer(const struct issue *issue)
{
  X509 *issuer = (X509 *)(uintptr_t)issue->issuer;
  if (!issuer)
    return HF_OK;
  if (X509_cmp_current_time(X509_get0_notAfter(issuer)) <= 0)
    return hf_hint(hf_fail(HF_ERR_CERT_INVALID, "the issuer's certificate has expired"), "Renew the CA's certificate.");
  if (X509_check_ca(issuer) != 1)
    return hf_hint(hf_fail(HF_ERR_CERT_INVALID, "the issuer's certificate is not a CA's"), "Issue with a CA's.");
  bool own = X509_check_private_key(issuer, issue->issuer_key) == 1;
  ERR_clear_error();
  return own ? HF_OK : hf_fail(HF_ERR_KEY_MISMATCH, "the issuer's certificate and its key");
}

static hf_err sign(const struct issue *issue, X509 *certificate)
{
  ERR_clear_error();
  if (X509_sign(certificate, issue->issuer_key, identity_key_digest(issue->issuer_key)) <= 0)
    return openssl_fail(HF_ERR_FUNCTION_FAILED, "signing the certificate", "");
  if (X509_verify(certificate, issue->issuer_key) != 1)
    return openssl_fail(HF_ERR_KEY_MISMATCH, "the key's signature does not verify with its public half", "");
  return HF_OK;
}

static hf_err make(const struct issue *issue, X509 **ret_certificate)
{
  HF_TRY(check_issuer(issue));
  const X509_NAME *issuer_name = issue->issuer ? X509_get_subject_name(issue->issuer) : issue->subject;
  HF_CLEANUP(openssl_x509_freep) X509 *certificate = X509_new();
  if (!certificate || X509_set_version(certificate, X509_VERSION_3) != 1 ||
      X509_set_subject_name(certificate, (X509_NAME *)(uintptr_t)issue->subject) != 1 ||
      X509_set_issuer_name(certificate, (X509_NAME *)(uintptr_t)issuer_name) != 1 ||
      X509_set_pubkey(certificate, issue->public_key) != 1)
    return no_memory();
  HF_TRY(set_serial(certificate));
  HF_TRY(set_validity(issue, certificate));
  HF_TRY(add_extensions(issue, certificate));
  HF_TRY(sign(issue, certificate));
  *ret_certificate = HF_TAKE(certificate);
  return HF_OK;
}

hf_err issue_certificate(const struct issue_options *options, EVP_PKEY *public_key, const X509 *issuer,
                         EVP_PKEY *issuer_key, X509 **ret_certificate)
{
  HF_CLEANUP(profile_name_freep) X509_NAME *subject = NULL;
  HF_CLEANUP(profile_alt_names_freep) GENERAL_NAMES *alt_names = NULL;
  HF_TRY(profile_subject(options->names, &subject));
  HF_TRY(profile_alt_names(options->names, &alt_names));
  const struct issue issue = { options, subject, alt_names, public_key, issuer, issuer_key };
  return make(&issue, ret_certificate);
}

hf_err issue_from_request(const struct issue_options *options, X509_REQ *request, const X509 *issuer,
                          EVP_PKEY *issuer_key, X509 **ret_certificate)
{
  EVP_PKEY *public_key = X509_REQ_get0_pubkey(request);
  if (!public_key)
    return openssl_fail(HF_ERR_CERT_REQUEST, "its public key", "");
  if (options->names)
    return issue_certificate(options, public_key, issuer, issuer_key, ret_certificate);
  HF_CLEANUP(profile_alt_names_freep) GENERAL_NAMES *alt_names = NULL;
  HF_TRY(request_alt_names(request, &alt_names));
  const struct issue issue = { options, X509_REQ_get_subject_name(request), alt_names, public_key, issuer, issuer_key };
  return make(&issue, ret_certificate);
}

hf_err issue_self_signed(const struct issue_options *options, EVP_PKEY *key, X509 **ret_certificate)
{
  return issue_certificate(options, key, NULL, key, ret_certificate);
}
