/* SPDX-License-Identifier: Apache-2.0 */
#include "p11/pool.h"

#include "p11/fork.h"
#include "p11/server.h"

#include <errno.h>
#include <pthread.h>
#include <time.h>

enum { SESSIONS_MAX = 256 };

struct p11_pool {
  struct p11_pool *next;
  size_t refs;
  struct p11_module *module;
  struct p11_token token; /* the slot is that of this epoch */
  pthread_mutex_t lock;   /* guards all below */
  pthread_cond_t given_back;
  uint64_t epoch;
  uint64_t generation; /* the module's, in this epoch */
  bool logged_in;      /* in this epoch, as far as we know */
  bool needs_login;    /* the token does, so that the module can be asked whether it still is */
  bool void_login;     /* the module takes itself for logged in, and the token refuses */
  bool fresh;          /* the token is still to be looked for in this epoch */
  size_t open;         /* sessions of this epoch, lent or idle */
  size_t limit;        /* as many as the token gave; SESSIONS_MAX until it refuses one */
  size_t idle_count;
  bool can_ask;   /* whether it is logged in costs no way to another process */
  uint64_t gives; /* how often a session came back */
  struct p11_session *idle[SESSIONS_MAX];
};

/* pools_lock guards the list and refs; it is never taken with a pool's lock held. */
static pthread_mutex_t pools_lock = PTHREAD_MUTEX_INITIALIZER;
static struct p11_pool *pools;

static void init_locks(struct p11_pool *pool)
{
  pthread_mutex_init(&pool->lock, NULL);
  pthread_condattr_t attr;
  pthread_condattr_init(&attr);
  pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
  pthread_cond_init(&pool->given_back, &attr);
  pthread_condattr_destroy(&attr);
}

/* With the lock held. Sessions that are lent are closed when they come back. */
static void start_epoch(struct p11_pool *pool)
{
  while (pool->idle_count > 0)
    p11_session_close(pool->idle[--pool->idle_count]);
  pool->epoch++;
  pool->open = 0;
  pool->limit = SESSIONS_MAX;
  pool->fresh = true;
  pool->logged_in = false;
  pthread_cond_broadcast(&pool->given_back);
}

void p11_pool_forked(void)
{
  pools_lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
  for (struct p11_pool *pool = pools; pool; pool = pool->next) {
    init_locks(pool);
    /*
     * The sessions are the parent's. The module's generation has moved on, so that they are forgotten and not closed.
     */
    pool->generation = 0;
  }
}

static bool is_same_token(const struct p11_token *a, const struct p11_token *b)
{
  return strcmp(a->label, b->label) == 0 && strcmp(a->serial, b->serial) == 0 && strcmp(a->model, b->model) == 0 &&
         strcmp(a->manufacturer, b->manufacturer) == 0;
}

static hf_err pool_new(struct p11_module *module, const struct p11_token *token, struct p11_pool **ret_pool)
{
  struct p11_pool *pool = calloc(1, sizeof(*pool));
  if (!pool)
    return hf_fail(HF_ERR_NO_MEMORY, "a session pool");
  init_locks(pool);
  pool->module = p11_module_ref(module);
  pool->token = *token;
  pool->epoch = 1;
  pool->limit = SESSIONS_MAX;
  pool->can_ask = !p11_server_is(p11_module_path(module));
  pool->generation = p11_module_generation(module);
  *ret_pool = pool;
  return HF_OK;
}

hf_err p11_pool_open(struct p11_module *module, const struct uri *uri, struct p11_pool **ret_pool)
{
  HF_TRY(p11_module_ready(module));
  struct p11_token token;
  HF_TRY(p11_token_find(module, uri, &token));
  pthread_mutex_lock(&pools_lock);
  struct p11_pool *pool = pools;
  while (pool && !(pool->module == module && is_same_token(&pool->token, &token)))
    pool = pool->next;
  hf_err e = HF_OK;
  if (!pool) {
    e = pool_new(module, &token, &pool);
    if (!hf_failed(e)) {
      pool->next = pools;
      pools = pool;
    }
  }
  if (!hf_failed(e)) {
    pool->refs++;
    *ret_pool = pool;
  }
  pthread_mutex_unlock(&pools_lock);
  return e;
}

static void pool_free(struct p11_pool *pool)
{
  while (pool->idle_count > 0)
    p11_session_close(pool->idle[--pool->idle_count]);
  pthread_cond_destroy(&pool->given_back);
  pthread_mutex_destroy(&pool->lock);
  p11_module_unref(pool->module);
  free(pool);
}

struct p11_pool *p11_pool_unref(struct p11_pool *pool)
{
  if (!pool)
    return NULL;
  p11_fork_check();
  pthread_mutex_lock(&pools_lock);
  bool last = --pool->refs == 0;
  for (struct p11_pool **link = &pools; last && *link; link = &(*link)->next)
    if (*link == pool) {
      *link = pool->next;
      break;
    }
  pthread_mutex_unlock(&pools_lock);
  if (last)
    pool_free(pool);
  return NULL;
}

struct p11_module *p11_pool_module(struct p11_pool *pool)
{
  return pool->module;
}

/* Slots move: the token is what we look for. */
static hf_err find_slot(struct p11_pool *pool)
{
  struct uri uri = { 0 };
  struct p11_token token;
  hf_err e = p11_token_uri(&pool->token, &uri);
  if (!hf_failed(e))
    e = p11_token_find(pool->module, &uri, &token);
  uri_free(&uri);
  HF_TRY(e);
  pool->token = token;
  pool->fresh = false;
  return HF_OK;
}

static hf_err open_session(struct p11_pool *pool, enum p11_mode mode, struct p11_session **ret_session)
{
  if (pool->fresh)
    HF_TRY(find_slot(pool));
  HF_TRY(p11_session_open(pool->module, pool->token.slot, mode, ret_session));
  pool->open++;
  return HF_OK;
}

/* With the lock held. The last one takes the log-in along. */
static void close_session(struct p11_pool *pool, struct p11_session *session)
{
  p11_session_close(session);
  pool->open--;
  pool->logged_in = pool->logged_in && pool->open > 0;
}

static struct p11_session *take_idle(struct p11_pool *pool, enum p11_mode mode)
{
  for (size_t i = pool->idle_count; i-- > 0;) {
    struct p11_session *session = pool->idle[i];
    if (mode == P11_READ_WRITE && p11_session_mode(session) != mode)
      continue;
    pool->idle[i] = pool->idle[--pool->idle_count];
    return session;
  }
  return NULL;
}

static hf_err wait_for_one(struct p11_pool *pool)
{
  uint64_t seen = pool->gives;
  struct timespec until;
  clock_gettime(CLOCK_MONOTONIC, &until);
  until.tv_sec += P11_POOL_WAIT;
  if (pthread_cond_timedwait(&pool->given_back, &pool->lock, &until) != ETIMEDOUT || pool->gives != seen)
    return HF_OK;
  return hf_fail(HF_ERR_SESSION_COUNT, "token \"%s\": its sessions stay in use", pool->token.label);
}

static void check_generation(struct p11_pool *pool)
{
  uint64_t generation = p11_module_generation(pool->module);
  if (generation == pool->generation)
    return;
  start_epoch(pool);
  pool->generation = generation;
}

/* With the lock held: an idle session, a new one, or one that someone gives back. */
static hf_err get_session(struct p11_pool *pool, enum p11_mode mode, struct p11_session **ret_session)
{
  for (;;) {
    HF_TRY(p11_module_ready(pool->module));
    check_generation(pool);
    struct p11_session *idle = take_idle(pool, mode);
    if (idle) {
      *ret_session = idle;
      return HF_OK;
    }
    if (pool->open < pool->limit) {
      hf_err e = open_session(pool, mode, ret_session);
      if (e.code != HF_ERR_SESSION_COUNT || pool->open == 0)
        return e;
      pool->limit = pool->open;
    }
    /* Those that are left over are of the wrong mode: one makes room. */
    if (pool->idle_count > 0)
      close_session(pool, pool->idle[--pool->idle_count]);
    else
      HF_TRY(wait_for_one(pool));
  }
}

/* With the lock held. */
static void put_back(struct p11_pool *pool, struct p11_session *session, uint64_t epoch)
{
  pool->gives++;
  if (epoch != pool->epoch) {
    p11_session_close(session);
    return;
  }
  pool->idle[pool->idle_count++] = session;
  pthread_cond_signal(&pool->given_back);
}

/* With the lock held. */
static hf_err log_in(struct p11_pool *pool, struct p11_session *session, struct hf_secret *pin)
{
  if (pool->logged_in)
    return HF_OK;
  if (pool->void_login)
    hf_ignore(p11_session_logout(session));
  pool->void_login = false;
  HF_TRY(p11_session_login(session, CKU_USER, pin, P11_LOGIN_CAREFUL));
  pool->logged_in = true;
  pool->needs_login = p11_session_is_user(session);
  return HF_OK;
}

/* With the lock held. A module whose token was away in the meantime may have logged out, and would show less. */
static bool was_logged_out(struct p11_pool *pool, struct p11_session *session)
{
  return pool->logged_in && pool->needs_login && pool->can_ask && !p11_session_is_user(session);
}

/* With the lock held. */
static hf_err lease(struct p11_pool *pool, struct hf_secret *pin, enum p11_mode mode, struct p11_lease *ret_lease)
{
  struct p11_session *session = NULL;
  HF_TRY(get_session(pool, mode, &session));
  if (was_logged_out(pool, session)) {
    put_back(pool, session, pool->epoch);
    start_epoch(pool);
    HF_TRY(get_session(pool, mode, &session));
  }
  hf_err e = log_in(pool, session, pin);
  if (hf_failed(e))
    put_back(pool, session, pool->epoch);
  else
    *ret_lease = (struct p11_lease){ session, pool->epoch };
  return e;
}

hf_err p11_pool_lease(struct p11_pool *pool, struct hf_secret *pin, enum p11_mode mode, struct p11_lease *ret_lease)
{
  p11_fork_check();
  pthread_mutex_lock(&pool->lock);
  hf_err e = lease(pool, pin, mode, ret_lease);
  pthread_mutex_unlock(&pool->lock);
  return e;
}

void p11_pool_drop(struct p11_pool *pool, struct p11_lease *lease)
{
  pthread_mutex_lock(&pool->lock);
  if (lease->epoch == pool->epoch) {
    close_session(pool, lease->session);
    pool->gives++;
    pthread_cond_signal(&pool->given_back);
  } else {
    p11_session_close(lease->session);
  }
  pthread_mutex_unlock(&pool->lock);
  lease->session = NULL;
}

hf_err p11_pool_take(struct p11_pool *pool, struct hf_secret *pin, const struct p11_found *found,
                     struct p11_lease *ret_lease, struct p11_found *ret_found)
{
  p11_fork_check();
  pthread_mutex_lock(&pool->lock);
  hf_err e = lease(pool, pin, P11_READ_ONLY, ret_lease);
  if (!hf_failed(e))
    *ret_found = *found;
  pthread_mutex_unlock(&pool->lock);
  return e;
}

void p11_pool_give(struct p11_pool *pool, struct p11_lease *lease)
{
  pthread_mutex_lock(&pool->lock);
  put_back(pool, lease->session, lease->epoch);
  pthread_mutex_unlock(&pool->lock);
  lease->session = NULL;
}

void p11_pool_reset(struct p11_pool *pool, uint64_t epoch, enum p11_loss loss)
{
  pthread_mutex_lock(&pool->lock);
  if (epoch == 0 || pool->epoch == epoch) {
    if (loss == P11_LOST_MODULE)
      p11_module_lost(pool->module, pool->generation);
    start_epoch(pool);
    pool->void_login = loss == P11_LOST_LOGIN;
  }
  pthread_mutex_unlock(&pool->lock);
}

void p11_pool_set_found(struct p11_pool *pool, struct p11_found *found, struct p11_found value)
{
  pthread_mutex_lock(&pool->lock);
  *found = value;
  pthread_mutex_unlock(&pool->lock);
}
