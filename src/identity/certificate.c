/* SPDX-License-Identifier: Apache-2.0 */
#include "identity/certificate.h"

#include "identity/certificate_text.h"
#include "identity/chain.h"
#include "identity/key.h"

#include <openssl/err.h>
#include <openssl/rand.h>

enum { MESSAGE_LEN = 32 };

static void md_ctx_freep(EVP_MD_CTX **ctx)
{
  EVP_MD_CTX_free(*ctx);
}

hf_err certificate_read(const char *where, X509 **ret_certificate)
{
  HF_CLEANUP(chain_freep) STACK_OF(X509) *chain = NULL;
  hf_err e = chain_read(where, &chain);
  if (e.code == HF_ERR_NOT_FOUND)
    return hf_hint(e, "Put the device's certificate there, or set device.cert_path to where it is.");
  HF_TRY(e);
  *ret_certificate = sk_X509_shift(chain);
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
  /* A NUL in it could make two names look alike. */
  if (len > 0 && len < CERTIFICATE_CN_MAX && !memchr(text, '\0', (size_t)len))
    snprintf(out, CERTIFICATE_CN_MAX, "%.*s", len, (const char *)text);
  OPENSSL_free(text);
}

static hf_err check_time(const X509 *certificate, const char *path)
{
  char when[CERTIFICATE_TIME_MAX];
  if (X509_cmp_current_time(X509_get0_notBefore(certificate)) >= 0) {
    certificate_time(X509_get0_notBefore(certificate), when);
    return hf_hint(hf_fail(HF_ERR_CERT_INVALID, "%s is valid from %s", path, when), "Check the device's clock.");
  }
  if (X509_cmp_current_time(X509_get0_notAfter(certificate)) <= 0) {
    certificate_time(X509_get0_notAfter(certificate), when);
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

/* By type of key, how it shows that it is the certificate's: the token signs what TLS would have it sign. */
static const struct proof_row {
  CK_KEY_TYPE type;
  const char *name; /* OpenSSL's */
  struct p11_sign how;
} proofs[] = {
  { CKK_RSA, "RSA", { P11_SIGN_RSA_PKCS1, "SHA256", NULL, 0 } },
  { CKK_EC, "EC", { P11_SIGN_ECDSA, "SHA256", NULL, 0 } },
  { CKK_EC_EDWARDS, "ED25519", { P11_SIGN_EDDSA, NULL, NULL, 0 } },
};

static hf_err sign(struct p11_key *key, const struct p11_sign *how, const uint8_t message[MESSAGE_LEN],
                   struct hf_buf *out)
{
  if (!how->hash)
    return p11_key_sign_der(key, how, message, MESSAGE_LEN, out);
  uint8_t digest[EVP_MAX_MD_SIZE];
  unsigned len;
  if (EVP_Digest(message, MESSAGE_LEN, digest, &len, EVP_get_digestbyname(how->hash), NULL) != 1)
    return hf_fail(HF_ERR_INTERNAL, "%s", how->hash);
  return p11_key_sign_der(key, how, digest, len, out);
}

static bool verifies(EVP_PKEY *public_key, const char *hash, const struct hf_buf *signature,
                     const uint8_t message[MESSAGE_LEN])
{
  HF_CLEANUP(md_ctx_freep) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
  bool good = ctx && EVP_DigestVerifyInit_ex(ctx, NULL, hash, NULL, NULL, public_key, NULL) == 1 &&
              EVP_DigestVerify(ctx, signature->data, signature->len, message, MESSAGE_LEN) == 1;
  ERR_clear_error();
  return good;
}

static hf_err no_public_key(const char *path)
{
  ERR_clear_error();
  return hf_hint(hf_fail(HF_ERR_CERT_INVALID, "OpenSSL cannot use the public key in %s", path),
                 "If $OPENSSL_CONF names providers, it must name and activate 'default', too.");
}

static hf_err find_proof(EVP_PKEY *public_key, const char *path, const struct p11_key *key,
                         const struct proof_row **ret_proof)
{
  if (!public_key)
    return no_public_key(path);
  for (size_t i = 0; i < HF_ARRAY_LEN(proofs); i++) {
    if (proofs[i].type != p11_key_public(key)->type)
      continue;
    if (!EVP_PKEY_is_a(public_key, proofs[i].name))
      return hf_fail(HF_ERR_KEY_MISMATCH, "the key is an %s key, that of %s is not", proofs[i].name, path);
    *ret_proof = &proofs[i];
    return HF_OK;
  }
  return hf_fail(HF_ERR_KEY_TYPE_INCONSISTENT, "the device's key");
}

hf_err certificate_check_key(X509 *certificate, const char *path, struct p11_key *key)
{
  EVP_PKEY *public_key = X509_get0_pubkey(certificate);
  const struct proof_row *proof = NULL;
  uint8_t message[MESSAGE_LEN];
  HF_CLEANUP(hf_buf_free) struct hf_buf signature = HF_BUF(P11_SIGNATURE_MAX);
  HF_TRY(find_proof(public_key, path, key, &proof));
  if (RAND_bytes(message, sizeof(message)) != 1)
    return hf_fail(HF_ERR_INTERNAL, "no random bytes");
  HF_TRY(sign(key, &proof->how, message, &signature));
  if (!verifies(public_key, proof->how.hash, &signature, message))
    return hf_fail(HF_ERR_KEY_MISMATCH, "%s does not verify what the key signs", path);
  return HF_OK;
}

hf_err certificate_check_pair(const X509 *certificate, const char *path, EVP_PKEY *key)
{
  EVP_PKEY *public_key = X509_get0_pubkey(certificate);
  if (!public_key)
    return no_public_key(path);
  bool same = EVP_PKEY_eq(public_key, key) == 1;
  ERR_clear_error();
  if (same)
    return HF_OK;
  char ours[IDENTITY_KEY_TEXT_MAX], its[IDENTITY_KEY_TEXT_MAX];
  identity_key_describe(key, ours, sizeof(ours));
  identity_key_describe(public_key, its, sizeof(its));
  return hf_fail(HF_ERR_KEY_MISMATCH, "%s is for another key (%s) than the one in the HSM (%s)", path, its, ours);
}
