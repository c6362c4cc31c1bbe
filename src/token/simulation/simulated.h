/* SPDX-License-Identifier: Apache-2.0 */
/* A simulated token in this process: its switchboard, and its faults by the configuration. */
#ifndef HF_TOKEN_SIMULATION_SIMULATED_H
#define HF_TOKEN_SIMULATION_SIMULATED_H

#include "token/simulation/board.h"
#include "token/simulation/settings.h"

#include <pthread.h>

struct simulated {
  const struct simulation_settings *settings;
  struct board *board;
  uint64_t armed;                      /* since when the configuration's faults count */
  struct fault_state states[PLAN_MAX]; /* of those */
  _Atomic uint64_t removals;           /* the board's, as far as this process's sessions were closed for them */
  pthread_mutex_t lock;                /* guards switched, and closing those sessions */
  struct board_plan switched;          /* the board's faults, as of its generation */
};

/* Fails as board_open. */
hf_err simulated_open(const struct simulation_settings *settings, const char *dir, unsigned umask_bits,
                      struct simulated **ret_simulated);
struct simulated *simulated_close(struct simulated *simulated);

/*
 * What the plans have for a call. Each fault that strikes goes to act, until that fails. until: when a fault that lasts is over,
 * else 0.
 */
struct strike {
  const struct fault *fault;
  uint64_t until;
};
hf_err simulated_strikes(struct simulated *simulated, const char *function,
                         hf_err (*act)(const struct strike *strike, void *arg), void *arg);

/* Waits, and false where the module is stopping meanwhile. */
bool simulated_sleep(uint64_t ns);

/* Waits for the device, where it does one thing at a time, and has it work for so long. Fails with CANCELLED at C_Finalize. */
hf_err simulated_work(struct simulated *simulated, const char *function, const char *key, uint64_t more);

#endif
