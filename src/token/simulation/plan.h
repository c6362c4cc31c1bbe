/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A plan of faults. A fault is a line of words: the function that it strikes (none: any that reaches the device), when, and what
 * happens:
 *
 *   C_Sign every=100 device-error
 *   C_Sign nth=7 hang for=10s
 *   after=30s unplug for=5s
 *   every=1m unplug for=2s
 *   chance=0.01 seed=42 session-lost
 *   C_Login CKR_FUNCTION_FAILED times=2
 */
#ifndef HF_TOKEN_SIMULATION_PLAN_H
#define HF_TOKEN_SIMULATION_PLAN_H

#include "token/simulation/words.h"

#include <stdatomic.h>
#include <stddef.h>

enum { PLAN_MAX = 32, FAULT_TEXT_MAX = 128 };

enum fault_kind {
  FAULT_NONE,
  FAULT_ANSWER,       /* answers code */
  FAULT_UNPLUG,       /* the token is pulled out */
  FAULT_SESSION_LOST, /* the call's session is closed */
  FAULT_LOGGED_OUT,   /* the login is gone, and nobody is told */
  FAULT_SLOW,         /* takes longer */
  FAULT_HANG,         /* does not come back until the fault is gone */
  FAULT_CORRUPT,      /* a bit of the signature is wrong */
};

struct fault {
  char text[FAULT_TEXT_MAX];    /* as it was written */
  char function[WORD_FUNCTION]; /* "": any that reaches the device */
  enum fault_kind kind;
  enum hf_code code;
  uint64_t nth;      /* strikes this call alone; 0: not by number */
  uint64_t every;    /* strikes each so manyth call; 0: not so */
  uint64_t period;   /* strikes each time that so many ns are over; 0: not so */
  double chance;     /* strikes with this probability; 0: not so */
  uint64_t seed;     /* of chance */
  uint64_t after;    /* rests so many ns first */
  uint64_t lasting;  /* once it has struck, strikes on for so many ns; 0: only this once */
  uint64_t times;    /* strikes no more than so often; 0: no limit */
  uint64_t slowness; /* FAULT_SLOW: ns */
};

/* What became of a fault so far. May be shared by processes; zeros at first. */
struct fault_state {
  _Atomic uint64_t calls;   /* that it could have struck */
  _Atomic uint64_t strikes; /* one that lasts counts once */
  _Atomic uint64_t since;   /* when it struck last: ns of CLOCK_REALTIME */
};

/* Fails with PARSE, naming the word and what was expected. */
hf_err fault_parse(const char *text, struct fault *ret_fault);

/* Whether it is about calls of this function. */
bool fault_concerns(const struct fault *fault, const char *function);

/*
 * Whether it strikes a call that it concerns, at the time now; armed is when its plan began. Counts the call. Where it is a fault
 * that lasts, *ret_until is when it is over, else 0.
 */
bool fault_strikes(const struct fault *fault, struct fault_state *state, uint64_t armed, uint64_t now,
                   uint64_t *ret_until);

struct plan {
  struct fault faults[PLAN_MAX];
  size_t count;
};

/* Appends the faults of a text: one a line, or several with commas. Fails with PARSE, LIMIT; then nothing was added. */
hf_err plan_parse(const char *text, struct plan *plan);

#endif
