/* SPDX-License-Identifier: Apache-2.0 */
#include "identity/key.h"

#include "base/file.h"

#include <openssl/err.h>
#include <openssl/pem.h>

enum { KEY_FILE_MAX = 64 * 1024 };

static hf_err load_from_token(const char *uri, const char *what, EVP_PKEY **ret_key)
{
  HF_CLEANUP(openssl_store_info_freep) OSSL_STORE_INFO *info = NULL;
  HF_TRY(openssl_store_load(uri, OSSL_STORE_INFO_PKEY, what, &info));
  EVP_PKEY *key = OSSL_STORE_INFO_get1_PKEY(info);
  if (!key)
    return openssl_fail(HF_ERR_NO_MEMORY, what, "");
  *ret_key = key;
  return HF_OK;
}

hf_err identity_key_load(const char *uri, EVP_PKEY **ret_key)
{
  return load_from_token(uri, "the device's key", ret_key);
}

/* Nobody is asked for a passphrase. */
static int no_passphrase(char *out, int size, int writing, void *arg)
{
  (void)out;
  (void)size;
  (void)writing;
  (void)arg;
  return -1;
}

static hf_err load_from_file(const char *path, const char *what, EVP_PKEY **ret_key)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf text = HF_BUF(KEY_FILE_MAX);
  HF_TRY(hf_file_read(path, &text));
  HF_CLEANUP(openssl_bio_freep) BIO *bio = BIO_new_mem_buf(text.data, (int)text.len);
  ERR_clear_error();
  EVP_PKEY *key = bio ? PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL) : NULL;
  ERR_clear_error();
  if (!key)
    return hf_hint(hf_fail(HF_ERR_KEY_FILE, "%s, %s", what, path), "Give a PEM file without a passphrase.");
  *ret_key = key;
  return HF_OK;
}

hf_err identity_key_load_any(const char *where, const char *what, EVP_PKEY **ret_key)
{
  return where[0] == '/' ? load_from_file(where, what, ret_key) : load_from_token(where, what, ret_key);
}

const EVP_MD *identity_key_digest(const EVP_PKEY *key)
{
  if (EVP_PKEY_is_a(key, "ED25519") || EVP_PKEY_is_a(key, "ED448"))
    return NULL;
  if (!EVP_PKEY_is_a(key, "EC") || EVP_PKEY_get_bits(key) <= 256)
    return EVP_sha256();
  return EVP_PKEY_get_bits(key) <= 384 ? EVP_sha384() : EVP_sha512();
}

void identity_key_describe(const EVP_PKEY *key, char *out, size_t size)
{
  int bits = EVP_PKEY_get_bits(key);
  if (EVP_PKEY_is_a(key, "EC"))
    snprintf(out, size, "EC P-%d", bits);
  else if (EVP_PKEY_is_a(key, "RSA"))
    snprintf(out, size, "RSA %d", bits);
  else
    snprintf(out, size, "%s", EVP_PKEY_is_a(key, "ED25519") ? "Ed25519" : EVP_PKEY_get0_type_name(key));
}
