/* SPDX-License-Identifier: Apache-2.0 */
#include "token/simulation/simulated.h"

#include "base/cleanup.h"
#include "token/crypto.h"
#include "token/library.h"

#include <errno.h>
#include <time.h>

/* How long a wait may overlook what happens meanwhile, and a queue what has become free. */
#define SLICE_NS 20000000ULL
#define QUEUE_NS 300000ULL

hf_err simulated_open(const struct simulation_settings *settings, const char *dir, unsigned umask_bits,
                      struct simulated **ret_simulated)
{
  struct simulated *simulated = calloc(1, sizeof(*simulated));
  if (!simulated)
    return hf_fail(HF_ERR_NO_MEMORY, "the simulation of %s", dir);
  pthread_mutex_init(&simulated->lock, NULL);
  simulated->settings = settings;
  simulated->armed = board_now();
  hf_err e = board_open(dir, umask_bits, &simulated->board);
  if (!hf_failed(e))
    e = board_read(simulated->board, &simulated->switched);
  if (hf_failed(e)) {
    simulated_close(simulated);
    return e;
  }
  simulated->removals = board_removals(simulated->board);
  *ret_simulated = simulated;
  return HF_OK;
}

struct simulated *simulated_close(struct simulated *simulated)
{
  if (!simulated)
    return NULL;
  board_close(simulated->board);
  pthread_mutex_destroy(&simulated->lock);
  free(simulated);
  return NULL;
}

/* Every fault counts its calls, whatever strikes besides: so all are asked before the first one acts. */
struct strikes {
  struct strike list[2 * PLAN_MAX];
  size_t count;
  struct fault switched[PLAN_MAX]; /* copies: to act may take its time, and the board may change */
};

static void ask(const struct fault *fault, struct fault_state *state, uint64_t armed, const char *function,
                struct strikes *strikes)
{
  struct strike strike = { .fault = fault };
  if (fault_concerns(fault, function) && fault_strikes(fault, state, armed, board_now(), &strike.until))
    strikes->list[strikes->count++] = strike;
}

static void ask_own(struct simulated *simulated, const char *function, struct strikes *strikes)
{
  const struct plan *plan = &simulated->settings->plan;
  for (size_t i = 0; i < plan->count; i++)
    ask(&plan->faults[i], &simulated->states[i], simulated->armed, function, strikes);
}

/* With the lock held. */
static hf_err ask_board(struct simulated *simulated, const char *function, struct strikes *strikes)
{
  struct board_plan *plan = &simulated->switched;
  if (plan->generation != board_generation(simulated->board))
    HF_TRY(board_read(simulated->board, plan));
  for (size_t i = 0; i < plan->plan.count; i++) {
    strikes->switched[i] = plan->plan.faults[i];
    ask(&strikes->switched[i], board_state(simulated->board, plan->generation, i), plan->armed[i], function, strikes);
  }
  return HF_OK;
}

hf_err simulated_strikes(struct simulated *simulated, const char *function,
                         hf_err (*act)(const struct strike *strike, void *arg), void *arg)
{
  struct strikes strikes;
  strikes.count = 0;
  ask_own(simulated, function, &strikes);
  pthread_mutex_lock(&simulated->lock);
  hf_err e = ask_board(simulated, function, &strikes);
  pthread_mutex_unlock(&simulated->lock);
  HF_TRY(e);
  for (size_t i = 0; i < strikes.count; i++)
    HF_TRY(act(&strikes.list[i], arg));
  return HF_OK;
}

bool simulated_sleep(uint64_t ns)
{
  while (ns > 0 && !library_stopping()) {
    uint64_t slice = ns < SLICE_NS ? ns : SLICE_NS;
    struct timespec left = { .tv_nsec = (long)slice };
    while (nanosleep(&left, &left) != 0 && errno == EINTR)
      continue;
    ns -= slice;
  }
  return ns == 0;
}

static hf_err cancelled(const char *function)
{
  return hf_fail(HF_ERR_FUNCTION_CANCELED, "C_Finalize was called during %s", function);
}

static double random_part(void)
{
  uint32_t number = 0;
  hf_ignore(crypto_random(&number, sizeof(number)));
  return (double)number / ((double)UINT32_MAX + 1);
}

hf_err simulated_work(struct simulated *simulated, const char *function, const char *key, uint64_t more)
{
  const struct simulation_settings *settings = simulated->settings;
  bool queue = settings->profile.queue && !word_is_local(function);
  uint64_t ns = more + simulation_settings_latency(settings, word_whole_function(function), key, random_part());
  while (queue && !board_try_acquire(simulated->board))
    if (!simulated_sleep(QUEUE_NS))
      return cancelled(function);
  bool done = simulated_sleep(ns);
  if (queue)
    board_release(simulated->board);
  return done ? HF_OK : cancelled(function);
}
