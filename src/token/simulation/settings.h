/* SPDX-License-Identifier: Apache-2.0 */
/* The configuration's simulation.* keys: whether tokens are simulated, and as what. Zeros are no simulation. */
#ifndef HF_TOKEN_SIMULATION_SETTINGS_H
#define HF_TOKEN_SIMULATION_SETTINGS_H

#include "token/simulation/profile.h"

struct conf_line;

struct simulation_settings {
  bool enabled;           /* any key makes it so, but simulation.enabled = false */
  bool disabled;          /* simulation.enabled = false */
  struct profile profile; /* of no name where there is none */
  double factor;          /* of the profile's latencies; 0: 1 */
  bool latency_off;       /* they do not count */
  struct latency latency; /* simulation.latency: counts before the profile's */
  struct limits limits;   /* simulation.limits, and then the profile's */
  struct plan plan;       /* simulation.faults, then the profile's */
};

/* Takes a line whose key is one of them: *ret_known tells. Fails with CONFIG. */
hf_err simulation_settings_take(struct simulation_settings *settings, const struct conf_line *line,
                                profile_mechanism_fn mechanism_of, bool *ret_known);

/* After the last line: what the profile adds. Fails with CONFIG. */
hf_err simulation_settings_finish(struct simulation_settings *settings);

/* How long a call takes, in ns; where between the shortest and the longest time is random's, from 0 to below 1. */
uint64_t simulation_settings_latency(const struct simulation_settings *settings, const char *function, const char *key,
                                     double random);

#endif
