/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/core_renewal.h"

#include "base/log.h"
#include "gateway/trial.h"

#include <limits.h>
#include <pthread.h>
#include <time.h>

enum { CA_TIMEOUT_S = 120 };

struct core_renewal {
  char config_path[PATH_MAX], module_path[PATH_MAX];
  pthread_t thread;
  pthread_mutex_t lock;
  pthread_cond_t changed;
  bool stopping, woken;
  struct renewal_status status;
};

static bool is_stopping(void *arg)
{
  struct core_renewal *renewal = arg;
  pthread_mutex_lock(&renewal->lock);
  bool stopping = renewal->stopping;
  pthread_mutex_unlock(&renewal->lock);
  return stopping;
}

static void on_step(const char *text, void *arg)
{
  (void)arg;
  hf_log(HF_LOG_INFO, "renewal: %s", text);
}

static void on_note(const char *text, void *arg)
{
  (void)arg;
  hf_log(HF_LOG_WARNING, "renewal: %s", text);
}

static bool on_waiting(const char *what, unsigned seconds_left, void *arg)
{
  (void)what;
  (void)seconds_left;
  return !is_stopping(arg);
}

static hf_err look(struct core_renewal *renewal, struct renewal_status *status)
{
  HF_CLEANUP(config_freep) struct config *config = NULL;
  HF_TRY(config_load(renewal->config_path, &config));
  const struct observer observer = { on_step, on_note, on_waiting, is_stopping, renewal };
  struct trial_options trial = { .observer = &observer };
  const struct renew_options options = {
    .module_path = renewal->module_path,
    .timeout_s = CA_TIMEOUT_S,
    .observer = &observer,
    .try_connect = trial_connect,
    .try_arg = &trial,
  };
  identity_renew_if_due(config, &options, time(NULL), status);
  return HF_OK;
}

/* The status is a copy while it works, for whoever asks meanwhile. Returns how many seconds to wait for the next. */
static unsigned one_round(struct core_renewal *renewal)
{
  struct renewal_status status;
  core_renewal_status(renewal, &status);
  hf_err e = look(renewal, &status);
  int64_t now = time(NULL);
  /* A configuration that cannot be read is told by who reads it for the rest of the gateway. */
  if (hf_failed(e))
    status.next_look = now + RENEWAL_PAUSE_MIN_S;
  pthread_mutex_lock(&renewal->lock);
  renewal->status = status;
  pthread_mutex_unlock(&renewal->lock);
  int64_t left = status.next_look - now;
  return left < 1 ? 1 : left > RENEWAL_LOOK_S ? RENEWAL_LOOK_S : (unsigned)left;
}

/* On the clock that nobody sets. */
static void await(struct core_renewal *renewal, unsigned seconds)
{
  struct timespec until;
  clock_gettime(CLOCK_MONOTONIC, &until);
  until.tv_sec += seconds;
  int rc = 0;
  pthread_mutex_lock(&renewal->lock);
  while (!renewal->stopping && !renewal->woken && rc == 0)
    rc = pthread_cond_timedwait(&renewal->changed, &renewal->lock, &until);
  if (renewal->woken)
    renewal_look_again(&renewal->status);
  renewal->woken = false;
  pthread_mutex_unlock(&renewal->lock);
}

static void *run(void *arg)
{
  struct core_renewal *renewal = arg;
  while (!is_stopping(renewal))
    await(renewal, one_round(renewal));
  return NULL;
}

static void init_locks(struct core_renewal *renewal)
{
  pthread_condattr_t attr;
  pthread_condattr_init(&attr);
  pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
  pthread_cond_init(&renewal->changed, &attr);
  pthread_condattr_destroy(&attr);
  pthread_mutex_init(&renewal->lock, NULL);
}

hf_err core_renewal_start(const struct config *config, const char *module_path, struct core_renewal **ret_renewal)
{
  struct core_renewal *renewal = calloc(1, sizeof(*renewal));
  if (!renewal)
    return hf_fail(HF_ERR_NO_MEMORY, "the renewal");
  snprintf(renewal->config_path, sizeof(renewal->config_path), "%s", config_path(config));
  snprintf(renewal->module_path, sizeof(renewal->module_path), "%s", module_path);
  init_locks(renewal);
  int error = pthread_create(&renewal->thread, NULL, run, renewal);
  if (error) {
    free(renewal);
    return hf_fail_errno(error, "a thread for the renewal");
  }
  *ret_renewal = renewal;
  return HF_OK;
}

void core_renewal_wake(struct core_renewal *renewal)
{
  pthread_mutex_lock(&renewal->lock);
  renewal->woken = true;
  pthread_cond_signal(&renewal->changed);
  pthread_mutex_unlock(&renewal->lock);
}

void core_renewal_status(struct core_renewal *renewal, struct renewal_status *ret_status)
{
  pthread_mutex_lock(&renewal->lock);
  *ret_status = renewal->status;
  pthread_mutex_unlock(&renewal->lock);
}

struct core_renewal *core_renewal_stop(struct core_renewal *renewal)
{
  if (!renewal)
    return NULL;
  pthread_mutex_lock(&renewal->lock);
  renewal->stopping = true;
  pthread_cond_signal(&renewal->changed);
  pthread_mutex_unlock(&renewal->lock);
  pthread_join(renewal->thread, NULL);
  pthread_cond_destroy(&renewal->changed);
  pthread_mutex_destroy(&renewal->lock);
  free(renewal);
  return NULL;
}
