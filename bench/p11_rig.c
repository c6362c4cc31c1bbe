/* SPDX-License-Identifier: Apache-2.0 */
#include "p11_rig.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { FILLERS_MAX = 16 };

static char run_dir[RIG_PATH_MAX];

static const struct {
  const char *name;
  const char *variable;
} kinds[RIG_KINDS] = {
  [RIG_HOLDFAST] = { "Holdfast", "HOLDFAST_TOKEN_CONF" },
  [RIG_SOFTHSM2] = { "SoftHSM2", "SOFTHSM2_CONF" },
};

static void die(const char *who, const char *what)
{
  fprintf(stderr, "bench: %s: %s\n", who, what);
  rig_remove_dir();
  exit(1);
}

void rig_check(const struct rig *rig, CK_RV rv, const char *what)
{
  char text[128];
  if (rv == CKR_OK)
    return;
  snprintf(text, sizeof(text), "%s: CK_RV 0x%lx", what, rv);
  die(rig->name, text);
}

double rig_now(void)
{
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int by_value(const void *a, const void *b)
{
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

double rig_median(double *values, int count)
{
  qsort(values, (size_t)count, sizeof(*values), by_value);
  return values[count / 2];
}

const char *rig_make_dir_below(const char *where)
{
  snprintf(run_dir, sizeof(run_dir), "%s/hf-bench-XXXXXX", where);
  if (!mkdtemp(run_dir))
    die(where, "no directory can be made here");
  return run_dir;
}

const char *rig_make_dir(void)
{
  return rig_make_dir_below("/tmp");
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
  (void)st;
  (void)type;
  (void)ftw;
  return remove(path);
}

void rig_remove_dir(void)
{
  if (run_dir[0])
    nftw(run_dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

const char *rig_softhsm2_path(void)
{
  static const char *const places[] = { "/usr/lib/softhsm/libsofthsm2.so",
                                        "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
                                        "/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so" };
  for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++)
    if (access(places[i], R_OK) == 0)
      return places[i];
  return NULL;
}

static void configure(enum rig_kind kind, const char *base)
{
  char dir[PATH_MAX], conf[PATH_MAX];
  snprintf(dir, sizeof(dir), "%s/%s", base, kinds[kind].name);
  snprintf(conf, sizeof(conf), "%s/%s.conf", base, kinds[kind].name);
  mkdir(dir, 0700);
  FILE *f = fopen(conf, "w");
  if (!f)
    die(kinds[kind].name, "cannot write its configuration");
  fprintf(f, "directories.tokendir = %s\nlog.level = ERROR\n", dir);
  fclose(f);
  setenv(kinds[kind].variable, conf, 1);
}

static CK_FUNCTION_LIST *load(const char *name, const char *module)
{
  CK_FUNCTION_LIST *f = NULL;
  void *handle = dlopen(module, RTLD_NOW | RTLD_LOCAL);
  CK_C_GetFunctionList get = handle ? (CK_C_GetFunctionList)dlsym(handle, "C_GetFunctionList") : NULL;
  if (!get || get(&f) != CKR_OK)
    die(name, "cannot be loaded");
  return f;
}

CK_SESSION_HANDLE rig_session(const struct rig *rig)
{
  CK_SESSION_HANDLE h;
  rig_check(rig, rig->f->C_OpenSession(rig->slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, &h),
            "C_OpenSession");
  return h;
}

void rig_start_module(struct rig *rig)
{
  CK_SLOT_ID slots[8];
  CK_ULONG count = 8;
  rig_check(rig, rig->f->C_Initialize(rig->initialize_args), "C_Initialize");
  rig_check(rig, rig->f->C_GetSlotList(CK_TRUE, slots, &count), "C_GetSlotList");
  rig->slot = slots[rig->slot_index];
  rig->session = rig_session(rig);
}

void rig_open(struct rig *rig, enum rig_kind kind, const char *module, const char *base)
{
  static CK_C_INITIALIZE_ARGS args = { .flags = CKF_OS_LOCKING_OK };
  CK_UTF8CHAR label[32], pin[] = RIG_PIN;
  CK_ULONG pin_len = sizeof(pin) - 1, count = 1;
  configure(kind, base);
  *rig = (struct rig){ .name = kinds[kind].name, .initialize_args = &args };
  rig->f = load(rig->name, module);
  rig_check(rig, rig->f->C_Initialize(&args), "C_Initialize");
  rig_check(rig, rig->f->C_GetSlotList(CK_TRUE, &rig->slot, &count), "C_GetSlotList");
  memset(label, ' ', sizeof(label));
  memcpy(label, "bench", 5);
  rig_check(rig, rig->f->C_InitToken(rig->slot, pin, pin_len, label), "C_InitToken");
  rig->session = rig_session(rig);
  rig_check(rig, rig->f->C_Login(rig->session, CKU_SO, pin, pin_len), "C_Login (SO)");
  rig_check(rig, rig->f->C_InitPIN(rig->session, pin, pin_len), "C_InitPIN");
  rig_check(rig, rig->f->C_Logout(rig->session), "C_Logout");
  rig_check(rig, rig->f->C_Login(rig->session, CKU_USER, pin, pin_len), "C_Login");
}

void rig_close(struct rig *rig)
{
  rig->f->C_Finalize(NULL);
}

static CK_OBJECT_HANDLE generate(const struct rig *rig, CK_MECHANISM_TYPE type, CK_ATTRIBUTE *special)
{
  CK_BBOOL yes = CK_TRUE;
  CK_MECHANISM m = { type, NULL, 0 };
  CK_ATTRIBUTE public[] = { { CKA_TOKEN, &yes, 1 }, *special };
  CK_ATTRIBUTE private[] = { { CKA_TOKEN, &yes, 1 }, { CKA_PRIVATE, &yes, 1 }, { CKA_SIGN, &yes, 1 } };
  CK_OBJECT_HANDLE pub, priv;
  rig_check(rig, rig->f->C_GenerateKeyPair(rig->session, &m, public, 2, private, 3, &pub, &priv), "C_GenerateKeyPair");
  return priv;
}

CK_OBJECT_HANDLE rig_ec_key(const struct rig *rig)
{
  CK_BYTE p256[] = { 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7 };
  CK_ATTRIBUTE special = { CKA_EC_PARAMS, p256, sizeof(p256) };
  return generate(rig, CKM_EC_KEY_PAIR_GEN, &special);
}

CK_OBJECT_HANDLE rig_rsa_key(const struct rig *rig)
{
  CK_ULONG bits = 2048;
  CK_ATTRIBUTE special = { CKA_MODULUS_BITS, &bits, sizeof(bits) };
  return generate(rig, CKM_RSA_PKCS_KEY_PAIR_GEN, &special);
}

CK_OBJECT_HANDLE rig_ed25519_key(const struct rig *rig)
{
  CK_BYTE ed25519[] = { 6, 3, 0x2b, 0x65, 0x70 };
  CK_ATTRIBUTE special = { CKA_EC_PARAMS, ed25519, sizeof(ed25519) };
  return generate(rig, CKM_EC_EDWARDS_KEY_PAIR_GEN, &special);
}

CK_OBJECT_HANDLE rig_data(const struct rig *rig, CK_SESSION_HANDLE session, const char *label)
{
  CK_OBJECT_CLASS class = CKO_DATA;
  CK_BBOOL yes = CK_TRUE;
  CK_OBJECT_HANDLE object;
  CK_ATTRIBUTE tmpl[] = {
    { CKA_CLASS, &class, sizeof(class) },
    { CKA_TOKEN, &yes, 1 },
    { CKA_PRIVATE, &yes, 1 },
    { CKA_LABEL, (void *)(uintptr_t)label, strlen(label) },
    { CKA_VALUE, (void *)(uintptr_t)label, strlen(label) },
  };
  rig_check(rig, rig->f->C_CreateObject(session, tmpl, 5, &object), "C_CreateObject");
  return object;
}

struct filler {
  const struct rig *rig;
  unsigned first, end, step;
};

static void *fill(void *arg)
{
  const struct filler *filler = arg;
  CK_SESSION_HANDLE session = rig_session(filler->rig);
  for (unsigned i = filler->first; i < filler->end; i += filler->step) {
    char label[32];
    snprintf(label, sizeof(label), "object-%u", i);
    rig_data(filler->rig, session, label);
  }
  rig_check(filler->rig, filler->rig->f->C_CloseSession(session), "C_CloseSession");
  return NULL;
}

void rig_fill(const struct rig *rig, unsigned from, unsigned to, unsigned threads)
{
  pthread_t ids[FILLERS_MAX];
  struct filler fillers[FILLERS_MAX];
  for (unsigned i = 0; i < threads && i < FILLERS_MAX; i++) {
    fillers[i] = (struct filler){ rig, from + i, to, threads };
    pthread_create(&ids[i], NULL, fill, &fillers[i]);
  }
  for (unsigned i = 0; i < threads && i < FILLERS_MAX; i++)
    pthread_join(ids[i], NULL);
}

void rig_find(const struct rig *rig, CK_SESSION_HANDLE session, unsigned number)
{
  char label[32];
  CK_OBJECT_HANDLE found[2];
  CK_ULONG count;
  snprintf(label, sizeof(label), "object-%u", number);
  CK_ATTRIBUTE tmpl = { CKA_LABEL, label, strlen(label) };
  rig_check(rig, rig->f->C_FindObjectsInit(session, &tmpl, 1), "C_FindObjectsInit");
  rig_check(rig, rig->f->C_FindObjects(session, found, 2, &count), "C_FindObjects");
  rig_check(rig, rig->f->C_FindObjectsFinal(session), "C_FindObjectsFinal");
  rig_check(rig, count == 1 ? CKR_OK : CKR_GENERAL_ERROR, label);
}

pid_t rig_start(const char *socket, const char *const argv[], const char *log)
{
  struct stat status;
  unlink(socket);
  pid_t pid = fork();
  if (pid == 0) {
    int out = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);
    if (out >= 0) {
      dup2(out, STDOUT_FILENO);
      dup2(out, STDERR_FILENO);
    }
    /* execvp takes what it only reads as not const. */
    execvp(argv[0], (char *const *)(uintptr_t)argv);
    _exit(127);
  }
  for (int i = 0; i < 500; i++) {
    if (stat(socket, &status) == 0)
      return pid;
    nanosleep(&(struct timespec){ 0, 10000000 }, NULL);
  }
  die(argv[0], "does not serve its socket");
  return -1;
}

void rig_stop(pid_t pid)
{
  kill(pid, SIGTERM);
  waitpid(pid, NULL, 0);
}

void rig_write_pin(const char *dir, char path[RIG_PATH_MAX])
{
  snprintf(path, RIG_PATH_MAX, "%s/pin", dir);
  FILE *f = fopen(path, "w");
  if (!f || fputs(RIG_PIN "\n", f) < 0 || fclose(f) != 0)
    die(path, "cannot be written");
}

pid_t rig_start_agent(const struct rig_agent *agent)
{
  char pin[RIG_PATH_MAX], log[RIG_PATH_MAX];
  rig_write_pin(agent->dir, pin);
  snprintf(log, sizeof(log), "%s/agent.log", agent->dir);
  const char *const argv[] = {
    agent->program,
    "--module-path",
    agent->module,
    "--pin-source",
    pin,
    "--pkcs11-socket",
    agent->pkcs11_socket ? agent->pkcs11_socket : "none",
    "--socket-path",
    agent->signing_socket ? agent->signing_socket : "none",
    "--metrics-socket",
    "none",
    "--policy",
    "/nonexistent",
    "--audit",
    agent->audit,
    NULL,
  };
  return rig_start(agent->pkcs11_socket ? agent->pkcs11_socket : agent->signing_socket, argv, log);
}
