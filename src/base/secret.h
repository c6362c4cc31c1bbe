/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PINs and keys at rest in memory: pages of their own, kept out of swap (where the limits allow it) and out of core
 * dumps, wiped at the end. Never log one, never put one in an error or in a child's arguments.
 */
#ifndef HF_BASE_SECRET_H
#define HF_BASE_SECRET_H

#include "base/cleanup.h"
#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Overwrites in a way the compiler cannot drop. NULL is fine. */
void hf_wipe(void *data, size_t len);

/* Compares in constant time. */
bool hf_secret_equal(const void *a, const void *b, size_t len);

struct hf_secret;

/* A secret of len bytes (1 to 64 KiB), copied from data; zero bytes where data is NULL. */
hf_err hf_secret_new(const void *data, size_t len, struct hf_secret **ret_secret);
/* One more owner: it is wiped when the last one frees it. */
struct hf_secret *hf_secret_ref(struct hf_secret *secret);
struct hf_secret *hf_secret_free(struct hf_secret *secret);

uint8_t *hf_secret_data(struct hf_secret *secret);
size_t hf_secret_len(const struct hf_secret *secret);

static inline void hf_secret_freep(struct hf_secret **secret)
{
  *secret = hf_secret_free(*secret);
}

/* For a program's main: no core dumps, no ptrace by the same user. */
void hf_secret_harden_process(void);

#endif
