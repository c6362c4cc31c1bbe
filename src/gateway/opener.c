/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/opener.h"

#include "gateway/net.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/eventfd.h>

/* Shared by the thread and its owner; the last of the two frees it. */
struct opener {
  atomic_int users;
  struct link_options *options;
  unsigned timeout_s;
  int done; /* an eventfd */
  struct link *link;
  struct hf_err_saved error;
};

static atomic_int running;

static void release(struct opener *opener)
{
  if (atomic_fetch_sub(&opener->users, 1) > 1)
    return;
  link_close(opener->link);
  link_copy_free(opener->options);
  hf_closep(&opener->done);
  free(opener);
}

static void *run(void *arg)
{
  struct opener *opener = arg;
  opener->error =
      hf_err_save(link_open(opener->options, net_now_ms() + (int64_t)opener->timeout_s * 1000, &opener->link));
  atomic_fetch_sub(&running, 1);
  if (eventfd_write(opener->done, 1) != 0)
    abort();
  release(opener);
  return NULL;
}

static hf_err start_thread(struct opener *opener)
{
  pthread_t thread;
  pthread_attr_t attr;
  pthread_attr_init(&attr);
  pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
  opener->users = 2;
  atomic_fetch_add(&running, 1);
  int rc = pthread_create(&thread, &attr, run, opener);
  pthread_attr_destroy(&attr);
  if (rc == 0)
    return HF_OK;
  atomic_fetch_sub(&running, 1);
  opener->users = 1;
  return hf_fail_errno(rc, "a thread");
}

hf_err opener_start(const struct link_options *options, unsigned timeout_s, struct opener **ret_opener)
{
  if (running >= OPENERS_MAX)
    return hf_hint(hf_fail(HF_ERR_BUSY, "%d attempts to connect hang", OPENERS_MAX),
                   "Restart the program; and see whether the HSM and the name server answer.");
  struct opener *opener = calloc(1, sizeof(*opener));
  if (!opener)
    return hf_fail(HF_ERR_NO_MEMORY, "a connection");
  opener->users = 1;
  opener->timeout_s = timeout_s;
  opener->done = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  hf_err e = opener->done >= 0 ? link_copy_new(options, &opener->options) : hf_fail_errno(errno, "an event");
  if (!hf_failed(e))
    e = start_thread(opener);
  if (hf_failed(e))
    release(opener);
  else
    *ret_opener = opener;
  return e;
}

int opener_fd(const struct opener *opener)
{
  return opener->done;
}

hf_err opener_finish(struct opener *opener, struct link **ret_link)
{
  hf_err e = hf_err_restore(&opener->error);
  if (!hf_failed(e))
    *ret_link = HF_TAKE(opener->link);
  release(opener);
  return e;
}

struct opener *opener_abandon(struct opener *opener)
{
  if (opener)
    release(opener);
  return NULL;
}
