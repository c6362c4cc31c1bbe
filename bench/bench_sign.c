/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signatures a second: libcrypto with a kept key and context, Holdfast's token, SoftHSM2; the same key sizes, on 1, 2 and 4
 * threads. They take turns in short slices, so a drift of the machine's speed meets all alike; figures are medians.
 */
#include "p11_rig.h"

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <pthread.h>
#include <stdatomic.h>

enum { ROUNDS = 9, THREADS_MAX = 4, CONTENDERS = 3, SIGNATURE_MAX = 512 };

static const double slice_seconds = 0.15;

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
  atomic_bool *stop;
  unsigned long count;
};

static void sign_libcrypto(struct signer *s)
{
  unsigned char out[SIGNATURE_MAX];
  size_t len = sizeof(out);
  /* From 3.5 on, a context has to be told before each message. */
  int ok = s->whole ? EVP_DigestSignInit(s->whole, NULL, NULL, NULL, NULL) == 1 &&
                          EVP_DigestSign(s->whole, out, &len, hash, sizeof(hash)) == 1
                    : EVP_PKEY_sign(s->ctx, out, &len, hash, sizeof(hash)) == 1;
  if (!ok)
    abort();
}

static void sign_p11(struct signer *s)
{
  unsigned char out[SIGNATURE_MAX], in[sizeof(hash)];
  CK_ULONG len = sizeof(out);
  CK_MECHANISM m = { s->kind->mechanism, NULL, 0 };
  memcpy(in, hash, sizeof(in));
  rig_check(s->rig, s->rig->f->C_SignInit(s->session, &m, s->key), "C_SignInit");
  rig_check(s->rig, s->rig->f->C_Sign(s->session, in, sizeof(in), out, &len), "C_Sign");
}

static void *work(void *arg)
{
  struct signer *s = arg;
  for (s->count = 0; !atomic_load_explicit(s->stop, memory_order_relaxed); s->count++)
    s->rig ? sign_p11(s) : sign_libcrypto(s);
  return NULL;
}

static double rate(struct signer *signers, int threads)
{
  atomic_bool stop = false;
  pthread_t ids[THREADS_MAX];
  double start = rig_now();
  for (int i = 0; i < threads; i++) {
    signers[i].stop = &stop;
    pthread_create(&ids[i], NULL, work, &signers[i]);
  }
  struct timespec pause = { 0, (long)(slice_seconds * 1e9) };
  nanosleep(&pause, NULL);
  stop = true;
  unsigned long count = 0;
  for (int i = 0; i < threads; i++) {
    pthread_join(ids[i], NULL);
    count += signers[i].count;
  }
  return (double)count / (rig_now() - start);
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

static void prepare(struct signer all[CONTENDERS][THREADS_MAX], const struct kind *kind, struct rig *rigs,
                    int rig_count)
{
  EVP_PKEY *key = kind->make_libcrypto_key();
  CK_OBJECT_HANDLE handles[CONTENDERS] = { 0 };
  for (int c = 0; c < rig_count; c++)
    handles[c] = kind->make_key(&rigs[c]);
  for (int i = 0; i < THREADS_MAX; i++) {
    all[0][i] = (struct signer){ .kind = kind };
    prepare_libcrypto(&all[0][i], key);
    for (int c = 0; c < rig_count; c++)
      all[c + 1][i] =
          (struct signer){ .rig = &rigs[c], .kind = kind, .session = rig_session(&rigs[c]), .key = handles[c] };
  }
  EVP_PKEY_free(key);
}

static void report(const struct kind *kind, int threads, double rates[CONTENDERS][ROUNDS], int rig_count,
                   double single[CONTENDERS])
{
  double ratios[CONTENDERS][ROUNDS], medians[CONTENDERS];
  for (int c = 0; c <= rig_count; c++) {
    for (int r = 0; r < ROUNDS; r++)
      ratios[c][r] = rates[c][r] / rates[0][r];
    medians[c] = rig_median(rates[c], ROUNDS);
    if (threads == 1)
      single[c] = medians[c];
  }
  printf("%-9s %7d %11.0f %11.0f %8.2f %8.2f", kind->name, threads, medians[0], medians[1],
         rig_median(ratios[1], ROUNDS), medians[1] / single[1]);
  if (rig_count > 1)
    printf(" %11.0f %8.2f %8.2f", medians[2], rig_median(ratios[2], ROUNDS), medians[2] / single[2]);
  printf("\n");
  fflush(stdout);
}

static void run(const struct kind *kind, struct rig *rigs, int rig_count)
{
  struct signer all[CONTENDERS][THREADS_MAX];
  double rates[CONTENDERS][ROUNDS], single[CONTENDERS];
  prepare(all, kind, rigs, rig_count);
  for (int threads = 1; threads <= THREADS_MAX; threads *= 2) {
    for (int r = -1; r < ROUNDS; r++) /* the first warms up */
      for (int c = 0; c <= rig_count; c++) {
        double value = rate(all[c], threads);
        if (r >= 0)
          rates[c][r] = value;
      }
    report(kind, threads, rates, rig_count, single);
  }
  for (int i = 0; i < THREADS_MAX; i++) {
    EVP_PKEY_CTX_free(all[0][i].ctx);
    EVP_MD_CTX_free(all[0][i].whole);
  }
}

int main(int argc, char **argv)
{
  struct rig rigs[CONTENDERS - 1];
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
  printf("Signatures a second; \"/lib\" is over libcrypto with a kept key and context on as many threads, \"/1\" over "
         "one thread.\n\n");
  printf("%-9s %7s %11s %11s %8s %8s", "key", "threads", "libcrypto", "Holdfast", "/lib", "/1");
  if (softhsm2)
    printf(" %11s %8s %8s", "SoftHSM2", "/lib", "/1");
  printf("\n");
  for (size_t i = 0; i < sizeof(key_kinds) / sizeof(key_kinds[0]); i++)
    run(&key_kinds[i], rigs, rig_count);
  for (int i = 0; i < rig_count; i++)
    rig_close(&rigs[i]);
  rig_remove_dir();
  return 0;
}
