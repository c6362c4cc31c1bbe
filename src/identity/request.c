/* SPDX-License-Identifier: Apache-2.0 */
#include "identity/request.h"

#include "identity/key.h"

#include <openssl/err.h>
#include <openssl/pem.h>

/* The extensions that a renewal carries over. */
static const int carried[] = { NID_subject_alt_name, NID_key_usage, NID_ext_key_usage };

/* Who signs in an HSM wants to know that it did: a token that answers rubbish is found here, not at the CA. */
static hf_err sign(X509_REQ *request, EVP_PKEY *key)
{
  ERR_clear_error();
  if (X509_REQ_sign(request, key, identity_key_digest(key)) <= 0)
    return openssl_fail(HF_ERR_FUNCTION_FAILED, "signing the request", "");
  if (X509_REQ_verify(request, key) != 1)
    return openssl_fail(HF_ERR_KEY_MISMATCH, "the key's signature does not verify with its public half", "");
  return HF_OK;
}

static hf_err build(EVP_PKEY *key, const X509_NAME *subject, STACK_OF(X509_EXTENSION) * extensions,
                    X509_REQ **ret_request)
{
  HF_CLEANUP(openssl_req_freep) X509_REQ *request = X509_REQ_new();
  if (!request || X509_REQ_set_version(request, X509_REQ_VERSION_1) != 1 ||
      X509_REQ_set_subject_name(request, (X509_NAME *)(uintptr_t)subject) != 1 ||
      X509_REQ_set_pubkey(request, key) != 1 || (extensions && X509_REQ_add_extensions(request, extensions) != 1))
    return openssl_fail(HF_ERR_INTERNAL, "the request", "");
  HF_TRY(sign(request, key));
  *ret_request = HF_TAKE(request);
  return HF_OK;
}

hf_err request_create(EVP_PKEY *key, const struct profile_names *names, enum profile_purpose purpose,
                      X509_REQ **ret_request)
{
  HF_CLEANUP(profile_name_freep) X509_NAME *subject = NULL;
  HF_CLEANUP(profile_alt_names_freep) GENERAL_NAMES *alt_names = NULL;
  HF_CLEANUP(profile_extensions_freep) STACK_OF(X509_EXTENSION) *extensions = NULL;
  HF_TRY(profile_subject(names, &subject));
  HF_TRY(profile_alt_names(names, &alt_names));
  if (alt_names)
    HF_TRY(profile_add(&extensions, NID_subject_alt_name, alt_names, false));
  HF_TRY(profile_add_usage(&extensions, purpose));
  return build(key, subject, extensions, ret_request);
}

hf_err request_create_like(EVP_PKEY *key, const X509 *certificate, X509_REQ **ret_request)
{
  HF_CLEANUP(profile_extensions_freep) STACK_OF(X509_EXTENSION) *extensions = NULL;
  for (size_t i = 0; i < HF_ARRAY_LEN(carried); i++) {
    int at = X509_get_ext_by_NID(certificate, carried[i], -1);
    if (at >= 0 && !X509v3_add_ext(&extensions, X509_get_ext(certificate, at), -1))
      return openssl_fail(HF_ERR_NO_MEMORY, "the request", "");
  }
  return build(key, X509_get_subject_name(certificate), extensions, ret_request);
}

static hf_err add_bio(BIO *bio, struct hf_buf *out)
{
  char *data = NULL;
  long len = BIO_get_mem_data(bio, &data);
  return len > 0 ? hf_buf_add(out, data, (size_t)len) : openssl_fail(HF_ERR_INTERNAL, "the request", "");
}

hf_err request_pem(const X509_REQ *request, struct hf_buf *out)
{
  HF_CLEANUP(openssl_bio_freep) BIO *bio = BIO_new(BIO_s_mem());
  if (!bio || PEM_write_bio_X509_REQ(bio, request) != 1)
    return openssl_fail(HF_ERR_NO_MEMORY, "the request", "");
  return add_bio(bio, out);
}

hf_err request_der(const X509_REQ *request, struct hf_buf *out)
{
  HF_CLEANUP(openssl_bio_freep) BIO *bio = BIO_new(BIO_s_mem());
  if (!bio || i2d_X509_REQ_bio(bio, request) != 1)
    return openssl_fail(HF_ERR_NO_MEMORY, "the request", "");
  return add_bio(bio, out);
}

static X509_REQ *parse_pem(struct hf_slice text)
{
  HF_CLEANUP(openssl_bio_freep) BIO *bio = BIO_new_mem_buf(text.data, (int)text.len);
  return bio ? PEM_read_bio_X509_REQ(bio, NULL, NULL, NULL) : NULL;
}

static X509_REQ *parse_der(struct hf_slice text)
{
  const unsigned char *at = text.data;
  HF_CLEANUP(openssl_req_freep) X509_REQ *request = d2i_X509_REQ(NULL, &at, (long)text.len);
  return request && at == text.data + text.len ? HF_TAKE(request) : NULL;
}

hf_err request_parse(struct hf_slice text, const char *where, X509_REQ **ret_request)
{
  if (text.len > REQUEST_MAX)
    return hf_fail(HF_ERR_CERT_REQUEST, "%s has %zu bytes; %d are allowed", where, text.len, REQUEST_MAX);
  HF_CLEANUP(openssl_req_freep)
  X509_REQ *request = text.len && text.data[0] == 0x30 ? parse_der(text) : parse_pem(text);
  ERR_clear_error();
  if (!request)
    return hf_fail(HF_ERR_CERT_REQUEST, "%s", where);
  EVP_PKEY *key = X509_REQ_get0_pubkey(request);
  bool proven = key && X509_REQ_verify(request, key) == 1;
  ERR_clear_error();
  if (!proven)
    return hf_hint(hf_fail(HF_ERR_CERT_REQUEST, "%s %s", where,
                           key ? "is not signed by the key that it is for" : "is for a key of an unknown kind"),
                   "Have it made anew, by the device itself.");
  *ret_request = HF_TAKE(request);
  return HF_OK;
}

hf_err request_alt_names(X509_REQ *request, GENERAL_NAMES **ret_alt_names)
{
  HF_CLEANUP(profile_extensions_freep) STACK_OF(X509_EXTENSION) *extensions = X509_REQ_get_extensions(request);
  int critical = -1;
  GENERAL_NAMES *names = extensions ? X509V3_get_d2i(extensions, NID_subject_alt_name, &critical, NULL) : NULL;
  ERR_clear_error();
  /* -1: not there; anything else without a value: there twice, or not to be read. */
  if (!names && critical != -1)
    return hf_fail(HF_ERR_CERT_REQUEST, "its alternative names (subjectAltName)");
  *ret_alt_names = names;
  return HF_OK;
}
