/* SPDX-License-Identifier: Apache-2.0 */
/* Signatures a second: libcrypto with a kept key and context, Holdfast's token, SoftHSM2; the same key sizes. */
#include "contest.h"
#include "p11_rig.h"

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>

enum { SIGNATURE_MAX = 512 };

static const unsigned char hash[32] = "what is signed is hashed before";

static EVP_PKEY *make_p256(void)
{
  return EVP_EC_gen("P-256");
}

static EVP_PKEY *make_rsa(void)
{
  return EVP_RSA_gen(2048);
}

static EVP_PKEY *make_ed25519(void)
{
  return EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
}

struct kind {
  const char *name;
  CK_MECHANISM_TYPE mechanism;
  CK_OBJECT_HANDLE (*make_key)(const struct rig *rig);
  EVP_PKEY *(*make_libcrypto_key)(void);
};

static const struct kind key_kinds[] = {
  { "P-256", CKM_ECDSA, rig_ec_key, make_p256 },
  { "RSA-2048", CKM_RSA_PKCS, rig_rsa_key, make_rsa },
  { "Ed25519", CKM_EDDSA, rig_ed25519_key, make_ed25519 },
};

/* One thread's means to sign once. */
struct signer {
  const struct rig *rig; /* NULL: libcrypto */
  const struct kind *kind;
  CK_SESSION_HANDLE session;
  CK_OBJECT_HANDLE key;
  EVP_PKEY_CTX *ctx;
  EVP_MD_CTX *whole; /* for Ed25519, which takes no digest; in place of ctx */
};

static void sign_libcrypto(void *arg)
{
  struct signer *s = arg;
  unsigned char out[SIGNATURE_MAX];
  size_t len = sizeof(out);
  /* From 3.5 on, a context has to be told before each message. */
  int ok = s->whole ? EVP_DigestSignInit(s->whole, NULL, NULL, NULL, NULL) == 1 &&
                          EVP_DigestSign(s->whole, out, &len, hash, sizeof(hash)) == 1
                    : EVP_PKEY_sign(s->ctx, out, &len, hash, sizeof(hash)) == 1;
  if (!ok)
    abort();
}

static void sign_p11(void *arg)
{
  struct signer *s = arg;
  unsigned char out[SIGNATURE_MAX], in[sizeof(hash)];
  CK_ULONG len = sizeof(out);
  CK_MECHANISM m = { s->kind->mechanism, NULL, 0 };
  memcpy(in, hash, sizeof(in));
  rig_check(s->rig, s->rig->f->C_SignInit(s->session, &m, s->key), "C_SignInit");
  rig_check(s->rig, s->rig->f->C_Sign(s->session, in, sizeof(in), out, &len), "C_Sign");
}

static void prepare_libcrypto(struct signer *s, EVP_PKEY *key)
{
  if (EVP_PKEY_is_a(key, "ED25519")) {
    s->whole = EVP_MD_CTX_new();
    if (!s->whole || EVP_DigestSignInit(s->whole, NULL, NULL, NULL, key) != 1)
      abort();
    return;
  }
  s->ctx = EVP_PKEY_CTX_new(key, NULL);
  if (!s->ctx || EVP_PKEY_sign_init(s->ctx) != 1)
    abort();
  if (EVP_PKEY_is_a(key, "RSA") && EVP_PKEY_CTX_set_rsa_padding(s->ctx, RSA_PKCS1_PADDING) != 1)
    abort();
}

static void run(const struct kind *kind, struct contender *contenders, struct rig *rigs, int rig_count)
{
  static struct signer all[CONTEST_MAX][CONTEST_THREADS];
  EVP_PKEY *key = kind->make_libcrypto_key();
  CK_OBJECT_HANDLE handles[CONTEST_MAX] = { 0 };
  for (int c = 0; c < rig_count; c++)
    handles[c] = kind->make_key(&rigs[c]);
  for (int i = 0; i < CONTEST_THREADS; i++) {
    all[0][i] = (struct signer){ .kind = kind };
    prepare_libcrypto(&all[0][i], key);
    contenders[0].args[i] = &all[0][i];
    for (int c = 0; c < rig_count; c++) {
      all[c + 1][i] =
          (struct signer){ .rig = &rigs[c], .kind = kind, .session = rig_session(&rigs[c]), .key = handles[c] };
      contenders[c + 1].args[i] = &all[c + 1][i];
    }
  }
  contest_run(kind->name, contenders, rig_count + 1);
  for (int i = 0; i < CONTEST_THREADS; i++) {
    EVP_PKEY_CTX_free(all[0][i].ctx);
    EVP_MD_CTX_free(all[0][i].whole);
  }
  EVP_PKEY_free(key);
}

int main(int argc, char **argv)
{
  struct rig rigs[CONTEST_MAX - 1];
  int rig_count = 1;
  const char *softhsm2 = rig_softhsm2_path();
  if (argc != 2) {
    fprintf(stderr, "usage: bench_sign PATH-OF-libholdfast-token.so\n");
    return 2;
  }
  const char *dir = rig_make_dir();
  rig_open(&rigs[0], RIG_HOLDFAST, argv[1], dir);
  if (softhsm2)
    rig_open(&rigs[rig_count++], RIG_SOFTHSM2, softhsm2, dir);
  struct contender contenders[CONTEST_MAX] = { { "libcrypto", sign_libcrypto, { NULL } } };
  for (int i = 0; i < rig_count; i++)
    contenders[i + 1] = (struct contender){ rigs[i].name, sign_p11, { NULL } };
  printf(
      "Signatures a second; \"/first\" is over libcrypto with a kept key and context on as many threads, \"/1\" over "
      "one thread.\n\n");
  contest_heading("key", contenders, rig_count + 1);
  for (size_t i = 0; i < sizeof(key_kinds) / sizeof(key_kinds[0]); i++)
    run(&key_kinds[i], contenders, rigs, rig_count);
  for (int i = 0; i < rig_count; i++)
    rig_close(&rigs[i]);
  rig_remove_dir();
  return 0;
}
