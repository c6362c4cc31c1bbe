/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tries of a PIN: counted durably, for all processes, before they are made; so each is a failure until it is over, and one whose
 * process was killed stays one. Right ones that run side by side must not lock the PIN by that: who finds it locked waits for
 * the tries under way, which hold a lock on the token's directory meanwhile. The count alone decides; the lock is a courtesy.
 */
#include "token/token_private.h"

#include <fcntl.h>
#include <sys/file.h>
#include <time.h>

enum { TRY_WAIT_MS = 5000, LOOK_WAIT_MS = 500, POLL_MS = 2 };

static const char *const wrap_names[WRAP_COUNT] = { [WRAP_SO] = "SO PIN", [WRAP_USER] = "user PIN" };

hf_err token_wrong_pin(const struct header *header, unsigned which)
{
  return hf_fail(HF_ERR_PIN_INCORRECT, "the %s of token \"%.*s\"", wrap_names[which], HEADER_LABEL(header));
}

/* LOCK_SH: beside other tries; LOCK_EX: once they are over. -1 where that takes longer, or cannot be. */
static int hold_tries(const struct token *token, int how, int wait_ms)
{
  int fd = open(token->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  for (int waited = 0; fd >= 0 && flock(fd, how | LOCK_NB) != 0; waited += POLL_MS) {
    if (waited >= wait_ms) {
      close(fd);
      return -1;
    }
    nanosleep(&(struct timespec){ 0, POLL_MS * 1000000L }, NULL);
  }
  return fd;
}

/* By name, for a child that was forked meanwhile has the descriptor, too. */
static void release_tries(const int *fd)
{
  if (*fd < 0)
    return;
  flock(*fd, LOCK_UN);
  close(*fd);
}

struct pin_try {
  const struct token_conf *conf;
  unsigned which;
  struct header header; /* the PIN's, counted */
  const struct wrap *better;
};

static hf_err count_try(struct store_txn *txn, void *arg)
{
  struct pin_try *try = arg;
  HF_TRY(header_read(txn, &try->header));
  struct wrap *wrap = &try->header.wraps[try->which];
  if (try->header.deleted)
    return hf_fail(HF_ERR_TOKEN_NOT_PRESENT, "the token was deleted");
  if (!wrap->set)
    return hf_fail(HF_ERR_USER_PIN_NOT_INITIALIZED, "token \"%.*s\"", HEADER_LABEL(&try->header));
  if (wrap->failures >= try->conf->pin_tries)
    return hf_fail(HF_ERR_PIN_LOCKED, "the %s of token \"%.*s\"", wrap_names[try->which], HEADER_LABEL(&try->header));
  wrap->failures++;
  return header_write(txn, &try->header);
}

hf_err token_same_epoch(const struct header *now, const struct header *then)
{
  if (now->deleted || memcmp(now->epoch, then->epoch, sizeof(now->epoch)) != 0)
    return hf_fail(HF_ERR_TOKEN_NOT_PRESENT, "the token was initialised anew meanwhile");
  return HF_OK;
}

static hf_err clear_tries(struct store_txn *txn, void *arg)
{
  const struct pin_try *try = arg;
  struct header header;
  HF_TRY(header_read(txn, &header));
  HF_TRY(token_same_epoch(&header, &try->header));
  struct wrap *wrap = &header.wraps[try->which];
  /* Another PIN by now: its failures are its own. */
  if (memcmp(wrap->salt, try->header.wraps[try->which].salt, sizeof(wrap->salt)) != 0)
    return HF_OK;
  if (try->better)
    *wrap = *try->better;
  wrap->failures = 0;
  return header_write(txn, &header);
}

static uint64_t work(struct crypto_cost cost)
{
  return (uint64_t)cost.memory * cost.passes;
}

/* A wrap that was made when the configuration asked for less is made anew. Never for less: another program's file may. */
static bool make_better(const struct pin_try *try, struct hf_slice pin, struct hf_secret *keys, struct wrap *better)
{
  const struct token_conf *conf = try->conf;
  if (work((struct crypto_cost){ conf->kdf_memory, conf->kdf_passes }) <= work(try->header.wraps[try->which].cost))
    return false;
  hf_err e = token_wrap(conf, try->header.uuid, try->which, pin, keys, better);
  if (hf_failed(e))
    hf_ignore(hf_log_err(e, "the PIN's derivation stays as cheap as it was"));
  return !hf_failed(e);
}

static hf_err evaluate(struct token *token, struct pin_try *try, struct hf_slice pin, struct hf_secret **ret_keys)
{
  HF_CLEANUP(hf_secret_freep) struct hf_secret *keys = NULL;
  struct wrap better;
  /* Counted, but nothing to derive from: it cannot be right. */
  if (pin.len < PIN_MIN || pin.len > PIN_MAX)
    return token_wrong_pin(&try->header, try->which);
  HF_TRY(token_unwrap(&try->header, try->which, pin, &keys));
  if (make_better(try, pin, keys, &better))
    try->better = &better;
  HF_TRY(store_write(token->store, clear_tries, try));
  *ret_keys = HF_TAKE(keys);
  return HF_OK;
}

hf_err token_try_pin(struct token *token, unsigned which, struct hf_slice pin, struct header *ret_header,
                     struct hf_secret **ret_keys)
{
  struct pin_try try = { .conf = token->conf, .which = which };
  HF_CLEANUP(release_tries) int held = hold_tries(token, LOCK_SH, TRY_WAIT_MS);
  hf_err e = store_write(token->store, count_try, &try);
  if (e.code == HF_ERR_PIN_LOCKED) {
    release_tries(&held);
    held = hold_tries(token, LOCK_EX, TRY_WAIT_MS);
    e = store_write(token->store, count_try, &try);
  }
  HF_TRY(e);
  HF_TRY(evaluate(token, &try, pin, ret_keys));
  *ret_header = try.header;
  return HF_OK;
}

static bool any_failures(const struct header *header)
{
  bool any = false;
  for (size_t i = 0; i < WRAP_COUNT; i++)
    any |= header->wraps[i].failures > 0;
  return any;
}

hf_err token_settled_header(struct token *token, struct header *ret_header)
{
  struct header header;
  HF_TRY(token_header(token, &header));
  if (any_failures(&header)) {
    int held = hold_tries(token, LOCK_EX, LOOK_WAIT_MS);
    release_tries(&held);
    HF_TRY(token_header(token, &header));
  }
  *ret_header = header;
  return HF_OK;
}
