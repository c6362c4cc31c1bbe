/* SPDX-License-Identifier: Apache-2.0 */
#include "p11/module.h"

#include "p11/fork.h"
#include "p11/server.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <time.h>

enum { STUCK_WAIT_MAX = 64 };

struct p11_module {
  struct p11_module *next;
  char *path;
  void *library;
  size_t refs;
  bool ours; /* C_Initialize was ours, so C_Finalize is */
  CK_FUNCTION_LIST *functions;
  const struct holdfast_token_ext *ext;
  atomic_bool ready;
  _Atomic uint64_t generation;
  pthread_rwlock_t use;  /* read: a call may be running; write: C_Finalize */
  atomic_bool unsettled; /* see p11_module_destroyed */
  time_t revived;        /* seconds of CLOCK_MONOTONIC */
  time_t stuck_wait;     /* seconds until it may be taken for stuck again */
};

/* Every module ever loaded; they stay. lock guards the list, refs, ours and the steps that change ready. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct p11_module *modules;

void p11_module_forked(void)
{
  lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
  for (struct p11_module *m = modules; m; m = m->next) {
    m->ours = false;
    atomic_store(&m->ready, false);
    atomic_fetch_add(&m->generation, 1);
    pthread_rwlock_init(&m->use, NULL);
  }
}

static void unlockp(pthread_mutex_t **held)
{
  pthread_mutex_unlock(*held);
}

static pthread_mutex_t *take_lock(void)
{
  p11_fork_check();
  pthread_mutex_lock(&lock);
  return &lock;
}

/* Until the end of the scope. */
#define HOLD_LOCK() HF_CLEANUP(unlockp) __attribute__((unused)) pthread_mutex_t *held = take_lock()

/* The code's own sentence and name, which our token's reason has too, are said once. */
static const char *trim_reason(char *reason, CK_RV rv)
{
  const char *name = hf_rv_name(rv), *sentence = hf_err_text(hf_fail_rv(rv, "%s", reason));
  size_t len = strlen(reason), name_len = name ? strlen(name) : 0, sentence_len = strlen(sentence);
  if (name && len > name_len + 3 && strncmp(reason + len - 1 - name_len, name, name_len) == 0)
    reason[len - name_len - 3] = '\0';
  return strncmp(reason, sentence, sentence_len) == 0 && reason[sentence_len] == ':' ? reason + sentence_len + 2
                                                                                     : reason;
}

hf_err p11_module_reachable(const struct p11_module *module)
{
  return p11_server_is(module->path) ? p11_server_check(module->path) : HF_OK;
}

hf_err p11_fail(struct p11_module *module, CK_RV rv, const char *fmt, ...)
{
  if (rv == CKR_OK)
    return HF_OK;
  if (rv == CKR_DEVICE_ERROR || rv == CKR_DEVICE_REMOVED)
    HF_TRY(p11_module_reachable(module));
  char what[HF_CONTEXT_MAX], reason[512] = "", hint[256] = "";
  if (module->ext)
    module->ext->last_error(reason, sizeof(reason), hint, sizeof(hint));
  va_list args;
  va_start(args, fmt);
  vsnprintf(what, sizeof(what), fmt, args);
  va_end(args);
  const char *more = trim_reason(reason, rv);
  bool is_news = more[0] && strcmp(more, what) != 0;
  hf_err e = hf_fail_rv(rv, "%s%s%s", what, is_news ? ": " : "", is_news ? more : "");
  return hint[0] ? hf_hint(e, "%s", hint) : e;
}

static hf_err load_functions(struct p11_module *module)
{
  CK_C_GetFunctionList get_list = NULL;
  *(void **)&get_list = dlsym(module->library, "C_GetFunctionList");
  if (!get_list)
    return hf_fail(HF_ERR_MODULE_LOAD, "%s has no C_GetFunctionList", module->path);
  if (p11_server_is(module->path))
    return p11_server_functions(get_list, module->path, &module->functions);
  CK_RV rv = get_list(&module->functions);
  if (rv != CKR_OK || !module->functions)
    return hf_fail(HF_ERR_MODULE_LOAD, "%s: C_GetFunctionList answered 0x%lx", module->path, rv);
  return HF_OK;
}

static const struct holdfast_token_ext *load_ext(void *library)
{
  hf_get_interface_fn get_interface = NULL;
  *(void **)&get_interface = dlsym(library, "C_GetInterface");
  static CK_UTF8CHAR name[] = HOLDFAST_TOKEN_INTERFACE;
  struct hf_ck_interface *found = NULL;
  if (!get_interface || get_interface(name, NULL, &found, 0) != CKR_OK || !found)
    return NULL;
  const struct holdfast_token_ext *ext = found->function_list;
  return ext && ext->version.major == 1 ? ext : NULL;
}

static struct p11_module *module_free(struct p11_module *module)
{
  if (module) {
    if (module->library)
      dlclose(module->library);
    free(module->path);
    free(module);
  }
  return NULL;
}
HF_DEFINE_CLEANUP(struct p11_module, module_free)

/* Either may be NULL, and then counts for nothing. */
static struct p11_module *find(const char *path, const void *library)
{
  struct p11_module *module = modules;
  while (module && !(path && strcmp(module->path, path) == 0) && !(library && module->library == library))
    module = module->next;
  return module;
}

/* With the lock held. One library goes by several paths: it is initialised and finalised once. */
static hf_err load(const char *path, struct p11_module **ret_module)
{
  HF_CLEANUP(module_freep) struct p11_module *module = calloc(1, sizeof(*module));
  if (!module || !(module->path = strdup(path)))
    return hf_fail(HF_ERR_NO_MEMORY, "loading %s", path);
  pthread_rwlock_init(&module->use, NULL);
  bool server = p11_server_is(path);
  module->library = dlopen(server ? p11_server_library() : path, RTLD_NOW | RTLD_LOCAL);
  if (!module->library)
    return hf_fail(HF_ERR_MODULE_LOAD, "%s", dlerror());
  /* Each server has a function list of its own. */
  struct p11_module *same = server ? NULL : find(NULL, module->library);
  if (same) {
    *ret_module = same;
    return HF_OK;
  }
  HF_TRY(load_functions(module));
  module->ext = load_ext(module->library);
  module->next = modules;
  modules = module;
  *ret_module = HF_TAKE(module);
  return HF_OK;
}

/* With the lock held. */
static hf_err initialise(struct p11_module *module)
{
  if (atomic_load(&module->ready))
    return HF_OK;
  HF_TRY(p11_module_reachable(module));
  CK_C_INITIALIZE_ARGS args = { .flags = CKF_OS_LOCKING_OK };
  CK_RV rv = module->functions->C_Initialize(&args);
  if (rv != CKR_OK && rv != CKR_CRYPTOKI_ALREADY_INITIALIZED) {
    hf_err e = p11_fail(module, rv, "%s", module->path);
    const char *name = hf_rv_name(rv);
    char code[32], hint[256] = "";
    snprintf(code, sizeof(code), "0x%lx", rv);
    if (module->ext)
      snprintf(hint, sizeof(hint), "%s", hf_err_hint(e));
    e = hf_fail(HF_ERR_MODULE_INIT, "%s (%s)", hf_err_context(), name ? name : code);
    return hint[0] ? hf_hint(e, "%s", hint) : e;
  }
  /* One that was ours stays so, where it only seemed to be lost. */
  module->ours |= rv == CKR_OK;
  atomic_fetch_add(&module->generation, 1);
  atomic_store(&module->ready, true);
  return HF_OK;
}

hf_err p11_module_open(const char *path, struct p11_module **ret_module)
{
  HOLD_LOCK();
  struct p11_module *module = find(path, NULL);
  if (!module)
    HF_TRY(load(path, &module));
  HF_TRY(initialise(module));
  module->refs++;
  *ret_module = module;
  return HF_OK;
}

struct p11_module *p11_module_ref(struct p11_module *module)
{
  HOLD_LOCK();
  module->refs++;
  return module;
}

struct p11_module *p11_module_unref(struct p11_module *module)
{
  if (!module)
    return NULL;
  HOLD_LOCK();
  if (--module->refs > 0 || !atomic_load(&module->ready))
    return NULL;
  if (module->ours)
    (void)module->functions->C_Finalize(NULL);
  module->ours = false;
  atomic_store(&module->ready, false);
  return NULL;
}

hf_err p11_module_ready(struct p11_module *module)
{
  p11_fork_check();
  if (atomic_load(&module->ready))
    return HF_OK;
  HOLD_LOCK();
  return initialise(module);
}

uint64_t p11_module_generation(struct p11_module *module)
{
  return atomic_load(&module->generation);
}

void p11_module_lost(struct p11_module *module, uint64_t generation)
{
  HOLD_LOCK();
  if (atomic_load(&module->generation) == generation)
    atomic_store(&module->ready, false);
}

static bool shows_a_token(struct p11_module *module)
{
  CK_ULONG count = 0;
  return module->functions->C_GetSlotList(CK_TRUE, NULL, &count) == CKR_OK && count > 0;
}

static time_t seconds_now(void)
{
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec;
}

/* With use held for writing. */
static bool restart(struct p11_module *module)
{
  HOLD_LOCK();
  time_t now = seconds_now();
  if (!atomic_load(&module->ready) || !module->ours || now == module->revived)
    return false;
  module->revived = now;
  (void)module->functions->C_Finalize(NULL);
  module->ours = false;
  atomic_store(&module->ready, false);
  return !hf_failed(initialise(module));
}

static bool lists_once(struct p11_module *module)
{
  static const char *const makers[] = { "tpm2-software" };
  CK_INFO info;
  if (module->functions->C_GetInfo(&info) != CKR_OK)
    return false;
  for (size_t i = 0; i < HF_ARRAY_LEN(makers); i++)
    if (memcmp(info.manufacturerID, makers[i], strlen(makers[i])) == 0)
      return true;
  return false;
}

bool p11_module_reuses_handles(struct p11_module *module)
{
  return lists_once(module);
}

void p11_module_destroyed(struct p11_module *module)
{
  if (p11_module_reuses_handles(module))
    atomic_store(&module->unsettled, true);
}

/* Not while another call is in it: the next one does it then. */
static void settle(struct p11_module *module)
{
  if (pthread_rwlock_trywrlock(&module->use) != 0)
    return;
  if (restart(module))
    atomic_store(&module->unsettled, false);
  pthread_rwlock_unlock(&module->use);
}

void p11_module_enter(struct p11_module *module)
{
  p11_fork_check();
  if (atomic_load(&module->unsettled))
    settle(module);
  pthread_rwlock_rdlock(&module->use);
}

void p11_module_leave(struct p11_module *module)
{
  pthread_rwlock_unlock(&module->use);
}

/* What a module that shows a token goes on to answer, when what it talks to was away: a TPM, a directory, a card. */
static const CK_RV stuck_codes[] = {
  CKR_GENERAL_ERROR, CKR_DEVICE_ERROR, CKR_DEVICE_REMOVED, CKR_TOKEN_NOT_PRESENT, CKR_TOKEN_NOT_RECOGNIZED,
};

/* Other tokens lose their sessions by it, so it is done ever more seldom where it does not help. With use held for writing. */
static bool is_due(struct p11_module *module)
{
  time_t since = seconds_now() - module->revived;
  if (since < module->stuck_wait)
    return false;
  bool soon = since <= 2 * module->stuck_wait;
  module->stuck_wait = !soon ? 1 : 2 * module->stuck_wait < STUCK_WAIT_MAX ? 2 * module->stuck_wait : STUCK_WAIT_MAX;
  return true;
}

static bool is_stuck(struct p11_module *module, CK_RV rv)
{
  for (size_t i = 0; i < HF_ARRAY_LEN(stuck_codes); i++)
    if (rv == stuck_codes[i])
      return is_due(module);
  return false;
}

bool p11_module_revive(struct p11_module *module, CK_RV rv)
{
  p11_fork_check();
  pthread_rwlock_wrlock(&module->use);
  bool revived = (!shows_a_token(module) || is_stuck(module, rv)) && restart(module);
  pthread_rwlock_unlock(&module->use);
  return revived;
}

bool p11_module_look_again(struct p11_module *module)
{
  p11_fork_check();
  pthread_rwlock_wrlock(&module->use);
  bool renewed = lists_once(module) && is_due(module) && restart(module);
  pthread_rwlock_unlock(&module->use);
  return renewed;
}

bool p11_module_renew(struct p11_module *module)
{
  p11_fork_check();
  pthread_rwlock_wrlock(&module->use);
  bool renewed = restart(module);
  pthread_rwlock_unlock(&module->use);
  return renewed;
}

CK_FUNCTION_LIST *p11_module_functions(struct p11_module *module)
{
  return module->functions;
}

const char *p11_module_path(const struct p11_module *module)
{
  return module->path;
}

const struct holdfast_token_ext *p11_module_ext(struct p11_module *module)
{
  return module->ext;
}

hf_err p11_module_info(struct p11_module *module, CK_INFO *ret_info)
{
  return p11_fail(module, module->functions->C_GetInfo(ret_info), "%s", module->path);
}
