/* SPDX-License-Identifier: Apache-2.0 */
#include "identity/chain.h"

#include "base/file.h"
#include "identity/certificate.h"
#include "uri/uri.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

static hf_err push(STACK_OF(X509) * chain, X509 *certificate, const char *where)
{
  if (sk_X509_num(chain) < CHAIN_MAX && sk_X509_push(chain, certificate) > 0)
    return HF_OK;
  X509_free(certificate);
  return sk_X509_num(chain) < CHAIN_MAX
             ? hf_fail(HF_ERR_NO_MEMORY, "%s", where)
             : hf_fail(HF_ERR_CERT_FILE, "%s holds more than %d certificates", where, CHAIN_MAX);
}

/* DER tells its length: whether it was cut short, or is something else. */
static hf_err parse_der(struct hf_slice text, const char *where, STACK_OF(X509) * chain)
{
  const unsigned char *at = text.data, *body = text.data;
  long len = 0;
  int tag, class;
  int rc = ASN1_get_object(&body, &len, &tag, &class, (long)text.len);
  /* What does not fit is an error to OpenSSL, which tells the length all the same. */
  bool cut = (rc & 0x80) && len > text.data + text.len - body;
  X509 *certificate = d2i_X509(NULL, &at, (long)text.len);
  ERR_clear_error();
  if (!certificate)
    return hf_fail(HF_ERR_CERT_FILE, "%s%s", where, cut ? " is DER, but cut short" : "");
  if (at != text.data + text.len) {
    X509_free(certificate);
    return hf_fail(HF_ERR_CERT_FILE, "%s has %zu bytes after the certificate (DER)", where,
                   (size_t)(text.data + text.len - at));
  }
  return push(chain, certificate, where);
}

/* The next block; *ret_certificate NULL at the end. A block that is damaged is an error, not the end. */
static hf_err next_pem(BIO *bio, const char *where, int count, X509 **ret_certificate)
{
  X509 *certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL);
  unsigned long error = ERR_peek_last_error();
  ERR_clear_error();
  *ret_certificate = certificate;
  if (certificate || (ERR_GET_LIB(error) == ERR_LIB_PEM && ERR_GET_REASON(error) == PEM_R_NO_START_LINE))
    return HF_OK;
  return hf_fail(HF_ERR_CERT_FILE, "%s: certificate %d is damaged", where, count + 1);
}

static hf_err parse_pem(struct hf_slice text, const char *where, STACK_OF(X509) * chain)
{
  HF_CLEANUP(openssl_bio_freep) BIO *bio = BIO_new_mem_buf(text.data, (int)text.len);
  if (!bio)
    return hf_fail(HF_ERR_NO_MEMORY, "%s", where);
  for (;;) {
    X509 *certificate;
    HF_TRY(next_pem(bio, where, sk_X509_num(chain), &certificate));
    if (!certificate)
      return HF_OK;
    HF_TRY(push(chain, certificate, where));
  }
}

hf_err chain_parse(struct hf_slice text, const char *where, STACK_OF(X509) * *ret_chain)
{
  if (text.len > CHAIN_FILE_MAX)
    return hf_fail(HF_ERR_CERT_FILE, "%s has %zu bytes; %d are allowed", where, text.len, CHAIN_FILE_MAX);
  if (text.len == 0)
    return hf_fail(HF_ERR_CERT_FILE, "%s holds nothing", where);
  HF_CLEANUP(chain_freep) STACK_OF(X509) *chain = sk_X509_new_null();
  if (!chain)
    return hf_fail(HF_ERR_NO_MEMORY, "%s", where);
  ERR_clear_error();
  bool der = text.data[0] == 0x30;
  HF_TRY(der ? parse_der(text, where, chain) : parse_pem(text, where, chain));
  if (sk_X509_num(chain) == 0)
    return hf_fail(HF_ERR_CERT_FILE, "%s holds no certificate", where);
  *ret_chain = HF_TAKE(chain);
  return HF_OK;
}

/* Through its DER: what comes out of a store by one provider would look for all its algorithms in that one. */
static hf_err copy_in(X509 *certificate, const char *where, STACK_OF(X509) * chain)
{
  unsigned char *der = NULL;
  int len = i2d_X509(certificate, &der);
  hf_err e = len > 0 ? parse_der(hf_slice(der, (size_t)len), where, chain)
                     : openssl_fail(HF_ERR_NO_MEMORY, "the certificate", "");
  OPENSSL_free(der);
  return e;
}

static hf_err read_token(const char *uri, STACK_OF(X509) * *ret_chain)
{
  HF_CLEANUP(chain_freep) STACK_OF(X509) *chain = sk_X509_new_null();
  HF_CLEANUP(openssl_store_info_freep) OSSL_STORE_INFO *info = NULL;
  if (!chain)
    return hf_fail(HF_ERR_NO_MEMORY, "the certificate");
  HF_TRY(openssl_store_load(uri, OSSL_STORE_INFO_CERT, "the certificate in the token", &info));
  HF_TRY(copy_in(OSSL_STORE_INFO_get0_CERT(info), uri, chain));
  *ret_chain = HF_TAKE(chain);
  return HF_OK;
}

hf_err chain_read(const char *where, STACK_OF(X509) * *ret_chain)
{
  if (uri_is_pkcs11(where))
    return read_token(where, ret_chain);
  HF_CLEANUP(hf_buf_free) struct hf_buf text = HF_BUF(CHAIN_FILE_MAX);
  HF_TRY(hf_file_read(where, &text));
  return chain_parse(hf_slice(text.data, text.len), where, ret_chain);
}

static hf_err add_bio(BIO *bio, struct hf_buf *out)
{
  char *data = NULL;
  long len = BIO_get_mem_data(bio, &data);
  return len > 0 ? hf_buf_add(out, data, (size_t)len) : openssl_fail(HF_ERR_INTERNAL, "the certificate", "");
}

hf_err chain_pem(const STACK_OF(X509) * chain, struct hf_buf *out)
{
  HF_CLEANUP(openssl_bio_freep) BIO *bio = BIO_new(BIO_s_mem());
  bool good = bio != NULL;
  for (int i = 0; good && i < sk_X509_num(chain); i++)
    good = PEM_write_bio_X509(bio, sk_X509_value(chain, i)) == 1;
  return good ? add_bio(bio, out) : openssl_fail(HF_ERR_NO_MEMORY, "the certificate", "");
}

hf_err chain_der(const STACK_OF(X509) * chain, struct hf_buf *out)
{
  HF_CLEANUP(openssl_bio_freep) BIO *bio = BIO_new(BIO_s_mem());
  if (!bio || i2d_X509_bio(bio, sk_X509_value(chain, 0)) != 1)
    return openssl_fail(HF_ERR_NO_MEMORY, "the certificate", "");
  return add_bio(bio, out);
}

hf_err chain_write(const char *path, const STACK_OF(X509) * chain)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf pem = HF_BUF(CHAIN_FILE_MAX);
  HF_TRY(chain_pem(chain, &pem));
  HF_TRY(hf_dir_make_above(path, 0755));
  return hf_file_write(path, pem.data, pem.len, 0644);
}

static void name_of(const X509 *certificate, char out[CERTIFICATE_CN_MAX])
{
  certificate_cn(certificate, out);
  if (!out[0])
    snprintf(out, CERTIFICATE_CN_MAX, "?");
}

static bool issued(X509 *issuer, X509 *certificate)
{
  EVP_PKEY *key = X509_get0_pubkey(issuer);
  bool good = key && X509_check_issued(issuer, certificate) == X509_V_OK && X509_verify(certificate, key) == 1;
  ERR_clear_error();
  return good;
}

hf_err chain_check(const STACK_OF(X509) * chain, const char *where)
{
  for (int i = 0; i + 1 < sk_X509_num(chain); i++) {
    X509 *certificate = sk_X509_value(chain, i), *issuer = sk_X509_value(chain, i + 1);
    char name[CERTIFICATE_CN_MAX], issuer_name[CERTIFICATE_CN_MAX];
    name_of(certificate, name);
    name_of(issuer, issuer_name);
    if (!issued(issuer, certificate))
      return hf_fail(HF_ERR_CERT_CHAIN, "%s: '%s' was not issued by '%s', which follows it", where, name, issuer_name);
    if (X509_check_ca(issuer) == 0)
      return hf_hint(hf_fail(HF_ERR_CERT_CHAIN, "%s: '%s' is not a CA's, but issued '%s'", where, issuer_name, name),
                     "Have the device's certificate issued by a CA.");
  }
  return HF_OK;
}
