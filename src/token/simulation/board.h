/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The switchboard of a simulated token: a file in its directory that all processes map. It tells at the cost of a load whether
 * the token is unplugged and whether the faults that were switched on at run time have changed, and keeps their counts.
 * Who may write the token's directory may switch. It is test gear: it survives a process that dies, and promises no more.
 */
#ifndef HF_TOKEN_SIMULATION_BOARD_H
#define HF_TOKEN_SIMULATION_BOARD_H

#include "base/cleanup.h"
#include "token/simulation/plan.h"

#define BOARD_FILE "simulation"

/* For ever, in place of a time. */
#define BOARD_FOREVER UINT64_MAX

struct board;

/* Makes the file where it is missing, 0666 less umask_bits. Fails with TOKEN_STORE where it is none of ours. */
hf_err board_open(const char *dir, unsigned umask_bits, struct board **ret_board);
struct board *board_close(struct board *board);
HF_DEFINE_CLEANUP(struct board, board_close)

/* Now, as the board has its times: ns of CLOCK_REALTIME. */
uint64_t board_now(void);

/* Whether the token is out, and how often it was pulled so far. No system call where it is in. */
bool board_unplugged(const struct board *board);
uint64_t board_removals(const struct board *board);

/* Pulls it out until a time, or BOARD_FOREVER; and plugs it in again. */
void board_unplug(struct board *board, uint64_t until);
void board_plug(struct board *board);

/* Differs after each change of the faults; and how often they were all switched off. */
uint64_t board_generation(const struct board *board);
uint64_t board_clears(const struct board *board);

/* The faults as they are. Their states are the board's: board_state. */
struct board_plan {
  uint64_t generation;
  uint64_t armed[PLAN_MAX]; /* when each was switched on */
  struct plan plan;
};
hf_err board_read(struct board *board, struct board_plan *ret_plan);

/* What became of the i-th fault of this generation. Valid until two changes later. */
struct fault_state *board_state(struct board *board, uint64_t generation, size_t i);

/* Switches faults on besides those that are there, or all off. Fails with PARSE, LIMIT; then nothing was changed. */
hf_err board_add(struct board *board, const char *text);
hf_err board_clear(struct board *board);

/* The device does one thing at a time, of all processes: true where it is free, and from then on the caller's until
 * board_release. */
bool board_try_acquire(struct board *board);
void board_release(struct board *board);

#endif
