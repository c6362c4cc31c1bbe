/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How long a device takes: "C_Sign/RSA-2048=150ms-250ms, C_Login=40ms, *=2ms". The row that says most of the call counts: its
 * key, then its function, then *; among equals the last.
 */
#ifndef HF_TOKEN_SIMULATION_LATENCY_H
#define HF_TOKEN_SIMULATION_LATENCY_H

#include "token/simulation/words.h"

#include <stddef.h>

enum { LATENCY_ROWS_MAX = 64 };

struct latency_row {
  char function[WORD_FUNCTION]; /* "*": any that reaches the device */
  char key[WORD_KEY];           /* "": any, or none */
  uint64_t min, max;            /* ns */
};

struct latency {
  struct latency_row rows[LATENCY_ROWS_MAX];
  size_t count;
};

/* Appends the rows of a list. Fails with PARSE, LIMIT. */
hf_err latency_parse(const char *text, struct latency *latency);

/* The row for a call with a key ("": none); NULL where there is none. */
const struct latency_row *latency_find(const struct latency *latency, const char *function, const char *key);

#endif
