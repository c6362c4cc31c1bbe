/* SPDX-License-Identifier: Apache-2.0 */
#include "token/library.h"

#include "token/mech/mech.h"
#include "token/session.h"
#include "token/simulation/simulation.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/mman.h>

enum { FORK_TRIES = 1000, FORK_PAUSE = 100 * 1000 /* ns */ };

enum { SLOTS_MAX = 1024, COUNTERS = 16, CACHE_LINE = 64 };

enum phase { PHASE_DOWN, PHASE_STARTING, PHASE_UP, PHASE_STOPPING };

/* Zeros are PHASE_DOWN with nobody inside: what a child finds. */
struct state {
  _Atomic(enum phase) phase;
  atomic_uint forking; /* threads that are about to fork */
  struct {
    _Alignas(CACHE_LINE) atomic_uint callers;
  } counters[COUNTERS];
};

struct slot {
  CK_SLOT_ID id;
  char *dir;           /* the token's; NULL: uninitialised */
  struct token *token; /* NULL: could not be opened so far */
  bool gone;           /* deleted; kept for sessions that still point here */
  bool event;          /* its token came or went, and nobody was told */
  bool out;            /* its simulated token was unplugged when somebody last looked */
  int lock;            /* of a token that is being restored; else -1 */
};

static _Atomic(struct state *) state;

static struct {
  struct token_conf conf;
  pthread_rwlock_t lock;
  struct slot *slots[SLOTS_MAX];
  size_t count;
} library;

/* Threads spread over the counters, so that entering costs no shared cache line. */
static atomic_uint *my_counter(struct state *s)
{
  static atomic_uint next;
  static _Thread_local unsigned mine;
  if (mine == 0)
    mine = 1 + next++ % COUNTERS;
  return &s->counters[mine - 1].callers;
}

/* Counts the caller in, but not while a fork is waited for. */
static void count_in(struct state *s, atomic_uint *counter)
{
  atomic_fetch_add(counter, 1);
  while (atomic_load(&s->forking)) {
    atomic_fetch_sub(counter, 1);
    while (atomic_load(&s->forking))
      sched_yield();
    atomic_fetch_add(counter, 1);
  }
}

hf_err library_enter(void)
{
  struct state *s = state;
  if (s) {
    atomic_uint *counter = my_counter(s);
    count_in(s, counter);
    if (atomic_load(&s->phase) == PHASE_UP && !crypto_gone())
      return HF_OK;
    atomic_fetch_sub(counter, 1);
  }
  return hf_fail(HF_ERR_CRYPTOKI_NOT_INITIALIZED, "C_Initialize was not called in this process");
}

void library_leave(void)
{
  struct state *s = state;
  atomic_fetch_sub(my_counter(s), 1);
}

static bool anybody_inside(struct state *s)
{
  for (size_t i = 0; i < COUNTERS; i++)
    if (atomic_load(&s->counters[i].callers))
      return true;
  return false;
}

/*
 * libcrypto has locks of the whole process (3.0: one at each random number), and what a thread holds as another one forks is held in
 * the child for ever. So a fork waits for the calls that are under way, though not for ever: one may take long, or be the forking
 * thread's own, which a signal interrupted.
 */
static void before_fork(void)
{
  struct state *s = state;
  atomic_fetch_add(&s->forking, 1);
  for (int i = 0; i < FORK_TRIES && anybody_inside(s); i++)
    nanosleep(&(struct timespec){ .tv_nsec = FORK_PAUSE }, NULL);
}

/* In the parent; the child's page is zeros. */
static void after_fork(void)
{
  atomic_fetch_sub(&state->forking, 1);
}

static hf_err state_page(struct state **ret_state)
{
  struct state *s = state;
  if (!s) {
    s = mmap(NULL, sizeof(*s), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (s == MAP_FAILED)
      return hf_fail_errno(errno, "the module's state");
    if (madvise(s, sizeof(*s), MADV_WIPEONFORK) != 0) {
      munmap(s, sizeof(*s));
      return hf_fail_errno(errno, "the module's state (Linux 4.14 or later is needed)");
    }
    struct state *none = NULL;
    if (!atomic_compare_exchange_strong(&state, &none, s)) {
      munmap(s, sizeof(*s));
      s = none;
    } else if (pthread_atfork(before_fork, after_fork, NULL) != 0) {
      hf_log(HF_LOG_WARNING, "forks will not wait for calls that are under way: out of memory");
    }
  }
  *ret_state = s;
  return HF_OK;
}

/* Of the last eight hex digits of a serial. */
static CK_SLOT_ID id_of_serial(const char *digits)
{
  return (CK_SLOT_ID)(strtoul(digits, NULL, 16) & 0x7FFFFFFF);
}

static struct slot *find_slot(CK_SLOT_ID id)
{
  for (size_t i = 0; i < library.count; i++)
    if (library.slots[i]->id == id && !library.slots[i]->gone)
      return library.slots[i];
  return NULL;
}

/* dir NULL: a slot with an uninitialised token. */
static hf_err add_slot(CK_SLOT_ID id, const char *dir, struct token *token)
{
  struct slot *slot = library.count < SLOTS_MAX ? calloc(1, sizeof(*slot)) : NULL;
  char *copy = dir ? strdup(dir) : NULL;
  if (!slot || (dir && !copy)) {
    free(slot);
    free(copy);
    return hf_fail(HF_ERR_NO_MEMORY, "%zu slots", library.count);
  }
  *slot = (struct slot){ .id = id, .dir = copy, .token = token, .lock = -1 };
  library.slots[library.count++] = slot;
  return HF_OK;
}

static bool known_dir(const char *dir)
{
  for (size_t i = 0; i < library.count; i++)
    if (library.slots[i]->dir && strcmp(library.slots[i]->dir, dir) == 0)
      return true;
  return false;
}

/*
 * A token that cannot be opened has its slot all the same, under a number from its directory's name: whoever asks for it is
 * told why, and finds it once it is mended. It does not take the others with it.
 */
static hf_err add_token_dir(const char *dir)
{
  struct token *token = NULL;
  struct header header;
  const char *serial = dir + strlen(dir) - SERIAL_CHARS / 2;
  hf_err e = token_open(&library.conf, dir, &token);
  if (!hf_failed(e))
    e = token_header(token, &header);
  if (e.code == HF_ERR_NO_MEMORY)
    return e;
  if (hf_failed(e))
    hf_ignore(hf_log_err(e, "opening a token"));
  else
    serial = header.serial + SERIAL_CHARS / 2;
  CK_SLOT_ID id = id_of_serial(serial);
  while (find_slot(id))
    id = (id + 1) & 0x7FFFFFFF;
  e = add_slot(id, dir, token);
  if (hf_failed(e))
    token_close(token);
  else
    library.slots[library.count - 1]->event = true;
  return e;
}

static int is_uuid_dir(const struct dirent *entry)
{
  return strspn(entry->d_name, "0123456789abcdef-") == 36 && entry->d_name[36] == '\0';
}

static hf_err scan_tokens(void)
{
  struct dirent **entries;
  int count = scandir(library.conf.tokendir, &entries, is_uuid_dir, alphasort);
  if (count < 0) {
    if (errno == ENOENT && library.conf.tokendir_default)
      return HF_OK;
    return hf_hint(hf_fail_errno(errno, "the token directory %s", library.conf.tokendir),
                   "Make the directory, or correct directories.tokendir in %s.", library.conf.path);
  }
  hf_err e = HF_OK;
  for (int i = 0; i < count; i++) {
    char dir[PATH_MAX + 64], file[PATH_MAX + 80];
    snprintf(dir, sizeof(dir), "%s/%.36s", library.conf.tokendir, entries[i]->d_name);
    snprintf(file, sizeof(file), "%s/data.mdb", dir);
    /* SoftHSM2's directories look the same from outside; they are not ours to touch. */
    if (!hf_failed(e) && !known_dir(dir) && access(file, F_OK) == 0)
      e = add_token_dir(dir);
    free(entries[i]);
  }
  free(entries);
  return e;
}

static void drop_deleted(void)
{
  struct header header;
  for (size_t i = 0; i < library.count; i++) {
    struct slot *slot = library.slots[i];
    if (slot->token && !slot->gone && token_header(slot->token, &header).code == HF_ERR_TOKEN_NOT_PRESENT)
      slot->gone = slot->event = true;
  }
}

/* One uninitialised token is always there. Its number is the count of the others, as in SoftHSM2. */
static hf_err ensure_free_slot(void)
{
  CK_SLOT_ID id = 0;
  for (size_t i = 0; i < library.count; i++) {
    if (!library.slots[i]->dir)
      return HF_OK;
    id += !library.slots[i]->gone;
  }
  while (find_slot(id))
    id++;
  return add_slot(id, NULL, NULL);
}

static int by_place(const void *a, const void *b)
{
  const struct slot *x = *(struct slot *const *)a, *y = *(struct slot *const *)b;
  if (!x->dir != !y->dir)
    return x->dir ? -1 : 1;
  return x->id < y->id ? -1 : x->id > y->id;
}

static hf_err refresh_locked(void)
{
  drop_deleted();
  HF_TRY(scan_tokens());
  HF_TRY(ensure_free_slot());
  qsort(library.slots, library.count, sizeof(library.slots[0]), by_place);
  return HF_OK;
}

static void free_slots(void)
{
  for (size_t i = 0; i < library.count; i++) {
    if (library.slots[i]->lock >= 0)
      hf_ignore(token_delete(library.slots[i]->token));
    hf_closep(&library.slots[i]->lock);
    token_close(library.slots[i]->token);
    free(library.slots[i]->dir);
    free(library.slots[i]);
  }
  library.count = 0;
}

static void look_at(struct slot *slot)
{
  bool out = slot->token && !slot->gone && simulation_unplugged(slot->token);
  slot->event |= out != slot->out;
  slot->out = out;
}

static hf_err start(void)
{
  /* What stands here after a fork is the parent's: left alone, for its locks may be held. */
  memset(&library, 0, sizeof(library));
  pthread_rwlock_init(&library.lock, NULL);
  sessions_start();
  HF_TRY(conf_load(mech_type_of_name, &library.conf));
  hf_log_set_level(library.conf.log_level);
  HF_TRY(crypto_start());
  simulation_start(&library.conf);
  hf_err e = mech_start(&library.conf);
  if (!hf_failed(e))
    e = refresh_locked();
  for (size_t i = 0; i < library.count; i++) {
    look_at(library.slots[i]);
    library.slots[i]->event = false;
  }
  if (hf_failed(e))
    free_slots();
  return e;
}

hf_err library_initialize(void)
{
  struct state *s;
  HF_TRY(state_page(&s));
  enum phase down = PHASE_DOWN;
  while (!atomic_compare_exchange_weak(&s->phase, &down, PHASE_STARTING)) {
    if (down == PHASE_UP)
      return hf_fail(HF_ERR_CRYPTOKI_ALREADY_INITIALIZED, "C_Initialize was called before");
    down = PHASE_DOWN;
    sched_yield();
  }
  hf_err e = start();
  atomic_store(&s->phase, hf_failed(e) ? PHASE_DOWN : PHASE_UP);
  return hf_failed(e) ? hf_log_err(e, "C_Initialize") : HF_OK;
}

hf_err library_finalize(void)
{
  struct state *s = state;
  enum phase up = PHASE_UP;
  if (!s || !atomic_compare_exchange_strong(&s->phase, &up, PHASE_STOPPING))
    return hf_fail(HF_ERR_CRYPTOKI_NOT_INITIALIZED, "C_Initialize was not called in this process");
  while (anybody_inside(s))
    sched_yield();
  sessions_stop();
  free_slots();
  pthread_rwlock_destroy(&library.lock);
  atomic_store(&s->phase, PHASE_DOWN);
  return HF_OK;
}

bool library_stopping(void)
{
  const struct state *s = state;
  return s && atomic_load(&s->phase) == PHASE_STOPPING;
}

const struct token_conf *library_conf(void)
{
  return &library.conf;
}

hf_err library_refresh(void)
{
  pthread_rwlock_wrlock(&library.lock);
  hf_err e = refresh_locked();
  pthread_rwlock_unlock(&library.lock);
  return e;
}

hf_err library_next_event(bool *ret_any, CK_SLOT_ID *ret_slot)
{
  bool any = false;
  pthread_rwlock_wrlock(&library.lock);
  hf_err e = refresh_locked();
  for (size_t i = 0; !hf_failed(e) && !any && i < library.count; i++) {
    struct slot *slot = library.slots[i];
    look_at(slot);
    any = slot->event;
    slot->event = false;
    if (any)
      *ret_slot = slot->id;
  }
  pthread_rwlock_unlock(&library.lock);
  *ret_any = any;
  return e;
}

hf_err library_slot_ids(bool present, CK_SLOT_ID *ids, CK_ULONG room, CK_ULONG *ret_count)
{
  CK_ULONG count = 0;
  pthread_rwlock_rdlock(&library.lock);
  for (size_t i = 0; i < library.count; i++) {
    const struct slot *slot = library.slots[i];
    if (slot->gone || (present && slot->token && simulation_unplugged(slot->token)))
      continue;
    if (count < room)
      ids[count] = slot->id;
    count++;
  }
  pthread_rwlock_unlock(&library.lock);
  *ret_count = count;
  return HF_OK;
}

hf_err library_slot(CK_SLOT_ID id, struct slot **ret_slot)
{
  pthread_rwlock_rdlock(&library.lock);
  struct slot *slot = find_slot(id);
  pthread_rwlock_unlock(&library.lock);
  if (!slot)
    return hf_fail(HF_ERR_SLOT_ID_INVALID, "slot %lu", id);
  *ret_slot = slot;
  return HF_OK;
}

CK_SLOT_ID slot_id(const struct slot *slot)
{
  return slot->id;
}

static hf_err try_again(struct slot *slot, struct token **ret_token)
{
  pthread_rwlock_wrlock(&library.lock);
  hf_err e = slot->token ? HF_OK : token_open(&library.conf, slot->dir, &slot->token);
  if (!hf_failed(e))
    *ret_token = slot->token;
  pthread_rwlock_unlock(&library.lock);
  return e;
}

hf_err slot_token(struct slot *slot, struct token **ret_token)
{
  pthread_rwlock_rdlock(&library.lock);
  struct token *token = slot->token;
  bool gone = slot->gone, initialized = slot->dir;
  pthread_rwlock_unlock(&library.lock);
  if (gone)
    return hf_fail(HF_ERR_TOKEN_NOT_PRESENT, "the token in slot %lu was deleted", slot->id);
  if (!initialized)
    return hf_fail(HF_ERR_TOKEN_NOT_RECOGNIZED, "the token in slot %lu is not initialised", slot->id);
  if (!token)
    return try_again(slot, ret_token);
  *ret_token = token;
  return HF_OK;
}

bool slot_uninitialized(struct slot *slot)
{
  pthread_rwlock_rdlock(&library.lock);
  bool uninitialized = !slot->dir;
  pthread_rwlock_unlock(&library.lock);
  return uninitialized;
}

/* A slot's number comes from the serial, so a serial whose number is taken will not do. */
static bool serial_taken(const char *serial, void *arg)
{
  (void)arg;
  CK_SLOT_ID id = id_of_serial(serial + SERIAL_CHARS / 2);
  return id < SLOTS_MAX || find_slot(id);
}

/* Keeps the slot's number until C_Finalize: C_InitPIN follows in the same process, by the same number. */
static hf_err init_free_slot(struct slot *slot, struct hf_slice so_pin, const uint8_t label[LABEL_BYTES])
{
  struct token *token;
  pthread_rwlock_wrlock(&library.lock);
  hf_err e = slot->dir ? hf_fail(HF_ERR_SESSION_EXISTS, "slot %lu was initialised by another thread", slot->id)
                       : token_create(&library.conf, so_pin, label, serial_taken, NULL, &token);
  if (!hf_failed(e)) {
    slot->dir = strdup(token_dir(token));
    slot->token = token;
    e = slot->dir ? ensure_free_slot() : hf_fail(HF_ERR_NO_MEMORY, "slot %lu", slot->id);
  }
  pthread_rwlock_unlock(&library.lock);
  return e;
}

hf_err slot_init_token(struct slot *slot, struct hf_slice so_pin, const uint8_t label[LABEL_BYTES])
{
  struct token *token;
  if (slot_uninitialized(slot))
    return init_free_slot(slot, so_pin, label);
  HF_TRY(slot_token(slot, &token));
  if (sessions_open(slot, false))
    return hf_fail(HF_ERR_SESSION_EXISTS, "slot %lu", slot->id);
  return token_reinit(token, so_pin, label);
}

hf_err slot_delete_token(struct slot *slot, char *dir, size_t size)
{
  struct token *token;
  HF_TRY(slot_token(slot, &token));
  if (sessions_open(slot, false))
    return hf_fail(HF_ERR_SESSION_EXISTS, "slot %lu", slot->id);
  HF_TRY(token_delete(token));
  if (dir)
    snprintf(dir, size, "%s", token_dir(token));
  pthread_rwlock_wrlock(&library.lock);
  slot->gone = slot->event = true;
  pthread_rwlock_unlock(&library.lock);
  return HF_OK;
}

static bool serial_exists(const char *serial)
{
  struct header header;
  for (size_t i = 0; i < library.count; i++) {
    struct slot *slot = library.slots[i];
    if (slot->token && !slot->gone && !hf_failed(token_header(slot->token, &header)) &&
        strcmp(header.serial, serial) == 0)
      return true;
  }
  return false;
}

static hf_err restore_locked(struct hf_slice so_pin, const uint8_t label[LABEL_BYTES], const char *serial,
                             CK_SLOT_ID *ret_id)
{
  struct token *token;
  int lock;
  HF_TRY(refresh_locked());
  if (serial_exists(serial))
    return hf_fail(HF_ERR_EXISTS, "a token with the serial %s", serial);
  CK_SLOT_ID id = id_of_serial(serial + SERIAL_CHARS / 2);
  while (find_slot(id))
    id = (id + 1) & 0x7FFFFFFF;
  HF_TRY(token_create_aside(&library.conf, so_pin, label, serial, &token, &lock));
  hf_err e = add_slot(id, token_dir(token), token);
  if (hf_failed(e)) {
    hf_ignore(token_delete(token));
    token_close(token);
    close(lock);
    return e;
  }
  library.slots[library.count - 1]->lock = lock;
  *ret_id = id;
  return HF_OK;
}

hf_err slot_restore_begin(struct hf_slice so_pin, const uint8_t label[LABEL_BYTES], const char *serial,
                          CK_SLOT_ID *ret_id)
{
  char fresh[SERIAL_CHARS + 1];
  if (!serial) {
    HF_TRY(token_new_serial(serial_taken, NULL, fresh));
    serial = fresh;
  }
  pthread_rwlock_wrlock(&library.lock);
  hf_err e = restore_locked(so_pin, label, serial, ret_id);
  pthread_rwlock_unlock(&library.lock);
  return e;
}

static hf_err publish_locked(struct slot *slot)
{
  char *dir = NULL;
  HF_TRY(token_publish(slot->token));
  dir = strdup(token_dir(slot->token));
  if (!dir)
    return hf_fail(HF_ERR_NO_MEMORY, "slot %lu", slot->id);
  free(slot->dir);
  slot->dir = dir;
  return HF_OK;
}

hf_err slot_restore_end(struct slot *slot, bool keep)
{
  if (sessions_open(slot, false))
    return hf_fail(HF_ERR_SESSION_EXISTS, "slot %lu", slot->id);
  pthread_rwlock_wrlock(&library.lock);
  hf_err e = slot->lock < 0 ? hf_fail(HF_ERR_ACTION_PROHIBITED, "the token in slot %lu is not being restored", slot->id)
             : keep         ? publish_locked(slot)
                            : token_delete(slot->token);
  if (!hf_failed(e)) {
    hf_closep(&slot->lock);
    slot->lock = -1;
    slot->gone = !keep;
  }
  pthread_rwlock_unlock(&library.lock);
  return e;
}
