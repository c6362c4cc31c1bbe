/* SPDX-License-Identifier: Apache-2.0 */
#include "ca/crl.h"

#include "base/log.h"
#include "identity/key.h"

#include <openssl/bn.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <time.h>

IDENTITY_CLEANUP(X509_CRL, list_free, X509_CRL_free)
IDENTITY_CLEANUP(X509_REVOKED, revoked_free, X509_REVOKED_free)
IDENTITY_CLEANUP(ASN1_INTEGER, integer_free, ASN1_INTEGER_free)
IDENTITY_CLEANUP(ASN1_ENUMERATED, enumerated_free, ASN1_ENUMERATED_free)
IDENTITY_CLEANUP(AUTHORITY_KEYID, authority_id_free, AUTHORITY_KEYID_free)

static hf_err fail(void)
{
  return openssl_fail(HF_ERR_NO_MEMORY, "the list of revoked certificates", "");
}

/* Its number in DER is big-endian and never negative. */
static ASN1_INTEGER *integer_of(const uint8_t *bytes, size_t len)
{
  BIGNUM *number = BN_bin2bn(bytes, (int)len, NULL);
  ASN1_INTEGER *integer = number ? BN_to_ASN1_INTEGER(number, NULL) : NULL;
  BN_free(number);
  return integer;
}

/* "unspecified" is told by leaving it out (RFC 5280, section 5.3.1). */
static hf_err add_reason(X509_REVOKED *revoked, int reason)
{
  if (reason == CRL_REASON_UNSPECIFIED)
    return HF_OK;
  HF_CLEANUP(enumerated_freep) ASN1_ENUMERATED *value = ASN1_ENUMERATED_new();
  if (!value || ASN1_ENUMERATED_set(value, reason) != 1 ||
      X509_REVOKED_add1_ext_i2d(revoked, NID_crl_reason, value, 0, 0) != 1)
    return fail();
  return HF_OK;
}

static hf_err add_revoked(const struct registry_certificate *certificate, void *arg)
{
  X509_CRL *list = arg;
  HF_CLEANUP(revoked_freep) X509_REVOKED *revoked = X509_REVOKED_new();
  HF_CLEANUP(openssl_time_freep) ASN1_TIME *when = ASN1_TIME_set(NULL, (time_t)certificate->revoked);
  HF_CLEANUP(integer_freep) ASN1_INTEGER *serial = integer_of(certificate->serial.bytes, certificate->serial.len);
  if (!revoked || !when || !serial || X509_REVOKED_set_serialNumber(revoked, serial) != 1 ||
      X509_REVOKED_set_revocationDate(revoked, when) != 1)
    return fail();
  HF_TRY(add_reason(revoked, certificate->reason));
  if (X509_CRL_add0_revoked(list, revoked) != 1)
    return fail();
  (void)HF_TAKE(revoked);
  return HF_OK;
}

static hf_err add_extensions(X509_CRL *list, const struct authority *authority, uint64_t number)
{
  uint8_t bytes[8];
  for (size_t i = 0; i < sizeof(bytes); i++)
    bytes[i] = (uint8_t)(number >> (56 - 8 * i));
  HF_CLEANUP(integer_freep) ASN1_INTEGER *value = integer_of(bytes, sizeof(bytes));
  if (!value || X509_CRL_add1_ext_i2d(list, NID_crl_number, value, 0, 0) != 1)
    return fail();
  const ASN1_OCTET_STRING *id = X509_get0_subject_key_id((X509 *)(uintptr_t)authority->certificate);
  if (!id)
    return HF_OK;
  HF_CLEANUP(authority_id_freep) AUTHORITY_KEYID *own = AUTHORITY_KEYID_new();
  if (!own || !(own->keyid = ASN1_OCTET_STRING_dup(id)) ||
      X509_CRL_add1_ext_i2d(list, NID_authority_key_identifier, own, 0, 0) != 1)
    return fail();
  return HF_OK;
}

static hf_err sign(X509_CRL *list, const struct authority *authority)
{
  ERR_clear_error();
  if (X509_CRL_sort(list) != 1)
    return fail();
  if (X509_CRL_sign(list, authority->key, identity_key_digest(authority->key)) <= 0)
    return openssl_fail(HF_ERR_FUNCTION_FAILED, "signing the list of revoked certificates", "");
  return X509_CRL_verify(list, authority->key) == 1
             ? HF_OK
             : openssl_fail(HF_ERR_KEY_MISMATCH, "the key's signature does not verify with its public half", "");
}

static hf_err add_der(X509_CRL *list, struct hf_buf *out)
{
  int len = i2d_X509_CRL(list, NULL);
  uint8_t *room;
  if (len <= 0)
    return fail();
  HF_TRY(hf_buf_reserve(out, (size_t)len, &room));
  i2d_X509_CRL(list, &room);
  hf_buf_commit(out, (size_t)len);
  return HF_OK;
}

/* One that has ended stays in the first list after that (RFC 5280, section 3.3), and a while longer, for clocks that are behind. */
static hf_err build(const struct authority *authority, const struct registry_crl *crl, struct hf_buf *out)
{
  HF_CLEANUP(list_freep) X509_CRL *list = X509_CRL_new();
  HF_CLEANUP(openssl_time_freep) ASN1_TIME *from = ASN1_TIME_set(NULL, (time_t)crl->made - ISSUE_BACKDATE_S);
  HF_CLEANUP(openssl_time_freep) ASN1_TIME *next = ASN1_TIME_set(NULL, (time_t)crl->made + CRL_VALID_S);
  if (!list || !from || !next || X509_CRL_set_version(list, X509_CRL_VERSION_2) != 1 ||
      X509_CRL_set_issuer_name(list, X509_get_subject_name(authority->certificate)) != 1 ||
      X509_CRL_set1_lastUpdate(list, from) != 1 || X509_CRL_set1_nextUpdate(list, next) != 1)
    return fail();
  HF_TRY(registry_revoked_each(authority->registry, crl->made - CRL_VALID_S, add_revoked, list));
  HF_TRY(add_extensions(list, authority, crl->number));
  HF_TRY(sign(list, authority));
  return add_der(list, out);
}

/* Another was first where it was not taken: then that one is the present one. */
static hf_err renew(const struct authority *authority, const struct registry_crl *latest, uint64_t revision,
                    struct hf_buf *out, bool *ret_taken)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf der = HF_BUF(REGISTRY_CRL_MAX);
  struct registry_crl crl = { .number = latest->number + 1, .revision = revision, .made = (int64_t)time(NULL) };
  HF_TRY(build(authority, &crl, &der));
  HF_TRY(registry_crl_put(authority->registry, &crl, hf_slice(der.data, der.len), ret_taken));
  return *ret_taken ? hf_buf_add(out, der.data, der.len) : HF_OK;
}

hf_err crl_current(const struct authority *authority, struct hf_buf *out)
{
  enum { TRIES = 8 };
  for (int i = 0; i < TRIES; i++) {
    HF_CLEANUP(hf_buf_free) struct hf_buf der = HF_BUF(REGISTRY_CRL_MAX);
    struct registry_crl latest;
    uint64_t revision;
    bool taken = false;
    /* The revision first: what is revoked after this is in a later list, not between two. */
    HF_TRY(registry_revision(authority->registry, &revision));
    HF_TRY(registry_crl_get(authority->registry, &latest, &der));
    int64_t age = (int64_t)time(NULL) - latest.made;
    if (latest.number && latest.revision >= revision && age >= 0 && age < CRL_FRESH_S)
      return hf_buf_add(out, der.data, der.len);
    hf_err e = renew(authority, &latest, revision, out, &taken);
    if (hf_failed(e) && latest.number && age < CRL_VALID_S) {
      hf_ignore(hf_log_err(e, "a new CRL; the one before is given"));
      return hf_buf_add(out, der.data, der.len);
    }
    HF_TRY(e);
    if (taken)
      return HF_OK;
  }
  return hf_fail(HF_ERR_BUSY, "the CRL: another process makes one all the time");
}
