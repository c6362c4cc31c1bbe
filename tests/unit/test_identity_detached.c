/* SPDX-License-Identifier: Apache-2.0 */
/* Signatures as OpenSSL's commands make them, and those that are none. */
#include "base/file.h"
#include "identity/detached.h"
#include "identity_rig.h"

#include <fcntl.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

static char directory[] = "/tmp/hf-detached-XXXXXX";
static char file_path[64], key_path[64];
static const char content[] = "an update";

static const struct way {
  const char *kind, *hash;
  int padding; /* 0: the key's own */
  bool good;
} ways[] = {
  { "RSA", "SHA256", RSA_PKCS1_PADDING, true },
  { "RSA", "SHA512", RSA_PKCS1_PADDING, true },
  { "RSA", "SHA384", RSA_PKCS1_PSS_PADDING, true },
  { "RSA", "SHA1", RSA_PKCS1_PADDING, false },
  { "P-256", "SHA256", 0, true },
  { "P-384", "SHA384", 0, true },
  { "P-521", "SHA256", 0, true },
  { "P-256", "SHA1", 0, false },
  { "ED25519", NULL, 0, true },
};

static int setup(void **state)
{
  (void)state;
  if (!mkdtemp(directory))
    return -1;
  snprintf(file_path, sizeof(file_path), "%s/file", directory);
  snprintf(key_path, sizeof(key_path), "%s/key.pem", directory);
  return hf_failed(hf_file_write(file_path, content, strlen(content), 0600));
}

static int teardown(void **state)
{
  (void)state;
  unlink(file_path);
  unlink(key_path);
  return rmdir(directory);
}

static void sign(EVP_PKEY *key, const struct way *way, struct hf_buf *out)
{
  HF_CLEANUP(openssl_md_ctx_freep) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
  EVP_PKEY_CTX *key_ctx = NULL;
  size_t len = DETACHED_SIGNATURE_MAX;
  uint8_t *room = NULL;
  assert_hf_ok(hf_buf_reserve(out, len, &room));
  assert_int_equal(1, EVP_DigestSignInit_ex(ctx, &key_ctx, way->hash, NULL, NULL, key, NULL));
  if (way->padding)
    assert_int_equal(1, EVP_PKEY_CTX_set_rsa_padding(key_ctx, way->padding));
  assert_int_equal(1, EVP_DigestSign(ctx, room, &len, (const uint8_t *)content, strlen(content)));
  hf_buf_commit(out, len);
}

static void what_openssl_signs_verifies(void **state)
{
  (void)state;
  HF_CLEANUP(hf_closep) int fd = open(file_path, O_RDONLY | O_CLOEXEC);
  for (size_t i = 0; i < HF_ARRAY_LEN(ways); i++) {
    HF_CLEANUP(openssl_pkey_freep) EVP_PKEY *key = rig_key(ways[i].kind), *other = rig_key(ways[i].kind);
    HF_CLEANUP(hf_buf_free) struct hf_buf signature = HF_BUF(DETACHED_SIGNATURE_MAX);
    sign(key, &ways[i], &signature);
    struct hf_slice slice = hf_slice(signature.data, signature.len);
    hf_assert_code(detached_verify(fd, file_path, key, slice), ways[i].good ? HF_ERR_OK : HF_ERR_SIGNATURE_INVALID,
                   ways[i].kind, (int)i);
    assert_hf_err(detached_verify(fd, file_path, other, slice), SIGNATURE_INVALID);
    signature.data[signature.len / 2] ^= 1;
    assert_hf_err(detached_verify(fd, file_path, key, slice), SIGNATURE_INVALID);
    assert_hf_err(detached_verify(fd, file_path, key, hf_slice(signature.data, 3)), SIGNATURE_INVALID);
  }
}

static void a_changed_file_does_not(void **state)
{
  (void)state;
  HF_CLEANUP(openssl_pkey_freep) EVP_PKEY *key = rig_key("ED25519");
  HF_CLEANUP(hf_buf_free) struct hf_buf signature = HF_BUF(DETACHED_SIGNATURE_MAX);
  sign(key, &ways[HF_ARRAY_LEN(ways) - 1], &signature);
  static const char *const others[] = { "an Update", "an updat", "" };
  for (size_t i = 0; i < HF_ARRAY_LEN(others); i++) {
    assert_hf_ok(hf_file_write(file_path, others[i], strlen(others[i]), 0600));
    HF_CLEANUP(hf_closep) int fd = open(file_path, O_RDONLY | O_CLOEXEC);
    assert_hf_err(detached_verify(fd, file_path, key, hf_slice(signature.data, signature.len)), SIGNATURE_INVALID);
  }
  assert_hf_ok(hf_file_write(file_path, content, strlen(content), 0600));
}

static void keys_that_will_not_do(void **state)
{
  (void)state;
  HF_CLEANUP(hf_closep) int fd = open(file_path, O_RDONLY | O_CLOEXEC);
  HF_CLEANUP(openssl_pkey_freep) EVP_PKEY *small = EVP_RSA_gen(1024), *x = EVP_PKEY_Q_keygen(NULL, NULL, "X25519");
  assert_hf_err(detached_verify(fd, file_path, small, hf_slice("x", 1)), KEY_SIZE_RANGE);
  assert_hf_err(detached_verify(fd, file_path, x, hf_slice("x", 1)), KEY_TYPE_INCONSISTENT);
}

static void write_key(void (*write)(FILE *out, EVP_PKEY *key), EVP_PKEY *key)
{
  FILE *out = fopen(key_path, "we");
  assert_non_null(out);
  write(out, key);
  fclose(out);
}

static void write_public(FILE *out, EVP_PKEY *key)
{
  assert_int_equal(1, PEM_write_PUBKEY(out, key));
}

static void write_private(FILE *out, EVP_PKEY *key)
{
  assert_int_equal(1, PEM_write_PrivateKey(out, key, NULL, NULL, 0, NULL, NULL));
}

static void write_certificate(FILE *out, EVP_PKEY *key)
{
  HF_CLEANUP(openssl_x509_freep) X509 *certificate = rig_self_signed("signer", PROFILE_SELF_SIGNED, key);
  assert_int_equal(1, PEM_write_X509(out, certificate));
}

static void the_key_is_a_public_one_or_a_certificate_s(void **state)
{
  (void)state;
  HF_CLEANUP(openssl_pkey_freep) EVP_PKEY *key = rig_key("P-256"), *read = NULL, *again = NULL, *none = NULL;
  write_key(write_public, key);
  assert_hf_ok(detached_key_read(key_path, &read));
  assert_int_equal(1, EVP_PKEY_eq(key, read));
  write_key(write_certificate, key);
  assert_hf_ok(detached_key_read(key_path, &again));
  assert_int_equal(1, EVP_PKEY_eq(key, again));
  write_key(write_private, key);
  assert_hf_err(detached_key_read(key_path, &none), KEY_FILE);
  assert_hf_ok(hf_file_write(key_path, "", 0, 0600));
  assert_hf_err(detached_key_read(key_path, &none), KEY_FILE);
  assert_hf_err(detached_key_read("/nowhere/key.pem", &none), NOT_FOUND);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(what_openssl_signs_verifies),
    cmocka_unit_test(a_changed_file_does_not),
    cmocka_unit_test(keys_that_will_not_do),
    cmocka_unit_test(the_key_is_a_public_one_or_a_certificate_s),
  };
  return cmocka_run_group_tests(tests, setup, teardown);
}
