/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The module's life in a program, as programs live it: loaded and let go, forked, at the end of the process in whatever order. Each case
 * ends with exit status 0 where all was as it should be; a crash or a hang is what the test looks for.
 *
 * usage: token_life CASE PIN MODULE [COPY OF THE MODULE | URI OF THE KEY]
 */
#include "holdfast/pkcs11.h"

#include <dlfcn.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/store.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { THREADS = 3, FORKS = 40, LOADS = 15 };

struct module {
  void *handle;
  CK_FUNCTION_LIST *f;
  CK_SESSION_HANDLE session;
  CK_OBJECT_HANDLE key;
};

static const char *pin, *paths[2];
static struct module first;

static void need(bool so, const char *what)
{
  if (so)
    return;
  fprintf(stderr, "token_life: %s\n", what);
  _exit(1);
}

static void need_rv(CK_RV expected, CK_RV rv, const char *what)
{
  if (rv != expected)
    fprintf(stderr, "token_life: 0x%lx where 0x%lx is expected\n", rv, expected);
  need(rv == expected, what);
}

static struct module load(const char *path)
{
  struct module m = { .handle = dlopen(path, RTLD_NOW | RTLD_LOCAL) };
  CK_C_GetFunctionList get = m.handle ? (CK_C_GetFunctionList)dlsym(m.handle, "C_GetFunctionList") : NULL;
  need(get && get(&m.f) == CKR_OK, path);
  return m;
}

static void log_in(struct module *m)
{
  CK_SLOT_ID slots[8];
  CK_ULONG count = 8, n;
  CK_OBJECT_CLASS class = CKO_PRIVATE_KEY;
  CK_ATTRIBUTE tmpl = { CKA_CLASS, &class, sizeof(class) };
  need_rv(CKR_OK, m->f->C_GetSlotList(CK_TRUE, slots, &count), "C_GetSlotList");
  need_rv(CKR_OK, m->f->C_OpenSession(slots[0], CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, &m->session),
          "C_OpenSession");
  CK_RV rv = m->f->C_Login(m->session, CKU_USER, (CK_UTF8CHAR *)(uintptr_t)pin, strlen(pin));
  need(rv == CKR_OK || rv == CKR_USER_ALREADY_LOGGED_IN, "C_Login");
  need_rv(CKR_OK, m->f->C_FindObjectsInit(m->session, &tmpl, 1), "C_FindObjectsInit");
  need_rv(CKR_OK, m->f->C_FindObjects(m->session, &m->key, 1, &n), "C_FindObjects");
  need_rv(CKR_OK, m->f->C_FindObjectsFinal(m->session), "C_FindObjectsFinal");
  need(n == 1, "the key");
}

static struct module start(const char *path)
{
  struct module m = load(path);
  need_rv(CKR_OK, m.f->C_Initialize(NULL), "C_Initialize");
  log_in(&m);
  return m;
}

static CK_RV sign(const struct module *m)
{
  CK_MECHANISM ecdsa = { CKM_ECDSA, NULL, 0 };
  CK_BYTE digest[32] = { 1 }, signature[64];
  CK_ULONG len = sizeof(signature);
  CK_RV rv = m->f->C_SignInit(m->session, &ecdsa, m->key);
  return rv == CKR_OK ? m->f->C_Sign(m->session, digest, sizeof(digest), signature, &len) : rv;
}

static CK_RV create_and_destroy(const struct module *m)
{
  CK_OBJECT_CLASS class = CKO_DATA;
  CK_BBOOL yes = CK_TRUE;
  CK_ATTRIBUTE tmpl[] = { { CKA_CLASS, &class, sizeof(class) }, { CKA_TOKEN, &yes, 1 }, { CKA_PRIVATE, &yes, 1 } };
  CK_OBJECT_HANDLE object;
  CK_RV rv = m->f->C_CreateObject(m->session, tmpl, 3, &object);
  return rv == CKR_OK ? m->f->C_DestroyObject(m->session, object) : rv;
}

/* dlopen and dlclose, over and over: with C_Finalize between, and without it. */
static void reload(void)
{
  for (int i = 0; i < LOADS; i++) {
    struct module m = start(paths[0]);
    need_rv(CKR_OK, sign(&m), "C_Sign");
    need_rv(CKR_OK, m.f->C_Finalize(NULL), "C_Finalize");
    dlclose(m.handle);
  }
  struct module m = start(paths[0]);
  dlclose(m.handle);
  m = load(paths[0]);
  CK_RV rv = m.f->C_Initialize(NULL);
  need(rv == CKR_OK || rv == CKR_CRYPTOKI_ALREADY_INITIALIZED, "C_Initialize after dlclose");
  log_in(&m);
  need_rv(CKR_OK, sign(&m), "C_Sign");
}

/* The end of the process, with all up and nothing let go. */
static void just_exit(void)
{
  first = start(paths[0]);
  need_rv(CKR_OK, sign(&first), "C_Sign");
}

static void finalize_late(void)
{
  CK_RV rv = first.f->C_Finalize(NULL);
  need(rv == CKR_OK || rv == CKR_CRYPTOKI_NOT_INITIALIZED, "a late C_Finalize");
}

static void sign_late(void)
{
  CK_RV rv = sign(&first);
  need(rv == CKR_OK || rv == CKR_CRYPTOKI_NOT_INITIALIZED, "a late C_Sign");
}

/* Before libcrypto's own handler has run, and after it. */
static void exit_handlers(void)
{
  atexit(finalize_late);
  atexit(sign_late);
  first = start(paths[0]);
  atexit(sign_late);
}

static bool in_destructor;

__attribute__((destructor)) static void at_the_very_end(void)
{
  if (!in_destructor)
    return;
  sign_late();
  finalize_late();
}

static void destructor(void)
{
  in_destructor = true;
  just_exit();
}

static void after_cleanup(void)
{
  CK_INFO info;
  just_exit();
  OPENSSL_cleanup();
  need_rv(CKR_CRYPTOKI_NOT_INITIALIZED, first.f->C_GetInfo(&info), "C_GetInfo after OPENSSL_cleanup");
  need_rv(CKR_CRYPTOKI_NOT_INITIALIZED, sign(&first), "C_Sign after OPENSSL_cleanup");
  finalize_late();
  need(first.f->C_Initialize(NULL) != CKR_OK, "C_Initialize after OPENSSL_cleanup");
}

static atomic_bool stop;

static void *work(void *arg)
{
  struct module mine = first;
  bool writes = arg;
  log_in(&mine);
  while (!stop) {
    CK_RV rv = writes ? create_and_destroy(&mine) : sign(&mine);
    if (rv == CKR_CRYPTOKI_NOT_INITIALIZED)
      break;
    need_rv(CKR_OK, rv, "a thread's call");
  }
  return NULL;
}

static void start_threads(pthread_t threads[THREADS])
{
  first = start(paths[0]);
  for (int i = 0; i < THREADS; i++)
    need(pthread_create(&threads[i], NULL, work, i == 0 ? &stop : NULL) == 0, "a thread");
  nanosleep(&(struct timespec){ .tv_nsec = 20000000 }, NULL);
}

/* Threads are at work when the process ends. */
static void exit_with_threads(void)
{
  pthread_t threads[THREADS];
  start_threads(threads);
}

static void child(void)
{
  CK_INFO info;
  alarm(20); /* a lock that nobody will let go */
  need_rv(CKR_CRYPTOKI_NOT_INITIALIZED, first.f->C_GetInfo(&info), "C_GetInfo in the child");
  need_rv(CKR_CRYPTOKI_NOT_INITIALIZED, sign(&first), "C_Sign in the child");
  need_rv(CKR_CRYPTOKI_NOT_INITIALIZED, first.f->C_Finalize(NULL), "C_Finalize in the child");
  need_rv(CKR_OK, first.f->C_Initialize(NULL), "C_Initialize in the child");
  log_in(&first);
  need_rv(CKR_OK, sign(&first), "C_Sign in the child, initialised");
  need_rv(CKR_OK, create_and_destroy(&first), "C_CreateObject in the child");
  need_rv(CKR_OK, first.f->C_Finalize(NULL), "C_Finalize in the child, initialised");
  _exit(0);
}

/* Whatever the parent's threads hold at that moment; and the parent feels nothing. */
static void forks(void)
{
  pthread_t threads[THREADS];
  start_threads(threads);
  for (int i = 0; i < FORKS; i++) {
    int status;
    pid_t pid = fork();
    if (pid == 0)
      child();
    need(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0, "a child");
  }
  stop = true;
  for (int i = 0; i < THREADS; i++)
    pthread_join(threads[i], NULL);
  need_rv(CKR_OK, sign(&first), "C_Sign in the parent");
}

/* Two modules, one token, one process: neither's end is the other's. Others come and go meanwhile. */
static void two_copies(void)
{
  struct module one = start(paths[0]);
  for (int i = 0; i < LOADS; i++) {
    struct module two = start(paths[1]);
    need(one.f != two.f, "another copy");
    need_rv(CKR_OK, create_and_destroy(&two), "the copy's C_CreateObject");
    need_rv(CKR_OK, sign(&two), "the copy's C_Sign");
    need_rv(CKR_OK, create_and_destroy(&one), "C_CreateObject");
    need_rv(CKR_OK, two.f->C_Finalize(NULL), "the copy's C_Finalize");
    pid_t pid = fork();
    if (pid == 0) {
      first = one;
      child();
    }
    int status;
    need(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0, "a child");
    need_rv(CKR_OK, sign(&one), "C_Sign after the copy's C_Finalize");
    log_in(&one);
    need_rv(CKR_OK, create_and_destroy(&one), "C_CreateObject after the copy's C_Finalize");
    dlclose(two.handle);
  }
}

static EVP_PKEY *load_key(const char *uri)
{
  EVP_PKEY *key = NULL;
  OSSL_STORE_CTX *store = OSSL_STORE_open(uri, NULL, NULL, NULL, NULL);
  while (store && !key && !OSSL_STORE_eof(store)) {
    OSSL_STORE_INFO *info = OSSL_STORE_load(store);
    if (info && OSSL_STORE_INFO_get_type(info) == OSSL_STORE_INFO_PKEY)
      key = OSSL_STORE_INFO_get1_PKEY(info);
    OSSL_STORE_INFO_free(info);
  }
  OSSL_STORE_close(store);
  need(key != NULL, uri);
  return key;
}

static void sign_by_provider(EVP_PKEY *key)
{
  unsigned char signature[128];
  size_t len = sizeof(signature);
  EVP_MD_CTX *ctx = EVP_MD_CTX_new();
  need(EVP_DigestSignInit_ex(ctx, NULL, "SHA256", NULL, NULL, key, NULL) == 1 &&
           EVP_DigestSign(ctx, signature, &len, (const unsigned char *)"x", 1) == 1,
       "the provider's signature");
  EVP_MD_CTX_free(ctx);
}

/* The program's own OpenSSL reads openssl.cnf, which names a provider that leads back to this token. */
static void with_openssl(void)
{
  need(OPENSSL_init_crypto(OPENSSL_INIT_LOAD_CONFIG, NULL) == 1, "openssl.cnf");
  EVP_PKEY *key = load_key(paths[1]);
  sign_by_provider(key);
  struct module m = load(paths[0]);
  CK_RV rv = m.f->C_Initialize(NULL);
  need(rv == CKR_OK || rv == CKR_CRYPTOKI_ALREADY_INITIALIZED, "C_Initialize");
  log_in(&m);
  need_rv(CKR_OK, sign(&m), "C_Sign");
  need_rv(CKR_OK, create_and_destroy(&m), "C_CreateObject");
  sign_by_provider(key);
  EVP_PKEY_free(key);
  if (rv == CKR_OK)
    need_rv(CKR_OK, m.f->C_Finalize(NULL), "C_Finalize");
}

static const struct {
  const char *name;
  void (*run)(void);
} cases[] = {
  { "reload", reload },         { "exit", just_exit },        { "exit-handlers", exit_handlers },
  { "destructor", destructor }, { "cleanup", after_cleanup }, { "exit-threads", exit_with_threads },
  { "forks", forks },           { "two-copies", two_copies }, { "openssl", with_openssl },
};

int main(int argc, char **argv)
{
  if (argc < 4)
    return 2;
  pin = argv[2];
  paths[0] = argv[3];
  paths[1] = argc > 4 ? argv[4] : NULL;
  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
    if (strcmp(cases[i].name, argv[1]) == 0) {
      cases[i].run();
      return 0;
    }
  }
  return 2;
}
