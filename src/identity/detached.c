/* SPDX-License-Identifier: Apache-2.0 */
#include "identity/detached.h"

#include "base/file.h"
#include "identity/chain.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <sys/mman.h>
#include <sys/stat.h>

enum { CHUNK = 64 * 1024, RSA_BITS_MIN = 2048, EC_BITS_MIN = 256 };

static hf_err no_key(const char *path)
{
  ERR_clear_error();
  return hf_hint(hf_fail(HF_ERR_KEY_FILE, "%s holds no public key", path),
                 "Give a public key or a certificate in PEM; 'openssl pkey -pubout' makes one of a private key.");
}

hf_err detached_key_read(const char *path, EVP_PKEY **ret_key)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf text = HF_BUF(CHAIN_FILE_MAX);
  HF_CLEANUP(chain_freep) STACK_OF(X509) *chain = NULL;
  HF_TRY(hf_file_read(path, &text));
  if (text.len == 0)
    return no_key(path);
  HF_CLEANUP(openssl_bio_freep) BIO *bio = BIO_new_mem_buf(text.data, (int)text.len);
  EVP_PKEY *key = bio ? PEM_read_bio_PUBKEY(bio, NULL, NULL, NULL) : NULL;
  if (!key && !hf_failed(chain_parse(hf_slice(text.data, text.len), path, &chain)))
    key = X509_get_pubkey(sk_X509_value(chain, 0));
  if (!key)
    return no_key(path);
  ERR_clear_error();
  *ret_key = key;
  return HF_OK;
}

static hf_err digest_file(int fd, const char *path, const EVP_MD *md, uint8_t out[EVP_MAX_MD_SIZE])
{
  HF_CLEANUP(openssl_md_ctx_freep) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
  HF_CLEANUP(hf_freep) uint8_t *chunk = malloc(CHUNK);
  if (!ctx || !chunk || EVP_DigestInit_ex(ctx, md, NULL) != 1)
    return openssl_fail(HF_ERR_NO_MEMORY, "the digest of ", path);
  for (off_t at = 0;;) {
    ssize_t n = pread(fd, chunk, CHUNK, at);
    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0)
      return hf_fail_errno(errno, "reading %s", path);
    if (n == 0)
      break;
    if (EVP_DigestUpdate(ctx, chunk, (size_t)n) != 1)
      return openssl_fail(HF_ERR_INTERNAL, "the digest of ", path);
    at += n;
  }
  return EVP_DigestFinal_ex(ctx, out, NULL) == 1 ? HF_OK : openssl_fail(HF_ERR_INTERNAL, "the digest of ", path);
}

hf_err detached_digest(int fd, const char *path, uint8_t out[DETACHED_DIGEST_LEN])
{
  uint8_t digest[EVP_MAX_MD_SIZE];
  HF_TRY(digest_file(fd, path, EVP_sha256(), digest));
  memcpy(out, digest, DETACHED_DIGEST_LEN);
  return HF_OK;
}

static bool verifies(EVP_PKEY *key, const EVP_MD *md, int padding, const uint8_t *digest, struct hf_slice signature)
{
  HF_CLEANUP(openssl_pkey_ctx_freep) EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL);
  bool good = ctx && EVP_PKEY_verify_init(ctx) == 1 && EVP_PKEY_CTX_set_signature_md(ctx, md) == 1;
  if (good && padding)
    good = EVP_PKEY_CTX_set_rsa_padding(ctx, padding) == 1;
  if (good && padding == RSA_PKCS1_PSS_PADDING)
    good = EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, RSA_PSS_SALTLEN_AUTO) == 1;
  good = good && EVP_PKEY_verify(ctx, signature.data, signature.len, digest, (size_t)EVP_MD_get_size(md)) == 1;
  ERR_clear_error();
  return good;
}

/* Nothing in a signature says how it was made, so each way is tried; all of them are good. */
static hf_err verify_digests(int fd, const char *path, EVP_PKEY *key, const int paddings[2], struct hf_slice signature,
                             bool *ret_good)
{
  const EVP_MD *const mds[] = { EVP_sha256(), EVP_sha384(), EVP_sha512() };
  uint8_t digest[EVP_MAX_MD_SIZE];
  *ret_good = false;
  for (size_t i = 0; i < HF_ARRAY_LEN(mds) && !*ret_good; i++) {
    HF_TRY(digest_file(fd, path, mds[i], digest));
    for (size_t p = 0; p < 2 && !*ret_good; p++)
      *ret_good = verifies(key, mds[i], paddings[p], digest, signature);
  }
  return HF_OK;
}

static hf_err verify_rsa(int fd, const char *path, EVP_PKEY *key, struct hf_slice signature, bool *ret_good)
{
  static const int paddings[2] = { RSA_PKCS1_PADDING, RSA_PKCS1_PSS_PADDING };
  return verify_digests(fd, path, key, paddings, signature, ret_good);
}

static hf_err verify_ec(int fd, const char *path, EVP_PKEY *key, struct hf_slice signature, bool *ret_good)
{
  static const int paddings[2] = { 0, 0 };
  return verify_digests(fd, path, key, paddings, signature, ret_good);
}

/* Ed25519 signs the message itself, and wants it whole. */
static hf_err verify_message(int fd, const char *path, EVP_PKEY *key, struct hf_slice signature, bool *ret_good)
{
  struct stat st;
  if (fstat(fd, &st) != 0)
    return hf_fail_errno(errno, "%s", path);
  size_t len = (size_t)st.st_size;
  void *message = len ? mmap(NULL, len, PROT_READ, MAP_PRIVATE, fd, 0) : NULL;
  if (message == MAP_FAILED)
    return hf_fail_errno(errno, "reading %s", path);
  HF_CLEANUP(openssl_md_ctx_freep) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
  *ret_good = ctx && EVP_DigestVerifyInit_ex(ctx, NULL, NULL, NULL, NULL, key, NULL) == 1 &&
              EVP_DigestVerify(ctx, signature.data, signature.len, message ? message : (const void *)"", len) == 1;
  ERR_clear_error();
  if (message)
    munmap(message, len);
  return HF_OK;
}

static const struct type_row {
  const char *name; /* OpenSSL's */
  int bits_min;
  hf_err (*verify)(int fd, const char *path, EVP_PKEY *key, struct hf_slice signature, bool *ret_good);
} types[] = {
  { "RSA", RSA_BITS_MIN, verify_rsa },
  { "RSA-PSS", RSA_BITS_MIN, verify_rsa },
  { "EC", EC_BITS_MIN, verify_ec },
  { "ED25519", 0, verify_message },
};

static const struct type_row *find_type(const EVP_PKEY *key)
{
  for (size_t i = 0; i < HF_ARRAY_LEN(types); i++)
    if (EVP_PKEY_is_a(key, types[i].name))
      return &types[i];
  return NULL;
}

hf_err detached_verify(int fd, const char *path, EVP_PKEY *key, struct hf_slice signature)
{
  const struct type_row *type = find_type(key);
  bool good = false;
  if (!type)
    return hf_hint(hf_fail(HF_ERR_KEY_TYPE_INCONSISTENT, "signatures of files by %s", EVP_PKEY_get0_type_name(key)),
                   "Use RSA, EC or Ed25519.");
  if (EVP_PKEY_get_bits(key) < type->bits_min)
    return hf_hint(hf_fail(HF_ERR_KEY_SIZE_RANGE, "the key that signed has %d bits", EVP_PKEY_get_bits(key)),
                   "Use one of at least %d bits.", type->bits_min);
  HF_TRY(type->verify(fd, path, key, signature, &good));
  if (good)
    return HF_OK;
  return hf_hint(hf_fail(HF_ERR_SIGNATURE_INVALID, "%s", path),
                 "It was changed after it was signed, or is another version, or was signed by another key.");
}
