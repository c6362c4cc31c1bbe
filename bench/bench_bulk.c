/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AES-256-GCM, HMAC-SHA256 and SHA-256 of 1 KiB, so many a second: libcrypto with kept contexts, Holdfast's token, SoftHSM2. A
 * token that lacks the mechanism prints "-".
 */
#include "contest.h"
#include "p11_rig.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>

enum { BYTES = 1024, TAG = 16, NONCE = 12, KEY = 32 };

static const unsigned char secret[KEY] = "a key for a benchmark, no secret";

/* One thread's means. */
struct worker {
  const struct rig *rig; /* NULL: libcrypto */
  CK_SESSION_HANDLE session;
  CK_OBJECT_HANDLE key;
  EVP_CIPHER_CTX *cipher;
  EVP_MAC_CTX *mac;
  EVP_MD_CTX *md;
  const EVP_MD *sha256;
  unsigned char nonce[NONCE], in[BYTES], out[BYTES + TAG];
};

static void next_nonce(struct worker *w)
{
  for (int i = 0; i < NONCE && ++w->nonce[i] == 0; i++)
    continue;
}

static void demand(int ok)
{
  if (!ok)
    abort();
}

/* libcrypto */

static void gcm_libcrypto(void *arg)
{
  struct worker *w = arg;
  int len;
  next_nonce(w);
  demand(EVP_EncryptInit_ex2(w->cipher, NULL, NULL, w->nonce, NULL) == 1 &&
         EVP_EncryptUpdate(w->cipher, w->out, &len, w->in, BYTES) == 1 &&
         EVP_EncryptFinal_ex(w->cipher, w->out + len, &len) == 1 &&
         EVP_CIPHER_CTX_ctrl(w->cipher, EVP_CTRL_AEAD_GET_TAG, TAG, w->out + BYTES) == 1);
}

static void hmac_libcrypto(void *arg)
{
  struct worker *w = arg;
  size_t len;
  demand(EVP_MAC_init(w->mac, NULL, 0, NULL) == 1 && EVP_MAC_update(w->mac, w->in, BYTES) == 1 &&
         EVP_MAC_final(w->mac, w->out, &len, sizeof(w->out)) == 1);
}

static void sha256_libcrypto(void *arg)
{
  struct worker *w = arg;
  unsigned len;
  demand(EVP_DigestInit_ex2(w->md, w->sha256, NULL) == 1 && EVP_DigestUpdate(w->md, w->in, BYTES) == 1 &&
         EVP_DigestFinal_ex(w->md, w->out, &len) == 1);
}

static void prepare_libcrypto(struct worker *w)
{
  static EVP_CIPHER *gcm;
  static EVP_MAC *hmac;
  static EVP_MD *sha256;
  char digest[] = "SHA256";
  OSSL_PARAM params[] = { OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0), OSSL_PARAM_END };
  if (!gcm) {
    gcm = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
    hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
  }
  w->cipher = EVP_CIPHER_CTX_new();
  w->mac = EVP_MAC_CTX_new(hmac);
  w->md = EVP_MD_CTX_new();
  w->sha256 = sha256;
  demand(w->cipher && w->mac && w->md && EVP_EncryptInit_ex2(w->cipher, gcm, secret, w->nonce, NULL) == 1 &&
         EVP_MAC_init(w->mac, secret, sizeof(secret), params) == 1);
}

/* PKCS #11 */

static CK_RV encrypt_gcm(struct worker *w)
{
  CK_GCM_PARAMS params = { .pIv = w->nonce, .ulIvLen = NONCE, .ulIvBits = 8 * NONCE, .ulTagBits = 8 * TAG };
  CK_MECHANISM m = { CKM_AES_GCM, &params, sizeof(params) };
  CK_ULONG len = sizeof(w->out);
  next_nonce(w);
  CK_RV rv = w->rig->f->C_EncryptInit(w->session, &m, w->key);
  return rv ? rv : w->rig->f->C_Encrypt(w->session, w->in, BYTES, w->out, &len);
}

static CK_RV sign_hmac(struct worker *w)
{
  CK_MECHANISM m = { CKM_SHA256_HMAC, NULL, 0 };
  CK_ULONG len = sizeof(w->out);
  CK_RV rv = w->rig->f->C_SignInit(w->session, &m, w->key);
  return rv ? rv : w->rig->f->C_Sign(w->session, w->in, BYTES, w->out, &len);
}

static CK_RV digest_sha256(struct worker *w)
{
  CK_MECHANISM m = { CKM_SHA256, NULL, 0 };
  CK_ULONG len = sizeof(w->out);
  CK_RV rv = w->rig->f->C_DigestInit(w->session, &m);
  return rv ? rv : w->rig->f->C_Digest(w->session, w->in, BYTES, w->out, &len);
}

static void gcm_p11(void *arg)
{
  struct worker *w = arg;
  rig_check(w->rig, encrypt_gcm(w), "AES-GCM");
}

static void hmac_p11(void *arg)
{
  struct worker *w = arg;
  rig_check(w->rig, sign_hmac(w), "HMAC");
}

static void sha256_p11(void *arg)
{
  struct worker *w = arg;
  rig_check(w->rig, digest_sha256(w), "SHA-256");
}

static const struct kind {
  const char *name;
  void (*libcrypto)(void *arg);
  void (*p11)(void *arg);
  CK_RV (*try_p11)(struct worker *w);
  CK_KEY_TYPE key_type;
  CK_ATTRIBUTE_TYPE usage; /* 0: needs no key */
} kinds[] = {
  { "AES-256-GCM", gcm_libcrypto, gcm_p11, encrypt_gcm, CKK_AES, CKA_ENCRYPT },
  { "HMAC-SHA256", hmac_libcrypto, hmac_p11, sign_hmac, CKK_GENERIC_SECRET, CKA_SIGN },
  { "SHA-256", sha256_libcrypto, sha256_p11, digest_sha256, 0, 0 },
};

/* 0 where the token cannot. */
static CK_OBJECT_HANDLE make_key(const struct rig *rig, const struct kind *kind)
{
  CK_OBJECT_CLASS class = CKO_SECRET_KEY;
  CK_KEY_TYPE type = kind->key_type;
  CK_BBOOL yes = CK_TRUE;
  CK_OBJECT_HANDLE key = 0;
  CK_ATTRIBUTE tmpl[] = {
    { CKA_CLASS, &class, sizeof(class) },
    { CKA_KEY_TYPE, &type, sizeof(type) },
    { kind->usage, &yes, 1 },
    { CKA_VALUE, (void *)(uintptr_t)secret, sizeof(secret) },
  };
  return kind->usage && rig->f->C_CreateObject(rig->session, tmpl, 4, &key) == CKR_OK ? key : 0;
}

static void prepare_rig(const struct rig *rig, const struct kind *kind, struct contender *contender,
                        struct worker workers[CONTEST_THREADS])
{
  CK_OBJECT_HANDLE key = make_key(rig, kind);
  for (int i = 0; i < CONTEST_THREADS; i++) {
    workers[i] = (struct worker){ .rig = rig, .session = rig_session(rig), .key = key };
    contender->args[i] = &workers[i];
  }
  contender->name = rig->name;
  contender->once = kind->try_p11(&workers[0]) == CKR_OK ? kind->p11 : NULL;
}

static void run(const struct kind *kind, struct rig *rigs, int rig_count)
{
  static struct worker workers[CONTEST_MAX][CONTEST_THREADS];
  struct contender contenders[CONTEST_MAX] = { { "libcrypto", kind->libcrypto, { NULL } } };
  for (int i = 0; i < CONTEST_THREADS; i++) {
    workers[0][i] = (struct worker){ .rig = NULL };
    prepare_libcrypto(&workers[0][i]);
    contenders[0].args[i] = &workers[0][i];
  }
  for (int c = 0; c < rig_count; c++)
    prepare_rig(&rigs[c], kind, &contenders[c + 1], workers[c + 1]);
  if (kind == kinds)
    contest_heading("of 1 KiB", contenders, rig_count + 1);
  contest_run(kind->name, contenders, rig_count + 1);
  for (int i = 0; i < CONTEST_THREADS; i++) {
    EVP_CIPHER_CTX_free(workers[0][i].cipher);
    EVP_MAC_CTX_free(workers[0][i].mac);
    EVP_MD_CTX_free(workers[0][i].md);
  }
}

int main(int argc, char **argv)
{
  struct rig rigs[CONTEST_MAX - 1];
  int rig_count = 1;
  const char *softhsm2 = rig_softhsm2_path();
  if (argc != 2) {
    fprintf(stderr, "usage: bench_bulk PATH-OF-libholdfast-token.so\n");
    return 2;
  }
  const char *dir = rig_make_dir();
  rig_open(&rigs[0], RIG_HOLDFAST, argv[1], dir);
  if (softhsm2)
    rig_open(&rigs[rig_count++], RIG_SOFTHSM2, softhsm2, dir);
  printf("Operations a second; \"/first\" is over libcrypto with kept contexts on as many threads, \"/1\" over one "
         "thread.\n\n");
  for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
    run(&kinds[i], rigs, rig_count);
  for (int i = 0; i < rig_count; i++)
    rig_close(&rigs[i]);
  rig_remove_dir();
  return 0;
}
