/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The provider in one process, as a server uses it: loaded and unloaded, from several threads, across a fork, without
 * leaks.
 */
#include "hf_test.h"

#include "p11/object.h"
#include "p11/pem.h"

#include "base/file.h"

#include <openssl/evp.h>
#include <openssl/provider.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <sys/wait.h>

static const char pin_text[] = "654321", so_pin_text[] = "12345678";
static char directory[] = "/tmp/hf-provider-XXXXXX";
static char key_file[128], rsa_file[128], ed25519_file[128];

static hf_err make_token(struct p11_module *module)
{
  struct hf_secret *pin = NULL, *so_pin = NULL;
  struct p11_token *tokens = NULL;
  size_t count = 0;
  CK_OBJECT_HANDLE public, private;
  HF_CLEANUP(p11_session_closep) struct p11_session *session = NULL;
  HF_TRY(hf_secret_new(pin_text, strlen(pin_text), &pin));
  HF_TRY(hf_secret_new(so_pin_text, strlen(so_pin_text), &so_pin));
  HF_TRY(p11_token_list(module, &tokens, &count));
  HF_TRY(p11_token_init(module, tokens[count - 1].slot, so_pin, "device"));
  free(tokens);
  struct uri uri = { 0 };
  struct p11_token token;
  HF_TRY(uri_parse("pkcs11:token=device", &uri));
  HF_TRY(p11_token_find(module, &uri, &token));
  uri_free(&uri);
  HF_TRY(p11_token_set_user_pin(module, token.slot, so_pin, pin));
  HF_TRY(p11_session_open(module, token.slot, P11_READ_WRITE, &session));
  HF_TRY(p11_session_login(session, CKU_USER, pin, P11_LOGIN_CAREFUL));
  HF_TRY(p11_key_generate(session, &(struct p11_key_spec){ .kind = P11_EC_P256, .label = "ec" }, &public, &private));
  HF_TRY(p11_key_generate(session, &(struct p11_key_spec){ .kind = P11_RSA, .rsa_bits = 2048, .label = "rsa" }, &public,
                          &private));
  HF_TRY(
      p11_key_generate(session, &(struct p11_key_spec){ .kind = P11_ED25519, .label = "ed25519" }, &public, &private));
  hf_secret_free(pin);
  hf_secret_free(so_pin);
  return HF_OK;
}

static void write_key_file(const char *label, char *path, size_t size)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf pem = HF_BUF(4096);
  char uri[128];
  snprintf(uri, sizeof(uri), "pkcs11:token=device;object=%s?pin-value=%s", label, pin_text);
  snprintf(path, size, "%s/%s.pem", directory, label);
  assert_hf_ok(p11_pem_write(uri, &pem));
  assert_hf_ok(hf_file_write(path, pem.data, pem.len, 0600));
}

static int start(void **state)
{
  (void)state;
  if (!mkdtemp(directory))
    return -1;
  char path[128], conf[160];
  snprintf(path, sizeof(path), "%s/token.conf", directory);
  snprintf(conf, sizeof(conf), "directories.tokendir = %s\n", directory);
  assert_hf_ok(hf_file_write(path, conf, strlen(conf), 0600));
  setenv("HOLDFAST_TOKEN_CONF", path, 1);
  setenv("HOLDFAST_MODULE", getenv("HF_FAKE_REAL"), 1);
  struct p11_module *module = NULL;
  assert_hf_ok(p11_module_open(getenv("HF_FAKE_REAL"), &module));
  assert_hf_ok(make_token(module));
  p11_module_unref(module);
  write_key_file("ec", key_file, sizeof(key_file));
  write_key_file("rsa", rsa_file, sizeof(rsa_file));
  write_key_file("ed25519", ed25519_file, sizeof(ed25519_file));
  return 0;
}

static int stop(void **state)
{
  (void)state;
  char command[256];
  snprintf(command, sizeof(command), "rm -rf '%s'", directory);
  return system(command);
}

/* A library context as openssl.cnf would set it up. */
struct providers {
  OSSL_LIB_CTX *libctx;
  OSSL_PROVIDER *defaults;
  OSSL_PROVIDER *ours;
};

static struct providers load(void)
{
  struct providers p = { .libctx = OSSL_LIB_CTX_new() };
  char path[512];
  snprintf(path, sizeof(path), "%s/src/provider/holdfast.so", getenv("HF_BUILD"));
  p.defaults = OSSL_PROVIDER_load(p.libctx, "default");
  p.ours = OSSL_PROVIDER_load(p.libctx, path);
  assert_non_null(p.defaults);
  assert_non_null(p.ours);
  return p;
}

static void unload(struct providers *p)
{
  assert_int_equal(OSSL_PROVIDER_unload(p->ours), 1);
  assert_int_equal(OSSL_PROVIDER_unload(p->defaults), 1);
  OSSL_LIB_CTX_free(p->libctx);
}

static EVP_PKEY *key_of(SSL_CTX *ctx, const char *path)
{
  assert_int_equal(SSL_CTX_use_PrivateKey_file(ctx, path, SSL_FILETYPE_PEM), 1);
  return SSL_CTX_get0_privatekey(ctx);
}

struct signer {
  OSSL_LIB_CTX *libctx;
  EVP_PKEY *key;
};

static int sign_once(const struct signer *who)
{
  static const unsigned char data[] = "data";
  unsigned char signature[512];
  size_t len = sizeof(signature);
  const char *md = EVP_PKEY_is_a(who->key, "ED25519") ? NULL : "SHA256";
  EVP_MD_CTX *ctx = EVP_MD_CTX_new();
  int ok = EVP_DigestSignInit_ex(ctx, NULL, md, who->libctx, NULL, who->key, NULL) == 1 &&
           EVP_DigestSign(ctx, signature, &len, data, sizeof(data)) == 1;
  EVP_MD_CTX_free(ctx);
  ctx = EVP_MD_CTX_new();
  ok = ok && EVP_DigestVerifyInit_ex(ctx, NULL, md, who->libctx, NULL, who->key, NULL) == 1 &&
       EVP_DigestVerify(ctx, signature, len, data, sizeof(data)) == 1;
  EVP_MD_CTX_free(ctx);
  return ok;
}

static void *sign_many(void *who)
{
  for (int i = 0; i < 25; i++)
    if (!sign_once(who))
      return who;
  return NULL;
}

static void several_threads_sign(void **state)
{
  (void)state;
  struct providers p = load();
  SSL_CTX *ctx = SSL_CTX_new_ex(p.libctx, NULL, TLS_method());
  const char *files[] = { key_file, rsa_file, ed25519_file };
  for (size_t f = 0; f < HF_ARRAY_LEN(files); f++) {
    struct signer who = { p.libctx, key_of(ctx, files[f]) };
    pthread_t threads[4];
    for (size_t i = 0; i < HF_ARRAY_LEN(threads); i++)
      assert_int_equal(pthread_create(&threads[i], NULL, sign_many, &who), 0);
    for (size_t i = 0; i < HF_ARRAY_LEN(threads); i++) {
      void *failed = NULL;
      assert_int_equal(pthread_join(threads[i], &failed), 0);
      assert_null(failed);
    }
  }
  SSL_CTX_free(ctx);
  unload(&p);
}

static void forked_workers_sign(void **state)
{
  (void)state;
  struct providers p = load();
  SSL_CTX *ctx = SSL_CTX_new_ex(p.libctx, NULL, TLS_method());
  struct signer who = { p.libctx, key_of(ctx, key_file) };
  assert_true(sign_once(&who));
  pid_t workers[3];
  for (size_t i = 0; i < HF_ARRAY_LEN(workers); i++)
    if ((workers[i] = fork()) == 0)
      _exit(sign_once(&who) && sign_once(&who) && SSL_CTX_use_PrivateKey_file(ctx, key_file, SSL_FILETYPE_PEM) == 1
                ? 0
                : 1);
  for (size_t i = 0; i < HF_ARRAY_LEN(workers); i++) {
    int status = -1;
    assert_int_equal(waitpid(workers[i], &status, 0), workers[i]);
    assert_int_equal(status, 0);
  }
  assert_true(sign_once(&who));
  SSL_CTX_free(ctx);
  unload(&p);
}

static void one_context_takes_the_key_again_and_again(void **state)
{
  (void)state;
  struct providers p = load();
  SSL_CTX *ctx = SSL_CTX_new_ex(p.libctx, NULL, TLS_method());
  for (int i = 0; i < 100; i++) {
    struct signer who = { p.libctx, key_of(ctx, key_file) };
    assert_true(sign_once(&who));
  }
  SSL_CTX_free(ctx);
  unload(&p);
}

static void loads_and_unloads(void **state)
{
  (void)state;
  for (int i = 0; i < 5; i++) {
    struct providers p = load();
    SSL_CTX *ctx = SSL_CTX_new_ex(p.libctx, NULL, TLS_method());
    struct signer who = { p.libctx, key_of(ctx, i % 2 ? rsa_file : key_file) };
    assert_true(sign_once(&who));
    SSL_CTX_free(ctx);
    unload(&p);
  }
}

/* What OpenSSL asks before it signs certificates and in handshakes; and that it gets nothing that is private. */
static void ed25519_has_no_hash_and_no_private_half(void **state)
{
  (void)state;
  struct providers p = load();
  SSL_CTX *ctx = SSL_CTX_new_ex(p.libctx, NULL, TLS_method());
  EVP_PKEY *key = key_of(ctx, ed25519_file);
  unsigned char raw[64];
  size_t len = sizeof(raw);
  char md[32];
  assert_int_equal(EVP_PKEY_get_id(key), EVP_PKEY_ED25519);
  assert_int_equal(EVP_PKEY_get_default_digest_name(key, md, sizeof(md)), 2);
  assert_string_equal(md, "UNDEF");
  assert_int_equal(EVP_PKEY_get_octet_string_param(key, "pub", raw, sizeof(raw), &len), 1);
  assert_int_equal(len, 32);
  assert_int_equal(EVP_PKEY_get_octet_string_param(key, "priv", raw, sizeof(raw), &len), 0);
  EVP_MD_CTX *sign = EVP_MD_CTX_new();
  assert_int_not_equal(EVP_DigestSignInit_ex(sign, NULL, "SHA256", p.libctx, NULL, key, NULL), 1);
  EVP_MD_CTX_free(sign);
  SSL_CTX_free(ctx);
  unload(&p);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(loads_and_unloads),
    cmocka_unit_test(one_context_takes_the_key_again_and_again),
    cmocka_unit_test(several_threads_sign),
    cmocka_unit_test(forked_workers_sign),
    cmocka_unit_test(ed25519_has_no_hash_and_no_private_half),
  };
  return cmocka_run_group_tests(tests, start, stop);
}
