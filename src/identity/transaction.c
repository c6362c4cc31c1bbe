/* SPDX-License-Identifier: Apache-2.0 */
#include "identity/transaction.h"

#include "base/file.h"
#include "identity/openssl.h"

#include <openssl/err.h>
#include <sys/stat.h>
#include <time.h>

enum { CERTIFICATE_FILE_MAX = 1024 * 1024, COMMIT_WAIT_MS = 10000, COMMIT_POLL_MS = 20 };

static hf_err digest_of(struct hf_slice data, struct hf_buf *out)
{
  uint8_t digest[JOURNAL_DIGEST_LEN / 2];
  if (EVP_Digest(data.data, data.len, digest, NULL, EVP_sha256(), NULL) != 1)
    return openssl_fail(HF_ERR_INTERNAL, "SHA-256", "");
  hf_buf_free(out);
  return hf_buf_add_hex(out, digest, sizeof(digest));
}

/* Whether the file is the new certificate; false where it is not there. */
static hf_err is_new(const char *path, const struct journal *journal, bool *ret_is_new)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf text = HF_BUF(CERTIFICATE_FILE_MAX), digest = HF_BUF(JOURNAL_DIGEST_LEN);
  hf_err e = hf_file_read(path, &text);
  *ret_is_new = false;
  if (e.code == HF_ERR_NOT_FOUND)
    return HF_OK;
  HF_TRY(e);
  HF_TRY(digest_of(hf_slice(text.data, text.len), &digest));
  *ret_is_new = hf_slice_equal(hf_slice(digest.data, digest.len), hf_slice(journal->digest.data, journal->digest.len));
  return HF_OK;
}

/* Sets device.key_uri, but only where it is what we know it as: anything else is somebody's own choice by now. */
static hf_err set_key(const struct transaction *t, struct hf_buf *from, struct hf_buf *to, bool *ret_changed)
{
  if (from->len == 0 || to->len == 0)
    return HF_OK;
  HF_CLEANUP(config_freep) struct config *config = NULL;
  HF_TRY(config_open(t->config_path, &config));
  const char *now = config_get(config, CONFIG_DEVICE_KEY_URI);
  const char *old = hf_buf_str(from), *wanted = hf_buf_str(to);
  if (!old || !wanted)
    return hf_fail(HF_ERR_NO_MEMORY, "the device's key");
  if (!now || strcmp(now, old) != 0)
    return HF_OK;
  HF_TRY(config_set(config, CONFIG_DEVICE_KEY_URI, wanted));
  HF_TRY(config_save(config));
  *ret_changed = true;
  return HF_OK;
}

hf_err transaction_save(struct transaction *t)
{
  return journal_write(t->paths.journal, &t->journal);
}

/* Nothing is under way any more; a key to delete is remembered. */
static hf_err end(struct transaction *t, const char *discard)
{
  if (discard)
    HF_TRY(journal_add_discard(&t->journal, discard));
  t->journal.stage = JOURNAL_IDLE;
  HF_TRY(journal_set(&t->journal.old_key, NULL));
  HF_TRY(journal_set(&t->journal.new_key, NULL));
  HF_TRY(journal_set(&t->journal.digest, NULL));
  return transaction_save(t);
}

static hf_err undo(struct transaction *t, bool *ret_changed)
{
  HF_TRY(set_key(t, &t->journal.new_key, &t->journal.old_key, ret_changed));
  HF_TRY(hf_file_remove(t->paths.staged));
  return end(t, t->journal.new_key.len ? hf_buf_str(&t->journal.new_key) : NULL);
}

/* The configuration first: it may fail for want of space, a rename hardly ever. Each step may have been done before. */
static hf_err finish(struct transaction *t, bool *ret_changed)
{
  bool staged, placed;
  HF_TRY(is_new(t->paths.staged, &t->journal, &staged));
  HF_TRY(is_new(t->paths.certificate, &t->journal, &placed));
  if (!staged && !placed)
    return undo(t, ret_changed);
  HF_TRY(set_key(t, &t->journal.old_key, &t->journal.new_key, ret_changed));
  if (staged)
    HF_TRY(hf_file_rename(t->paths.staged, t->paths.certificate));
  return end(t, NULL);
}

static hf_err recover(struct transaction *t, bool *ret_changed)
{
  static hf_err (*const ways[JOURNAL_STAGE_COUNT])(struct transaction * t, bool *ret_changed) = {
    [JOURNAL_TRYING] = undo,
    [JOURNAL_COMMITTING] = finish,
  };
  return ways[t->journal.stage] ? ways[t->journal.stage](t, ret_changed) : HF_OK;
}

hf_err transaction_open(const struct config *config, struct transaction **ret_transaction, bool *ret_changed)
{
  HF_CLEANUP(transaction_freep) struct transaction *t = calloc(1, sizeof(*t));
  if (!t)
    return hf_fail(HF_ERR_NO_MEMORY, "a renewal");
  t->lock = -1;
  t->journal = JOURNAL_INIT;
  HF_TRY(journal_paths(config, &t->paths));
  if ((size_t)snprintf(t->config_path, sizeof(t->config_path), "%s", config_path(config)) >= sizeof(t->config_path))
    return hf_fail(HF_ERR_LIMIT, "the path %.64s...", config_path(config));
  HF_TRY(hf_dir_make_above(t->paths.lock, S_IRWXU | S_IRGRP | S_IXGRP | S_IROTH | S_IXOTH));
  HF_TRY(hf_file_lock(t->paths.lock, &t->lock));
  hf_file_tidy(t->paths.journal);
  hf_file_tidy(t->paths.staged);
  HF_TRY(journal_read(t->paths.journal, &t->journal));
  bool changed = false;
  HF_TRY(recover(t, &changed));
  *ret_changed = changed;
  *ret_transaction = HF_TAKE(t);
  return HF_OK;
}

struct transaction *transaction_free(struct transaction *t)
{
  if (!t)
    return NULL;
  journal_free(&t->journal);
  hf_closep(&t->lock);
  free(t);
  return NULL;
}

hf_err transaction_begin(struct transaction *t, const char *old_key, const char *new_key)
{
  t->journal.stage = JOURNAL_TRYING;
  HF_TRY(journal_set(&t->journal.old_key, old_key));
  HF_TRY(journal_set(&t->journal.new_key, new_key));
  return transaction_save(t);
}

hf_err transaction_stage(struct transaction *t, struct hf_slice pem)
{
  HF_TRY(digest_of(pem, &t->journal.digest));
  return hf_file_write(t->paths.staged, pem.data, pem.len, S_IRUSR | S_IWUSR | S_IRGRP | S_IROTH);
}

static hf_err commit(struct transaction *t, const char *previous, bool *ret_changed)
{
  t->journal.stage = JOURNAL_COMMITTING;
  if (previous)
    HF_TRY(journal_set(&t->journal.previous, previous));
  HF_TRY(transaction_save(t));
  return finish(t, ret_changed);
}

hf_err transaction_commit(struct transaction *t, const char *previous)
{
  bool changed = false, placed = false;
  hf_err e = commit(t, previous, &changed);
  if (!hf_failed(e))
    return HF_OK;
  struct hf_err_saved saved = hf_err_save(e);
  /* Once the certificate is in its place, nothing leads back; what is left to write, the next recovery does. */
  if (!hf_failed(is_new(t->paths.certificate, &t->journal, &placed)) && placed)
    return HF_OK;
  if (previous)
    hf_buf_free(&t->journal.previous);
  if (hf_failed(undo(t, &changed)))
    return hf_hint(hf_err_restore(&saved), "The next start of any of Holdfast's programs finishes it.");
  return hf_err_restore(&saved);
}

hf_err transaction_undo(struct transaction *t)
{
  bool changed = false;
  return undo(t, &changed);
}

static void pause_ms(long ms)
{
  nanosleep(&(struct timespec){ .tv_nsec = ms * 1000000 }, NULL);
}

/* Without the lock: what stage it is in. A certificate that is in no file is in no renewal. */
static hf_err look(const struct config *config, enum journal_stage *ret_stage)
{
  HF_CLEANUP(journal_free) struct journal journal = JOURNAL_INIT;
  struct journal_paths paths;
  hf_err e = journal_paths(config, &paths);
  if (!hf_failed(e))
    e = journal_read(paths.journal, &journal);
  if (e.code != HF_ERR_CONFIG)
    HF_TRY(e);
  *ret_stage = journal.stage;
  return HF_OK;
}

hf_err transaction_recover(const struct config *config, bool *ret_changed)
{
  bool changed = false;
  for (int waited_ms = 0;; waited_ms += COMMIT_POLL_MS) {
    enum journal_stage stage = JOURNAL_IDLE;
    HF_CLEANUP(transaction_freep) struct transaction *t = NULL;
    HF_TRY(look(config, &stage));
    hf_err e = stage == JOURNAL_IDLE ? HF_OK : transaction_open(config, &t, &changed);
    if (e.code == HF_ERR_BUSY && stage == JOURNAL_COMMITTING && waited_ms < COMMIT_WAIT_MS) {
      pause_ms(COMMIT_POLL_MS);
      continue;
    }
    /* While it is tried, the old ones fit together: that it is under way, or cannot be undone here, hurts nobody. */
    if (hf_failed(e) && stage == JOURNAL_TRYING)
      e = HF_OK;
    HF_TRY(e);
    *ret_changed = changed || waited_ms > 0;
    return HF_OK;
  }
}

hf_err transaction_refresh(struct config **config)
{
  bool changed = false;
  struct config *now;
  HF_TRY(transaction_recover(*config, &changed));
  if (!changed)
    return HF_OK;
  HF_TRY(config_load(config_path(*config), &now));
  config_free(*config);
  *config = now;
  return HF_OK;
}
