/* SPDX-License-Identifier: Apache-2.0 */
#include "identity/certificate.h"

#include "base/file.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <time.h>

enum { CERT_FILE_MAX = 1024 * 1024, DIGEST_LEN = 32 };

static void bio_freep(BIO **bio)
{
  BIO_free(*bio);
}

static void pkey_ctx_freep(EVP_PKEY_CTX **ctx)
{
  EVP_PKEY_CTX_free(*ctx);
}

hf_err certificate_read(const char *path, X509 **ret_certificate)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf text = HF_BUF(CERT_FILE_MAX);
  hf_err e = hf_file_read(path, &text);
  if (e.code == HF_ERR_NOT_FOUND)
    return hf_hint(e, "Put the device's certificate there, or set device.cert_path to where it is.");
  HF_TRY(e);
  HF_CLEANUP(bio_freep) BIO *bio = BIO_new_mem_buf(text.data, (int)text.len);
  X509 *certificate = bio ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;
  ERR_clear_error();
  if (!certificate)
    return hf_fail(HF_ERR_CERT_FILE, "%s", path);
  *ret_certificate = certificate;
  return HF_OK;
}

void certificate_cn(const X509 *certificate, char out[CERTIFICATE_CN_MAX])
{
  out[0] = '\0';
  const X509_NAME *subject = X509_get_subject_name(certificate);
  int at = X509_NAME_get_index_by_NID((X509_NAME *)subject, NID_commonName, -1);
  if (at < 0)
    return;
  unsigned char *text = NULL;
  int len = ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
  if (len > 0)
    snprintf(out, CERTIFICATE_CN_MAX, "%.*s", len, (const char *)text);
  OPENSSL_free(text);
}

static void format_time(const ASN1_TIME *when, char *out, size_t size)
{
  struct tm tm;
  if (ASN1_TIME_to_tm(when, &tm) != 1 || strftime(out, size, "%Y-%m-%d %H:%M:%S UTC", &tm) == 0)
    snprintf(out, size, "an unreadable time");
}

static hf_err check_time(const X509 *certificate, const char *path)
{
  char when[64];
  if (X509_cmp_current_time(X509_get0_notBefore(certificate)) >= 0) {
    format_time(X509_get0_notBefore(certificate), when, sizeof(when));
    return hf_hint(hf_fail(HF_ERR_CERT_INVALID, "%s is valid from %s", path, when), "Check the device's clock.");
  }
  if (X509_cmp_current_time(X509_get0_notAfter(certificate)) <= 0) {
    format_time(X509_get0_notAfter(certificate), when, sizeof(when));
    return hf_hint(hf_fail(HF_ERR_CERT_INVALID, "%s expired on %s", path, when),
                   "Have it renewed; and check the device's clock.");
  }
  return HF_OK;
}

hf_err certificate_check(const X509 *certificate, const char *path, const char *device_id)
{
  HF_TRY(check_time(certificate, path));
  char cn[CERTIFICATE_CN_MAX];
  certificate_cn(certificate, cn);
  if (!cn[0])
    return hf_hint(hf_fail(HF_ERR_CERT_INVALID, "%s has no common name (CN)", path),
                   "The cloud knows the device by its certificate's CN: have one issued with it.");
  if (strcmp(cn, device_id) != 0)
    return hf_hint(hf_fail(HF_ERR_CERT_INVALID, "%s is for '%s', but device.id is '%s'", path, cn, device_id),
                   "Have a certificate issued for this device, or correct device.id.");
  return HF_OK;
}

/* ECDSA or RSA, as its type is; what the token signs is what TLS would have it sign. */
static hf_err sign(struct p11_key *key, const uint8_t digest[DIGEST_LEN], struct hf_buf *out)
{
  if (p11_key_public(key)->type == CKK_RSA) {
    const struct p11_sign how = { .scheme = P11_SIGN_RSA_PKCS1, .hash = "SHA256" };
    return p11_key_sign(key, &how, digest, DIGEST_LEN, out);
  }
  const struct p11_sign how = { .scheme = P11_SIGN_ECDSA };
  HF_CLEANUP(hf_buf_free) struct hf_buf raw = HF_BUF(P11_SIGNATURE_MAX);
  HF_TRY(p11_key_sign(key, &how, digest, DIGEST_LEN, &raw));
  return p11_ecdsa_to_der(raw.data, raw.len, out);
}

static bool verifies(EVP_PKEY *public_key, const struct hf_buf *signature, const uint8_t digest[DIGEST_LEN])
{
  HF_CLEANUP(pkey_ctx_freep) EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, public_key, NULL);
  bool good = ctx && EVP_PKEY_verify_init(ctx) == 1 && EVP_PKEY_CTX_set_signature_md(ctx, EVP_sha256()) == 1 &&
              EVP_PKEY_verify(ctx, signature->data, signature->len, digest, DIGEST_LEN) == 1;
  ERR_clear_error();
  return good;
}

static hf_err check_type(EVP_PKEY *public_key, const char *path, const struct p11_key *key)
{
  const char *wanted = p11_key_public(key)->type == CKK_RSA ? "RSA" : "EC";
  if (!public_key)
    return hf_hint(hf_fail(HF_ERR_CERT_INVALID, "OpenSSL cannot use the public key in %s", path),
                   "If $OPENSSL_CONF names providers, it must name and activate 'default', too.");
  if (EVP_PKEY_is_a(public_key, wanted))
    return HF_OK;
  return hf_fail(HF_ERR_KEY_MISMATCH, "the key is an %s key, that of %s is not", wanted, path);
}

hf_err certificate_check_key(X509 *certificate, const char *path, struct p11_key *key)
{
  EVP_PKEY *public_key = X509_get0_pubkey(certificate);
  HF_TRY(check_type(public_key, path, key));
  uint8_t digest[DIGEST_LEN];
  if (RAND_bytes(digest, sizeof(digest)) != 1)
    return hf_fail(HF_ERR_INTERNAL, "no random bytes");
  HF_CLEANUP(hf_buf_free) struct hf_buf signature = HF_BUF(P11_SIGNATURE_MAX);
  HF_TRY(sign(key, digest, &signature));
  if (!verifies(public_key, &signature, digest))
    return hf_fail(HF_ERR_KEY_MISMATCH, "%s does not verify what the key signs", path);
  return HF_OK;
}
