/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signs, creates and destroys objects without end, to be killed at any moment. What a call acknowledged, it tells: a line
 * "created LABEL" or "destroyed LABEL" after C_CreateObject or C_DestroyObject returned. With KILLS it does the killing as well: of
 * workers that it forks, some at a time, as many as that.
 *
 * usage: token_worker MODULE PIN PREFIX [KILLS]
 */
#include "holdfast/pkcs11.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static CK_FUNCTION_LIST *f;

static void check(CK_RV rv, const char *what)
{
  if (rv == CKR_OK)
    return;
  fprintf(stderr, "token_worker: %s: 0x%lx\n", what, rv);
  exit(1);
}

static void load(const char *module)
{
  void *handle = dlopen(module, RTLD_NOW | RTLD_LOCAL);
  CK_C_GetFunctionList get = handle ? (CK_C_GetFunctionList)dlsym(handle, "C_GetFunctionList") : NULL;
  if (!get || get(&f) != CKR_OK)
    check(CKR_GENERAL_ERROR, module);
}

static CK_SESSION_HANDLE start(const char *pin)
{
  CK_SLOT_ID slots[8];
  CK_ULONG count = 8;
  CK_SESSION_HANDLE h;
  check(f->C_Initialize(NULL), "C_Initialize");
  check(f->C_GetSlotList(CK_TRUE, slots, &count), "C_GetSlotList");
  check(f->C_OpenSession(slots[0], CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, &h), "C_OpenSession");
  check(f->C_Login(h, CKU_USER, (CK_UTF8CHAR *)(uintptr_t)pin, strlen(pin)), "C_Login");
  return h;
}

static CK_OBJECT_HANDLE create(CK_SESSION_HANDLE h, const char *label)
{
  CK_OBJECT_CLASS class = CKO_DATA;
  CK_BBOOL yes = CK_TRUE;
  CK_ATTRIBUTE tmpl[] = {
    { CKA_CLASS, &class, sizeof(class) },
    { CKA_TOKEN, &yes, 1 },
    { CKA_PRIVATE, &yes, 1 },
    { CKA_LABEL, (void *)(uintptr_t)label, strlen(label) },
    { CKA_VALUE, (void *)(uintptr_t)label, strlen(label) },
  };
  CK_OBJECT_HANDLE object;
  check(f->C_CreateObject(h, tmpl, 5, &object), "C_CreateObject");
  printf("created %s\n", label);
  return object;
}

static CK_OBJECT_HANDLE find_key(CK_SESSION_HANDLE h)
{
  CK_OBJECT_CLASS class = CKO_PRIVATE_KEY;
  CK_ATTRIBUTE tmpl = { CKA_CLASS, &class, sizeof(class) };
  CK_OBJECT_HANDLE key;
  CK_ULONG n;
  check(f->C_FindObjectsInit(h, &tmpl, 1), "C_FindObjectsInit");
  check(f->C_FindObjects(h, &key, 1, &n), "C_FindObjects");
  check(f->C_FindObjectsFinal(h), "C_FindObjectsFinal");
  check(n == 1 ? CKR_OK : CKR_KEY_HANDLE_INVALID, "the key");
  return key;
}

static void sign(CK_SESSION_HANDLE h, CK_OBJECT_HANDLE key)
{
  CK_MECHANISM m = { CKM_ECDSA, NULL, 0 };
  CK_BYTE in[32] = { 1 }, out[64];
  CK_ULONG len = sizeof(out);
  check(f->C_SignInit(h, &m, key), "C_SignInit");
  check(f->C_Sign(h, in, sizeof(in), out, &len), "C_Sign");
}

static void work(const char *pin, const char *prefix)
{
  CK_SESSION_HANDLE h = start(pin);
  CK_OBJECT_HANDLE key = find_key(h), last = 0;
  printf("ready\n");
  for (unsigned i = 0;; i++) {
    char label[64];
    sign(h, key);
    snprintf(label, sizeof(label), "%s-%u", prefix, i);
    CK_OBJECT_HANDLE object = create(h, label);
    if (i % 3 != 0) {
      check(f->C_DestroyObject(h, last), "C_DestroyObject");
      printf("destroyed %s-%u\n", prefix, i - 1);
    }
    last = object;
  }
}

enum { WORKERS = 3, LIFE = 9000 /* us: the most that one has, before it is another's turn to be killed */ };

static pid_t fork_worker(const char *pin, const char *prefix, unsigned number)
{
  char name[64];
  pid_t pid = fork();
  if (pid != 0)
    return pid;
  snprintf(name, sizeof(name), "%s%u", prefix, number);
  work(pin, name);
  _exit(1);
}

/* The module is loaded, not initialised: a worker begins in a millisecond, and may be killed while it does. */
static int kill_workers(const char *pin, const char *prefix, unsigned kills)
{
  pid_t workers[WORKERS];
  unsigned begun = 0;
  srand((unsigned)time(NULL));
  for (size_t i = 0; i < WORKERS; i++)
    workers[i] = fork_worker(pin, prefix, begun++);
  for (unsigned i = 0; i < kills + WORKERS; i++) {
    int status;
    pid_t *victim = &workers[i % WORKERS];
    nanosleep(&(struct timespec){ .tv_nsec = rand() % (LIFE / WORKERS) * 1000L }, NULL);
    kill(*victim, SIGKILL);
    if (waitpid(*victim, &status, 0) != *victim || !WIFSIGNALED(status)) {
      fprintf(stderr, "token_worker: a worker ended by itself\n");
      return 1;
    }
    *victim = i < kills ? fork_worker(pin, prefix, begun++) : -1;
  }
  printf("killed %u\n", begun);
  return 0;
}

int main(int argc, char **argv)
{
  if (argc != 4 && argc != 5)
    return 2;
  setvbuf(stdout, NULL, _IOLBF, 0);
  load(argv[1]);
  if (argc == 5)
    return kill_workers(argv[2], argv[3], (unsigned)strtoul(argv[4], NULL, 10));
  work(argv[2], argv[3]);
}
