/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A few threads for what may wait for an HSM or a disk, so that the event loop never does. A job is run by one of them and
 * then given back to the loop's thread.
 */
#ifndef HF_HTTPD_POOL_H
#define HF_HTTPD_POOL_H

#include "base/cleanup.h"
#include "base/error.h"

#include <event2/event.h>
#include <stdbool.h>

/* Part of the caller's own struct, which lives until done was called. */
struct pool_job {
  void (*run)(struct pool_job *job);  /* in a thread of the pool */
  void (*done)(struct pool_job *job); /* in the loop's thread */
  struct pool_job *next;
};

struct pool;

hf_err pool_new(struct event_base *base, unsigned threads, unsigned queue_max, struct pool **ret_pool);

/* Waits for what runs; the rest of the queue, and all that was run, is given to done. Call it in the loop's thread. */
struct pool *pool_free(struct pool *pool);
HF_DEFINE_CLEANUP(struct pool, pool_free)

/* How many seconds the longest of the jobs that run now has run; 0 where none does. */
unsigned pool_stuck(struct pool *pool);

/* False where the queue is full: then neither run nor done is called. Only in the loop's thread. */
bool pool_submit(struct pool *pool, struct pool_job *job);

#endif
