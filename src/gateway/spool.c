/* SPDX-License-Identifier: Apache-2.0 */
#include "base/file.h"
#include "gateway/spool_private.h"
#include "gateway/spool_verify.h"

#include <errno.h>
#include <time.h>

enum {
  LOCK_TRIES = 20,
  LOCK_PAUSE_NS = 20000000,
  MAP_SPARE = 64 << 20, /* address space for what a transaction rewrites, and for the page tables of large queues */
  BUFFER_KEPT = 1 << 20 /* of a buffer that was larger, nothing is kept */
};

/* Opening */

static uint64_t map_bytes(const struct spool_options *options)
{
  return 2 * options->max_size + MAP_SPARE;
}

static hf_err check_options(const struct spool_options *options)
{
  if (options->max_size >= SPOOL_SIZE_MIN && options->max_size < UINT64_C(1) << 46)
    return HF_OK;
  return hf_hint(hf_fail(HF_ERR_LIMIT, "a spool of %llu bytes", (unsigned long long)options->max_size),
                 "Set mqtt.bridge.spool.max_size to at least %d bytes.", SPOOL_SIZE_MIN);
}

static hf_err take_lock(const char *dir, int *ret_fd)
{
  char path[PATH_MAX];
  if ((size_t)snprintf(path, sizeof(path), "%s/lock", dir) >= sizeof(path))
    return hf_fail(HF_ERR_LIMIT, "the path %s", dir);
  hf_err e = hf_file_lock(path, ret_fd);
  /* A process that was killed may have left a child that lets go in a moment: see spool_verify. */
  for (int i = 0; e.code == HF_ERR_BUSY && i < LOCK_TRIES; i++) {
    nanosleep(&(struct timespec){ .tv_nsec = LOCK_PAUSE_NS }, NULL);
    e = hf_file_lock(path, ret_fd);
  }
  return e.code == HF_ERR_BUSY ? hf_hint(e, "One holdfast-core alone may use a spool: end the other one.") : e;
}

static hf_err write_state(struct spool *spool)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf bytes = HF_BUF(SPOOL_STATE_MAX);
  HF_TRY(spool_state_add(&spool->now, SPOOL_FORMAT, &bytes));
  return solo_put(spool->store, SPOOL_TABLE_META, spool_state_key(), hf_slice(bytes.data, bytes.len), false);
}

static hf_err make_new(const char *dir)
{
  struct spool_state state = { 0 };
  HF_CLEANUP(hf_buf_free) struct hf_buf bytes = HF_BUF(SPOOL_STATE_MAX);
  for (size_t i = 0; i < SPOOL_QUEUES; i++)
    state.queues[i].next = 1;
  HF_TRY(spool_state_add(&state, SPOOL_FORMAT, &bytes));
  return solo_create(&spool_kind, dir, SPOOL_TABLE_META, spool_state_key(), hf_slice(bytes.data, bytes.len));
}

static hf_err open_store(struct spool *spool)
{
  bool exists = false;
  const struct spool_options *options = &spool->options;
  HF_TRY(solo_exists(&spool_kind, spool->dir, &exists));
  HF_TRY(exists ? spool_verify(spool->dir, map_bytes(options)) : make_new(spool->dir));
  HF_TRY(solo_open(&spool_kind, spool->dir, map_bytes(options), options->durability == SPOOL_POWER, &spool->store));
  HF_TRY(spool_state_read(spool->store, &spool->committed));
  spool->now = spool->committed;
  return HF_OK;
}

hf_err spool_open(const char *dir, const struct spool_options *options, struct spool **ret_spool)
{
  HF_TRY(check_options(options));
  HF_CLEANUP(spool_closep) struct spool *spool = calloc(1, sizeof(*spool));
  if (!spool)
    return hf_fail(HF_ERR_NO_MEMORY, "the spool %s", dir);
  spool->lock = -1;
  spool->options = *options;
  spool->gather = spool->record = HF_BUF(SPOOL_RECORD_MAX);
  if ((size_t)snprintf(spool->dir, sizeof(spool->dir), "%s", dir) >= sizeof(spool->dir))
    return hf_fail(HF_ERR_LIMIT, "the path %s", dir);
  HF_TRY(hf_dir_make(dir));
  HF_TRY(take_lock(dir, &spool->lock));
  HF_TRY(open_store(spool));
  *ret_spool = HF_TAKE(spool);
  return HF_OK;
}

struct spool *spool_close(struct spool *spool)
{
  if (!spool)
    return NULL;
  solo_close(spool->store);
  hf_closep(&spool->lock);
  hf_buf_free(&spool->gather);
  hf_buf_free(&spool->record);
  free(spool);
  return NULL;
}

hf_err spool_configure(struct spool *spool, const struct spool_options *options)
{
  HF_TRY(check_options(options));
  HF_TRY(solo_configure(spool->store, map_bytes(options), options->durability == SPOOL_POWER));
  spool->options = *options;
  return HF_OK;
}

hf_err spool_move_aside(const char *dir, char *ret_path, size_t size)
{
  char path[PATH_MAX], stamp[32];
  struct tm parts;
  time_t now = time(NULL);
  strftime(stamp, sizeof(stamp), "%Y%m%dT%H%M%SZ", gmtime_r(&now, &parts));
  if ((size_t)snprintf(path, sizeof(path), "%s.damaged-%s", dir, stamp) >= size)
    return hf_fail(HF_ERR_LIMIT, "the path %s", dir);
  if (access(dir, F_OK) != 0)
    return hf_fail_errno(errno, "%s", dir);
  HF_CLEANUP(hf_closep) int lock = -1;
  HF_TRY(take_lock(dir, &lock));
  if (rename(dir, path) != 0)
    return hf_fail_errno(errno, "%s", path);
  snprintf(ret_path, size, "%s", path);
  return HF_OK;
}

/* The transaction */

static hf_err lost(const struct spool *spool)
{
  return hf_fail(spool->lost.code, "%s", spool->lost_text);
}

hf_err spool_begin(struct spool *spool)
{
  if (hf_failed(spool->lost))
    return lost(spool);
  if (spool->gather.capacity > BUFFER_KEPT)
    hf_buf_free(&spool->gather);
  if (spool->record.capacity > BUFFER_KEPT)
    hf_buf_free(&spool->record);
  return spool_changed(spool, solo_begin(spool->store));
}

static void roll_back(struct spool *spool)
{
  solo_abort(spool->store);
  for (size_t i = 0; i < SPOOL_QUEUES; i++) {
    uint64_t next = spool->now.queues[i].next;
    spool->now.queues[i] = spool->committed.queues[i];
    spool->now.queues[i].next = next; /* not to be given twice */
  }
  spool->now.marks = spool->committed.marks;
  spool->growth = 0;
}

hf_err spool_changed(struct spool *spool, hf_err e)
{
  if (!hf_failed(e))
    return e;
  spool->lost = e;
  snprintf(spool->lost_text, sizeof(spool->lost_text), "%s", hf_err_context());
  roll_back(spool);
  return lost(spool);
}

hf_err spool_commit(struct spool *spool)
{
  hf_err e = spool->lost;
  if (hf_failed(e)) {
    spool->lost = HF_OK;
    return hf_fail(e.code, "%s", spool->lost_text);
  }
  if (!spool_dirty(spool))
    return HF_OK;
  e = write_state(spool);
  if (!hf_failed(e))
    e = solo_commit(spool->store);
  if (hf_failed(e)) {
    roll_back(spool);
    return e;
  }
  spool->committed = spool->now;
  spool->growth = 0;
  return HF_OK;
}

void spool_abort(struct spool *spool)
{
  spool->lost = HF_OK;
  roll_back(spool);
}

bool spool_dirty(const struct spool *spool)
{
  return hf_failed(spool->lost) || solo_writing(spool->store);
}
