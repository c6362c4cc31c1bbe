/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/core_renewal.h"

#include "base/log.h"
#include "gateway/trial.h"
#include "identity/renew.h"

#include <limits.h>
#include <pthread.h>
#include <time.h>

enum { LOOK_S = 3600, RETRY_MIN_S = 60, RETRY_MAX_S = 6 * 3600, CA_TIMEOUT_S = 120 };

struct core_renewal {
  char config_path[PATH_MAX], module_path[PATH_MAX];
  pthread_t thread;
  pthread_mutex_t lock;
  pthread_cond_t changed;
  bool stopping, woken;
  struct core_renewal_status status;
};

unsigned core_renewal_pause(unsigned failures)
{
  unsigned pause = failures ? RETRY_MIN_S : LOOK_S;
  for (unsigned i = 1; i < failures && pause < RETRY_MAX_S; i++)
    pause *= 2;
  return pause < RETRY_MAX_S ? pause : RETRY_MAX_S;
}

static bool is_stopping(struct core_renewal *renewal)
{
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

static hf_err renew(struct core_renewal *renewal, struct renew_result *ret_result)
{
  HF_CLEANUP(config_freep) struct config *config = NULL;
  HF_TRY(config_load(renewal->config_path, &config));
  const struct observer observer = { on_step, on_note, on_waiting, renewal };
  const struct trial_options trial = { .observer = &observer };
  const struct renew_options options = {
    .module_path = renewal->module_path,
    .if_needed = true,
    .timeout_s = CA_TIMEOUT_S,
    .observer = &observer,
    .try_connect = trial_connect,
    .try_arg = (void *)(uintptr_t)&trial,
  };
  return identity_renew(config, &options, ret_result);
}

static const char *result_text(hf_err e, const struct renew_result *result)
{
  static const char *const texts[] = {
    [RENEW_DONE] = "renewed",
    [RENEW_NOT_DUE] = "not due",
    [RENEW_CLOCK] = "the clock is wrong",
  };
  return hf_failed(e) ? "failed" : texts[result->outcome];
}

/* Returns how long to wait for the next. */
static unsigned one_round(struct core_renewal *renewal, unsigned *failures)
{
  struct renew_result result = { 0 };
  hf_err e = renew(renewal, &result);
  *failures = hf_failed(e) ? *failures + 1 : 0;
  unsigned pause = core_renewal_pause(*failures);
  if (hf_failed(e))
    hf_ignore(hf_log_err(e, "renewing the device's certificate"));
  else if (result.outcome != RENEW_NOT_DUE)
    hf_log(HF_LOG_INFO, "renewal: the device's certificate: %s", result_text(e, &result));
  pthread_mutex_lock(&renewal->lock);
  struct core_renewal_status *status = &renewal->status;
  status->last_try_s = time(NULL);
  status->next_try_s = status->last_try_s + pause;
  status->last_result = result_text(e, &result);
  status->cause = hf_err_save(e);
  if (!hf_failed(e))
    status->until_s = result.until;
  pthread_mutex_unlock(&renewal->lock);
  return pause;
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
  renewal->woken = false;
  pthread_mutex_unlock(&renewal->lock);
}

static void *run(void *arg)
{
  struct core_renewal *renewal = arg;
  unsigned failures = 0;
  while (!is_stopping(renewal))
    await(renewal, one_round(renewal, &failures));
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
  renewal->status.last_result = "none yet";
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

void core_renewal_status(struct core_renewal *renewal, struct core_renewal_status *ret_status)
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
