/* SPDX-License-Identifier: Apache-2.0 */
/*
 * P-256 signatures a second through a socket, over the same token used directly: through holdfast-agent's PKCS #11 socket
 * and through "p11-kit server", both with the stock p11-kit-client.so. They take turns in short slices, so a drift of the
 * machine's speed meets all alike; figures are medians.
 */
#include "p11_rig.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { ROUNDS = 7, THREADS_MAX = 4, CONTENDERS = 3, SIGNATURE_MAX = 512, PATH_ROOM = 256 };

static const double slice_seconds = 0.15;

static const struct {
  const char *audit; /* of the agent */
  bool shared;       /* the threads are one client, on one connection */
  const char *text;
} settings[] = {
  { "off", false, "each thread a client with a connection of its own" },
  { "off", true, "the threads share one client's connection" },
  { "json", false, "each thread a client of its own, the audit's lines written to a file" },
};

struct signer {
  struct rig rig;
  CK_SESSION_HANDLE session;
  CK_OBJECT_HANDLE key;
  atomic_bool *stop;
  unsigned long count;
};

static void fail(const char *what)
{
  fprintf(stderr, "bench: %s\n", what);
  rig_remove_dir();
  exit(1);
}

static void sign(struct signer *s)
{
  unsigned char out[SIGNATURE_MAX], in[32] = "what is signed is hashed before";
  CK_ULONG len = sizeof(out);
  CK_MECHANISM m = { CKM_ECDSA, NULL, 0 };
  rig_check(&s->rig, s->rig.f->C_SignInit(s->session, &m, s->key), "C_SignInit");
  rig_check(&s->rig, s->rig.f->C_Sign(s->session, in, sizeof(in), out, &len), "C_Sign");
}

static void *work(void *arg)
{
  struct signer *s = arg;
  for (s->count = 0; !atomic_load_explicit(s->stop, memory_order_relaxed); s->count++)
    sign(s);
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

/* Every C_GetFunctionList of p11-kit-client.so makes a client with a connection of its own. */
static CK_FUNCTION_LIST *connect_to(const char *socket)
{
  char address[PATH_ROOM + 16];
  snprintf(address, sizeof(address), "unix:path=%s", socket);
  setenv("P11_KIT_SERVER_ADDRESS", address, 1);
  void *handle = dlopen(P11_KIT_CLIENT, RTLD_NOW | RTLD_LOCAL);
  CK_C_GetFunctionList get = handle ? (CK_C_GetFunctionList)dlsym(handle, "C_GetFunctionList") : NULL;
  CK_FUNCTION_LIST *f = NULL;
  if (!get || get(&f) != CKR_OK || f->C_Initialize(NULL) != CKR_OK)
    fail("p11-kit-client.so does not start (package p11-kit-modules)");
  return f;
}

static void log_in(struct signer *s, CK_FUNCTION_LIST *f)
{
  CK_ULONG count = 1;
  CK_UTF8CHAR pin[] = RIG_PIN;
  s->rig.f = f;
  rig_check(&s->rig, f->C_GetSlotList(CK_TRUE, &s->rig.slot, &count), "C_GetSlotList");
  if (count == 0)
    fail("the server shows no token");
  s->session = rig_session(&s->rig);
  CK_RV rv = f->C_Login(s->session, CKU_USER, pin, sizeof(pin) - 1);
  if (rv != CKR_USER_ALREADY_LOGGED_IN)
    rig_check(&s->rig, rv, "C_Login");
  CK_OBJECT_CLASS private_key = CKO_PRIVATE_KEY;
  CK_ATTRIBUTE by = { CKA_CLASS, &private_key, sizeof(private_key) };
  rig_check(&s->rig, f->C_FindObjectsInit(s->session, &by, 1), "C_FindObjectsInit");
  rig_check(&s->rig, f->C_FindObjects(s->session, &s->key, 1, &count), "C_FindObjects");
  rig_check(&s->rig, f->C_FindObjectsFinal(s->session), "C_FindObjectsFinal");
  if (count == 0)
    fail("the server shows no key");
}

static void prepare(struct signer signers[THREADS_MAX], const char *name, const char *socket, bool shared)
{
  CK_FUNCTION_LIST *f = NULL;
  for (int i = 0; i < THREADS_MAX; i++) {
    if (!f || !shared)
      f = connect_to(socket);
    signers[i] = (struct signer){ .rig = { .name = name } };
    log_in(&signers[i], f);
  }
}

static void finish(struct signer signers[THREADS_MAX], bool shared)
{
  for (int i = 0; i < (shared ? 1 : THREADS_MAX); i++)
    signers[i].rig.f->C_Finalize(NULL);
}

static pid_t start_p11_kit(const char *module, const char *dir, const char *socket)
{
  char log[PATH_ROOM];
  snprintf(log, sizeof(log), "%s/p11-kit.log", dir);
  const char *const argv[] = {
    "p11-kit", "server", "-f", "--provider", module, "-n", socket, "pkcs11:token=bench", NULL
  };
  return rig_start(socket, argv, log);
}

static void report(const char *name, int threads, double rates[CONTENDERS][ROUNDS])
{
  double ratios[CONTENDERS][ROUNDS], medians[CONTENDERS];
  for (int c = 0; c < CONTENDERS; c++) {
    for (int r = 0; r < ROUNDS; r++)
      ratios[c][r] = rates[c][r] / rates[0][r];
    medians[c] = rig_median(rates[c], ROUNDS);
  }
  printf("%-9s %7d %9.0f %9.0f %8.2f %9.0f %8.2f\n", name, threads, medians[0], medians[1],
         rig_median(ratios[1], ROUNDS), medians[2], rig_median(ratios[2], ROUNDS));
  fflush(stdout);
}

static void run(const char *name, struct signer all[CONTENDERS][THREADS_MAX])
{
  double rates[CONTENDERS][ROUNDS];
  for (int threads = 1; threads <= THREADS_MAX; threads *= 2) {
    for (int r = -1; r < ROUNDS; r++) /* the first warms up */
      for (int c = 0; c < CONTENDERS; c++) {
        double value = rate(all[c], threads);
        if (r >= 0)
          rates[c][r] = value;
      }
    report(name, threads, rates);
  }
}

static void measure(const struct rig *direct, CK_OBJECT_HANDLE key, const char *module, const char *agent,
                    const char *dir)
{
  struct signer all[CONTENDERS][THREADS_MAX];
  char ours[PATH_ROOM], theirs[PATH_ROOM];
  snprintf(ours, sizeof(ours), "%s/agent.sock", dir);
  snprintf(theirs, sizeof(theirs), "%s/p11-kit.sock", dir);
  for (int i = 0; i < THREADS_MAX; i++)
    all[0][i] = (struct signer){ .rig = *direct, .session = rig_session(direct), .key = key };
  for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
    pid_t agent_pid = rig_start_agent(&(struct rig_agent){
        .program = agent, .module = module, .dir = dir, .pkcs11_socket = ours, .audit = settings[i].audit });
    pid_t p11_kit_pid = start_p11_kit(module, dir, theirs);
    prepare(all[1], "agent", ours, settings[i].shared);
    prepare(all[2], "p11-kit server", theirs, settings[i].shared);
    printf("\n%s: %s\n", direct->name, settings[i].text);
    printf("%-9s %7s %9s %9s %8s %9s %8s\n", "token", "threads", "direct", "agent", "/direct", "p11-kit", "/direct");
    run(direct->name, all);
    finish(all[1], settings[i].shared);
    finish(all[2], settings[i].shared);
    rig_stop(agent_pid);
    rig_stop(p11_kit_pid);
  }
}

int main(int argc, char **argv)
{
  struct rig rigs[RIG_KINDS];
  if (argc != 3) {
    fprintf(stderr, "usage: bench_pkcs11_socket PATH-OF-libholdfast-token.so PATH-OF-holdfast-agent\n");
    return 2;
  }
  const char *modules[RIG_KINDS] = { [RIG_HOLDFAST] = argv[1], [RIG_SOFTHSM2] = rig_softhsm2_path() };
  const char *dir = rig_make_dir();
  char config[PATH_ROOM];
  snprintf(config, sizeof(config), "%s/config.json", dir);
  setenv("HOLDFAST_CONFIG", config, 1);
  printf("P-256 signatures a second, over the token used directly on as many threads.\n");
  for (enum rig_kind kind = 0; kind < RIG_KINDS; kind++) {
    if (!modules[kind])
      continue;
    rig_open(&rigs[kind], kind, modules[kind], dir);
    measure(&rigs[kind], rig_ec_key(&rigs[kind]), modules[kind], argv[2], dir);
    rig_close(&rigs[kind]);
  }
  rig_remove_dir();
  return 0;
}
