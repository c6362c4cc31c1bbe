/* SPDX-License-Identifier: Apache-2.0 */
#include "httpd/pool.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <time.h>

enum { THREADS_MAX = 16 };

struct list {
  struct pool_job *first, **last;
};

struct pool {
  pthread_mutex_t lock;
  pthread_cond_t wake;
  struct list waiting, finished;
  unsigned queued, queue_max;
  bool stopping;
  struct worker {
    pthread_t thread;
    struct pool *pool;
    time_t since; /* when its job began; 0: it has none */
  } workers[THREADS_MAX];
  unsigned worker_count;
  int finished_fd; /* an eventfd: there is something in finished */
  struct event *finished_event;
};

static void list_init(struct list *list)
{
  list->first = NULL;
  list->last = &list->first;
}

static void list_add(struct list *list, struct pool_job *job)
{
  job->next = NULL;
  *list->last = job;
  list->last = &job->next;
}

static struct pool_job *list_take(struct list *list)
{
  struct pool_job *job = list->first;
  if (job) {
    list->first = job->next;
    if (!list->first)
      list->last = &list->first;
  }
  return job;
}

static struct pool_job *next_job(struct pool *pool)
{
  while (!pool->stopping && !pool->waiting.first)
    pthread_cond_wait(&pool->wake, &pool->lock);
  struct pool_job *job = pool->stopping ? NULL : list_take(&pool->waiting);
  if (job)
    pool->queued--;
  return job;
}

static time_t steady_s(void)
{
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec + 1; /* never 0 */
}

static void *work(void *arg)
{
  struct worker *worker = arg;
  struct pool *pool = worker->pool;
  pthread_mutex_lock(&pool->lock);
  for (struct pool_job *job; (job = next_job(pool));) {
    worker->since = steady_s();
    pthread_mutex_unlock(&pool->lock);
    job->run(job);
    pthread_mutex_lock(&pool->lock);
    worker->since = 0;
    list_add(&pool->finished, job);
    uint64_t one = 1;
    /* It can only fail where it is full, and then the loop will look anyway. */
    if (write(pool->finished_fd, &one, sizeof(one)) != (ssize_t)sizeof(one))
      continue;
  }
  pthread_mutex_unlock(&pool->lock);
  return NULL;
}

static void finish_all(struct pool *pool)
{
  pthread_mutex_lock(&pool->lock);
  for (struct pool_job *job; (job = list_take(&pool->finished));) {
    pthread_mutex_unlock(&pool->lock);
    job->done(job);
    pthread_mutex_lock(&pool->lock);
  }
  pthread_mutex_unlock(&pool->lock);
}

static void on_finished(evutil_socket_t fd, short what, void *arg)
{
  (void)what;
  uint64_t count;
  if (read(fd, &count, sizeof(count)) == (ssize_t)sizeof(count))
    finish_all(arg);
}

/* Signals are the loop's. */
static hf_err start_threads(struct pool *pool, unsigned threads)
{
  sigset_t all, before;
  int rc = 0;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  while (rc == 0 && pool->worker_count < threads && pool->worker_count < THREADS_MAX) {
    struct worker *worker = &pool->workers[pool->worker_count];
    worker->pool = pool;
    rc = pthread_create(&worker->thread, NULL, work, worker);
    pool->worker_count += rc == 0;
  }
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  return rc ? hf_fail_errno(rc, "a thread") : HF_OK;
}

hf_err pool_new(struct event_base *base, unsigned threads, unsigned queue_max, struct pool **ret_pool)
{
  struct pool *pool = calloc(1, sizeof(*pool));
  if (!pool)
    return hf_fail(HF_ERR_NO_MEMORY, "the pool of threads");
  pthread_mutex_init(&pool->lock, NULL);
  pthread_cond_init(&pool->wake, NULL);
  list_init(&pool->waiting);
  list_init(&pool->finished);
  pool->queue_max = queue_max;
  pool->finished_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  pool->finished_event = event_new(base, pool->finished_fd, EV_READ | EV_PERSIST, on_finished, pool);
  hf_err e = HF_OK;
  if (pool->finished_fd < 0 || !pool->finished_event || event_add(pool->finished_event, NULL) != 0)
    e = hf_fail_errno(errno, "the pool of threads");
  if (!hf_failed(e))
    e = start_threads(pool, threads);
  if (hf_failed(e)) {
    pool_free(pool);
    return e;
  }
  *ret_pool = pool;
  return HF_OK;
}

struct pool *pool_free(struct pool *pool)
{
  if (!pool)
    return NULL;
  pthread_mutex_lock(&pool->lock);
  pool->stopping = true;
  pthread_cond_broadcast(&pool->wake);
  pthread_mutex_unlock(&pool->lock);
  for (unsigned i = 0; i < pool->worker_count; i++)
    pthread_join(pool->workers[i].thread, NULL);
  for (struct pool_job *job; (job = list_take(&pool->waiting));)
    list_add(&pool->finished, job);
  finish_all(pool);
  if (pool->finished_event)
    event_free(pool->finished_event);
  hf_closep(&pool->finished_fd);
  pthread_cond_destroy(&pool->wake);
  pthread_mutex_destroy(&pool->lock);
  free(pool);
  return NULL;
}

unsigned pool_stuck(struct pool *pool)
{
  time_t now = steady_s(), longest = 0;
  pthread_mutex_lock(&pool->lock);
  for (unsigned i = 0; i < pool->worker_count; i++)
    if (pool->workers[i].since && now - pool->workers[i].since >= longest)
      longest = now - pool->workers[i].since;
  pthread_mutex_unlock(&pool->lock);
  return (unsigned)longest;
}

bool pool_submit(struct pool *pool, struct pool_job *job)
{
  pthread_mutex_lock(&pool->lock);
  bool room = pool->queued < pool->queue_max && !pool->stopping;
  if (room) {
    list_add(&pool->waiting, job);
    pool->queued++;
    pthread_cond_signal(&pool->wake);
  }
  pthread_mutex_unlock(&pool->lock);
  return room;
}
