/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/spool_verify.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

/* What the child says; nothing at all where it crashed. */
struct verdict {
  enum hf_code code;
  char context[HF_CONTEXT_MAX];
};

struct hf_slice spool_state_key(void)
{
  return hf_slice("state", 5);
}

hf_err spool_state_read(struct solo *store, struct spool_state *ret_state)
{
  bool found;
  struct hf_slice bytes;
  HF_TRY(solo_get(store, SPOOL_TABLE_META, spool_state_key(), &found, &bytes));
  if (!found)
    return hf_fail(HF_ERR_SPOOL_DAMAGED, "its counts are missing");
  return spool_state_parse(bytes, ret_state);
}

static hf_err check_queue(struct solo *store, enum spool_queue queue, const struct spool_queue_state *state)
{
  HF_CLEANUP(hf_buf_free) struct hf_buf gather = HF_BUF(SPOOL_RECORD_MAX);
  uint64_t messages = 0, bytes = 0, sequence = 0;
  struct hf_slice first, record;
  struct spool_message message;
  for (bool found;;) {
    HF_TRY(spool_queue_find(store, queue, sequence, &found, &sequence, &first));
    if (!found)
      break;
    HF_TRY(spool_queue_load(store, queue, sequence, first, &gather, &record));
    HF_TRY(spool_record_parse(record, sequence, &message));
    messages++;
    bytes += spool_queue_cost(store, record.len);
  }
  if (messages != state->messages || bytes != state->bytes || sequence >= state->next)
    return hf_fail(HF_ERR_SPOOL_DAMAGED, "its counts do not tell what is there");
  return HF_OK;
}

static hf_err check_small(struct solo *store, unsigned table, size_t key_len, size_t value_len, uint64_t *ret_count)
{
  uint8_t next[16] = { 0 };
  uint64_t count = 0;
  struct hf_slice at = { next, key_len }, value;
  for (bool found;; count++) {
    HF_TRY(solo_seek(store, table, at, &found, &at, &value));
    if (!found)
      break;
    if (at.len != key_len || value.len != value_len)
      return hf_fail(HF_ERR_SPOOL_DAMAGED, "what it noted of messages on their way is not of the form");
    /* The next key that there can be. */
    memcpy(next, at.data, key_len);
    next[key_len] = 0;
    at = hf_slice(next, key_len + 1);
  }
  *ret_count = count;
  return HF_OK;
}

static hf_err check_all(const char *dir, uint64_t map_bytes)
{
  HF_CLEANUP(solo_closep) struct solo *store = NULL;
  struct spool_state state;
  uint64_t marks, received;
  HF_TRY(solo_open(&spool_kind, dir, map_bytes, false, &store));
  HF_TRY(spool_state_read(store, &state));
  HF_TRY(solo_check_free(store));
  for (enum spool_queue queue = 0; queue < SPOOL_QUEUES; queue++)
    HF_TRY(check_queue(store, queue, &state.queues[queue]));
  HF_TRY(check_small(store, SPOOL_TABLE_MARKS, SPOOL_MARK_KEY, SPOOL_MARK_BYTES, &marks));
  HF_TRY(check_small(store, SPOOL_TABLE_RECEIVED, SPOOL_RECEIVED_KEY, 0, &received));
  return marks == state.marks ? HF_OK : hf_fail(HF_ERR_SPOOL_DAMAGED, "its counts do not tell what is on its way");
}

enum { CHILD_OUT = STDERR_FILENO + 1 };

/*
 * Nothing of the parent's stays open: neither the spool's lock, which the parent's end must free. Standard error goes too: LMDB's
 * last words there say no more than the parent will.
 */
static void close_all_but(int out)
{
  int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
  if (null >= 0)
    dup2(null, STDERR_FILENO);
  dup2(out, CHILD_OUT);
  close_range(CHILD_OUT + 1, UINT_MAX, 0);
}

static void child(const char *dir, uint64_t map_bytes, int out)
{
  const struct rlimit no_core = { 0, 0 };
  static const int crashes[] = { SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL };
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  setrlimit(RLIMIT_CORE, &no_core);
  for (size_t i = 0; i < HF_ARRAY_LEN(crashes); i++)
    signal(crashes[i], SIG_DFL);
  close_all_but(out);
  hf_err e = check_all(dir, map_bytes);
  struct verdict verdict = { .code = e.code };
  if (hf_failed(e))
    snprintf(verdict.context, sizeof(verdict.context), "%s", hf_err_context());
  _exit(write(CHILD_OUT, &verdict, sizeof(verdict)) == (ssize_t)sizeof(verdict) ? 0 : 1);
}

static hf_err hear(int in, const char *dir)
{
  struct verdict verdict;
  ssize_t n;
  do
    n = read(in, &verdict, sizeof(verdict));
  while (n < 0 && errno == EINTR);
  if (n != (ssize_t)sizeof(verdict))
    return hf_fail(HF_ERR_SPOOL_DAMAGED, "%s: it cannot be read through", dir);
  if (verdict.code == HF_ERR_OK)
    return HF_OK;
  verdict.context[sizeof(verdict.context) - 1] = '\0';
  bool named = strstr(verdict.context, dir);
  return hf_fail(verdict.code, "%s%s%s", named ? "" : dir, named ? "" : ": ", verdict.context);
}

hf_err spool_verify(const char *dir, uint64_t map_bytes)
{
  int pair[2];
  if (pipe2(pair, O_CLOEXEC) != 0)
    return hf_fail_errno(errno, "a pipe");
  pid_t pid = fork();
  if (pid == 0)
    child(dir, map_bytes, pair[1]);
  int error = errno;
  close(pair[1]);
  hf_err e = pid > 0 ? hear(pair[0], dir) : hf_fail_errno(error, "a process to read %s", dir);
  close(pair[0]);
  /* It may be somebody else's who reaps all children; the verdict is what counts. */
  while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
    ;
  return e;
}
