/* SPDX-License-Identifier: Apache-2.0 */
#include "ca/ocsp.h"

#include "base/log.h"
#include "identity/key.h"

#include <openssl/bn.h>
#include <openssl/err.h>
#include <openssl/ocsp.h>
#include <time.h>

IDENTITY_CLEANUP(OCSP_REQUEST, ask_free, OCSP_REQUEST_free)
IDENTITY_CLEANUP(OCSP_BASICRESP, basic_free, OCSP_BASICRESP_free)
IDENTITY_CLEANUP(OCSP_RESPONSE, response_free, OCSP_RESPONSE_free)
IDENTITY_CLEANUP(OCSP_CERTID, id_free, OCSP_CERTID_free)

static hf_err fail(void)
{
  return openssl_fail(HF_ERR_NO_MEMORY, "an OCSP response", "");
}

/* The digest by which the client names its issuer; any that OpenSSL has. */
static bool is_ours(const struct authority *authority, OCSP_CERTID *id)
{
  ASN1_OBJECT *digest = NULL;
  OCSP_id_get0_info(NULL, &digest, NULL, NULL, id);
  const EVP_MD *md = digest ? EVP_get_digestbyobj(digest) : NULL;
  const X509 *own = authority->certificate;
  HF_CLEANUP(id_freep)
  OCSP_CERTID *ours = md ? OCSP_cert_id_new(md, X509_get_subject_name(own), X509_get0_pubkey_bitstr(own), NULL) : NULL;
  bool same = ours && OCSP_id_issuer_cmp(ours, id) == 0;
  ERR_clear_error();
  return same;
}

static bool read_serial(OCSP_CERTID *id, struct registry_serial *serial)
{
  ASN1_INTEGER *number = NULL;
  OCSP_id_get0_info(NULL, NULL, NULL, &number, id);
  BIGNUM *value = number ? ASN1_INTEGER_to_BN(number, NULL) : NULL;
  bool fits = value && !BN_is_negative(value) && BN_num_bytes(value) <= REGISTRY_SERIAL_MAX;
  serial->len = fits ? (uint8_t)BN_bn2bin(value, serial->bytes) : 0;
  BN_free(value);
  ERR_clear_error();
  return fits;
}

static hf_err find(const struct authority *authority, OCSP_CERTID *id, bool *ret_found,
                   struct registry_certificate *certificate)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf der = HF_BUF(REGISTRY_DER_MAX);
  struct registry_serial serial;
  *ret_found = false;
  if (!is_ours(authority, id) || !read_serial(id, &serial))
    return HF_OK;
  return registry_certificate_get(authority->registry, &serial, ret_found, certificate, &der);
}

static hf_err add_status(const struct authority *authority, OCSP_BASICRESP *basic, OCSP_CERTID *id, time_t now)
{
  struct registry_certificate certificate = { .revoked = 0 };
  bool found;
  HF_TRY(find(authority, id, &found, &certificate));
  int status = !found                ? V_OCSP_CERTSTATUS_UNKNOWN
               : certificate.revoked ? V_OCSP_CERTSTATUS_REVOKED
                                     : V_OCSP_CERTSTATUS_GOOD;
  HF_CLEANUP(openssl_time_freep) ASN1_TIME *from = ASN1_TIME_set(NULL, now - ISSUE_BACKDATE_S);
  HF_CLEANUP(openssl_time_freep) ASN1_TIME *until = ASN1_TIME_set(NULL, now + OCSP_VALID_S);
  HF_CLEANUP(openssl_time_freep) ASN1_TIME *revoked = ASN1_TIME_set(NULL, (time_t)certificate.revoked);
  int reason = certificate.reason ? certificate.reason : OCSP_REVOKED_STATUS_NOSTATUS;
  if (!from || !until || !revoked ||
      !OCSP_basic_add1_status(basic, id, status, reason, certificate.revoked ? revoked : NULL, from, until))
    return fail();
  return HF_OK;
}

/* By key: its own certificate goes along only where a client may not have it. */
static hf_err sign(const struct authority *authority, OCSP_BASICRESP *basic)
{
  ERR_clear_error();
  if (OCSP_basic_sign(basic, (X509 *)(uintptr_t)authority->certificate, authority->key,
                      identity_key_digest(authority->key), NULL, OCSP_RESPID_KEY | OCSP_NOCERTS) != 1)
    return openssl_fail(HF_ERR_FUNCTION_FAILED, "signing an OCSP response", "");
  return HF_OK;
}

static hf_err answer(const struct authority *authority, OCSP_REQUEST *ask, OCSP_BASICRESP **ret_basic)
{
  HF_CLEANUP(basic_freep) OCSP_BASICRESP *basic = OCSP_BASICRESP_new();
  time_t now = time(NULL);
  if (!basic)
    return fail();
  for (int i = 0; i < OCSP_request_onereq_count(ask); i++)
    HF_TRY(add_status(authority, basic, OCSP_onereq_get0_id(OCSP_request_onereq_get0(ask, i)), now));
  /* 0: a nonce of no use; 2: none asked for. */
  if (OCSP_copy_nonce(basic, ask) < 0)
    return fail();
  HF_TRY(sign(authority, basic));
  *ret_basic = HF_TAKE(basic);
  return HF_OK;
}

static hf_err add_response(int status, OCSP_BASICRESP *basic, struct hf_buf *out)
{
  HF_CLEANUP(response_freep) OCSP_RESPONSE *response = OCSP_response_create(status, basic);
  int len = response ? i2d_OCSP_RESPONSE(response, NULL) : 0;
  uint8_t *room;
  if (len <= 0)
    return fail();
  HF_TRY(hf_buf_reserve(out, (size_t)len, &room));
  i2d_OCSP_RESPONSE(response, &room);
  hf_buf_commit(out, (size_t)len);
  return HF_OK;
}

hf_err ocsp_answer(const struct authority *authority, struct hf_slice request, struct hf_buf *out)
{
  const unsigned char *at = request.data;
  HF_CLEANUP(ask_freep)
  OCSP_REQUEST *ask =
      request.len && request.len <= OCSP_REQUEST_MAX_BYTES ? d2i_OCSP_REQUEST(NULL, &at, (long)request.len) : NULL;
  ERR_clear_error();
  int count = ask && at == request.data + request.len ? OCSP_request_onereq_count(ask) : 0;
  if (count < 1 || count > OCSP_ASKED_MAX)
    return add_response(OCSP_RESPONSE_STATUS_MALFORMEDREQUEST, NULL, out);
  HF_CLEANUP(basic_freep) OCSP_BASICRESP *basic = NULL;
  hf_err e = answer(authority, ask, &basic);
  if (hf_failed(e)) {
    hf_ignore(hf_log_err(e, "answering OCSP"));
    return add_response(OCSP_RESPONSE_STATUS_INTERNALERROR, NULL, out);
  }
  return add_response(OCSP_RESPONSE_STATUS_SUCCESSFUL, basic, out);
}
